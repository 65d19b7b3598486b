"""From the spool to a store that is no folder of this machine.

A run is written to a spool first: a local store in the same layout. The shipper copies whatever
changed since it last did. Every object has one writer and only grows, so copying twice is the
same as copying once, and an answer that was lost costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from podstack.backend import Backend, BlobInfo, LocalStore
from podstack.clock import monotonic
from podstack.console import Warner, readable_bytes
from podstack.errors import BackendError, BlobMissing
from podstack.keys import Project
from podstack.retry import Backoff


class Shipper:
    """Copies one spool to its store, from the background thread.

    The spool is the truth and outlives this process; the shipper holds nothing that is not in
    it. An outage is retried with growing pauses, told once and then at most once a minute, and
    never reaches the training loop.
    """

    def __init__(self, spool: LocalStore, remote: Backend, keys: Project) -> None:
        self._spool, self._remote, self._keys = spool, remote, keys
        self._shipped: dict[str, str] = {}  # key -> the tag it had in the spool
        self._backoff = Backoff()
        self._warner = Warner()
        self._started = self._due = monotonic()

    def tick(self) -> None:
        """Ship what changed, once per interval: 2 % of the time so far, between 2 and 60 s."""
        if monotonic() >= self._due and self._backoff.is_over:
            for _ in self.ship(lambda succeeded: None):
                pass
            self._due = monotonic() + min(60.0, max(2.0, (monotonic() - self._started) / 50))

    def ship(self, succeeded: Callable[[bool], None], *, clear: str = "") -> Iterator[None]:
        """A job: copy all that changed; tells whether the store has everything now.

        Args:
            clear: a run that is closed; once the store has it, its spool is removed.
        """
        there: dict[str, BlobInfo] = {}
        try:
            hints = self._hints()  # taken first and sent last: what they tell of is there before
            there = {i.key: i for i in self._spool.list() if not i.key.startswith(self._keys.live)}
            for key, info in sorted(there.items(), key=_facts_last):
                yield
                if self._shipped.get(key) != info.tag:
                    self._copy(key)
                    self._shipped[key] = info.tag
            self._ship_hints(hints)
        except BackendError as error:
            self._backoff.failed()
            left = sum(i.size for i in there.values() if self._shipped.get(i.key) != i.tag)
            self._warner.warn(
                f"{self._remote.url} does not answer: {error} Training goes on; "
                f"{readable_bytes(left)} wait in {self._spool.url} and are sent when it does."
            )
            succeeded(False)
            return
        self._backoff.succeeded()
        if clear:
            self._clear(clear)
        succeeded(True)

    def _hints(self) -> dict[str, tuple[str, bytes]]:
        """(tag, content) of every hint in the spool."""
        found = {}
        for info in self._spool.list(self._keys.live):
            try:
                found[info.key] = (info.tag, self._spool.get(info.key))
            except BlobMissing:
                continue
        return found

    def _ship_hints(self, hints: dict[str, tuple[str, bytes]]) -> None:
        for key, (tag, content) in hints.items():
            if self._shipped.get(key) != tag:
                self._remote.put(key, content)
                self._shipped[key] = tag
        for key in [key for key in self._shipped if key.startswith(self._keys.live)]:
            if key not in hints:
                self._remote.delete(key)
                del self._shipped[key]

    def _copy(self, key: str) -> None:
        try:
            # An artifact is immutable and may be large; a log grows, so its bytes are taken now.
            whole = "/artifacts/" in key
            self._remote.put(key, self._spool.path(key) if whole else self._spool.get(key))
        except BackendError:
            if self._spool.path(key).exists():
                raise
            return  # moved to its final name, or its run was closed, while we looked

    def _clear(self, run: str) -> None:
        """Remove its copy here, the last hint too, which stays in the store."""
        hints = [i for i in self._spool.list(self._keys.live) if self._keys.hinted(i.key)[0] == run]
        for info in [*self._spool.list(self._keys.run(run)), *hints]:
            self._spool.delete(info.key)
            self._shipped.pop(info.key, None)


def _facts_last(entry: tuple[str, BlobInfo]) -> tuple[bool, str]:
    """Facts speak of points and files, so they follow them."""
    return "/meta/" in entry[0], entry[0]
