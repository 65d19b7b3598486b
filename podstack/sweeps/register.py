"""What this process knows of one sweep, and what it writes: the logs of all workers, and its own.

Everything it writes is known here at once, so that no reading waits for a store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from podstack import clock, config, keys, names, oplog
from podstack.clock import hybrid_clock, monotonic
from podstack.errors import BackendError, NotFoundError
from podstack.forks import renew_in_child
from podstack.oplog import Fold, Op
from podstack.reader import OpLogs
from podstack.store import Store
from podstack.sweeps.book import Book
from podstack.sweeps.claims import writer_id
from podstack.sweeps.definition import Definition, Stopping
from podstack.sweeps.records import JsonValue, TrialRecord
from podstack.sweeps.states import States
from podstack.sweeps.stopping import reason_to_stop
from podstack.sweeps.strategies import Strategy, make_strategy

_RECOMPUTED = ("grid", "random")  # strategies that give a number the same parameters any time
_MOMENTS = 5.0  # seconds that the end of a trial waits to hear whether another ended it
_GLANCE, _GLANCE_ELSEWHERE = 0.5, 5.0  # seconds between two looks at others' reports


class Register:
    """One sweep, as far as it was read. May be shared between threads.

    Args:
        writer: gives the id under which this process writes.
    """

    def __init__(self, store: Store, sweep_id: str, writer: Callable[[], str]) -> None:
        self.id, self.store = sweep_id, store
        self._logs = OpLogs(store.backend, store.keys.sweep_logs(sweep_id))
        self._read = 0  # lines of theirs that are in the states
        self._facts = Fold()
        self._states = States()
        self._strategy: Strategy | None = None
        self._definition: Definition | None = None
        self._told: Fold | None = None
        self.book = Book(store, sweep_id, writer)
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self.lock = threading.RLock()  # guards what was read; never held during a request
        self._reading = threading.RLock()
        self._glance_due = 0.0

    def renew_in_child(self) -> None:
        self._begin()

    # What the store says -------------------------------------------------------------------

    def refresh(self) -> Register:
        """Read what is new in the store.

        Raises:
            BackendError: it does not answer.
        """
        with self._reading:
            self._logs.fold()
            ops = self._logs.ops_beyond(self._read)
            self._read += len(ops)
            self._hear(ops)
        return self

    def glance(self) -> None:
        """The same, but rarely: a look at others' reports may be seconds old.

        Raises:
            BackendError: the store does not answer.
        """
        if monotonic() >= self._glance_due:
            pause = _GLANCE if self.store.delivery is None else _GLANCE_ELSEWHERE
            self._glance_due = monotonic() + pause
            self.refresh()

    def refresh_if_it_answers(self) -> bool:
        """The same, but for moments at most, and without an error: whether the store answered."""
        delivery = self.store.delivery
        try:
            if delivery is None:
                return self.refresh() is self
            return delivery.asked(lambda: self.refresh() is self, _MOMENTS)
        except BackendError:
            return False

    def _hear(self, ops: list[Op]) -> None:
        with self.lock:
            for op in ops:
                if not all(path.startswith("trials/") for path in op.changes):
                    self._facts.add(_without_trials(op))
            self._states.add(ops)

    # What is written -----------------------------------------------------------------------

    def edit(self, changes: Mapping[str, JsonValue], *, author: str = "") -> None:
        """Set facts of the sweep as a writer of its own; the store has them when this returns.

        Args:
            author: whose edit it is. Default: the user of this process.

        Raises:
            BackendError: it does not take them.
        """
        if not self.store.disabled:
            self.store.prepare()
        writer = writer_id()
        signed = {**changes, f"authors/{writer}": author or config.user()}
        op = Op(hybrid_clock.next(), writer, signed)
        key = self.store.keys.sweep_log(self.id, op.writer)
        self.store.backend.put(key, oplog.encode(op.stamp, signed))
        self._hear([op])

    def stop(self, reason: str = "", *, author: str = "") -> None:
        """Give out no further trials, anywhere.

        Raises:
            BackendError: the store does not take it.
        """
        text = names.check_text("A reason", reason) or "It was stopped by hand."
        self.edit({"stop": {"reason": text, "t": clock.now()}}, author=author)

    def write(self, number: int, facts: Mapping[str, JsonValue]) -> None:
        """Set facts of a trial, in this process's own log. No store is waited for."""
        changes = {f"trials/{number}/{name}": value for name, value in facts.items()}
        self._hear([self.book.write(changes)])

    # What the sweep is ---------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether this process has heard of it."""
        return self._facts.get("strategy") is not None

    @property
    def definition(self) -> Definition:
        """What `create_sweep` fixed.

        Raises:
            NotFoundError: there is no such sweep.
            DamagedError: it cannot be understood.
        """
        if self._definition is None:
            try:
                if not self.exists and not self.refresh().exists:
                    raise NotFoundError(f"No sweep {self.id!r} in {self.store.url}.")
            except BackendError:
                if self._told is None:
                    raise
                return Definition.of(self.id, self._told)
            with self.lock:
                self._definition = Definition.of(self.id, self._facts)
        return self._definition

    def believe(self, definition: Mapping[str, JsonValue]) -> None:
        """Take another process's word for what the sweep is, while the store does not answer."""
        self._told = Fold([Op("", "", definition)])

    @property
    def strategy(self) -> Strategy:
        if self._strategy is None:
            d = self.definition
            self._strategy = make_strategy(
                d.strategy, d.space, d.objective, seed=d.seed, options=d.options
            )
        return self._strategy

    @property
    def has_params_at_once(self) -> bool:
        """Whether others know a trial's parameters as soon as it is claimed.

        Else they come with a log that is on its way, and must stand in the claim until then.
        """
        return self.store.delivery is None or self.definition.strategy in _RECOMPUTED

    @property
    def size(self) -> int | None:
        """How many trials there will be at most; None where nothing limits them."""
        grid = self.definition.space.size if self.definition.strategy == "grid" else None
        limits = [n for n in (self.definition.max_trials, grid) if n is not None]
        return min(limits, default=None)

    @property
    def deleted(self) -> bool:
        return bool(self._facts.get("deleted"))

    @property
    def stop_said(self) -> str | None:
        """Why it was stopped, where the store says so."""
        with self.lock:
            stop = self._facts.get("stop")
        if not isinstance(stop, dict):
            return None
        return str(stop.get("reason") or "It was stopped by hand.")

    def stop_reason(self) -> str | None:
        """Why it gives out no further trials though not all are over, as far as was read."""
        if (said := self.stop_said) is not None:
            return said
        if self.deleted:
            return "It was deleted."
        if self.is_complete or self.definition.stopping == Stopping():
            return None
        return reason_to_stop(self.definition, self.records(), clock.now())

    # Its trials ----------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Whether all its trials are over, as far as was read."""
        size = self.size
        return size is not None and self._states.over_up_to >= size

    @property
    def over_up_to(self) -> int:
        """The trials 1 to this are all over."""
        return self._states.over_up_to

    def is_over(self, number: int) -> bool:
        return self._states.is_over(number)

    def was_released(self, number: int, writer: str, generation: int) -> bool:
        """Whether a writer's own log says that it gave a trial back."""
        with self.lock:
            return self._states.was_released(number, writer, generation)

    def unfinished(self) -> range:
        """Numbers among which all trials are that are not over; some of them may be."""
        size = keys.MAX_TRIAL if self.size is None else self.size
        return range(self._states.over_up_to + 1, size + 1)

    def records(self) -> list[TrialRecord]:
        """All trials that were begun, by number, as far as was read."""
        with self.lock:
            return list(self._states.records)

    def record(self, number: int) -> TrialRecord | None:
        with self.lock:
            return self._states.get(number)

    def labelled(self, label: str) -> TrialRecord | None:
        """The latest trial that was asked for under that name."""
        return next((r for r in reversed(self.records()) if r.label == label), None)

    def seen(self, but: int) -> list[TrialRecord]:
        """What the strategy is told when it chooses for trial `but`, if it asks."""
        if self.definition.strategy in _RECOMPUTED:
            return []
        with self.lock:
            begun = [r for r in self._states.records if r.number != but and r.params]
        return [*self.definition.warm, *begun]


def _without_trials(op: Op) -> Op:
    changes = {path: v for path, v in op.changes.items() if not path.startswith("trials/")}
    return op._replace(changes=changes)
