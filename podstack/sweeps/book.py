"""What one process writes of a sweep: lines in one growing log, handed to the system at once.

As with runs, no failure of a disk or a store reaches the caller after the first line; the
background syncs, and sends what goes elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from podstack import oplog
from podstack.clock import hybrid_clock, monotonic
from podstack.forks import renew_in_child
from podstack.keeper import keeper
from podstack.log import Log
from podstack.oplog import Op
from podstack.store import Store
from podstack.sweeps.records import JsonValue

_SYNC_EVERY = 5.0  # seconds between two fsyncs


class Book:
    """One process's log of one sweep.

    Args:
        writer: gives the writer's id; another one in a forked child.
    """

    def __init__(self, store: Store, sweep: str, writer: Callable[[], str]) -> None:
        self._store, self._sweep, self._writer = store, sweep, writer
        self._log = Log(store.folder, self._key, roll_at=_never, opened=self._opened)
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._sync_due = 0.0
        self._nudging = False
        self.written = 0  # lines

    def renew_in_child(self) -> None:
        self._log.renew()
        self._begin()

    def _key(self, seq: int) -> str:
        del seq  # it has one object
        return self._store.keys.sweep_log(self._sweep, self._writer())

    def _opened(self) -> None:
        keeper.keep(self)

    def write(self, changes: Mapping[str, JsonValue]) -> Op:
        """Hand one line to the operating system, and send it on its way."""
        with self._lock:
            op = Op(hybrid_clock.next(), self._writer(), changes)
            self._log.append(oplog.encode(op.stamp, changes))
            self.written += 1
        self.nudge()
        return op

    def nudge(self) -> None:
        """Send what was written at once, unless that is about to happen; nobody waits for it."""
        delivery = self._store.delivery
        if delivery is not None and not self._nudging:
            self._nudging = True
            delivery.nudge(self._nudged)

    def _nudged(self) -> None:
        self._nudging = False

    @property
    def refused(self) -> bool:
        """Whether the disk of this machine refuses what was written."""
        return bool(self._log.waiting)

    def tick(self) -> None:
        """From the background: write what waits, and fsync."""
        self._log.drain()
        if monotonic() >= self._sync_due:
            if self._log.is_removed():
                self._log.reopen()
            self._log.sync()
            self._sync_due = monotonic() + _SYNC_EVERY

    def end(self, timeout: float) -> None:
        """At the end of the process: sync, and bring all of it to the store, if that answers."""
        if not self.written:
            return
        keeper.forget(self)
        keeper.submit(self._synced())
        if self._store.delivery is not None:
            self._store.delivery.finish_log(self._key(0), timeout)

    def end_at_once(self) -> None:
        """The same from a signal handler, which sends by itself what is left."""
        if self.written:
            self._log.drain()
            self._log.sync()
            if self._store.delivery is not None:
                self._store.delivery.closed_log(self._key(0))

    def _synced(self) -> Iterator[None]:
        yield
        self._log.drain()
        self._log.sync()


def _never(seq: int) -> float:
    del seq
    return float("inf")
