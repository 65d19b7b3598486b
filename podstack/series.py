"""One metric of one run: steps, values and times, as views keep them and as they arrived.

Arrays are numpy's where numpy is installed, else `array.array`: both index, slice and iterate.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from itertools import accumulate, pairwise
from math import isfinite, isnan
from operator import le, lt
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack.names import printable

if TYPE_CHECKING:
    from podstack.points import Batch

_BARS = "▁▂▃▄▅▆▇█"


class Point(NamedTuple):
    """One logged value: its step, the value, and when (epoch seconds)."""

    step: int
    value: float
    time: float


class Summary(NamedTuple):
    """A metric in one line: its last value and its extremes, each with its step.

    `last` is the value at the largest step. NaN is never an extreme; where all values are NaN,
    `min` and `max` are NaN too. `steps` is how many there are.
    """

    last: float
    last_step: int
    min: float
    min_step: int
    max: float
    max_step: int
    steps: int


class Columns:
    """Points as three columns of one length."""

    __slots__ = ("steps", "times", "values")

    def __init__(self, steps: array[int], values: array[float], times: array[float]) -> None:
        self.steps, self.values, self.times = steps, values, times

    def __len__(self) -> int:
        return len(self.steps)

    def extend(self, other: Columns) -> None:
        self.steps.extend(other.steps)
        self.values.extend(other.values)
        self.times.extend(other.times)

    def take(self, order: Sequence[int]) -> Columns:
        return Columns(
            array("q", [self.steps[i] for i in order]),
            array("d", [self.values[i] for i in order]),
            array("d", [self.times[i] for i in order]),
        )


class Series:
    """One metric of one run.

    steps: int64, strictly increasing, shape (n,). values: float64, shape (n,), NaN where NaN was
    logged. times: epoch seconds, float64, shape (n,). Where a step was logged more than once,
    the value is the last that arrived; `raw` has them all.
    """

    def __init__(self, name: str, columns: Columns) -> None:
        self.name = name
        rises = _rises(columns.steps)
        self._raw = columns if rises else _in_step_order(columns)
        self._view = columns if rises else _last_of_each_step(self._raw)

    @cached_property
    def steps(self) -> Any:
        return _public("int64", self._view.steps)

    @cached_property
    def values(self) -> Any:
        return _public("float64", self._view.values)

    @cached_property
    def times(self) -> Any:
        return _public("float64", self._view.times)

    @property
    def raw(self) -> list[Point]:
        """Every point ever logged, in step order, equal steps in the order of arrival."""
        return [
            Point(*point)
            for point in zip(self._raw.steps, self._raw.values, self._raw.times, strict=True)
        ]

    @cached_property
    def summary(self) -> Summary:
        steps, values = self._view.steps, self._view.values
        low, high = _extremes(values)
        return Summary(
            values[-1], steps[-1], values[low], steps[low], values[high], steps[high], len(steps)
        )

    last = property(lambda self: self.summary.last, doc="The value at the largest step.")
    min = property(lambda self: self.summary.min, doc="The smallest value; NaN never counts.")
    max = property(lambda self: self.summary.max, doc="The largest value; NaN never counts.")

    def __len__(self) -> int:
        return len(self._view)

    def __iter__(self) -> Iterator[Point]:
        view = self._view
        return iter(
            [Point(*point) for point in zip(view.steps, view.values, view.times, strict=True)]
        )

    def __repr__(self) -> str:
        s = self.summary
        return (
            f"{printable(self.name)} {sparkline(self._view.values)} {s.steps} steps, "
            f"last {s.last:.4g} at {s.last_step}, "
            f"min {s.min:.4g} at {s.min_step}, max {s.max:.4g} at {s.max_step}"
        )


def assemble(name: str, logs: Iterable[tuple[str, Sequence[Batch]]]) -> Series:
    """The series of `name` from the logs of all writers, given as (writer, batches in order).

    Within one writer order is the order of its lines, whatever its clock did: a time that steps
    back counts as the largest before it. Between writers the time decides, then the writer's id.
    """
    parts = [(writer, _columns_of(name, batches)) for writer, batches in logs]
    return Series(name, _in_arrival_order([part for part in parts if len(part[1])]))


def _columns_of(name: str, batches: Iterable[Batch]) -> Columns:
    columns = Columns(array("q"), array("d"), array("d"))
    for batch in batches:
        if name in batch.values:
            columns.extend(Columns(batch.steps, batch.values[name], batch.times))
    return columns


def _in_arrival_order(parts: list[tuple[str, Columns]]) -> Columns:
    """All parts as one; they are interleaved only where their times really overlap."""
    if len(parts) == 1:
        return parts[0][1]
    joined, clock = Columns(array("q"), array("d"), array("d")), array("d")
    for _, columns in sorted(parts, key=lambda part: part[0]):
        joined.extend(columns)
        clock.extend(accumulate(columns.times, max))
    if all(map(le, clock, clock[1:])):
        return joined
    return joined.take(
        sorted(range(len(joined)), key=clock.__getitem__)
    )  # stable: the writer's id decides ties


def _extremes(values: array[float]) -> tuple[int, int]:
    """Where the smallest and the largest number stand, the first of equal ones; NaN is none."""
    if not isnan(sum(values)):  # so none is NaN: twice as fast as to look at each
        return values.index(min(values)), values.index(max(values))
    numbers = [i for i, value in enumerate(values) if not isnan(value)] or [len(values) - 1]
    return min(numbers, key=values.__getitem__), max(numbers, key=values.__getitem__)


def _in_step_order(columns: Columns) -> Columns:
    """Equal steps stay in the order of arrival, for the sort is stable."""
    return columns.take(sorted(range(len(columns)), key=columns.steps.__getitem__))


def _rises(steps: array[int]) -> bool:
    return all(map(lt, steps, steps[1:]))


def _last_of_each_step(columns: Columns) -> Columns:
    steps, end = columns.steps, len(columns) - 1
    return columns.take([i for i in range(end + 1) if i == end or steps[i] != steps[i + 1]])


def _public(dtype: str, column: array[Any]) -> Any:
    """A copy for the user: a numpy array where numpy is installed."""
    if find_spec("numpy") is None:
        return column[:]
    import numpy

    return numpy.frombuffer(column, dtype=dtype).copy() if column else numpy.empty(0, dtype)


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """A curve in one line of text: the mean of `width` equal ranges; a gap where all is NaN."""
    count = len(values)
    width = min(width, count)
    edges = [count * i // width for i in range(width + 1)] if width else [0]
    cells = [[v for v in values[a:b] if abs(v) < float("inf")] for a, b in pairwise(edges)]
    halves = [_half_mean(cell) if cell else None for cell in cells]
    known = [half for half in halves if half is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = (high - low) or 1.0
    top = len(_BARS) - 1
    return "".join(
        " " if half is None else _BARS[round((half - low) / span * top)] for half in halves
    )


def _half_mean(values: Sequence[float]) -> float:
    """Half the mean: two halves differ by a float64, where 1e308 and -1e308 do not."""
    half = sum(values) / len(values) / 2
    return half if isfinite(half) else sum(value / 2 / len(values) for value in values)
