"""Runs side by side: what differs, what came of it, and numbers that do not pretend."""

from __future__ import annotations

from typing import Any

import pytest

from podstack import MLOpsClient, NotFoundError, UsageError, WrongTypeError
from podstack.compare import Comparison
from podstack.index import RunRow
from podstack.measured import Measured
from podstack.series import Summary
from podstack.tables import width_of

NAN, INF = float("nan"), float("inf")


def row(i: int, params: dict[str, Any] | None = None, **metrics: Any) -> RunRow:
    return RunRow(
        id=f"r{i}", name=f"run {i}", status="completed", lost_since=None, experiment_id="e",
        experiment="e", user="ada", created=1.0 + i, ended=2.0 + i, duration=1.0, parent=None,
        tags=[], params=params or {}, notes="", error=None, deleted=False,
        metrics={name: _summary(value) for name, value in metrics.items()},
    )  # fmt: skip


def _summary(value: Any) -> Summary:
    """Of one value that never changes, or of (last, min, max)."""
    last, low, high = value if isinstance(value, tuple) else (value,) * 3
    return Summary(last, 9, low, 3, high, 5, 10)


def compared(*rows: RunRow, metrics: list[str] | None = None) -> Comparison:
    return Comparison(rows, rows[0], metrics)


@pytest.fixture
def trained(client: MLOpsClient) -> MLOpsClient:
    """first, second and third, each better than the one before."""
    for i, name in enumerate(("first", "second", "third")):
        params = {"lr": 0.1**i, "layers": [64] * (i + 1), "epochs": 3}
        with client.start_run(run_id=f"id-{name}", name=name, params=params) as run:
            for step, acc in enumerate((0.1, 0.5 + i / 10, 0.4)):
                run.log_metrics({"acc": acc, "norm": 2.0 + i, "system/cpu": 1.0}, step=step)
    return client


# Parameters --------------------------------------------------------------------------------


def test_parameters_that_differ_are_told_from_those_that_do_not(trained: MLOpsClient) -> None:
    found = trained.compare_runs(["id-first", "id-second"])

    assert found.params == {
        "lr": {"id-first": 1.0, "id-second": 0.1},
        "layers": {"id-first": [64], "id-second": [64, 64]},
    }
    assert found.equal_params == {"epochs": 3}


@pytest.mark.parametrize(
    ("a", "b"),
    [(1, True), (0, False), (None, "None"), (1, "1"), ([1], [1, 2]), ([1], [True]), ([], None),
     ({"a": 1}, {"a": 2}), ({"a": 1}, {"b": 1}), ([[1], [2]], [[1], [3]]), (NAN, 1.0), ("", None)],
)  # fmt: skip
def test_values_of_two_kinds_or_contents_differ(a: Any, b: Any) -> None:
    found = compared(row(0, {"p": a}), row(1, {"p": b}))

    assert list(found.params) == ["p"]
    assert found.equal_params == {}


@pytest.mark.parametrize(
    ("a", "b"),
    [(1, 1.0), (NAN, NAN), ([1, 2], [1.0, 2]), ({"a": [1]}, {"a": [1]}), (None, None), ("x", "x")],
)
def test_equal_values_are_equal_whatever_number_they_are(a: Any, b: Any) -> None:
    assert list(compared(row(0, {"p": a}), row(1, {"p": b})).equal_params) == ["p"]


def test_a_missing_parameter_is_told_apart_from_none() -> None:
    found = compared(row(0, {"p": None}), row(1), row(2, {"p": None}))

    assert found.params == {"p": {"r0": None, "r2": None}}
    (line,) = [line for line in repr(found).splitlines() if line.startswith("p ")]
    assert line.split() == ["p", "None", "–", "None"]
    assert ["params.p" in facts for facts in found.to_dicts()] == [True, False, True]


# Metrics -----------------------------------------------------------------------------------


def test_metrics_are_measured_against_the_first_run_by_their_best_value(
    trained: MLOpsClient,
) -> None:
    found = trained.compare_runs(["id-first", "id-second", "id-third"])

    assert list(found.metrics) == ["acc", "norm"]
    assert found.metrics["acc"]["id-first"] == Measured(0.4, 0.1, 0.5, 0.5, 1, 0.5, 0.0, 0.0)
    third = found.metrics["acc"]["id-third"]
    assert (third.last, third.min, third.max, third.best, third.best_step) == (
        0.4, 0.1, 0.7, 0.7, 1,
    )  # fmt: skip
    assert third.delta == pytest.approx(0.2)
    assert third.percent == pytest.approx(40.0)


def test_the_best_of_a_loss_is_its_smallest_value() -> None:
    found = compared(row(0, loss=(0.5, 0.4, 2.0)), row(1, loss=(0.9, 0.3, 3.0)))

    assert found.metrics["loss"]["r1"].best == 0.3
    assert found.metrics["loss"]["r1"].best_step == 3
    assert found.metrics["loss"]["r1"].percent == pytest.approx(-25.0)


def test_where_no_direction_is_known_the_last_value_counts_and_none_is_best() -> None:
    found = compared(row(0, norm=(2.0, 1.0, 9.0)), row(1, norm=(3.0, 1.0, 9.0)))

    assert found.metrics["norm"]["r1"] == Measured(3.0, 1.0, 9.0, None, None, 3.0, 1.0, 50.0)
    assert "best by its name" not in repr(found)


def test_another_baseline_may_be_named(trained: MLOpsClient) -> None:
    found = trained.compare_runs(["id-first", "id-second"], baseline="second")

    assert found.baseline.id == "id-second"
    assert found.metrics["norm"]["id-first"].delta == -1.0
    assert found.metrics["norm"]["id-first"].percent == pytest.approx(-100 / 3)


def test_the_metrics_may_be_named_those_of_the_machine_too(trained: MLOpsClient) -> None:
    found = trained.compare_runs(["first", "second"], metrics=["system/cpu", "acc"])

    assert list(found.metrics) == ["system/cpu", "acc"]
    with pytest.raises(NotFoundError, match=r"No metric 'ac' \(nearest of 3: acc"):
        trained.compare_runs(["first", "second"], metrics=["ac"])
    with pytest.raises(WrongTypeError, match=r"metrics is a list of names such as \['loss'\]"):
        trained.compare_runs(["first", "second"], metrics="acc")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("base", "other", "delta", "percent"),
    [
        (0.0, 1.0, 1.0, None),
        (0.0, 0.0, 0.0, None),
        (-2.0, -1.0, 1.0, 50.0),
        (NAN, 1.0, None, None),
        (1.0, NAN, None, None),
        (INF, 1.0, None, None),
        (INF, INF, None, None),
        (1.0, -INF, None, None),
        (-1e308, 1e308, None, None),
        (5e-324, 1.0, 1.0, None),
    ],
)
def test_differences_that_say_nothing_are_none(
    base: float, other: float, delta: float | None, percent: float | None
) -> None:
    found = compared(row(0, x=base), row(1, x=other))
    measured = found.metrics["x"]["r1"]

    assert (measured.delta, measured.percent) == (delta, percent)
    for text in (repr(found), found._repr_html_()):
        assert "inf %" not in text
        assert "nan" not in text
    (change,) = [line for line in repr(found).splitlines() if line.startswith("  change")]
    assert ("–" in change) == (delta is None)
    assert ("%" in change) == (percent is not None)


def test_a_metric_that_the_baseline_lacks_has_no_difference() -> None:
    found = compared(row(0), row(1, acc=0.5), row(2, acc=0.6))

    assert list(found.metrics["acc"]) == ["r1", "r2"]
    assert found.metrics["acc"]["r2"].delta is None
    assert found.metrics["acc"]["r2"].best == 0.6
    assert "0.6000*" in repr(found)


# What is compared --------------------------------------------------------------------------


def test_runs_are_given_by_id_by_name_by_the_start_of_an_id_or_as_runs(
    trained: MLOpsClient,
) -> None:
    table = trained.search_runs(order_by="created")
    first = trained.get_run("id-first")
    ways: list[Any] = [["id-first", "second"], ["id-f", "id-s"], [first, table[1]], table[:2],
                       ("first", table.run(1)), iter(["first", "second"])]  # fmt: skip
    for runs in ways:
        found = trained.compare_runs(runs)
        assert [row.id for row in found.runs] == ["id-first", "id-second"]


def test_a_run_that_is_being_recorded_is_compared_as_it_stands(trained: MLOpsClient) -> None:
    with trained.start_run(run_id="live") as run:
        run.log_metrics({"acc": 0.9})
        found = trained.compare_runs([run, "first"])

    assert found.runs[0].status == "running"
    assert found.metrics["acc"]["live"].last == 0.9


def test_fewer_than_two_runs_and_doubles_are_refused(trained: MLOpsClient) -> None:
    def refused(message: str, *arguments: Any, **options: Any) -> None:
        with pytest.raises(UsageError, match=message):
            trained.compare_runs(*arguments, **options)

    refused("A comparison takes 2 to 1,000 runs, not 0", [])
    refused("A comparison takes 2 to 1,000 runs, not 1", ["first"])
    refused("not more than 1,000", ["first"] * 2_000)
    refused(
        r"Run id-first \('first'\) is given twice; name it once", ["id-first", "second", "first"]
    )
    refused("'id' stands for 3 runs (.*id-third.*). Give an id", ["id", "first"])
    refused("id-third is none of the runs compared", ["first", "second"], baseline="third")
    refused("a list of run ids, not 'first'", "first")
    refused("a list of run ids, not 5", 5)
    refused("a run id or a run, not 5", ["first", 5])


def test_an_unknown_run_is_an_error_that_names_the_nearest(trained: MLOpsClient) -> None:
    with pytest.raises(NotFoundError, match=r"No run 'secnd' \(nearest of 6: second"):
        trained.compare_runs(["first", "secnd"])
    with pytest.raises(NotFoundError, match=r"No run 'frst'"):
        trained.compare_runs(["first", "second"], baseline="frst")


# How it looks ------------------------------------------------------------------------------


def test_few_runs_stand_side_by_side(trained: MLOpsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = repr(trained.compare_runs(["first", "second"])).splitlines()
    cells = [line.split() for line in lines]

    assert lines[0] == "2 runs, changes against first"
    assert cells[2] == ["first", "second"]
    assert cells[3] == ["status", "completed", "completed"]
    assert ["lr", "1", "0.1"] in cells
    assert ["layers", "[64]", "[64,", "64]"] in cells
    assert ["acc", "highest", "0.5000", "0.6000*"] in cells
    assert ["change", "+0.1", "(+20.0", "%)"] in cells
    assert ["norm", "last", "2", "3"] in cells
    assert lines[-2:] == [
        "1 equal parameter: .equal_params",
        "* best by its name: acc highest",
    ]


def test_many_runs_stand_one_below_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    rows = [row(i, {"lr": i}, acc=0.5 + i / 100, loss=1.0) for i in range(20)]
    lines = repr(compared(*rows)).splitlines()

    assert lines[2].split() == [
        "run", "status", "duration", "lr", "acc", "±", "%", "±", "loss", "±", "%", "±",
    ]  # fmt: skip
    assert [line.split()[1] for line in lines[3:23]] == [str(i) for i in range(20)]
    assert lines[3].split()[-2:] == ["0.5000", "1"]
    assert lines[22].split()[-7:] == ["0.6900*", "+38.0", "%", "+0.19", "1", "=", "="]


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("count", [2, 3, 6, 7, 20])
def test_no_line_is_wider_than_the_terminal(
    count: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    many = {f"metric/{i}/loss": 0.5 for i in range(30)}
    rows = [row(i, {"p" * 50: f"{i} {'漢字' * 200}", "q": i}, **many) for i in range(count)]
    renamed = [row._replace(name="漢字 " * 30 + row.id) for row in rows]

    for text in (repr(compared(*rows)), repr(compared(*renamed))):
        assert max(map(width_of, text.splitlines())) <= width
        assert "0.5000" in text


def test_very_many_parameters_and_metrics_are_counted_not_listed() -> None:
    rows = [
        row(i, {f"p{n}": i for n in range(500)}, **{f"m{n}": 1.0 for n in range(500)})
        for i in range(2)
    ]
    text = repr(compared(*rows))

    assert len(text.splitlines()) < 400
    assert "440 more params: .params" in text
    assert "440 more metrics: .metrics" in text


def test_equal_names_are_told_apart_by_their_ids() -> None:
    text = repr(compared(row(0), row(1)._replace(name="run 0")))

    assert "changes against run 0 (r0)" in text
    assert ["id", "r0", "r1"] in [line.split() for line in text.splitlines()]
    assert "r1" not in repr(compared(row(0), row(1)))


# As data -----------------------------------------------------------------------------------


def test_a_comparison_is_a_row_per_run_as_data(trained: MLOpsClient) -> None:
    found = trained.compare_runs(["first", "third"])
    first, third = found.to_dicts()
    frame, other = found.to_pandas(), found.to_polars()

    assert (first["baseline"], third["baseline"]) == (True, False)
    assert third["params.lr"] == pytest.approx(0.01)
    assert "params.epochs" not in third
    assert third["metrics.acc.best"] == 0.7
    assert third["metrics.acc.percent"] == pytest.approx(40.0)
    assert list(frame.columns) == other.columns == list(first)
    assert list(frame["metrics.acc.best"]) == other["metrics.acc.best"].to_list() == [0.5, 0.7]
    assert str(frame["created"].dtype) == "datetime64[us, UTC]"
    assert frame["metrics.norm.best"].isna().all()
