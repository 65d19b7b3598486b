"""A store elsewhere, as the process that writes to it sees it: with what it has yet to send.

Reading asks the spool first, so that a process finds its own runs as they are now, however slow
the store is. Writing and deleting go to the store alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING

from podstack import keys
from podstack.backend import Backend, BlobInfo
from podstack.errors import BlobMissing
from podstack.packed import SUFFIX, UNREADABLE, unpacked


class Overlay:
    """Follows `podstack.backend.Backend`."""

    def __init__(self, store: Backend, spool: Backend) -> None:
        self.url = store.url
        self.store = store
        self._spool = spool

    def put(self, key: str, data: bytes | Path) -> None:
        self.store.put(key, data)

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        try:
            return self._spool.get(key, start, stop)
        except BlobMissing:
            pass  # it was sent, or is another's
        try:
            return self.store.get(key, start, stop)
        except BlobMissing:
            if keys.plain_log(key) != key:
                raise
        return self._packed_since(key)[start:stop]

    def _packed_since(self, key: str) -> bytes:
        """A log that a listing showed here, and that went after it: the store has it packed."""
        data = self.store.get(key + SUFFIX)
        try:
            return unpacked(data)
        except UNREADABLE as error:
            damage = f"There is no {key} in {self.url}: its packed form is damaged ({error})."
            raise BlobMissing(damage, url=self.url, key=key) from error

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        here = list(self._spool.list(prefix, start_after=start_after))
        there = self.store.list(prefix, start_after=start_after)
        if not here:
            yield from there
            return
        hidden = {info.key for info in here}
        hidden |= {info.key + SUFFIX for info in here if keys.plain_log(info.key)}
        yield from merge(
            here, (info for info in there if info.key not in hidden), key=lambda info: info.key
        )

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        here = set(self._spool.list_dirs(prefix))
        return (
            iter(sorted(here.union(self.store.list_dirs(prefix))))
            if here
            else (self.store.list_dirs(prefix))
        )

    def delete(self, key: str) -> None:
        self.store.delete(key)

    def close(self) -> None:
        self.store.close()


if TYPE_CHECKING:
    _: type[Backend] = Overlay
