"""The sweeps of a project, kept open between questions: a line of a log is read once.

As with the index, a sweep is looked at once a second at most, unless something of one was written
through this server since. A sweep that cannot be understood costs only itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from podstack.clock import monotonic
from podstack.errors import DamagedError, NotFoundError
from podstack.names import COMPLETED, RUNNING
from podstack.server.sweep_cursors import Printer, Prints
from podstack.store import Store

if TYPE_CHECKING:
    from podstack.sweeps.definition import Definition
    from podstack.sweeps.records import TrialRecord
    from podstack.sweeps.register import Register
    from podstack.sweeps.sweep import Progress

_FRESH = 1.0  # seconds that a look at the store is good for
_KEPT = 256  # sweeps of a project that stay open, with their trials in memory


@dataclass(frozen=True)
class Seen:
    """A sweep, as it was read. The same object is given until something of it changed.

    stop_reason: why it stopped, if it did. size: how many trials it has, where that is fixed.
    """

    definition: Definition
    deleted: bool
    stop_reason: str | None
    trials: list[TrialRecord]
    size: int | None
    printer: Printer

    @cached_property
    def prints(self) -> Prints:
        """A hash of each trial, for cursors."""
        return self.printer.prints(self.trials)

    @cached_property
    def ended(self) -> int:
        """Another number for other trials that are over, whoever counts them."""
        return hash(tuple(self.prints[one.number] for one in self.trials if one.is_over))

    @cached_property
    def progress(self) -> Progress:
        from podstack.sweeps.sweep import progress_of

        return progress_of(self.definition, self.trials, self.size)

    @property
    def status(self) -> str:
        from podstack.sweeps.sweep import STOPPED

        if self.progress.remaining == 0:
            return COMPLETED
        return RUNNING if self.stop_reason is None else STOPPED


class _Open:
    """One sweep, and when it was looked at."""

    def __init__(self, store: Store, sweep_id: str) -> None:
        from podstack.sweeps.claims import writer_id  # 50 ms, where there is a sweep
        from podstack.sweeps.register import Register

        self._register = Register(store, sweep_id, writer_id)
        self._printer = Printer()
        self._last: Seen | None = None
        self._written = -1
        self._looked = float("-inf")
        self._lock = threading.Lock()

    def seen(self, written: int) -> Seen | None:
        """What it says; None where the store has never heard of it.

        Raises:
            DamagedError: it cannot be understood.
        """
        with self._lock:
            if self._written < written or monotonic() - self._looked >= _FRESH:
                self._register.refresh()
                self._written, self._looked = written, monotonic()
            if not self._register.exists:
                return None
            now = _seen(self._register, self._printer)
            if self._last != now:
                self._last = now
            return self._last


class Computed:
    """What took time to compute, the latest answers. Safe from threads.

    Two threads that ask for the same at once compute it once; other questions do not wait for it.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._turns: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        found, turn = self._known(key)
        if found is not None:
            return found
        with turn:
            found, _ = self._known(key)
            return self._keep(key, make()) if found is None else found

    def _known(self, key: Hashable) -> tuple[Any, threading.Lock]:
        """What is kept, and whose turn it is to compute it."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key], threading.Lock()
            return None, self._turns.setdefault(key, threading.Lock())

    def _keep(self, key: Hashable, answer: Any) -> Any:
        with self._lock:
            self._answers[key] = answer
            self._turns.pop(key, None)
            while len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
        return answer


class SharedSweeps:
    """The sweeps of one project. Safe from threads. computed: answers kept for asking again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.computed = Computed()
        self._written = 0
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._lock = threading.Lock()

    def wrote(self) -> None:
        """Something of a sweep was written through this server."""
        self._written += 1

    def one(self, sweep_id: str) -> Seen:
        """
        Raises:
            NotFoundError: there is none of that id or name; the nearest existing ones are named.
            DamagedError: it cannot be understood.
        """
        known = self._store.reader.sweep_ids()
        found = self._kept(sweep_id).seen(self._written) if sweep_id in known else None
        if found is not None:
            return found
        named = [seen for seen in self.all() if seen.definition.name == sweep_id]
        if len(named) == 1:
            return named[0]
        raise NotFoundError.among("sweep", sweep_id, known)

    def all(self) -> Iterator[Seen]:
        """All that can be understood, deleted ones too, in the order of their ids."""
        for sweep_id in self._store.reader.sweep_ids():
            try:
                seen = self._kept(sweep_id).seen(self._written)
            except DamagedError:
                continue
            if seen is not None:
                yield seen

    def _kept(self, sweep_id: str) -> _Open:
        with self._lock:
            one = self._open.pop(sweep_id, None) or _Open(self._store, sweep_id)
            self._open[sweep_id] = one
            while len(self._open) > _KEPT:
                self._open.popitem(last=False)
            return one


def _seen(register: Register, printer: Printer) -> Seen:
    definition = register.definition
    reason = register.stop_reason()
    return Seen(definition, register.deleted, reason, register.records(), register.size, printer)
