"""The sweeps of a project, kept open between questions: a line of a log is read once.

As with the index, a sweep is looked at once a second at most, unless something of one was written
through this server since. A sweep that cannot be understood costs only itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from podstack import clock
from podstack.clock import monotonic
from podstack.errors import DamagedError, NotFoundError
from podstack.names import COMPLETED, RUNNING
from podstack.store import Store
from podstack.sweeps.definition import Definition
from podstack.sweeps.ledger import Ledger
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.stopping import reason_to_stop
from podstack.sweeps.sweep import STOPPED, Progress, progress_of

_FRESH = 1.0  # seconds that a look at the store is good for
_KEPT = 256  # sweeps of a project that stay open, with their trials in memory


class Seen(NamedTuple):
    """A sweep, as it was read. stop_reason: why it stopped, if it did."""

    definition: Definition
    name: str
    deleted: bool
    stop_reason: str | None
    trials: list[TrialRecord]
    size: int | None

    @property
    def progress(self) -> Progress:
        return progress_of(self.definition, self.trials, self.size)

    @property
    def status(self) -> str:
        if self.progress.remaining == 0:
            return COMPLETED
        return RUNNING if self.stop_reason is None else STOPPED


class _Open:
    """One sweep, and when it was looked at."""

    def __init__(self, store: Store, sweep_id: str) -> None:
        self._ledger = Ledger(store, sweep_id)
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
                self._ledger.refresh()
                self._written, self._looked = written, monotonic()
            return _seen(self._ledger) if self._ledger.exists else None


class SharedSweeps:
    """The sweeps of one project. Safe from threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
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
        named = [seen for seen in self.all() if seen.name == sweep_id]
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


def _seen(ledger: Ledger) -> Seen:
    definition, facts, trials = ledger.definition, ledger.fact, ledger.records()
    stop = facts["stop"]
    if isinstance(stop, dict):
        reason: str | None = str(stop.get("reason") or "It was stopped by hand.")
    else:
        reason = reason_to_stop(definition, trials, clock.now())
    name = facts["name"]
    return Seen(
        definition,
        name if isinstance(name, str) else definition.name,
        bool(facts["deleted"]),
        reason,
        trials,
        _size(definition),
    )


def _size(definition: Definition) -> int | None:
    """How many trials there will be at most, told without the strategy, which may need Optuna."""
    grid = definition.space.size if definition.strategy == "grid" else None
    return min((n for n in (definition.max_trials, grid) if n is not None), default=None)
