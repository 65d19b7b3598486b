"""Whether a trial may end early, by its reports and those of the others. Pure.

- `median`: its best report so far is worse than the median of what completed trials reported at
  the same step (the stopping rule of Google Vizier, Golovin et al., KDD 2017, as Optuna has it).
- `percentile`: the same with the best quarter in place of the better half.
- `successive_halving`: at the steps 1, 4, 16, … only the best quarter of those that ever came there
  goes on (ASHA, Li et al., MLSys 2020).
- `hyperband`: the same with thirds, in several brackets that begin to compare at 1, 3, 9, … (Li et
  al., JMLR 2018), for losses that say little at first.

NaN is worse than any number. The first two rules wait for 5 completed trials.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, isnan

from podstack.directions import MINIMIZE
from podstack.errors import UsageError
from podstack.names import COMPLETED, short
from podstack.sweeps.definition import Definition
from podstack.sweeps.records import TrialRecord

PRUNERS = ("median", "percentile", "successive_halving", "hyperband")
_STARTUP = 5  # completed trials before the first two rules judge
_QUARTERS, _THIRDS = 4, 3

Reports = Mapping[int, float]  # step → value, smaller is better


def check_pruner(name: object) -> str:
    """`name`, if it is a pruner's.

    Raises:
        UsageError: there is no such pruner.
    """
    if name not in PRUNERS:
        raise UsageError(f"pruner is one of {', '.join(PRUNERS)}, not {short(name)}.")
    return str(name)


def should_prune(definition: Definition, trials: Sequence[TrialRecord], number: int) -> bool:
    """Whether trial `number` may end early, given what all trials reported."""
    sign = 1.0 if definition.objective.direction == MINIMIZE else -1.0
    reports = {t.number: _signed(t, sign) for t in trials if t.reports}
    own = reports.get(number)
    if own is None or definition.pruner is None:
        return False
    if definition.pruner in ("median", "percentile"):
        share = 0.5 if definition.pruner == "median" else 0.25
        whole = [reports[t.number] for t in trials if _is_whole(t) and t.reports]
        return _is_beyond(own, whole, share)
    if definition.pruner == "successive_halving":
        return _falls(own, reports.values(), _QUARTERS, first=1)
    brackets = _brackets(reports.values())
    mine = _bracket(definition.id, number, brackets)
    rivals = (r for n, r in reports.items() if _bracket(definition.id, n, brackets) == mine)
    return _falls(own, rivals, _THIRDS, first=_THIRDS**mine)


def _signed(trial: TrialRecord, sign: float) -> dict[int, float]:
    """Its reports by step, as something to minimize."""
    return {s: float("inf") if isnan(v) else sign * v for s, v in sorted(trial.reports.items())}


def _is_whole(trial: TrialRecord) -> bool:
    return trial.status == COMPLETED and not trial.pruned


def _is_beyond(own: Reports, whole: Sequence[Reports], share: float) -> bool:
    """Whether the best report so far is worse than that share of the whole trials' at this step."""
    if len(whole) < _STARTUP:
        return False
    step = max(own)
    there = [reports[step] for reports in whole if step in reports]
    best = min(own.values())
    return bool(there) and (best == float("inf") or best > _quantile(there, share))


def _quantile(values: Iterable[float], share: float) -> float:
    """With linear interpolation between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    low, high = ordered[below], ordered[above]
    return low if low == high else low + (high - low) * (place - below)


def _falls(own: Reports, rivals: Iterable[Reports], factor: int, *, first: int) -> bool:
    """Whether it is not among the best at the last rung that it came to."""
    rung = _last_rung(own, factor, first)
    if rung is None:
        return False
    mine = _at(own, rung)
    there = sorted(value for reports in rivals if (value := _at(reports, rung)) is not None)
    kept = max(1, len(there) // factor)
    return mine is None or mine == float("inf") or mine > there[kept - 1]


def _last_rung(own: Reports, factor: int, first: int) -> int | None:
    rung, last = first, max(own)
    if last < first:
        return None
    while rung * factor <= last:
        rung *= factor
    return rung


def _at(reports: Reports, rung: int) -> float | None:
    """What a trial reported when it came to a rung; None where it never did."""
    return next((value for step, value in reports.items() if step >= rung), None)


def _brackets(reports: Iterable[Reports]) -> int:
    """How many there are: one for each power of three up to the longest trial, at most 5."""
    longest, count = max(map(max, reports), default=1), 1
    while _THIRDS**count <= longest and count < 5:
        count += 1
    return count


def _bracket(sweep: str, number: int, brackets: int) -> int:
    """Whose rivals a trial's are, by chance: early brackets get more trials, as they cost less."""
    budgets = [
        ceil(brackets * _THIRDS**place / (place + 1)) for place in range(brackets - 1, -1, -1)
    ]
    chance = zlib.crc32(f"{sweep}_{number}".encode()) % sum(budgets)
    for bracket, budget in enumerate(budgets):
        if chance < budget:
            return bracket
        chance -= budget
    return brackets - 1
