"""Points that were put together for one answer, kept for the next: charts ask again and again.

A cache and no more: what is kept is what the store says, or it is put together anew, so replicas
need not know of one another. It holds at most so many bytes, whatever is asked for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from podstack.clock import monotonic
from podstack.metrics import Metrics
from podstack.stored_run import StoredRun

MOST_BYTES = 128 << 20  # of all runs of all projects: five million points

Key = tuple[str, str]  # a project, and a run of it


class _Look(NamedTuple):
    """The metrics of a run, when they were looked at, and how much had been written until then."""

    metrics: Metrics
    time: float
    written: int


class KeptMetrics:
    """The metrics of the runs that were asked for last. Safe from threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Key, _Look] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def of(
        self,
        project: str,
        run: StoredRun,
        *,
        written: int = 0,
        age: float = 0.0,
        since: float = float("-inf"),
    ) -> Iterator[Metrics]:
        """The metrics of a run as of now. What the block takes from them stays for the next.

        Args:
            written: a count of what was written to the project.
            age: seconds that a look may be old, if that count is the same.
            since: the monotonic time from which on a look must be, however old it may be.
        """
        key = (project, run.id)
        with self._lock:
            known = self._kept.get(key)
        time = monotonic()
        is_young = known is not None and known.time >= since and time - known.time < age
        if known is not None and is_young and known.written == written:
            look = known
        else:
            found = run.metrics_from(known.metrics if known else None)
            look = _Look(found, time, written)
        try:
            yield look.metrics
        finally:
            self._keep(key, look)

    @property
    def bytes_held(self) -> int:
        with self._lock:
            return sum(look.metrics.bytes_held for look in self._kept.values())

    def _keep(self, key: Key, look: _Look) -> None:
        with self._lock:
            kept = self._kept.pop(key, look)  # by a later look, which may have ended before
            self._kept[key] = max(kept, look, key=lambda one: one.time)
            held = {key: look.metrics.bytes_held for key, look in self._kept.items()}
            total = sum(held.values())
            while total > self._most:
                total -= held[self._kept.popitem(last=False)[0]]
