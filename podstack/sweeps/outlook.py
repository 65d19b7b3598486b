"""How a sweep goes: its history, how long it still takes, whether it still finds anything.

Pure functions of records, for whatever shows a sweep.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, nan
from statistics import median
from typing import NamedTuple

from podstack.names import COMPLETED, RUNNING
from podstack.sweeps.records import Objective, TrialRecord

_RECENT = 64  # trials whose durations and overlap count for what is to come
_WINDOW = 20  # trials without gain, at least, before that is called a plateau
_GAIN = 0.01  # of the way from the median to the best


class Entry(NamedTuple):
    """A trial's value, and the best one until then: NaN where there was none."""

    number: int
    value: float
    best: float


def history(objective: Objective, records: Iterable[TrialRecord]) -> list[Entry]:
    """Each trial that has a value, in the order in which they ended.

    A pruned trial's value is shown and is never the best.
    """
    best, found = nan, []
    for record in sorted(records, key=lambda one: (one.ended or 0.0, one.number)):
        if record.status != COMPLETED or record.value is None:
            continue
        if record.counts and objective.is_better(record.value, best):
            best = record.value
        found.append(Entry(record.number, record.value, best))
    return found


def improvements(objective: Objective, records: Iterable[TrialRecord]) -> list[int]:
    """The trials that are better than all of smaller numbers; the last one is the best of all."""
    best, found = nan, []
    for record in sorted(records, key=lambda one: one.number):
        value = record.value
        if record.counts and value is not None and objective.is_better(value, best):
            best = value
            found.append(record.number)
    return found


# Time ----------------------------------------------------------------------------------------


def parallelism(records: Sequence[TrialRecord]) -> float:
    """How many trials are worked on at a time; at least 1.

    As many as run now; where none does, the overlap of the latest ones: the sum of their durations
    over the time from the first start to the last end.
    """
    running = sum(record.status == RUNNING and record.worker != "" for record in records)
    if running:
        return float(running)
    ended = _latest(records)
    if not ended:
        return 1.0
    span = max(end for _, end in ended) - min(start for start, _ in ended)
    return max(1.0, sum(end - start for start, end in ended) / span) if span > 0 else 1.0


def seconds_left(records: Sequence[TrialRecord], total: int | None, now: float) -> float | None:
    """Seconds until all trials are over, if the rest takes as long as the latest ones.

    The work that is left, less what the running trials have behind them, shared by as many as work
    now. None where nobody knows: no fixed size, or no trial has ended yet.

    Args:
        total: trials of the sweep; None where it has no fixed size.
        now: epoch seconds.
    """
    ended = _latest(records)
    if total is None or not ended:
        return None
    left = total - sum(record.is_over for record in records)
    if left <= 0:
        return 0.0
    mean = sum(end - start for start, end in ended) / len(ended)
    spent = [
        now - one.started for one in records if one.status == RUNNING and one.started and one.worker
    ]
    behind = sum(min(mean, max(0.0, seconds)) for seconds in spent)
    return max(0.0, left * mean - behind) / min(left, parallelism(records))


def last_activity(created: float, records: Iterable[TrialRecord]) -> float:
    """When the sweep was made, or a trial of it last began or ended; epoch seconds."""
    times = (time for one in records for time in (one.started, one.ended) if time is not None)
    return max(times, default=created)


def _latest(records: Iterable[TrialRecord]) -> list[tuple[float, float]]:
    """Start and end of the trials that ended last."""
    times = [
        (one.started, max(one.started, one.ended))
        for one in records
        if one.is_over and one.started is not None and one.ended is not None
    ]
    return sorted(times, key=lambda time: time[1])[-_RECENT:]


# Plateau -------------------------------------------------------------------------------------


class Plateau(NamedTuple):
    """A sweep that hardly gets better.

    trials: how many completed trials, the last ones, brought next to nothing.
    gain: by how much they improved the best value, in the objective's unit; never negative.
    """

    trials: int
    gain: float

    def __str__(self) -> str:
        brought = f"improved the best by only {self.gain:.3g}" if self.gain else "brought nothing"
        return f"The last {self.trials:,} completed trials {brought}: it may be time to stop."


def plateau(objective: Objective, records: Iterable[TrialRecord]) -> Plateau | None:
    """Whether the last half of the trials, and at least 20, brought next to nothing.

    That is less than 1 % of the way from the median of all values to the best one. The best of
    trials that are drawn at random lies in their first half every other time; so this is a hint
    to look, for a person, and no rule that stops anything: that is `patience`.
    """
    values = [e.value for e in history(objective, (r for r in records if r.counts))]
    known = [value for value in values if isfinite(value)]
    count = max(_WINDOW, len(known) // 2)
    if len(known) < count + _WINDOW // 2:
        return None
    before, best = objective.best(known[:-count]), objective.best(known)
    if before is None or best is None:
        return None
    gain = abs(best - before)
    return Plateau(count, gain) if gain <= _GAIN * abs(median(known) - best) else None
