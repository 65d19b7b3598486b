"""When a sweep is over before all its trials are: a sentence that says why, or None. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podstack.directions import MINIMIZE
from podstack.names import COMPLETED
from podstack.sweeps.definition import Definition, Stopping
from podstack.sweeps.records import Objective, TrialRecord


def reason_to_stop(definition: Definition, trials: Iterable[TrialRecord], now: float) -> str | None:
    """Why no further trial is given out, by the sweep's own rules; None where none says so.

    Args:
        now: epoch seconds.
    """
    rules, objective = definition.stopping, definition.objective
    if rules == Stopping():
        return None
    ended = _in_order(trials)
    reached = None if rules.target is None else _reached(ended, objective, rules.target)
    if reached is not None:
        return reached
    if rules.patience is not None:
        stale = trials_without_improvement(ended, objective)
        if stale >= rules.patience:
            best = objective.best_trial(ended)
            which = "" if best is None else f"; trial {best.number} is the best ({best.value:g})"
            return f"No improvement of {objective.metric} in {stale} completed trials{which}."
    if rules.max_time is not None and now - definition.created >= rules.max_time:
        return f"The {rules.max_time:g} s that the sweep was given are over."
    return None


def trials_without_improvement(trials: Iterable[TrialRecord], objective: Objective) -> int:
    """How many trials completed since the last one that improved the objective.

    Args:
        trials: in the order in which they ended. Pruned ones count, failed ones do not.
    """
    best = float("nan")
    stale = 0
    for trial in trials:
        if trial.status != COMPLETED or trial.number < 1:
            continue
        value = trial.value if trial.counts else None
        if value is not None and objective.is_better(value, best):
            best, stale = value, 0
        else:
            stale += 1
    return stale


def _reached(trials: Iterable[TrialRecord], objective: Objective, target: float) -> str | None:
    for trial in trials:
        if trial.number >= 1 and trial.counts:
            value = trial.value or 0.0
            if value == target or objective.is_better(value, target):
                sign = "<=" if objective.direction == MINIMIZE else ">="
                return (
                    f"Trial {trial.number} reached the target: "
                    f"{objective.metric} = {value:g} {sign} {target:g}."
                )
    return None


def _in_order(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Those that ended, as they did."""
    return sorted(
        (trial for trial in trials if trial.is_over),
        key=lambda trial: (trial.ended or 0.0, trial.number),
    )
