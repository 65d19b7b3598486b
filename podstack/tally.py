"""What a sync has copied so far, counted by several threads, and its report."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from podstack import names
from podstack.clock import monotonic
from podstack.differences import kind_of
from podstack.transfer import Diverged


class Failed(NamedTuple):
    """An object that could not be copied, and why."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What was copied, or with `dry_run` what would be.

    bytes: as they were written. kinds: objects by kind. runs: the ids of those that got something.
    skipped: runs that were purged on one side. diverged: logs that are no longer one log.
    """

    objects: int = 0
    bytes: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    runs: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    diverged: tuple[str, ...] = ()
    failed: tuple[Failed, ...] = ()
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether the target now has all that the source had."""
        return not self.failed and not self.diverged


class Progress(NamedTuple):
    """How far it came. total: bytes that are to be looked at, as far as they are known."""

    objects: int
    bytes: int
    total: int


class Tally:
    """What was done so far. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = monotonic()
        self.objects = self.bytes = self.total = 0
        self._kinds: Counter[str] = Counter()
        self._runs: set[str] = set()
        self.skipped: set[str] = set()
        self._diverged: list[str] = []
        self._failed: list[Failed] = []

    def copied(self, key: str, size: int, run: str) -> None:
        with self._lock:
            self.objects += 1
            self.bytes += size
            self._kinds[kind_of(key)] += 1
            if run:
                self._runs.add(run)

    def has_changed(self, run: str) -> bool:
        return run in self._runs

    def failed(self, key: str, error: Exception) -> None:
        with self._lock:
            if isinstance(error, Diverged):
                self._diverged.append(key)
            self._failed.append(Failed(names.printable(key), str(error)))

    @property
    def so_far(self) -> Progress:
        return Progress(self.objects, self.bytes, self.total)

    def report(self) -> SyncReport:
        return SyncReport(
            self.objects,
            self.bytes,
            dict(sorted(self._kinds.items())),
            tuple(sorted(self._runs)),
            tuple(sorted(self.skipped)),
            tuple(self._diverged),
            tuple(self._failed),
            monotonic() - self._started,
        )
