"""What one metric came to in several runs, and how far that is from a baseline."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from podstack.directions import MINIMIZE, direction_of

if TYPE_CHECKING:
    from podstack.index import RunRow
    from podstack.series import Summary


class Measured(NamedTuple):
    """One metric of one run, beside the same metric of the baseline.

    `best` is its minimum or maximum where the name of the metric says which is better, else None.
    `value` is what is compared: the best, else the last. `delta` and `percent` are the difference
    to the baseline's; None where that is no finite number, or the baseline is zero.
    """

    last: float
    min: float
    max: float
    best: float | None
    best_step: int | None
    value: float
    delta: float | None
    percent: float | None


def measure(name: str, runs: Iterable[RunRow], baseline: RunRow) -> dict[str, Measured]:
    """One metric of all runs that have it, by their ids."""
    direction = direction_of(name)
    base = baseline.metrics.get(name)
    reference = None if base is None else _best(base, direction)[0]
    return {
        row.id: _beside(row.metrics[name], direction, reference)
        for row in runs
        if name in row.metrics
    }


def _beside(summary: Summary, direction: str | None, reference: float | None) -> Measured:
    value, step = _best(summary, direction)
    delta = _finite(value - reference) if reference is not None else None
    percent = _finite(delta / abs(reference) * 100) if delta is not None and reference else None
    known = direction is not None
    return Measured(
        summary.last,
        summary.min,
        summary.max,
        value if known else None,
        step if known else None,
        value,
        delta,
        percent,
    )


def _best(summary: Summary, direction: str | None) -> tuple[float, int]:
    """The value that counts, and its step: the best one, or the last where none is known best."""
    if direction is None:
        return summary.last, summary.last_step
    if direction == MINIMIZE:
        return summary.min, summary.min_step
    return summary.max, summary.max_step


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
