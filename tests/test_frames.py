"""Points as data frames: every point, typed, and with the right times."""

from __future__ import annotations

import math
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import pandas
import polars
import pytest

from podstack import MissingExtraError, MLOpsClient, NotFoundError, Run, UsageError
from podstack.frames import ABSENT, columns_of, pandas_table, polars_table

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def logged(client: MLOpsClient) -> Run:
    with client.start_run() as run:
        for step in range(3):
            run.log_metrics({"loss": 1 / (step + 1), "system/cpu": 50.0}, step=step)
        run.log_metrics({"acc": float("nan"), "step": float("inf")}, step=2**40)
    return client.get_run(run.id)


def test_the_long_form_has_a_row_per_point(logged: Run) -> None:
    table, frame = logged.metrics.to_pandas(), logged.metrics.to_polars()

    assert list(table.columns) == frame.columns == ["name", "step", "value", "time"]
    assert list(table["name"]) == frame["name"].to_list()
    assert list(table["name"]) == ["loss"] * 3 + ["system/cpu"] * 3 + ["acc", "step"]
    assert list(table["step"]) == frame["step"].to_list() == [0, 1, 2, 0, 1, 2, 2**40, 2**40]
    assert list(table["value"])[:3] == frame["value"].to_list()[:3] == [1.0, 1 / 2, 1 / 3]
    assert math.isnan(table["value"][6])
    assert math.isnan(frame["value"][6])
    assert table["value"][7] == frame["value"][7] == float("inf")


def test_times_are_utc_timestamps_to_the_microsecond(logged: Run) -> None:
    times = [point.time for point in logged.metrics["loss"]]
    table, frame = logged.metrics.to_pandas(["loss"]), logged.metrics.to_polars(["loss"])

    assert str(table["time"].dtype) == "datetime64[us, UTC]"
    assert frame["time"].dtype == polars.Datetime("us", "UTC")
    for found in (list(table["time"]), frame["time"].to_list()):
        late = [
            abs(stamp - EPOCH - timedelta(seconds=t)) for stamp, t in zip(found, times, strict=True)
        ]
        assert max(late) <= timedelta(microseconds=1)


def test_the_wide_form_has_a_row_per_step_and_a_column_per_metric(logged: Run) -> None:
    table, frame = logged.metrics.to_pandas(wide=True), logged.metrics.to_polars(wide=True)

    assert table.index.name == "step"
    assert list(table.index) == frame["step"].to_list() == [0, 1, 2, 2**40]
    assert list(table.columns) == ["loss", "acc", "step"]
    assert frame.columns == ["step", "loss", "acc", "metrics.step"]
    assert list(table["loss"])[:3] == frame["loss"].to_list()[:3] == [1.0, 1 / 2, 1 / 3]
    assert math.isnan(table["loss"][2**40])
    assert frame["loss"][3] is None
    assert math.isnan(frame["acc"][3])


def test_system_metrics_join_the_wide_form_only_where_they_are_named(logged: Run) -> None:
    assert list(logged.metrics.to_pandas(["system/cpu"], wide=True).columns) == ["system/cpu"]
    assert logged.metrics.to_polars(["system/cpu"], wide=True).columns == ["step", "system/cpu"]


def test_dicts_have_every_point(logged: Run) -> None:
    first, *_ = dicts = logged.metrics.to_dicts()

    assert len(dicts) == 8
    assert first == {"name": "loss", **logged.metrics["loss"].raw[0]._asdict()}
    assert [point["name"] for point in logged.metrics.to_dicts(["acc"])] == ["acc"]


def test_one_series_is_a_frame_of_its_own(logged: Run) -> None:
    table, frame = logged.metrics["loss"].to_pandas(), logged.metrics["loss"].to_polars()

    assert list(table.columns) == frame.columns == ["step", "value", "time"]
    assert list(table["step"]) == frame["step"].to_list() == [0, 1, 2]


def test_a_run_without_metrics_gives_empty_frames_with_the_same_types(
    client: MLOpsClient, logged: Run
) -> None:
    with client.start_run() as run:
        pass
    empty = client.get_run(run.id).metrics

    assert empty.to_dicts() == []
    assert dict(empty.to_pandas().dtypes) == dict(logged.metrics.to_pandas().dtypes)
    assert empty.to_polars().schema == logged.metrics.to_polars().schema
    assert len(empty.to_pandas(wide=True)) == len(empty.to_polars(wide=True)) == 0
    assert empty.to_pandas(wide=True).index.name == "step"


def test_an_unknown_metric_is_an_error_that_names_the_nearest(logged: Run) -> None:
    with pytest.raises(NotFoundError, match=r"'los'.*loss"):
        logged.metrics.to_pandas(["los"])
    with pytest.raises(UsageError, match=r"names is a list of metrics: \['loss'\]"):
        logged.metrics.to_polars("loss")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_without_the_library_the_error_says_what_to_install(
    logged: Run, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # as where it is not installed

    for thing in (logged.metrics, logged.metrics["loss"]):
        with pytest.raises(MissingExtraError, match=f"Run: pip install {library}"):
            getattr(thing, f"to_{library}")()


# Columns -----------------------------------------------------------------------------------

ROWS: list[dict[str, Any]] = [
    {"n": 1, "x": 0.5, "b": True, "t": "a", "l": ["a"], "m": 1, "when": 1.5, "big": 2**70, "o": 1},
    {"n": 2, "x": 1, "b": False, "t": None, "l": [], "m": "one", "when": None, "big": 1, "o": 2.5},
    {"x": float("nan"), "t": "c", "l": ["b", "c"], "m": [1, None]},
]


def test_columns_keep_their_types_where_values_are_missing() -> None:
    table = pandas_table(columns_of(ROWS), times=["when"])
    frame = polars_table(columns_of(ROWS), times=["when"])

    assert [str(table[name].dtype) for name in ("n", "x", "b", "o")] == [
        "Int64",
        "float64",
        "boolean",
        "float64",
    ]
    assert table["m"].to_list()[:2] == [1, "one"]
    assert table["big"].to_list()[:2] == [2**70, 1]
    assert pandas.isna(table["when"][1])
    assert frame.schema == {
        "n": polars.Int64,
        "x": polars.Float64,
        "b": polars.Boolean,
        "t": polars.String,
        "l": polars.List(polars.String),
        "m": polars.String,
        "when": polars.Datetime("us", "UTC"),
        "big": polars.String,
        "o": polars.Float64,
    }
    assert frame["m"].to_list() == ["1", "one", "[1,null]"]
    assert frame["n"].to_list() == [1, 2, None]
    assert frame["when"][0] == EPOCH + timedelta(seconds=1.5)


def test_absent_is_told_apart_from_none() -> None:
    columns = columns_of([{"a": None}, {}], ["b"])

    assert columns == {"b": [ABSENT, ABSENT], "a": [None, ABSENT]}
    assert not ABSENT


def test_integers_beyond_a_float_do_not_lose_digits_beside_floats() -> None:
    column = {"n": [2**60 + 1, 0.5]}

    assert pandas_table(column)["n"].to_list() == [2**60 + 1, 0.5]
    assert polars_table(column)["n"].to_list() == [str(2**60 + 1), "0.5"]
