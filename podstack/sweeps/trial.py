"""One trial of a sweep, as the worker holds it that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from podstack import config
from podstack.config import Settings
from podstack.console import Warner
from podstack.errors import BackendError, UsageError
from podstack.names import COMPLETED, FAILED

if TYPE_CHECKING:
    from podstack.sweeps.ledger import Ledger


class Trial(Mapping[str, Any]):
    """The parameters of one trial, as a mapping nested as the user wrote the space.

    Whoever holds it ends it: `complete`, `fail` or `prune`; or gives it back with `release`. None
    of these waits for the store, or raises where it is down. Pickled, it becomes a handle that
    ends the same trial from another process.
    """

    def __init__(
        self, ledger: Ledger, number: int, flat_params: Mapping[str, Any], generation: int
    ) -> None:
        self._ledger = ledger
        self.number = number
        self.generation = generation  # how many workers lost it before
        self.flat_params = dict(flat_params)
        self.params = ledger.definition.space.nested(self.flat_params)
        self.is_released = False  # by this handle
        self._warner = Warner()

    @property
    def id(self) -> str:
        return str(self.number)

    @property
    def sweep_id(self) -> str:
        return self._ledger.id

    @property
    def metric(self) -> str:
        """The metric that the sweep is about."""
        return self._ledger.definition.objective.metric

    def complete(
        self, metrics: Mapping[str, Any] | None = None, *, value: float | None = None
    ) -> None:
        """End it well. A second end is a no-op.

        Args:
            metrics: with the objective among them.
            value: of the objective, in its place.

        Raises:
            UsageError, WrongTypeError: the objective is missing, or a value is no number.
        """
        values = dict(metrics or {})
        if value is not None:
            values[self.metric] = value
        self._ledger.complete(self.number, values)

    def fail(self, error: str) -> None:
        """End it as failed, with the reason. A second end is a no-op."""
        self._ledger.complete(self.number, status=FAILED, error=error)

    def report(self, value: float, step: int) -> None:
        """Record an intermediate value of the objective.

        Raises:
            UsageError, WrongTypeError: the value is no number, or the step is not whole.
        """
        self._ledger.report(self.number, value, step)

    def should_prune(self) -> bool:
        """Whether its reports are so much worse than other trials' that it may end early.

        By the sweep's `pruner`; without one always False. While the store does not answer it is
        judged by what was read before.
        """
        from podstack.sweeps import pruning

        definition = self._ledger.definition
        if definition.pruner is None:
            return False
        try:
            self._ledger.glance()
        except BackendError as error:
            self._warner.warn(f"trial {self.id} is judged by what was read before: {error}")
        return pruning.should_prune(definition, self._ledger.records(), self.number)

    def prune(self) -> None:
        """End it early: completed, and marked as pruned; its value is the last one reported."""
        self._ledger.complete(self.number, status=COMPLETED, pruned=True)

    def release(self) -> None:
        """Give it back untouched: it is offered again at once, with the same parameters."""
        self.is_released = True
        self._ledger.release(self.number)

    def link(self, run_id: str) -> None:
        """Say which run is this trial's, where another process records it."""
        self._ledger.link(self.number, run_id)

    # A run for it --------------------------------------------------------------------------

    @property
    def experiment_id(self) -> str:
        """The experiment of its sweep."""
        return self._ledger.definition.experiment

    def run_begins(self, run: Any) -> None:
        """A run of this process does the trial's work, and ends it with its own end."""
        self._ledger.run_begins(self.number, run)

    def run_ends(self, status: str, error: str | None, value: float | None) -> None:
        """Its run is over: so is the trial, unless that was given back.

        Args:
            value: the last one of the objective that the run logged.
        """
        if self.is_released or self._ledger.is_given_back(self.number):
            return
        metrics = {} if value is None else {self.metric: value}
        if status == COMPLETED and value is None:
            status = FAILED
            error = f"The run completed without logging {self.metric}, which the sweep is about."
        self._ledger.complete(self.number, metrics, status=status, error=error)

    # A mapping -----------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        return self.params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.params)

    def __len__(self) -> int:
        return len(self.params)

    def __bool__(self) -> bool:
        return True  # also where the space is empty: `while trial := …`

    def __repr__(self) -> str:
        return f"Trial({self.number}, {self.params!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        settings = _without_known_token(self._ledger.settings)
        known = {**self._ledger.definition.as_changes(), "warm": []}
        what = (self.number, self.flat_params, self.generation)
        return _attached, (settings, self.sweep_id, known, *what)


def _without_known_token(settings: Settings) -> Settings:
    """No secret lies in a pickle that the other process has in its environment."""
    known = settings.api_token is not None and settings.api_token == config.api_token()
    return settings._replace(api_token=None) if known else settings


_stores: dict[Settings, Any] = {}  # of this process, for the trials that were sent to it


def _attached(
    settings: Settings,
    sweep_id: str,
    definition: Mapping[str, Any],
    number: int,
    flat_params: Mapping[str, Any],
    generation: int,
) -> Trial:
    """What a pickled trial becomes."""
    from podstack.store import Store
    from podstack.sweeps.ledger import ledger_of

    if settings.api_token is None:
        settings = settings._replace(api_token=config.api_token())
    store = _stores.get(settings) or _stores.setdefault(settings, Store(settings))
    ledger = ledger_of(store, sweep_id)
    ledger.believe(definition)
    return Trial(ledger, number, flat_params, generation)


def checked(trial: object) -> Trial:
    """
    Raises:
        UsageError: it is no trial.
    """
    if isinstance(trial, Trial):
        return trial
    from podstack.names import short

    raise UsageError(
        f"sweep_trial is what suggest_sweep_params gives, not {short(trial)}. "
        "Write client.start_run(sweep_trial=trial)."
    )
