"""What this process has yet to send: a local store of its own, beside those of other processes.

    <spool folder>/<12 hex digits>/uri           the URL of the store that it is meant for
    <spool folder>/<12 hex digits>/<writer>/     a store in the usual layout, and `.lock`

It is made with the first line that is written, and anew in a forked child, so that no two
processes ever send the same object. The lock is held for as long as the process lives; a folder
whose lock is free was left by one that died, and anybody may send it: see spools.py.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from podstack import config, locks, names
from podstack.backend import BlobInfo, LocalStore, open_backend
from podstack.clock import monotonic
from podstack.console import readable_bytes
from podstack.errors import BackendError, BlobMissing
from podstack.forks import renew_in_child

LOCK = ".lock"
LABEL = "uri"

_ARTIFACTS = 0.9  # the part of the limit that files may fill: metrics are the last to go
_MEASURE_EVERY = 10.0  # seconds


class Spool:
    """Follows `podstack.backend.LocalStore` over the folder of the process that asks.

    Args:
        home: the folder of all spools for one store.
        uri: that store's URL, kept beside the spools.
        opened: called once the process has a folder.
    """

    def __init__(self, home: Path, uri: str, opened: Callable[[], None]) -> None:
        self._home, self._uri, self._opened = home, uri, opened
        self.url = str(home)  # where it lies; the folder of all of them before there is one
        self._lock = threading.RLock()
        self._store: LocalStore | None = None
        self._descriptor = -1
        self._measured_at = float("-inf")
        self._used = 0
        renew_in_child(self)

    def renew_in_child(self) -> None:
        """The folder and its lock stay with the parent."""
        self._lock = threading.RLock()
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._store, self._descriptor, self.url = None, -1, str(self._home)

    @property
    def is_open(self) -> bool:
        """Whether this process has written anything that goes elsewhere."""
        return self._store is not None

    @property
    def home(self) -> Path:
        return self._home

    # A store, as whoever writes and ships sees it ------------------------------------------

    def open_append(self, key: str) -> int:
        if self.used >= config.spool_limit():
            raise OSError(errno.EDQUOT, f"{readable_bytes(self.used)} wait in {self._home}")
        return self._own().open_append(key)

    def put(self, key: str, data: bytes | Path) -> None:
        self._own().put(key, data)

    def put_hint(self, key: str, data: bytes) -> None:
        self._own().put_hint(key, data)

    def sync_folders(self, key: str) -> None:
        self._own().sync_folders(key)

    def path(self, key: str) -> Path:
        return self._own().path(key)

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        if self._store is None:
            raise BlobMissing(f"There is no {key} in {self.url}.", url=self.url, key=key)
        return self._store.get(key, start, stop)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        if self._store is None:
            return
        for info in self._store.list(prefix, start_after=start_after):
            if info.key != LOCK:
                yield info

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        return iter(()) if self._store is None else self._store.list_dirs(prefix)

    def delete(self, key: str) -> None:
        if self._store is not None:
            self._store.delete(key)

    def close(self) -> None:
        """Remove the folder, if nothing waits in it any more, and let go of it."""
        with self._lock:
            if self._store is None:
                return
            if not any(True for _ in self.list()):
                import shutil  # 3 ms

                shutil.rmtree(self._store.url, ignore_errors=True)
            os.close(self._descriptor)
            self._store, self._descriptor, self.url = None, -1, str(self._home)

    # Its size ------------------------------------------------------------------------------

    @property
    def used(self) -> int:
        """Bytes that waited in the spools of this machine when they were last measured."""
        return self._used

    def measure(self) -> None:
        """Look how much waits, every 10 s at most. From the background."""
        if monotonic() - self._measured_at > _MEASURE_EVERY:
            self._used = _bytes_in(config.spool_folder())
            self._measured_at = monotonic()

    def check_room(self, size: int) -> None:
        """
        Raises:
            BackendError: a file of `size` bytes would take the room that metrics may need.
        """
        self.measure()
        limit = config.spool_limit()
        if self._used + size > _ARTIFACTS * limit:
            raise BackendError(
                f"{readable_bytes(size)} do not fit: {readable_bytes(self._used)} of "
                f"{readable_bytes(limit)} wait in {self._home} (PODSTACK_SPOOL_LIMIT)",
                url=self.url,
            )
        self._used += size

    # Opening -------------------------------------------------------------------------------

    def _own(self) -> LocalStore:
        with self._lock:
            if self._store is None:
                self._open()
                self._opened()
            assert self._store is not None
            return self._store

    def _open(self) -> None:
        """Take the lock in a folder that has no id for a name yet: nobody looks into such."""
        try:
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            store = open_backend(str(self._home))
            assert isinstance(store, LocalStore), "a bare path is served by a folder"
            store.put_hint(LABEL, self._uri.encode())
            name = names.new_writer_id()
            new, folder = self._home / f".new-{name}", self._home / name
            new.mkdir(mode=0o700)
            descriptor = locks.opened(new / LOCK)
            if descriptor is not None:
                locks.take(descriptor)
            new.rename(folder)
        except OSError as error:
            raise BackendError(
                f"Cannot write to the spool {self._home}: {error.strerror or error}. "
                "Name a folder on this machine: PODSTACK_SPOOL.",
                url=str(self._home),
            ) from error
        opened = open_backend(str(folder))
        assert isinstance(opened, LocalStore), "a bare path is served by a folder"
        self._store, self.url = opened, opened.url
        self._descriptor = -1 if descriptor is None else descriptor


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # it was sent meanwhile
                continue
    return total


if TYPE_CHECKING:
    _: type[LocalStore] = Spool
