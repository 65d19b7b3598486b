"""The ledger of a sweep: who has which trial, and what came of it.

One `Ledger` is all that a process needs of a sweep. It takes trials by `dealing.py` and
`claims.py`, reads the logs of all workers and writes one of its own by `register.py`. Everything
but taking and reading works while the store is down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from podstack import clock, config, names
from podstack.clock import monotonic
from podstack.config import Settings
from podstack.console import warn
from podstack.endings import endings
from podstack.errors import BackendError, NotFoundError, UsageError
from podstack.forks import renew_in_child
from podstack.names import COMPLETED, FAILED, short
from podstack.scalars import flat_scalars, scalar, whole_step
from podstack.store import Store
from podstack.sweeps.claims import Claims
from podstack.sweeps.dealing import Dealing
from podstack.sweeps.definition import Definition
from podstack.sweeps.records import JsonValue, TrialRecord, as_word
from podstack.sweeps.register import Register
from podstack.sweeps.trial import Trial

if TYPE_CHECKING:
    from podstack.run import Run

ALL_FAILED = 5  # trials that fail, before any other ends well, until one is told
_MAX_ERROR = 100_000  # characters that are kept, from the end


class Ledger:
    """One sweep, as this process reads it, works on it and ends it.

    May be shared between threads, each of which gets trials of its own. A forked child has none
    of its parent's trials, and may end them all the same.
    """

    def __init__(self, store: Store, sweep_id: str) -> None:
        self.id = sweep_id
        self._store = store
        self._claims = Claims(store, sweep_id)
        self._register = Register(store, sweep_id, lambda: self._claims.writer)
        self._dealing = Dealing(self._register, self._claims, self._announce, self._give_up)
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._runs: dict[int, Run] = {}  # number → the run of this process that ends it
        self._is_announced = False
        self._told_of_failures = False

    def renew_in_child(self) -> None:
        self._begin()

    # Reading -------------------------------------------------------------------------------

    def refresh(self) -> Ledger:
        """Read what is new in the store.

        Raises:
            BackendError: it does not answer.
        """
        self._register.refresh()
        return self

    def glance(self) -> None:
        """The same, but rarely: a look at others' reports may be seconds old."""
        self._register.glance()

    @property
    def settings(self) -> Settings:
        """What another process opens the same store with."""
        return self._store.portable_settings

    @property
    def exists(self) -> bool:
        """Whether this process has heard of it."""
        return self._register.exists

    @property
    def definition(self) -> Definition:
        """What `create_sweep` fixed.

        Raises:
            NotFoundError: there is no such sweep.
            DamagedError: it cannot be understood.
        """
        return self._register.definition

    def believe(self, definition: Mapping[str, JsonValue]) -> None:
        """Take another process's word for what the sweep is, while the store does not answer."""
        self._register.believe(definition)

    @property
    def size(self) -> int | None:
        """How many trials there will be at most; None where nothing limits them."""
        return self._register.size

    @property
    def deleted(self) -> bool:
        return self._register.deleted

    @property
    def is_complete(self) -> bool:
        """Whether all its trials are over, as far as was read."""
        return self._register.is_complete

    def stop_reason(self) -> str | None:
        """Why it gives out no further trials though not all are over, as far as was read."""
        return self._register.stop_reason()

    def records(self) -> list[TrialRecord]:
        """All trials that were begun, by number, as far as was read."""
        return self._register.records()

    def record(self, number: int) -> TrialRecord | None:
        """One of them."""
        return self._register.record(number)

    # The sweep as a whole ------------------------------------------------------------------

    def create(self, definition: Definition) -> None:
        """Put the definition into the store, which has it when this returns.

        Raises:
            BackendError: it does not take it.
        """
        self._register.edit(definition.as_changes())

    def edit(self, changes: Mapping[str, JsonValue]) -> None:
        """Set facts of the sweep over all that are there; the store has them at the return.

        Raises:
            BackendError: it does not answer.
        """
        self._register.refresh().edit(changes)

    def stop(self, reason: str = "") -> None:
        """Give out no further trials, anywhere.

        Raises:
            BackendError: the store does not answer.
        """
        self._register.refresh().stop(reason)

    # Trials --------------------------------------------------------------------------------

    def take(self, wait: float = 0.0, *, label: str | None = None) -> Trial | None:
        """The next trial; None once there is none, or none within `wait` seconds.

        Raises:
            BackendError: the store did not answer for PODSTACK_SWEEP_TIMEOUT seconds, or refuses.
            NotFoundError: there is no such sweep.
        """
        name = None if label is None else names.check_name("label", label)
        dealt = self._dealing.take(wait, name)
        return None if dealt is None else Trial(self, *dealt)

    def complete(
        self,
        trial: str | int,
        metrics: Mapping[str, Any] | None = None,
        *,
        status: str = COMPLETED,
        error: str | None = None,
        pruned: bool = False,
    ) -> None:
        """End a trial: at once, also while the store is down. A second end is a no-op.

        Args:
            metrics: with the objective among them, where the trial completed and was not pruned.

        Raises:
            NotFoundError: there is no such trial.
            UsageError, WrongTypeError: the objective is missing, or a value is no number.
        """
        number = number_of(trial)
        names.check_status(status)
        text = None if error is None else names.check_text("An error", error[-_MAX_ERROR:])
        values = flat_scalars({} if metrics is None else metrics)
        self._check_that_it_is_there(number)
        value = self._value_in(number, values, is_needed=status == COMPLETED and not pruned)
        self._end(number, last_facts(status, value, values, text, pruned=pruned))

    def _check_that_it_is_there(self, number: int) -> None:
        if self._claims.held(number) is not None and not self._claims.may_be_lost(number):
            return
        if not self._register.refresh_if_it_answers():
            return  # what is written here gets there, and counts if nothing else came first
        if self.record(number) is None and not self._is_claimed(number):
            known = [str(record.number) for record in self.records()]
            raise NotFoundError.among(f"trial of sweep {self.id}", str(number), known)

    def _is_claimed(self, number: int) -> bool:
        """Whether somebody claimed it whose lines are still on their way."""
        try:
            return bool(self._claims.board(number - 1)(number))
        except BackendError:
            return True  # the same: what is written here gets there

    def _value_in(
        self, number: int, values: Mapping[str, float], *, is_needed: bool
    ) -> float | None:
        metric = self.definition.objective.metric
        if metric in values:
            return values[metric]
        if is_needed:
            given = ", ".join(map(short, values)) or "nothing"
            raise UsageError(
                f"Trial {number} has no {metric}, which sweep {self.id} is about; it has {given}. "
                f"Complete it with {{{metric!r}: …}}, or say status='failed' with an error."
            )
        record = self.record(number)
        return None if record is None or not record.reports else [*record.reports.values()][-1]

    def _end(self, number: int, facts: Mapping[str, JsonValue]) -> None:
        with self._register.lock:
            record = self.record(number)
            self._claims.drop(number)
            self._runs.pop(number, None)
            if record is not None and record.is_over:
                self._tell_of_second_end(record, facts)
                return
            self._register.write(number, facts)
        self._tell_of_failures()

    def _tell_of_second_end(self, record: TrialRecord, facts: Mapping[str, JsonValue]) -> None:
        value = None if record.value is None else as_word(record.value)
        if (record.status, value) != (facts["status"], facts["value"]):
            warn(
                f"trial {record.number} of sweep {self.id} had ended before: {record.status}, "
                f"{record.value}. That stays; {facts['status']}, {facts['value']} is not kept."
            )

    def _tell_of_failures(self) -> None:
        """Once, where the first trials have all failed: most likely all others will."""
        if self._told_of_failures:
            return
        ended = [record for record in self.records() if record.is_over]
        if len(ended) < ALL_FAILED:
            return
        self._told_of_failures = True
        if all(record.status == FAILED for record in ended):
            lines = (ended[-1].error or "").strip().splitlines() or ["no reason given"]
            warn(
                f"all {len(ended)} trials of sweep {self.id} have failed so far, the last one "
                f"with: {short(lines[-1])}. To end it: client.stop_sweep({self.id!r})"
            )

    def report(self, trial: str | int, value: float, step: int) -> None:
        """Record an intermediate value of the objective: at once, also while the store is down.

        Raises:
            UsageError, WrongTypeError: the value is no number, or the step is not whole.
        """
        number, metric = number_of(trial), self.definition.objective.metric
        said = as_word(scalar(metric, value))
        self._register.write(number, {f"reports/{whole_step(step)}": said})

    def link(self, number: int, run_id: str) -> None:
        """Note which run is the trial's."""
        self._register.write(number, {"run": names.check_id("run_id", run_id)})

    def _give_up(self, number: int, error: str) -> None:
        self._end(number, last_facts(FAILED, None, {}, error))
        warn(f"trial {number} of sweep {self.id} is failed: {error}")

    # Giving back ---------------------------------------------------------------------------

    def release(self, number: int) -> None:
        """Give a trial back untouched; one that this process does not have is left alone."""
        generation = self._note_release(number)
        if generation is None or not self._register.has_params_at_once:
            return  # the log tells of it within moments, and of the parameters
        try:
            self._claims.withdraw(number, generation)
        except BackendError:
            return  # the log tells of it, once the store has it

    def _note_release(self, number: int) -> int | None:
        """Write that the trial is free; the generation that it was held in."""
        held = self._claims.drop(number)
        if held is None:
            return None
        self._runs.pop(number, None)
        worker = {"writer": self._claims.writer, "generation": held.generation, "released": True}
        self._register.write(number, {"worker": worker})
        return held.generation

    def is_given_back(self, number: int) -> bool:
        """Whether the trial waits for another worker, as far as was read."""
        record = self.record(number)
        return record is not None and not record.is_over and not record.worker

    # Runs ----------------------------------------------------------------------------------

    def run_begins(self, number: int, run: Run) -> None:
        """A run of this process does the trial's work, and will end it."""
        self._runs[number] = run
        self.link(number, run.id)

    # Staying and ending --------------------------------------------------------------------

    def _announce(self) -> None:
        """This process works on the sweep from now on."""
        if self._is_announced or self._store.disabled:
            return
        self._is_announced = True
        endings.opened(self)
        self._store.listener.keep(self)
        if self._store.delivery is not None:
            self._store.delivery.began()

    def tick(self) -> None:
        """From the background: say that this process lives."""
        self._forget_what_is_over()
        self._claims.beat()

    def _forget_what_is_over(self) -> None:
        """Another process may have ended a trial that this one took, as workers of Ray do."""
        for number in self._claims.all_held:
            if self._register.is_over(number):
                self._claims.drop(number)

    @property
    def progress(self) -> int:
        return self._register.book.written

    def finish(
        self, status: str = COMPLETED, *, error: str | None = None, timeout: float | None = None
    ) -> None:
        """The process ends: end the runs of its trials, and give back what is left.

        A process that dies of an exception while it has a single trial fails that: offered again,
        it would most likely do the same to the next.
        """
        patience = config.finish_timeout() if timeout is None else timeout
        deadline = monotonic() + patience
        for run in list(self._runs.values()):
            run.finish(status, error=error, timeout=max(0.1, deadline - monotonic()))
        if self._claims.all_held:
            self._register.refresh_if_it_answers()
            self._forget_what_is_over()
        held = self._claims.all_held
        if status == FAILED and len(held) == 1:
            self._end(held[0], last_facts(FAILED, None, {}, error))
        for number in self._claims.all_held:
            self.release(number)
        endings.closed(self)
        self._store.listener.forget(self)
        self._register.book.end(max(0.1, deadline - monotonic()))
        self._claims.begin()  # whoever goes on after all does so as another writer
        self._is_announced = False

    def finish_at_once(self, status: str, timeout: float) -> None:
        """From a signal handler: give back what is left, and ask nobody."""
        for run in list(self._runs.values()):
            run.finish_at_once(status, timeout)
        for number in self._claims.all_held:
            self._note_release(number)
        self._register.book.end_at_once()


def number_of(trial: str | int) -> int:
    """The number that a trial's id stands for.

    Raises:
        UsageError: it is no trial's id.
    """
    text = str(trial)
    if isinstance(trial, bool) or not text.isascii() or not text.isdigit() or len(text) > 6:
        raise UsageError(f"A trial is named by its number, such as trial.id, not {short(trial)}.")
    return int(text)


def last_facts(
    status: str,
    value: float | None,
    metrics: Mapping[str, float],
    error: str | None,
    *,
    pruned: bool = False,
) -> dict[str, JsonValue]:
    """How a trial ends, in one line, so that nothing of another ending is mixed with it."""
    return {
        "status": status,
        "value": None if value is None else as_word(value),
        "metrics": {name: as_word(number) for name, number in metrics.items()},
        "error": error,
        "pruned": pruned or None,
        "ended": clock.now(),
    }


def ledger_of(store: Store, sweep_id: str) -> Ledger:
    """The one ledger of this process and client for a sweep."""
    known = store.ledgers.get(sweep_id)
    if not isinstance(known, Ledger):
        known = store.ledgers.setdefault(sweep_id, Ledger(store, sweep_id))  # atomic: one for all
    assert isinstance(known, Ledger), "nobody else puts anything there"
    return known
