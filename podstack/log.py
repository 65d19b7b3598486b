"""One writer's lines, handed to the operating system before the call returns.

`Log.append` is one `os.write`; kill -9 after it loses nothing. No failure of the disk reaches the
caller: refused lines wait in memory, at most 64 MiB of them, and once those are full the newest
are dropped, counted and told.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable

from podstack import points
from podstack.backend import LocalStore
from podstack.console import Warner, readable_bytes
from podstack.errors import RunClosedError

MEMORY = 64 * 1024 * 1024  # bytes of refused lines that are kept

_write = os.write
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EINTR)  # the same file may take more later
_NO_FILE = -1


class Log:
    """One writer's lines, in order, in objects `key_of(0)`, `key_of(1)`, …

    Object n goes on in the next one before it would pass `roll_at(n)` bytes.

    Appends are atomic for readers up to the last newline, may come from any thread, from a
    signal handler and from a forked child (which must `renew` first).
    """

    def __init__(
        self,
        store: LocalStore,
        key_of: Callable[[int], str],
        *,
        roll_at: Callable[[int], float],
        opened: Callable[[], None],
        memory: int | None = None,
        warner: type[Warner] = Warner,
    ) -> None:
        self._store, self._key_of, self._limit_of, self._opened = store, key_of, roll_at, opened
        self._memory = memory
        self._warner, self._drop_warner = warner(), warner()
        self.dropped = 0  # lines' worth of values that were given up
        self._begin()

    def _begin(self) -> None:
        self.lock = threading.RLock()
        self._file = _NO_FILE
        self._seq = -1
        self._size = 0  # bytes in the current object
        self._roll_at = self._limit_of(0)
        self._retired: list[int] = []  # descriptors of full objects, for the background to sync
        self._unsynced_keys: list[str] = []
        self._synced_size = 0
        self._waiting: deque[bytes] = deque()  # whole lines that the disk refused
        self._waiting_bytes = 0
        self._torn = 0  # bytes of the first waiting line that already stand in the current object
        self._untold: dict[Warner, str] = {}  # what is said once the lock is free
        self._closed = False

    def renew(self) -> None:
        """In a forked child: leave the parent's objects alone and start anew."""
        for descriptor in (self._file, *self._retired):
            _close(descriptor)
        self._begin()

    def append(self, line: bytes) -> None:
        """Hand a line to the operating system; never raises for what the disk does.

        Raises:
            RunClosedError: the log is closed.
        """
        with self.lock:
            if not self._waiting and self._size + len(line) <= self._roll_at:
                try:
                    written = _write(self._file, line)
                except OSError as error:
                    self._append_carefully(line, error)
                    return
                self._size += written
                if written != len(line):
                    self._wait(line, torn=written)
                    self._write_waiting()
            else:
                self._append_carefully(line)

    def _append_carefully(self, line: bytes, error: OSError | None = None) -> None:
        if self._closed:
            raise RunClosedError("The run is finished: start_run(run_id=...) goes on with it.")
        if error is not None and self._file != _NO_FILE:
            self._explain(error)
        was_idle = not self._waiting
        self._wait(line)
        if was_idle:
            self._write_waiting()
        if was_idle and self._waiting:
            self._opened()  # somebody has to try again, also where not even an object was opened

    def _write_waiting(self) -> None:
        while self._waiting and self._write_first():
            pass  # a signal handler may have logged meanwhile

    def drain(self) -> bool:
        """Write what is waiting; False if the disk still refuses. Tells of that, too."""
        try:
            return self._drained()
        finally:
            self._tell()

    def _drained(self) -> bool:
        while True:
            with self.lock:
                for _ in range(256):  # then let the training loop in
                    if not self._waiting:
                        return True
                    if not self._write_first():
                        return False

    def _write_first(self) -> bool:
        """Try to write the first waiting line, rolling to the next object before it where due."""
        line = self._waiting[0]
        try:
            if self._file == _NO_FILE or (
                not self._torn and self._size and self._size + len(line) > self._roll_at
            ):
                self._roll()
            written = _write(self._file, memoryview(line)[self._torn :])
        except OSError as error:
            self._explain(error)
            return error.errno not in _FULL and self._give_up_file()
        self._size += written
        self._torn += written
        if self._torn < len(line):
            return written > 0  # the next attempt says why
        self._torn = 0
        if self._waiting and self._waiting[0] is line:  # a signal handler may have closed the log
            self._waiting.popleft()
            self._waiting_bytes -= len(line)
        return True

    def _give_up_file(self) -> bool:
        """Go on in another object after an error that may be this one's; False if it is new."""
        was_used = self._file != _NO_FILE and self._size > 0
        if self._file != _NO_FILE and not was_used:
            self._seq -= 1  # nothing stands in it: the next attempt takes the same
        self._retire()
        return was_used

    def _wait(self, line: bytes, torn: int = 0) -> None:
        memory = MEMORY if self._memory is None else self._memory
        if self._waiting_bytes + len(line) > memory:
            self.dropped += _values_in(line)
            self._untold[self._drop_warner] = (
                f"{readable_bytes(memory)} wait for the disk and no more are kept: "
                f"{self.dropped} values dropped so far"
            )
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        self._torn = torn or self._torn

    def _explain(self, error: OSError) -> None:
        self._untold[self._warner] = (
            f"cannot write {self._key_of(max(self._seq, 0))} in {self._store.url}: "
            f"{error.strerror or error}. Training goes on; what is logged waits in memory "
            "and is written as soon as the disk allows."
        )

    def _tell(self) -> None:
        """Warn, never below the lock: a handler of logs may log metrics while it holds its own."""
        with self.lock:
            untold, self._untold = self._untold, {}
        for warner, text in untold.items():
            warner.warn(text)

    def _roll(self) -> None:
        key = self._key_of(self._seq + 1)
        descriptor = self._store.open_append(key)
        self._retire()
        self._seq += 1
        self._file, self._size, self._torn = descriptor, 0, 0
        self._roll_at = self._limit_of(self._seq)
        self._unsynced_keys.append(key)
        self._opened()

    def _retire(self) -> None:
        if self._file != _NO_FILE:
            self._retired.append(self._file)
        self._file, self._torn = _NO_FILE, 0
        self._synced_size = 0

    def sync(self) -> bool:
        """fsync all that was written, and the folders that are new. False if anything failed."""
        try:
            return self._synced()
        finally:
            self._tell()

    def _synced(self) -> bool:
        with self.lock:
            retired, self._retired = self._retired, []
            keys, self._unsynced_keys = self._unsynced_keys, []
            size, changed = self._size, self._size != self._synced_size
            try:
                current = os.dup(self._file) if self._file != _NO_FILE and changed else _NO_FILE
            except OSError as error:  # no descriptor is left
                self._retired += retired
                self._unsynced_keys += keys
                self._explain(error)
                return False
        try:
            for descriptor in (*retired, current):
                if descriptor != _NO_FILE:
                    _fsync(descriptor)
            for key in keys:
                self._store.sync_folders(key)
        except OSError as error:
            self._explain(error)
            self._unsynced_keys += keys
            return False
        finally:
            for descriptor in (*retired, current):
                _close(descriptor)
        self._synced_size = size
        return True

    def is_removed(self) -> bool:
        """Whether somebody deleted the current object, so that what is written goes nowhere."""
        with self.lock:
            return self._file != _NO_FILE and os.fstat(self._file).st_nlink == 0

    def reopen(self) -> None:
        """Go on in a new object."""
        with self.lock:
            if self.is_removed():
                self._untold[self._warner] = (
                    f"{self._key_of(self._seq)} was deleted while the run wrote to it"
                )
                self._retire()

    def close(self) -> None:
        """Refuse lines from now on. What waits is dropped and counted; call `drain` before."""
        with self.lock:
            self.dropped += sum(map(_values_in, self._waiting))
            self._waiting.clear()
            self._waiting_bytes = 0
            self._retire()
            self._closed = True

    @property
    def waiting(self) -> int:
        """Lines that the disk refused so far."""
        return len(self._waiting)

    @property
    def lengths(self) -> tuple[int, int]:
        """The number of the current object and its bytes; (-1, 0) before the first line."""
        return self._seq, self._size


def _values_in(line: bytes) -> int:
    batches, _ = points.decode(line)
    return sum(len(batch.values) * len(batch.steps) for batch in batches) or 1


def _fsync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # /dev/null has nothing to sync
            raise


def _close(descriptor: int) -> None:
    if descriptor == _NO_FILE:
        return
    try:
        os.close(descriptor)
    except OSError:  # EIO at close: fsync told already
        return
