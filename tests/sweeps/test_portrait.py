"""How sweeps look at a prompt and in a notebook, one and many."""

from __future__ import annotations

import pytest

from podstack import MLOpsClient
from podstack.sweeps.sweep import Sweep
from podstack.sweeps.sweep_table import SweepTable
from podstack.testing.html import Page

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
STEERING = "\x1b[2J\x1b]0;title\x07\u202e"
SPACE = {"lr": {"min": 0.001, "max": 0.1}, "model": {"depth": {"values": [1, 2]}}}


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def sweep(client: MLOpsClient) -> Sweep:
    """Of four trials: two completed, one failed, one running."""
    client.create_experiment("digits")
    made = client.create_sweep("digits", "random", SPACE, "val_loss", 8, name="first", seed=1)
    for value in (0.5, 0.25):
        made.complete(_take(made), {"val_loss": value})
    made.complete(_take(made), status="failed", error="CUDA")
    _take(made)
    return made


def _take(sweep: Sweep) -> str:
    trial = sweep.suggest()
    assert trial is not None
    return trial.id


def test_a_sweep_tells_what_it_is_how_far_it_is_and_its_best(sweep: Sweep) -> None:
    lines = repr(sweep).splitlines()

    assert lines[0] == f"Sweep first  {sweep.id}"
    assert lines[1].startswith("  running · random search · minimize val_loss · experiment digits")
    assert lines[2] == "  " + "█" * 7 + "▓" * 4 + "▄" * 4 + "░" * 15 + "  38%"
    assert lines[3].startswith("  3 of 8 trials over: 2 completed, 1 failed; 1 running")
    assert lines[4] == "  best val_loss 0.25 (trial 2)"
    assert [line.split(" = ")[0].strip() for line in lines[5:]] == ["lr", "model/depth"]


def test_a_sweep_that_was_stopped_says_why(sweep: Sweep) -> None:
    sweep.stop("good enough\nfor now")

    assert "stopped" in repr(sweep).splitlines()[1]
    assert "good enough for now" in repr(sweep)
    assert "good enough for now" in Page(sweep._repr_html_()).text


def test_a_sweep_without_trials_is_whole(client: MLOpsClient) -> None:
    client.create_experiment("digits")
    made = client.create_sweep("digits", "random", SPACE, "loss", target=0.1)

    assert "no trial has a value yet" in repr(made)
    assert "0 trials over" in repr(made)
    assert "░" not in repr(made)
    assert "0 trials over" in Page(made._repr_html_()).text


def test_a_notebook_shows_the_same_and_the_history(sweep: Sweep) -> None:
    page = Page(sweep._repr_html_())

    assert {"svg", "polyline", "circle", "rect"} <= page.elements
    for told in ("first", sweep.id, "3 of 8 trials over", "best val_loss 0.25 (trial 2)", "lr"):
        assert told in page.text


def test_hostile_texts_steer_neither_a_terminal_nor_a_page(client: MLOpsClient) -> None:
    client.create_experiment(HOSTILE)
    space = {HOSTILE: {"values": [HOSTILE, STEERING]}}
    made = client.create_sweep(
        client.list_experiments()[0].id, "grid", space, HOSTILE, direction="minimize", name=HOSTILE
    )
    for value in (1.0, 2.0):
        made.complete(_take(made), {HOSTILE: value})
    made.stop(HOSTILE + STEERING)
    shown = [made, made.trials, made.importance(), client.list_sweeps()]

    for thing in shown:
        page = Page(thing._repr_html_())
        assert page.elements & {"script", "img", "a", "iframe", "form"} == set()
        assert not {name for name in page.attributes if name.startswith("on") or name == "src"}
        assert "<script>alert(1)</script>" in page.text
        assert all(line.isprintable() for line in repr(thing).split("\n"))


# Several ---------------------------------------------------------------------------------------


def test_the_sweeps_of_a_project_are_a_table(client: MLOpsClient, sweep: Sweep) -> None:
    client.create_sweep("digits", "random", SPACE, "acc", target=0.9, name="second")
    found = client.list_sweeps()
    lines = repr(found).splitlines()

    assert isinstance(found, SweepTable)
    assert [one.name for one in found] == ["first", "second"]
    assert lines[0].split()[:5] == ["name", "id", "status", "trials", "best"]
    assert lines[1].split()[:5] == ["first", sweep.id, "running", "3/8", "0.25"]
    assert lines[2].split()[0] == "second"
    assert lines[2].split()[3:5] == ["0", "–"]
    assert "minimize val_loss" in lines[1]
    assert isinstance(found[:1], SweepTable)


def test_the_table_of_sweeps_becomes_a_frame(client: MLOpsClient, sweep: Sweep) -> None:
    found = client.list_sweeps()
    (facts,) = found.to_dicts()

    assert (facts["completed"], facts["failed"], facts["running"], facts["total"]) == (2, 1, 1, 8)
    assert (facts["best_value"], facts["best_trial"]) == (0.25, 2)
    assert str(found.to_pandas()["created"].dtype) == "datetime64[us, UTC]"
    assert found.to_polars()["name"].to_list() == ["first"]


def test_no_sweeps_are_said_to_be_none(client: MLOpsClient) -> None:
    client.create_experiment("digits")

    assert repr(client.list_sweeps()) == "no sweeps"
    assert "0 sweeps" in client.list_sweeps()._repr_html_()
    assert client.list_sweeps().to_dicts() == []
