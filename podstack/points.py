"""Metric lines: `{"s":120,"t":1763935530.125,"v":{"loss":0.25}}`, written and read back.

A line is one call of `log_metrics`: step (int64), epoch seconds, and a value for each name.
NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity". Pure: no I/O and no
clock in here.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from math import isfinite, isnan
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from podstack.scalars import flat_scalars, scalar, whole_step

Row = dict[str, Any]

# Metrics of the machine, shown only where they are asked for; their steps are seconds.
SYSTEM = "system/"

_dumps = orjson.dumps
_LINE = orjson.OPT_APPEND_NEWLINE
_PLAIN = frozenset((float, int))  # exact types; bool is another one
_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_CHUNK = (
    1 << 16
)  # bytes parsed at once: twice as fast as a whole segment, whose rows leave the cache
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError)

_step_of, _time_of, _values_of = itemgetter("s"), itemgetter("t"), itemgetter("v")

_checked_names: set[str] = set()  # names that passed names.check_name, so that they need not again


class Batch(NamedTuple):
    """Consecutive lines of one writer that hold the same names.

    steps: int64, shape (n,). times: epoch seconds, shape (n,). values: name -> float64, shape (n,).
    """

    steps: array[int]
    times: array[float]
    values: dict[str, array[float]]

    def extend(self, other: Batch) -> None:
        self.steps.extend(other.steps)
        self.times.extend(other.times)
        for name, column in self.values.items():
            column.extend(other.values[name])


def joined(one: Batch, next: Batch) -> Batch:
    """Both as one, of arrays of its own; they hold the same names."""
    values = {name: column + next.values[name] for name, column in one.values.items()}
    return Batch(one.steps + next.steps, one.times + next.times, values)


def is_system(names: Iterable[str]) -> bool:
    """Whether all of these metrics are the machine's, so that their steps are not the run's."""
    return all(name.startswith(SYSTEM) for name in names)


def encode(step: Any, time: float, values: Any) -> bytes:
    """One line, newline included; no bytes where there are no values.

    The usual call, a dict of floats and ints under names seen before, is checked in three C
    loops: known names, exact types, and a finite sum, which no NaN or infinity leaves finite.
    All else goes through `_encode_slowly`, which converts it or says what is wrong with it.

    Raises:
        WrongTypeError, UsageError: a value, a name or the step cannot be stored.
    """
    try:
        if (
            values
            and _checked_names.issuperset(values)
            and _PLAIN.issuperset(map(type, values.values()))
            and isfinite(sum(values.values()))
            and type(step) is int
            and -0x8000000000000000 <= step <= 0x7FFFFFFFFFFFFFFF
        ):
            return _dumps({"s": step, "t": time, "v": values}, option=_LINE)
    except (TypeError, ValueError, AttributeError, OverflowError):
        pass  # not a dict, an array, a name that cannot be hashed, an int beyond float64
    return _encode_slowly(step, time, values)


def _encode_slowly(step: Any, time: float, values: Any) -> bytes:
    step = whole_step(step)
    flat = flat_scalars(values)
    if not flat:
        return b""
    _remember(flat)
    written = {name: value if isfinite(value) else _word(value) for name, value in flat.items()}
    return _dumps({"s": step, "t": time, "v": written}, option=_LINE)


def _remember(names: dict[str, float]) -> None:
    if len(_checked_names) > 100_000:
        _checked_names.clear()
    _checked_names.update(names)


def _word(value: float) -> str:
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode(data: bytes) -> tuple[list[Batch], int]:
    """All whole lines of `data` in their order, and how many of them could not be read.

    What follows the last newline is a line still being written, or torn by a kill: it is
    dropped. A line that is not a point costs only itself.
    """
    batches: list[Batch] = []
    damaged = 0
    for chunk in _chunks(data):
        found, lost = _decode_chunk(chunk)
        damaged += lost
        for batch in found:
            if batches and batches[-1].values.keys() == batch.values.keys():
                batches[-1].extend(batch)
            else:
                batches.append(batch)
    return batches, damaged


def decode_exactly(data: bytes) -> list[Batch]:
    """The lines of `data`, all of which are whole, and hold points and nothing else.

    Raises:
        ValueError: one of them cannot be read, or has what this version does not know.
    """
    batches: list[Batch] = []
    for chunk in _chunks(data):
        try:
            rows = orjson.loads(b"[" + chunk.replace(b"\n", b",") + b"]")
            known = all(len(row) == 3 and row["v"] for row in rows)
            if not known or len(rows) != chunk.count(b"\n") + 1:
                raise ValueError("a line has more or less than a step, a time and values")
            batches += _batches(rows)
        except _UNREADABLE as error:
            raise ValueError(f"a line cannot be read: {error}") from error
    return batches


def _chunks(data: bytes) -> Iterator[bytes]:
    """Runs of whole lines, each without its last newline."""
    start, stop = 0, data.rfind(b"\n") + 1
    while start < stop:
        end = data.rfind(b"\n", start, start + _CHUNK)
        end = end if end >= 0 else data.find(b"\n", start)
        yield data[start:end]
        start = end + 1


def _decode_chunk(lines: bytes) -> tuple[list[Batch], int]:
    try:
        rows = orjson.loads(b"[" + lines.replace(b"\n", b",") + b"]")
        if len(rows) == lines.count(b"\n") + 1:
            return _batches(rows), 0
    except _UNREADABLE:
        pass  # one of them is damaged
    return _decode_one_by_one(lines)


def _decode_one_by_one(lines: bytes) -> tuple[list[Batch], int]:
    batches: list[Batch] = []
    damaged = 0
    for line in lines.split(b"\n"):
        try:
            batches += _batches([orjson.loads(line)])
        except _UNREADABLE:
            damaged += 1
    return batches, damaged


def _batches(rows: list[Row]) -> list[Batch]:
    values = list(map(_values_of, rows))
    names = list(map(tuple, values))
    if names.count(names[0]) == len(names):  # nearly always, and then all of it stays in C
        return [_batch(names[0], rows, values)]
    found, start = [], 0
    for group, same in groupby(names):
        stop = start + len(list(same))
        found.append(_batch(group, rows[start:stop], values[start:stop]))
        start = stop
    return found


def _batch(names: tuple[str, ...], rows: list[Row], values: list[dict[str, Any]]) -> Batch:
    steps = array("q", list(map(_step_of, rows)))
    times = array("d", list(map(_time_of, rows)))
    every = list(chain.from_iterable(map(dict.values, values)))
    try:
        flat, width = array("d", every), len(names)
        return Batch(steps, times, {name: flat[i::width] for i, name in enumerate(names)})
    except TypeError:  # NaN and the infinities are texts
        columns = zip(*map(dict.values, values), strict=True)
        return Batch(
            steps, times, {n: _floats(n, column) for n, column in zip(names, columns, strict=True)}
        )


def _floats(name: str, column: tuple[Any, ...]) -> array[float]:
    try:
        return array("d", column)
    except TypeError:
        return array("d", [_WORDS[x] if isinstance(x, str) else scalar(name, x) for x in column])
