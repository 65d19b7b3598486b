"""What a sweep says of its trials, and which of two values is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from podstack import directions
from podstack.names import COMPLETED, RUNNING

JsonValue = Any  # of a parameter: None, bool, int, float or str

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


def as_word(value: float) -> float | str:
    """A float as JSON can hold it: NaN and infinities are texts, as in points."""
    if value != value:
        return "NaN"
    return value if abs(value) != float("inf") else "Infinity" if value > 0 else "-Infinity"


def from_word(value: float | str) -> float:
    """What `as_word` made of it.

    Raises:
        ValueError: it is no number.
    """
    return float(value)


class TrialRecord(NamedTuple):
    """What the ledger says of one trial.

    number: 1 to max_trials; 0 and below for a warm start's.
    params: flat names; empty where they are not decided yet.
    status: running, completed, failed or killed. A trial that nobody works on, but which is
        offered again, is running without a worker.
    value: the objective; it may be NaN or infinite. None where there is none.
    reports: step → intermediate value of the objective.
    pruned: ended early by a rule; such a trial is completed.
    run: the id of its run.
    worker: the writer id of the process that has or had it.
    generation: how often it was offered again after its worker went silent.
    started, ended: epoch seconds.
    label: whoever asked for it may have given it a name of their own.
    """

    number: int
    params: Mapping[str, JsonValue] = _NOTHING
    status: str = RUNNING
    value: float | None = None
    metrics: Mapping[str, float] = _NOTHING
    reports: Mapping[int, float] = _NOTHING
    pruned: bool = False
    run: str | None = None
    error: str | None = None
    worker: str = ""
    host: str = ""
    generation: int = 0
    started: float | None = None
    ended: float | None = None
    label: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it is completed, failed or killed: nothing more will be said of it."""
        return self.status != RUNNING

    @property
    def counts(self) -> bool:
        """Whether it has a value to compare: completed, not pruned, and no NaN."""
        is_whole = self.status == COMPLETED and not self.pruned
        return is_whole and self.value is not None and self.value == self.value


class Objective(NamedTuple):
    """Which metric a sweep improves, and which way: `minimize` or `maximize`."""

    metric: str
    direction: str

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` beats `than`; NaN beats nothing and is beaten by any number."""
        return directions.is_better(value, than, self.direction)

    def best(self, values: Iterable[float]) -> float | None:
        """The best of them; None where there is none but NaN."""
        known = [value for value in values if value == value]
        if not known:
            return None
        return min(known) if self.direction == directions.MINIMIZE else max(known)

    def best_trial(self, trials: Iterable[TrialRecord]) -> TrialRecord | None:
        """The trial with the best value, the earliest of equals; None where none has one.

        A warm start's trials (numbers of 0 and below) are left out.
        """
        best: TrialRecord | None = None
        for trial in trials:
            if trial.number < 1 or not trial.counts:
                continue
            if best is None or self.is_better(trial.value or 0.0, best.value or 0.0):
                best = trial
        return best
