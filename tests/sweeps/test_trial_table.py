"""The trials of a sweep as a table: whole, bounded, typed, and harmless whatever they hold."""

from __future__ import annotations

import math
from typing import Any

import pytest

from podstack import UsageError
from podstack.sweeps.definition import Definition
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.trial_table import TrialTable
from podstack.testing.html import Page

SPACE = {
    "lr": {"min": 0.001, "max": 0.1},
    "optimizer": {"values": ["adam", "sgd"]},
    "momentum": {"min": 0.0, "max": 0.9, "when": {"optimizer": "sgd"}},
    "epochs": 5,
}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><svg onload=alert(1)>",
    "'-alert(1)-'",
]
STEERING = "\x1b[2J\x1b]0;title\x07\nforged  line\u202e"


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def definition(space: dict[str, Any] | None = None, **changes: Any) -> Definition:
    made = Definition(
        id="20261128-100000-abcdefgh", name="calm-otter-7", experiment="digits", user="ada",
        created=1000.0, strategy="random", options={}, seed=1,
        space=SearchSpace.parse(space or SPACE), objective=Objective("val_loss", "minimize"),
        max_trials=30,
    )  # fmt: skip
    return made._replace(**changes)


RECORDS = [
    TrialRecord(
        1, {"lr": 0.01, "optimizer": "adam", "epochs": 5}, "completed", 0.5, {"val_loss": 0.5},
        run="r1", worker="w", host="h", started=1000.0, ended=1090.0,
    ),
    TrialRecord(
        2, {"lr": 0.02, "optimizer": "sgd", "momentum": 0.9, "epochs": 5}, "completed", 0.25,
        {"val_loss": 0.25, "acc": 0.9}, run="r2", worker="w", started=1000.0, ended=1004.0,
    ),
    TrialRecord(
        3, {"lr": 0.03, "optimizer": "adam", "epochs": 5}, "failed", error="CUDA\nout of memory",
        worker="w", started=1000.0, ended=1001.0,
    ),
    TrialRecord(4, {"lr": 0.04, "optimizer": "adam", "epochs": 5}, "completed", 0.1, pruned=True),
    TrialRecord(5, {"lr": 0.05, "optimizer": "adam", "epochs": 5}, "completed", math.nan),
    TrialRecord(6, {"lr": 0.06, "optimizer": "adam", "epochs": 5}, worker="w", started=1000.0),
    TrialRecord(7, {"lr": 0.07, "optimizer": "adam", "epochs": 5}),
]  # fmt: skip


def table(records: list[TrialRecord] | None = None, **changes: Any) -> TrialTable:
    shown = RECORDS if records is None else records
    return TrialTable(definition(**changes), shown, now=1100.0)


# As a sequence -------------------------------------------------------------------------------


def test_it_is_a_sequence_of_records() -> None:
    found = table()

    assert list(found) == RECORDS
    assert len(found) == 7
    assert found[0] is RECORDS[0]
    assert found[-1].number == 7
    assert RECORDS[2] in found


def test_a_slice_is_a_table_and_knows_the_best_of_the_sweep() -> None:
    part = table()[2:5]

    assert isinstance(part, TrialTable)
    assert [record.number for record in part] == [3, 4, 5]
    assert "*" not in repr(part)
    assert "0.2500*" in repr(table()[1:3])


def test_pages_start_at_one() -> None:
    records = [TrialRecord(n, {"lr": n / 100, "optimizer": "adam"}) for n in range(1, 46)]
    found = table(records)

    assert [record.number for record in found.page(3)] == list(range(41, 46))
    assert len(found.page(1, size=7)) == 7
    with pytest.raises(UsageError, match="number is from 1 to 3"):
        found.page(4)


def test_the_top_are_the_best_in_order() -> None:
    assert [record.number for record in table().top()] == [2, 1]
    assert [record.number for record in table().top(1)] == [2]
    larger = table(objective=Objective("acc", "maximize"))
    assert [record.number for record in larger.top()] == [1, 2]
    with pytest.raises(UsageError, match="count is from 1"):
        table().top(0)


# As text -------------------------------------------------------------------------------------


def test_it_prints_what_tells_trials_apart() -> None:
    lines = repr(table()).splitlines()

    assert lines[0].split() == [
        "trial", "status", "val_loss", "lr", "optimizer", "momentum", "run", "duration", "error",
    ]  # fmt: skip
    assert lines[1].split() == ["1", "completed", "0.5000", "0.01", "adam", "–", "r1", "1m", "30s"]
    assert lines[2].split() == ["2", "completed", "0.2500*", "0.02", "sgd", "0.9", "r2", "4.0s"]
    assert "failed" in lines[3]
    assert "CUDA out of memory" in lines[3]
    assert "completed (pruned)" in lines[4]
    assert "NaN" in lines[5]
    assert "1m 40s" in lines[6]
    assert "running (offered again)" in lines[7]
    assert lines[8] == "* best: lowest val_loss"


def test_a_parameter_that_never_varied_is_in_no_column() -> None:
    same = [record._replace(params={**record.params, "optimizer": "adam"}) for record in RECORDS]

    assert "optimizer" not in repr(table(same))
    assert "epochs" not in repr(table())


def test_without_trials_it_says_so() -> None:
    assert repr(table([])) == "no trials yet"
    assert "0 trials" in table([])._repr_html_()


def test_a_narrow_terminal_hides_columns_and_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = repr(table())

    assert max(map(len, shown.splitlines())) <= 40
    assert "not shown (.to_dicts)" in shown


def test_ten_thousand_trials_print_one_page() -> None:
    records = [
        TrialRecord(n, {"lr": n / 1e5, "optimizer": "adam"}, "completed", 1.0 / n)
        for n in range(1, 10_001)
    ]
    lines = repr(table(records)).splitlines()

    assert len(lines) == 22
    assert lines[-1] == "… 9,980 more of 10,000: .page(2), .top(10)"


# As data -------------------------------------------------------------------------------------


def test_dicts_hold_what_a_trial_has_and_no_more() -> None:
    first, second, *_ = table().to_dicts()

    assert first["number"] == 1
    assert first["params.lr"] == 0.01
    assert first["metrics.val_loss"] == 0.5
    assert first["duration"] == 90.0
    assert "params.momentum" not in first
    assert second["params.momentum"] == 0.9
    assert second["metrics.acc"] == 0.9


def test_pandas_gets_typed_columns_and_times() -> None:
    frame = table().to_pandas()

    assert list(frame["number"]) == [1, 2, 3, 4, 5, 6, 7]
    assert list(frame.columns[:8]) == [
        "number", "status", "value", "pruned", "params.lr", "params.optimizer", "params.momentum",
        "params.epochs",
    ]  # fmt: skip
    assert str(frame["number"].dtype) == "int64"
    assert str(frame["pruned"].dtype) == "bool"
    assert str(frame["params.momentum"].dtype) == "float64"
    assert str(frame["ended"].dtype) == "datetime64[us, UTC]"
    assert frame["duration"][0] == 90.0


def test_polars_gets_the_same_columns() -> None:
    frame = table().to_polars()

    assert frame.columns == list(table().to_pandas().columns)
    assert frame["params.momentum"].to_list() == [None, 0.9, None, None, None, None, None]
    assert frame.shape[0] == 7


def test_an_empty_table_is_an_empty_frame() -> None:
    assert table([]).to_dicts() == []
    assert table([]).to_pandas().shape[0] == 0
    assert table([]).to_polars().shape[0] == 0


# Hostile -------------------------------------------------------------------------------------


def hostile() -> TrialTable:
    space = {text: {"values": [text, f"{text}2"]} for text in [*HOSTILE, "steering"]}
    metric = HOSTILE[0]
    records = [
        TrialRecord(
            n,
            {**dict.fromkeys(space, text), "steering": STEERING if n else "steering"},
            status,
            float(n),
            error=text + STEERING,
            run=text,
        )
        for n, (text, status) in enumerate(zip(HOSTILE, ["completed", "failed"] * 2, strict=True))
    ]
    return TrialTable(definition(space, objective=Objective(metric, "maximize")), records)


def test_hostile_names_and_values_are_text_in_a_notebook() -> None:
    page = Page(hostile()._repr_html_())

    assert page.elements & {"script", "img", "svg", "a", "iframe", "form"} == set()
    assert not {name for name in page.attributes if name.startswith("on") or name == "src"}
    assert all(text in page.text for text in HOSTILE)


def test_hostile_names_and_values_steer_no_terminal() -> None:
    shown = repr(hostile())

    assert all(line.isprintable() for line in shown.split("\n"))
    assert not any(line.startswith("forged") for line in shown.split("\n"))


def test_an_unknown_status_is_text() -> None:
    records = [TrialRecord(1, {"lr": 0.1}, "<script>\x1b[2J")]

    assert "\x1b" not in repr(table(records))
    assert "script" not in Page(table(records)._repr_html_()).elements
