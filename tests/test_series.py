"""A series shows the last value of each step and forgets none."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack import points
from podstack.points import Batch
from podstack.series import Point, Series, assemble, sparkline
from podstack.testing.stage import DEADLINE

relaxed = settings(deadline=None, max_examples=150)
NAN, INF = math.nan, math.inf

Logged = tuple[int, float, float]  # step, time, value


def batches(logged: Sequence[Logged], name: str = "x") -> list[Batch]:
    return points.decode(b"".join(points.encode(s, t, {name: v}) for s, t, v in logged))[0]


def series(*writers: Sequence[Logged]) -> Series:
    return assemble("x", [(f"w{i}", batches(logged)) for i, logged in enumerate(writers)])


def of_values(values: Sequence[float]) -> Series:
    return series([(i, float(i), value) for i, value in enumerate(values)])


def pairs(found: Series) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in found]


def by_the_document(writers: Sequence[Sequence[Logged]]) -> list[Logged]:
    """FORMAT.md's rule, word for word: all points in step order, then order of arrival."""
    placed = [
        (clock, f"w{writer}", place, point)
        for writer, logged in enumerate(writers)
        for place, (clock, point) in enumerate(
            zip(accumulate((t for _, t, _ in logged), max), logged, strict=True)
        )
    ]
    arrived = [point for _, _, _, point in sorted(placed, key=lambda x: x[:3])]
    return sorted(arrived, key=lambda point: point[0])


# Few steps and times, so that they collide between writers and within one.
logs = st.lists(
    st.tuples(st.integers(-2, 2), st.integers(0, 3).map(float), st.integers(0, 99).map(float)),
    max_size=8,
)


@relaxed
@given(st.lists(logs, min_size=1, max_size=4), st.randoms())
def test_any_writers_in_any_order_give_the_view_of_the_document(
    writers: list[list[Logged]], random: object
) -> None:
    expected = by_the_document(writers)
    found = [(f"w{i}", batches(logged)) for i, logged in enumerate(writers)]
    random.shuffle(found)  # type: ignore[attr-defined]  # hypothesis' own Random
    one = assemble("x", found)

    assert [(p.step, p.time, p.value) for p in one.raw] == expected
    assert pairs(one) == list({step: value for step, _, value in expected}.items())


def test_the_view_keeps_the_last_value_of_a_step_and_raw_keeps_all() -> None:
    one = series([(0, 1.0, 10), (1, 2.0, 11), (0, 3.0, 12), (0, 4.0, 13)])

    assert pairs(one) == [(0, 13.0), (1, 11.0)]
    assert one.raw == [Point(0, 10, 1), Point(0, 12, 3), Point(0, 13, 4), Point(1, 11, 2)]
    assert list(one.times) == [4.0, 2.0]
    assert len(one) == 2


def test_a_resume_that_goes_back_supersedes_what_it_repeats() -> None:
    first = [(step, float(step), 1.0) for step in range(10)]
    second = [(step, 100.0 + step, 2.0) for step in range(7, 12)]

    assert pairs(series(first, second)) == pairs(series(second, first))
    assert [value for _, value in pairs(series(first, second))] == [1.0] * 7 + [2.0] * 5


def test_a_clock_that_steps_back_within_a_writer_keeps_the_order_of_arrival() -> None:
    assert pairs(series([(0, 100.0, 1), (0, 50.0, 2), (0, 99.0, 3)])) == [(0, 3.0)]


def test_a_time_after_a_step_back_counts_as_the_largest_before_it() -> None:
    back = [(5, 100.0, 1), (0, 10.0, 2)]  # its second point counts as logged at 100

    assert pairs(series(back, [(0, 50.0, 3)]))[0] == (0, 2.0)
    assert pairs(series([(0, 50.0, 3)], back))[0] == (0, 2.0)
    assert pairs(series(back, [(0, 101.0, 3)]))[0] == (0, 3.0)


def test_interleaved_writers_are_ordered_by_time() -> None:
    one = [(0, 1.0, 1), (0, 3.0, 3), (1, 5.0, 5)]
    two = [(0, 2.0, 2), (0, 4.0, 4)]

    assert [p.value for p in series(one, two).raw] == [1, 2, 3, 4, 5]


def test_at_equal_times_the_larger_writer_id_is_the_later() -> None:
    early_end = [(0, 5.0, 1)]
    late_begin = [(9, 1.0, 0), (0, 5.0, 2)]

    assert pairs(series(early_end, late_begin))[0] == (0, 2.0)
    assert pairs(series(late_begin, early_end))[0] == (0, 1.0)


def test_a_writer_without_the_metric_does_not_matter() -> None:
    other = batches([(0, 0.0, 1.0)], name="y")

    assert pairs(assemble("x", [("a", other), ("b", batches([(3, 1.0, 4.0)]))])) == [(3, 4.0)]


def test_columns_are_arrays_that_may_be_changed() -> None:
    one = series([(2, 1.0, 0.5), (-3, 2.0, NAN)])

    assert one.steps.dtype == np.int64
    assert one.values.dtype == one.times.dtype == np.float64
    assert one.steps.tolist() == [-3, 2]
    one.values[0] = 7
    assert one.summary.last == 0.5
    assert math.isnan(next(iter(one)).value)


def test_steps_at_the_ends_of_int64_stay_whole() -> None:
    one = series([(2**63 - 1, 1.0, 1), (-(2**63), 2.0, 2)])

    assert one.steps.tolist() == [-(2**63), 2**63 - 1]


WITHOUT_NUMPY = """
import json, sys
sys.modules["numpy"] = None  # importing it fails, and finding it finds nothing
from podstack import points
from podstack.series import assemble
lines = b"".join(points.encode(s, float(s), {"x": v}) for s, v in [(0, 1), (2, 3.5), (0, 2)])
one = assemble("x", [("w", points.decode(lines)[0])])
print(json.dumps({
    "kinds": [type(c).__name__ + c.typecode for c in (one.steps, one.values, one.times)],
    "values": list(one.values), "slice": list(one.steps[1:]), "repr": repr(one),
    "summary": list(one.summary),
}))
"""


def test_without_numpy_columns_are_plain_arrays() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMPY], capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    same = series([(0, 0.0, 1), (2, 2.0, 3.5), (0, 0.0, 2)])

    assert said["kinds"] == ["arrayq", "arrayd", "arrayd"]
    assert said["values"] == same.values.tolist() == [2.0, 3.5]
    assert said["slice"] == [2]
    assert said["repr"] == repr(same)
    assert said["summary"] == list(same.summary)


# Summary and spark line ---------------------------------------------------------------------


def test_the_summary_has_each_extreme_with_its_step() -> None:
    one = series([(3, 1.0, 5), (1, 2.0, -2), (2, 3.0, 9), (3, 4.0, 4)])

    assert one.summary == (4.0, 3, -2.0, 1, 9.0, 2, 3)
    assert (one.last, one.min, one.max) == (4.0, -2.0, 9.0)


def test_nan_is_never_an_extreme() -> None:
    s = of_values([NAN, 2.0, NAN, 1.0, NAN]).summary

    assert (s.min, s.min_step, s.max, s.max_step) == (1.0, 3, 2.0, 1)
    assert math.isnan(s.last)
    assert s.steps == 5


def test_where_all_is_nan_the_extremes_are_nan() -> None:
    s = of_values([NAN, NAN]).summary

    assert all(map(math.isnan, (s.last, s.min, s.max)))
    assert (s.min_step, s.max_step, s.steps) == (1, 1, 2)


def test_infinities_are_extremes() -> None:
    s = of_values([INF, 1.0, -INF]).summary

    assert (s.min, s.min_step, s.max, s.max_step) == (-INF, 2, INF, 0)


def test_one_point_is_all_of_its_summary() -> None:
    assert series([(7, 1.0, 0.5)]).summary == (0.5, 7, 0.5, 7, 0.5, 7, 1)


def test_of_equal_extremes_the_first_step_counts() -> None:
    s = of_values([1.0, 0.0, 0.0, 1.0]).summary

    assert (s.min_step, s.max_step) == (1, 0)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([2.0, 2.0], "▁▁"),
        ([0.0, 1.0], "▁█"),
        ([NAN], " "),
        ([0.0, NAN, 1.0], "▁ █"),
        ([INF, 0.0, 1.0, -INF], " ▁█ "),
        ([0.0, 0.5, 1.0], "▁▅█"),
        ([-1.7e308, 0.0, 1.7e308], "▁▅█"),
        ([0.0, 1e-320], "▁█"),
        ([5e-324], "▁"),
    ],
)
def test_a_spark_line_shows_the_curve(values: list[float], line: str) -> None:
    assert sparkline(values) == line


def test_the_mean_of_values_whose_sum_is_beyond_float64_is_shown() -> None:
    assert sparkline([1.7e308] * 20 + [-1.7e308] * 20, width=2) == "█▁"


@relaxed
@given(st.lists(st.floats(), max_size=60), st.integers(0, 30))
def test_a_spark_line_is_as_wide_as_its_values_allow(values: list[float], width: int) -> None:
    line = sparkline(array("d", values), width)

    assert len(line) == min(width, len(values))
    assert set(line) <= set(" ▁▂▃▄▅▆▇█")


@relaxed
@given(st.lists(st.floats(), min_size=1, max_size=30))
def test_every_series_can_be_shown(values: list[float]) -> None:
    assert repr(of_values(values)).startswith("x ")
