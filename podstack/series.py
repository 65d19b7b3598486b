"""One metric of one run: steps, values and times, as views keep them and as they arrived.

Arrays are numpy's where numpy is installed, else `array.array`: both index, slice and iterate.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from itertools import accumulate, pairwise
from math import isfinite, isnan, nan
from operator import le, lt
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from podstack import frames
from podstack.names import printable

if TYPE_CHECKING:
    from podstack.points import Batch

_BARS = "▁▂▃▄▅▆▇█"
_SOME, _MANY = 500, 50_000  # values that pay for using numpy, and for loading it


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

    def __init__(self, steps: array[int], values: array[float], times: array[float]) -> None:
        self.steps, self.values, self.times = steps, values, times

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def rises(self) -> bool:
        """Whether each step is larger than the one before it."""
        return _rises(self.steps)

    def extend(self, other: Columns) -> None:
        self.__dict__.pop("rises", None)
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

    def __init__(
        self, name: str, columns: Columns | Callable[[], Columns], summary: Summary | None = None
    ) -> None:
        """
        Args:
            columns: the points in the order of arrival, or a call that gives them when needed.
            summary: where it is known without them.
        """
        self.name = name
        self._columns = columns
        if summary is not None:
            self.summary = summary

    @cached_property
    def arrived(self) -> Columns:
        """Every point ever logged, in the order of arrival; not to be changed."""
        return self._columns() if callable(self._columns) else self._columns

    @cached_property
    def _raw(self) -> Columns:
        return self.arrived if self.arrived.rises else _in_step_order(self.arrived)

    @cached_property
    def _view(self) -> Columns:
        return self._raw if self._raw.rises else _last_of_each_step(self._raw)

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
    def view(self) -> Columns:
        """What `steps`, `values` and `times` have, as three columns; not to be changed."""
        return self._view

    @property
    def bytes_held(self) -> int:
        """Bytes of the columns that were put together for it so far, and are kept with it."""
        known = {id(kept): kept for name in _KEPT if (kept := self.__dict__.get(name)) is not None}
        return sum(len(kept) * _WIDTHS.get(type(kept), 8) for kept in known.values())

    @property
    def columns(self) -> Columns:
        """What `raw` has, as three columns; not to be changed."""
        return self._raw

    @property
    def raw(self) -> list[Point]:
        """Every point ever logged, in step order, equal steps in the order of arrival."""
        return [
            Point(*point)
            for point in zip(self._raw.steps, self._raw.values, self._raw.times, strict=True)
        ]

    @cached_property
    def summary(self) -> Summary:
        return summary_of(self._view.steps, self._view.values)

    last = property(lambda self: self.summary.last, doc="The value at the largest step.")
    min = property(lambda self: self.summary.min, doc="The smallest value; NaN never counts.")
    max = property(lambda self: self.summary.max, doc="The largest value; NaN never counts.")

    def to_pandas(self) -> Any:
        """A DataFrame with a row per step: step, value, time (UTC).

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frames.points_pandas(self.steps, self.values, self.times)

    def to_polars(self) -> Any:
        """The same as a polars DataFrame.

        Raises:
            MissingExtraError: polars is not installed.
        """
        return frames.points_polars(self.steps, self.values, self.times)

    def sparkline(self, width: int = 24) -> str:
        """The curve in one line of text; costs no numpy."""
        return sparkline(self._view.values, width)

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
            f"{printable(self.name)} {self.sparkline()} {s.steps} steps, "
            f"last {s.last:.4g} at {s.last_step}, "
            f"min {s.min:.4g} at {s.min_step}, max {s.max:.4g} at {s.max_step}"
        )


_KEPT = (
    "arrived",
    "_raw",
    "_view",
    "steps",
    "values",
    "times",
)  # what a series keeps of its points
_WIDTHS: dict[type, int] = {Columns: 24}  # bytes of a point in it; 8 in an array


class Stretch(Protocol):
    """Consecutive lines of one writer whose points are fetched when they are asked for."""

    @property
    def names(self) -> Collection[str]: ...

    def columns(self, name: str) -> Columns:
        """The points of one of its names, in the order of arrival."""
        ...

    def span(self, name: str) -> Span | None:
        """What is known of them without fetching."""
        ...

    def last_step(self, name: str) -> int: ...

    @property
    def last_time(self) -> float: ...


Log = tuple[str, "Sequence[Batch | Stretch]"]  # a writer, and what it logged, in order


class Span(NamedTuple):
    """A part of a metric in short: the first step of its view, and the summary of that."""

    first_step: int
    summary: Summary


def assemble(name: str, logs: Sequence[Log]) -> Series:
    """The series of `name` from the logs of all writers.

    Within one writer order is the order of its lines, whatever its clock did: a time that steps
    back counts as the largest before it. Between writers the time decides, then the writer's id.
    """
    return Series(name, lambda: gathered(name, logs), known_summary(name, logs))


def gathered(name: str, logs: Sequence[Log]) -> Columns:
    """All points of `name` in the order of arrival."""
    parts = [(writer, _columns_of(name, pieces)) for writer, pieces in logs]
    return _in_arrival_order([part for part in parts if len(part[1])])


def _columns_of(name: str, pieces: Iterable[Batch | Stretch]) -> Columns:
    """All points of `name` in these, in their order; not to be changed, for it may be theirs."""
    parts = []
    for piece in pieces:
        if not isinstance(piece, tuple):
            if name in piece.names:
                parts.append(piece.columns(name))
        elif name in piece.values:
            parts.append(Columns(piece.steps, piece.values[name], piece.times))
    if len(parts) == 1:
        return parts[0]
    joined = Columns(array("q"), array("d"), array("d"))
    for part in parts:
        joined.extend(part)
    return joined


def known_summary(name: str, logs: Sequence[Log]) -> Summary | None:
    """The summary without fetching, where the steps of no two parts overlap; else None."""
    stretches = [
        piece
        for _, pieces in logs
        for piece in pieces
        if not isinstance(piece, tuple) and name in piece.names
    ]
    known = [stretch.span(name) for stretch in stretches]
    spans = [span for span in known if span is not None]
    if not stretches or len(spans) < len(known):
        return None
    tails = [(writer, [p for p in pieces if isinstance(p, tuple)]) for writer, pieces in logs]
    tail = assemble(name, tails)
    if len(tail):
        spans.append(Span(tail._view.steps[0], tail.summary))
    spans.sort()
    apart = all(a.summary.last_step < b.first_step for a, b in pairwise(spans))
    return joined([span.summary for span in spans]) if apart else None


def summary_of(steps: array[int], values: array[float]) -> Summary:
    """The summary of a view: of steps that rise, and the value of each."""
    if not steps:  # all that was logged is damaged
        return Summary(nan, 0, nan, 0, nan, 0, 0)
    low, high = _extremes(values)
    return Summary(
        values[-1], steps[-1], values[low], steps[low], values[high], steps[high], len(steps)
    )


def joined(parts: Sequence[Summary]) -> Summary:
    """The summary of parts that follow one another in step order."""
    last = parts[-1]
    numbers = [part for part in parts if not isnan(part.min)] or [last]
    low, high = min(numbers, key=lambda s: s.min), max(numbers, key=lambda s: s.max)
    steps = sum(part.steps for part in parts)
    return Summary(last.last, last.last_step, low.min, low.min_step, high.max, high.max_step, steps)


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
    numpy = _numpy_for(len(values))
    if numpy is not None:
        many = numpy.frombuffer(values, "float64")
        if not numpy.isnan(many).any():
            return int(many.argmin()), int(many.argmax())
    elif not isnan(sum(values)):  # so none is NaN: twice as fast as to look at each
        listed = values.tolist()  # an array would make each number anew, five times
        return listed.index(min(listed)), listed.index(max(listed))
    numbers = [i for i, value in enumerate(values) if not isnan(value)] or [len(values) - 1]
    return min(numbers, key=values.__getitem__), max(numbers, key=values.__getitem__)


def _in_step_order(columns: Columns) -> Columns:
    """Equal steps stay in the order of arrival, for the sort is stable."""
    return columns.take(sorted(range(len(columns)), key=columns.steps.__getitem__))


def _rises(steps: array[int]) -> bool:
    numpy = _numpy_for(len(steps))
    if numpy is None:
        return all(map(lt, steps, steps[1:]))
    many = numpy.frombuffer(steps, "int64")
    return bool((many[1:] > many[:-1]).all())


def _numpy_for(count: int) -> Any:
    """numpy, where it is loaded already, or there is so much to do that loading it pays."""
    if count < _SOME or (count < _MANY and "numpy" not in sys.modules) or not _has_numpy():
        return None
    import numpy

    return numpy


@cache
def _has_numpy() -> bool:
    return find_spec("numpy") is not None


def _last_of_each_step(columns: Columns) -> Columns:
    steps, end = columns.steps, len(columns) - 1
    return columns.take([i for i in range(end + 1) if i == end or steps[i] != steps[i + 1]])


def _public(dtype: str, column: array[Any]) -> Any:
    """A copy for the user: a numpy array where numpy is installed."""
    if not _has_numpy():
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
