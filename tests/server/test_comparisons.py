"""Many runs as columns, asked of a real server as the Compare page asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from podstack import MLOpsClient
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask
from podstack.testing.stage import DEADLINE


@dataclass(frozen=True)
class Compared:
    """A server over four runs, and how to ask it."""

    server: RunningServer
    ids: dict[str, str]

    def ask(self, **arguments: Any) -> tuple[int, Any]:
        words = {
            name: value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in arguments.items()
        }
        target = f"/api/v1/projects/default/compare/columns?{urlencode(words)}"
        found = ask(self.server.port, "GET", target)
        return found.status, orjson.loads(found.body or b"null")

    def columns(self, **arguments: Any) -> Any:
        status, found = self.ask(**arguments)
        assert status == 200, found
        return found


_PARAMS: dict[str, dict[str, Any]] = {
    "a": {"lr": 0.1, "seed": 1, "note": None, "text": "x" * 5000, "large": (1 << 53) + 1},
    "b": {"lr": 0.2, "seed": 1, "text": "x" * 4999 + "y", "large": (1 << 53) + 2},
    "c": {"lr": 0.2, "seed": 1.0, "note": "n", "text": "short", "large": 10**18},
}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    folder = tmp_path_factory.mktemp("compared")
    client = MLOpsClient(folder / "store")
    experiment = client.create_experiment("letters")
    ids = {}
    for name, params in _PARAMS.items():
        with client.start_run(
            experiment_id=experiment.id, name=name, params=params, capture=False
        ) as run:
            run.log_metrics({"loss": 2.0, "system/cpu": 1.0})
            run.log_metrics({"loss": 1.0} | ({"acc": float("nan")} if name == "a" else {}))
        ids[name] = run.id
    with client.start_run(name="elsewhere", capture=False) as run:
        ids["elsewhere"] = run.id
    with RunningServer(
        folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield Compared(server, ids)


def test_runs_come_in_the_order_asked_for_and_the_missing_ones_are_named(
    compared: Compared,
) -> None:
    wanted = [compared.ids["c"], "nowhere", compared.ids["a"], compared.ids["c"]]
    found = compared.columns(runs=wanted)

    assert found["runs"]["name"] == ["c", "a"]
    assert found["missing"] == ["nowhere"]
    assert found["total"] == 2


def test_only_differing_parameters_are_columns_and_absent_is_not_none(compared: Compared) -> None:
    found = compared.columns(experiment="letters", order_by="name")

    assert found["runs"]["name"] == ["a", "b", "c"]
    assert found["params"]["lr"] == [0.1, 0.2, 0.2]
    assert found["equal_params"] == {"seed": 1}
    assert found["params"]["note"] == [None, None, "n"]
    assert found["absent"] == {"note": [1]}


def test_an_integer_that_javascript_would_round_is_told_by_its_digits(compared: Compared) -> None:
    found = compared.columns(experiment="letters", order_by="name")
    alone = compared.columns(runs=[compared.ids["a"]])

    assert found["params"]["large"] == ["9007199254740993", (1 << 53) + 2, 10**18]
    assert (found["digits"], alone["digits"]) == (["large"], ["large"])
    assert alone["params"]["large"] == ["9007199254740993"]


def test_a_long_value_is_cut_and_still_differs(compared: Compared) -> None:
    texts = compared.columns(experiment="letters", order_by="name")["params"]["text"]
    first, second, third = texts

    assert first[:2000] == second[:2000]
    assert first != second
    assert "5,000 characters" in first
    assert len(first) < 2100
    assert third == "short"


def test_metrics_are_columns_without_those_of_the_machine(compared: Compared) -> None:
    found = compared.columns(experiment="letters", order_by="name")

    assert list(found["metrics"]) == ["loss", "acc"]
    assert found["metrics"]["loss"]["min"] == [1.0, 1.0, 1.0]
    assert found["metrics"]["loss"]["max"] == [2.0, 2.0, 2.0]
    assert found["metrics"]["acc"]["last"] == ["NaN", None, None]
    assert found["directions"] == {"loss": "minimize", "acc": "maximize"}


def test_a_filter_chooses_and_the_limit_is_told(compared: Compared) -> None:
    found = compared.columns(filter="params.lr = 0.2", order_by="name", limit="1")

    assert found["runs"]["name"] == ["b"]
    assert found["total"] == 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ({}, 422, "Say which runs"),
        ({"experiment": "leters"}, 404, "letters"),
        ({"experiment": "letters", "filter": "lr >"}, 422, "filter"),
        ({"runs": "[1]"}, 422, "list"),
    ],
)
def test_what_cannot_be_answered_says_why(
    compared: Compared, arguments: dict[str, Any], status: int, words: str
) -> None:
    told = compared.ask(**arguments)

    assert told[0] == status
    assert words in told[1]["error"]["message"]


def _changed(asked: Compared, **arguments: Any) -> Any:
    """The first answer that tells of a change: the server looks anew after a moment."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        status, found = asked.ask(**arguments)
        if status == 200:
            return found
        time.sleep(0.1)
    raise AssertionError("nothing ever changed")


def test_who_knows_the_present_is_told_of_nothing_and_else_of_what_was_written(
    tmp_path: Path,
) -> None:
    client = MLOpsClient(tmp_path / "store")
    runs = [client.start_run(name=name, capture=False) for name in "ab"]
    for run in runs:
        run.log_metrics({"loss": 1.0})
        run.flush(DEADLINE)
    with RunningServer(tmp_path / "store") as server:
        asked = Compared(server, {run.name: run.id for run in runs})
        ids = [run.id for run in runs]
        before = asked.columns(runs=ids)
        assert before["changed"] is None
        assert asked.ask(runs=ids, since=before["generation"]) == (204, None)
        runs[0].log_metrics({"loss": 0.5})
        runs[0].flush(DEADLINE)
        after = _changed(asked, runs=ids, since=before["generation"])
        other = asked.ask(runs=[ids[1]], since=before["generation"])
        unknown = asked.columns(runs=ids, since="elsewhere.3")
    for run in runs:
        run.finish()

    assert after["changed"] == [ids[0]]
    assert after["metrics"]["loss"]["last"] == [0.5, 1.0]
    assert other == (204, None)
    assert unknown["changed"] is None


def test_what_is_kept_of_a_comparison_still_tells_how_long_a_run_goes_on(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store")
    with RunningServer(tmp_path / "store") as server, client.start_run(capture=False) as run:
        run.log_metrics({"loss": 1.0})
        compared = Compared(server, {})
        first = compared.columns(runs=[run.id])
        second = compared.columns(runs=[run.id])
        run.log_metrics({"loss": 0.5})
        run.flush()
        while compared.columns(runs=[run.id])["metrics"]["loss"]["last"] != [0.5]:
            time.sleep(0.01)  # a server looks at its store once a second

    assert second["runs"]["duration"][0] > first["runs"]["duration"][0]
    assert {**second, "runs": None} == {**first, "runs": None}
