"""A sweep, as a user holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack import clock
from podstack.names import COMPLETED, FAILED, KILLED, RUNNING
from podstack.sweeps.definition import Definition
from podstack.sweeps.ledger import Ledger
from podstack.sweeps.records import Objective, TrialRecord

if TYPE_CHECKING:
    from podstack.sweeps.importance import Importance
    from podstack.sweeps.outlook import Entry
    from podstack.sweeps.trial import Trial
    from podstack.sweeps.trial_table import TrialTable

STOPPED = "stopped"


class Progress(NamedTuple):
    """How far a sweep is. `total` and `remaining` are None where it has no fixed size.

    completed holds pruned ones too. running: those that a worker has. elapsed: seconds since it
    was created, or until its last trial ended. remaining: trials that are not over yet.
    """

    completed: int
    running: int
    failed: int
    killed: int
    pruned: int
    total: int | None
    best_value: float | None
    elapsed: float
    remaining: int | None


class Sweep:
    """One sweep. `MLOpsClient.create_sweep` makes one, `get_sweep` finds one.

    Every reading is as of now. It may be shared between threads.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def definition(self) -> Definition:
        """All that `create_sweep` fixed."""
        return self._ledger.definition

    @property
    def id(self) -> str:
        return self._ledger.id

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def experiment_id(self) -> str:
        return self.definition.experiment

    @property
    def strategy(self) -> str:
        """grid, random or bayesian."""
        return self.definition.strategy

    @property
    def parameters(self) -> dict[str, Any]:
        """The search space, in its canonical spelling."""
        return self.definition.space.as_json()

    @property
    def objective(self) -> Objective:
        """`.metric` and `.direction`, which is minimize or maximize."""
        return self.definition.objective

    @property
    def max_trials(self) -> int | None:
        return self.definition.max_trials

    @property
    def created(self) -> float:
        """Epoch seconds."""
        return self.definition.created

    @property
    def status(self) -> str:
        """running; completed once all trials are over; stopped where it ended before that."""
        if self._ledger.refresh().is_complete:
            return COMPLETED
        return RUNNING if self._ledger.stop_reason() is None else STOPPED

    @property
    def stop_reason(self) -> str | None:
        """Why it stopped, as a sentence; None where it did not."""
        return self._ledger.refresh().stop_reason()

    # Working -------------------------------------------------------------------------------

    def suggest(self, wait: float = 0.0, *, label: str | None = None) -> Trial | None:
        """The next trial, which from now on is this process's; None where there is none now.

        Args:
            wait: seconds to wait at most while all trials are taken by others but not over: one
                whose worker dies is offered again. None is then the end of the sweep, or of them.
            label: a name of the asker's own: asked again with it, the same trial is given, as
                long as it is not over and its earlier worker is this process or gone.

        Raises:
            BackendError: the store did not answer for PODSTACK_SWEEP_TIMEOUT seconds, or refuses.
        """
        return self._ledger.take(wait, label=label)

    def complete(
        self,
        trial_id: str | int,
        metrics: Mapping[str, Any] | None = None,
        *,
        status: str = COMPLETED,
        error: str | None = None,
        pruned: bool = False,
    ) -> None:
        """End a trial; it never waits for the store. A second end is a no-op.

        Args:
            metrics: with the objective among them, where the trial completed.
            status: completed, failed or killed.
            error: why it failed.
            pruned: whether it ended early by a rule; without the objective among the metrics its
                value is then the last one reported.

        Raises:
            NotFoundError: there is no such trial.
            UsageError, WrongTypeError: the objective is missing, or a value is no number.
        """
        self._ledger.complete(trial_id, metrics, status=status, error=error, pruned=pruned)

    def report(self, trial_id: str | int, value: float, step: int) -> None:
        """Record an intermediate value of the objective.

        Raises:
            UsageError, WrongTypeError: the value is no number, or the step is not whole.
        """
        self._ledger.report(trial_id, value, step)

    def stop(self, reason: str = "") -> None:
        """Give out no further trials, anywhere. Those that run may end."""
        self._ledger.stop(reason)

    def delete(self) -> None:
        """Hide the sweep; `restore` brings it back."""
        self._ledger.edit({"deleted": True})

    def restore(self) -> None:
        """Undo `delete`."""
        self._ledger.edit({"deleted": None})

    @property
    def deleted(self) -> bool:
        return self._ledger.refresh().deleted

    # Reading -------------------------------------------------------------------------------

    def refresh(self) -> Sweep:
        """Read what is new in the store, and return the sweep itself."""
        self._ledger.refresh()
        return self

    def records(self) -> list[TrialRecord]:
        """What is known of each trial that was begun, by number."""
        return self._ledger.refresh().records()

    @property
    def best_trial(self) -> TrialRecord | None:
        """The completed trial with the best value; pruned ones and NaN are left out."""
        return self.objective.best_trial(self.records())

    @property
    def best_params(self) -> dict[str, Any] | None:
        """The parameters of the best trial, nested as the user wrote them."""
        best = self.best_trial
        return None if best is None else self.definition.space.nested(best.params)

    @property
    def best_value(self) -> float | None:
        best = self.best_trial
        return None if best is None else best.value

    @property
    def progress(self) -> Progress:
        return progress_of(self.definition, self.records(), self._ledger.size)

    def history(self) -> list[Entry]:
        """(number, value, best so far) of each trial that has a value, in the order they ended.

        The best so far is NaN until there is one.
        """
        from podstack.sweeps.outlook import history

        return history(self.objective, self.records())

    # Understanding: each is a module of its own ----------------------------------------------

    @property
    def trials(self) -> TrialTable:
        """The trials as a table: prints, iterates, and has to_dicts, to_pandas, to_polars."""
        from podstack.sweeps.trial_table import TrialTable

        return TrialTable(self.definition, self.records())

    def importance(self, evaluator: str | None = None) -> Importance:
        """How much each parameter matters for the objective: prints as bars, name → share.

        Args:
            evaluator: `fanova` or `ped-anova`. Default: fanova for up to 150 trials where
                scikit-learn is installed and no parameter is conditional, else ped-anova.

        Raises:
            UsageError: there is no such evaluator.
            MissingExtraError: Optuna is not installed; for fanova, or scikit-learn is not.
        """
        from podstack.sweeps.importance import importance

        return importance(self.definition, self.records(), evaluator)

    def plot(self, kind: str, params: Sequence[str] | None = None) -> Any:
        """A matplotlib figure: history, importance, slice, contour or parallel.

        Args:
            params: the parameters of a slice, contour (two) or parallel plot. Default: those that
                were tried with several values; for contour the two that matter most.

        Raises:
            UsageError: there is no such kind or parameter.
            MissingExtraError: matplotlib is not installed; for importance, or Optuna is not.
        """
        from podstack.sweeps import plots

        return plots.plot(self, kind, params)

    def best_as(self, form: str) -> str:
        """The best parameters to copy: `python`, `yaml` or `command`."""
        from podstack.sweeps.best import best_as

        return best_as(self, form)

    def __repr__(self) -> str:
        from podstack.sweeps import portrait

        return portrait.sweep_text(self)

    def _repr_html_(self) -> str:
        from podstack.sweeps import portrait

        return portrait.sweep_html(self)


def progress_of(definition: Definition, trials: list[TrialRecord], total: int | None) -> Progress:
    """How far a sweep is, from its records."""
    counts = dict.fromkeys((COMPLETED, FAILED, KILLED), 0)
    for trial in trials:
        if trial.is_over:
            counts[trial.status] += 1
    over = sum(counts.values())
    best = definition.objective.best_trial(trials)
    ends = [trial.ended for trial in trials if trial.ended is not None]
    is_over = total is not None and over >= total
    until = max(ends, default=clock.now()) if is_over else clock.now()
    return Progress(
        completed=counts[COMPLETED],
        running=sum(trial.status == RUNNING and trial.worker != "" for trial in trials),
        failed=counts[FAILED],
        killed=counts[KILLED],
        pruned=sum(trial.pruned for trial in trials),
        total=total,
        best_value=None if best is None else best.value,
        elapsed=max(0.0, until - definition.created),
        remaining=None if total is None else max(0, total - over),
    )
