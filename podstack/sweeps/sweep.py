"""A sweep, as a user holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack.names import COMPLETED
from podstack.sweeps.definition import Definition
from podstack.sweeps.records import Objective, TrialRecord

if TYPE_CHECKING:
    from podstack.sweeps.importance import Importance
    from podstack.sweeps.ledger import Ledger
    from podstack.sweeps.trial import Trial
    from podstack.sweeps.trial_table import TrialTable


class Progress(NamedTuple):
    """How far a sweep is. `total` and `remaining` are None where it has no fixed size.

    completed holds pruned ones too. elapsed: seconds since it was created, or until it ended.
    remaining: trials that are not over yet.
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
        return self.definition.id

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
    def status(self) -> str:
        """running; completed once all trials are over; stopped where it ended before that."""
        raise NotImplementedError

    @property
    def stop_reason(self) -> str | None:
        """Why it stopped, as a sentence; None where it did not."""
        raise NotImplementedError

    def suggest(self, wait: float = 0.0, *, label: str | None = None) -> Trial | None:
        """The next trial, which from now on is this process's; None once there is none.

        Args:
            wait: seconds to wait at most while all trials are taken by others but not over: one
                whose worker dies is offered again.
            label: a name of the asker's own: asked again with it, the same trial is given, as
                long as it is not over and its earlier worker is this process or gone.
        """
        raise NotImplementedError

    def complete(
        self,
        trial_id: str | int,
        metrics: Mapping[str, Any] | None = None,
        *,
        status: str = COMPLETED,
        error: str | None = None,
        pruned: bool = False,
    ) -> None:
        """End a trial. A second end is a no-op."""
        raise NotImplementedError

    def report(self, trial_id: str | int, value: float, step: int) -> None:
        """Record an intermediate value of the objective."""
        raise NotImplementedError

    def stop(self, reason: str = "") -> None:
        """Give out no further trials. Those that run may end."""
        raise NotImplementedError

    def refresh(self) -> Sweep:
        """Read what is new in the store, and return the sweep itself."""
        raise NotImplementedError

    def records(self) -> list[TrialRecord]:
        """What is known of each trial that was begun, by number."""
        raise NotImplementedError

    @property
    def trials(self) -> TrialTable:
        """The trials as a table: prints, iterates, and has to_dicts, to_pandas, to_polars."""
        raise NotImplementedError

    @property
    def best_trial(self) -> TrialRecord | None:
        return self.objective.best_trial(self.records())

    @property
    def best_params(self) -> dict[str, Any] | None:
        """The parameters of the best trial, nested as the user wrote them."""
        raise NotImplementedError

    @property
    def best_value(self) -> float | None:
        best = self.best_trial
        return None if best is None else best.value

    @property
    def progress(self) -> Progress:
        raise NotImplementedError

    def importance(self) -> Importance:
        """How much each parameter matters for the objective."""
        raise NotImplementedError

    def history(self) -> list[tuple[int, float, float]]:
        """(number, value, best so far) of each completed trial, in the order they ended."""
        raise NotImplementedError

    def plot(self, kind: str) -> Any:
        """A figure: history, importance, slice, contour or parallel."""
        raise NotImplementedError

    def best_as(self, form: str) -> str:
        """The best parameters to copy: `python`, `yaml` or `command`."""
        raise NotImplementedError
