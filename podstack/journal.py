"""The way out: lines handed to the operating system before the call returns.

`Journal.append_points` is one `os.write`; kill -9 after it loses nothing. Only the rest is left
to the background: fsync, heartbeat, and writing again what a full disk refused. No failure of
the disk reaches the caller: refused lines wait in memory, at most 64 MiB of them, and once those
are full the newest are dropped, counted and told.
"""

from __future__ import annotations

import errno
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from podstack import clock, names, oplog, points, processes
from podstack.backend import LocalStore
from podstack.clock import hybrid_clock, monotonic
from podstack.console import Warner, readable_bytes
from podstack.errors import BackendError, BlobMissing, RunClosedError
from podstack.forks import renew_in_child
from podstack.keeper import keeper
from podstack.keys import Project

SEGMENT = 8_000_000  # bytes after which a metrics log goes on in the next object
MEMORY = 64 * 1024 * 1024  # bytes of refused lines that are kept
SYNC_EVERY = 5.0  # seconds between two fsyncs
HEARTBEAT = 10.0  # seconds; a writer silent for much longer is lost

_write = os.write
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EINTR)  # the same file may take more later
_NO_FILE = -1


class Log:
    """One writer's lines, in order, in objects `key_of(0)`, `key_of(1)`, …

    Appends are atomic for readers up to the last newline, may come from any thread, from a
    signal handler and from a forked child (which must `renew` first).
    """

    def __init__(
        self,
        store: LocalStore,
        key_of: Callable[[int], str],
        *,
        roll_at: float,
        opened: Callable[[], None],
    ) -> None:
        self._store, self._key_of, self._roll_at, self._opened = store, key_of, roll_at, opened
        self._warner, self._drop_warner = Warner(), Warner()
        self.dropped = 0  # lines' worth of values that were given up
        self._begin()

    def _begin(self) -> None:
        self.lock = threading.RLock()
        self._file = _NO_FILE
        self._seq = -1
        self._size = 0  # bytes in the current object
        self._retired: list[int] = []  # descriptors of full objects, for the background to sync
        self._unsynced_keys: list[str] = []
        self._synced_size = 0
        self._waiting: deque[bytes] = deque()  # whole lines that the disk refused
        self._waiting_bytes = 0
        self._torn = 0  # bytes of the first waiting line that already stand in the current object
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

    def _write_waiting(self) -> None:
        while self._waiting and self._write_first():
            pass  # a signal handler may have logged meanwhile

    def drain(self) -> bool:
        """Write what is waiting; False if the disk still refuses."""
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
        if self._waiting_bytes + len(line) > MEMORY:
            self.dropped += _values_in(line)
            self._drop_warner.warn(
                f"{readable_bytes(MEMORY)} wait for the disk and no more are kept: "
                f"{self.dropped} values dropped so far"
            )
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        self._torn = torn or self._torn

    def _explain(self, error: OSError) -> None:
        self._warner.warn(
            f"cannot write {self._key_of(max(self._seq, 0))} in {self._store.url}: "
            f"{error.strerror or error}. Training goes on; what is logged waits in memory "
            "and is written as soon as the disk allows."
        )

    def _roll(self) -> None:
        key = self._key_of(self._seq + 1)
        descriptor = self._store.open_append(key)
        self._retire()
        self._seq += 1
        self._file, self._size, self._torn = descriptor, 0, 0
        self._unsynced_keys.append(key)
        self._opened()

    def _retire(self) -> None:
        if self._file != _NO_FILE:
            self._retired.append(self._file)
        self._file, self._torn = _NO_FILE, 0
        self._synced_size = 0

    def sync(self) -> bool:
        """fsync all that was written, and the folders that are new. False if anything failed."""
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
                self._warner.warn(
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


class Journal:
    """What one process writes of one run: facts and points, under a writer id of its own.

    The id is made with the first line, and anew in a forked child. The clock's stamps and the
    steps go on from whatever the run held before: see `hybrid_clock` and `next_step`.
    """

    def __init__(self, store: LocalStore, keys: Project, run: str, *, role: str = "main") -> None:
        self._store, self._keys, self._run, self._role = store, keys, run, role
        self._writer: str | None = None
        self._hinted: Any = None
        self._hint_due = self._sync_due = 0.0
        self._closed = False
        self.next_step = 0
        self.now = clock.now  # epoch seconds, for the lines of points
        self._seals: list[tuple[int, int] | None] = []
        self._facts = Log(store, self._facts_key, roll_at=float("inf"), opened=self._keep)
        self._points = Log(store, self._points_key, roll_at=SEGMENT, opened=self._keep)
        self._append = self._points.append
        renew_in_child(self)

    @property
    def writer(self) -> str:
        if self._writer is None:
            self._writer = names.new_writer_id()
        return self._writer

    def _facts_key(self, seq: int) -> str:
        del seq  # facts are few: their log has one object
        return self._keys.meta_log(self._run, self.writer)

    def _points_key(self, seq: int) -> str:
        return self._keys.segment(self._run, self.writer, seq)

    def _keep(self) -> None:
        keeper.keep(self)

    def renew_in_child(self) -> None:
        self._writer = None
        self._seals = []
        self._role = "child"
        self._hinted = None
        self._facts.renew()
        self._points.renew()

    @property
    def is_child(self) -> bool:
        """Whether this process was forked from the one that started the run."""
        return self._role == "child"

    def append_points(self, line: bytes, step: int) -> None:
        """Hand one line of points to the operating system; an empty one is a no-op."""
        if not line:
            return
        self._append(line)
        if step >= self.next_step:
            self.next_step = int(step) + 1

    def append_at_next_step(self, values: Any) -> None:
        """The same at the step after the largest so far, whichever thread comes first."""
        with self._points.lock:
            step = self.next_step
            self.next_step = step + 1  # at once: below a signal handler the lock is no guard
            line = b""
            try:
                line = points.encode(step, self.now(), values)
            finally:
                if not line and self.next_step == step + 1:
                    self.next_step = step  # nothing to log
            self.append_points(line, step)

    def go_on_from(self, next_step: int, time: float) -> None:
        """Continue what earlier writers began.

        Where this machine's clock is behind their latest time, the times of this writer are
        moved ahead by the difference: what is logged later must not look earlier.
        """
        self.next_step = next_step
        behind = time - clock.now()
        if behind > 0:
            self.now = lambda: clock.now() + behind

    def set(self, changes: Mapping[str, Any]) -> None:
        """Hand a change of facts to the operating system."""
        with self._facts.lock:
            if self._writer is None or not self._facts.lengths[1]:
                changes = {f"writers/{self.writer}": self._introduction(), **changes}
            self._facts.append(oplog.encode(hybrid_clock.next(), changes))

    def _introduction(self) -> dict[str, Any]:
        return {**processes.this_process(), "role": self._role, "interval": HEARTBEAT}

    @property
    def dropped(self) -> int:
        return self._points.dropped + self._facts.dropped

    @property
    def written(self) -> int:
        """Grows with everything that is logged."""
        seq, size = self._points.lengths
        return (seq + 1) * SEGMENT + size + self._facts.lengths[1]

    @property
    def refused(self) -> bool:
        """Whether the disk refuses what was logged so far."""
        return bool(self._facts.waiting or self._points.waiting)

    def tick(self) -> None:
        """From the background: write what waits, fsync, and say that this process lives."""
        if self._closed:
            return
        self._drain()
        if monotonic() >= self._sync_due:
            self._reopen_if_removed()
            self._sync()
            self._sync_due = monotonic() + SYNC_EVERY
        self._seal_full_objects()
        self._hint()

    def _reopen_if_removed(self) -> None:
        if (self._facts.is_removed() or self._points.is_removed()) and not self._is_purged():
            self._facts.reopen()
            self._points.reopen()
            self.set({f"writers/{self.writer}": self._introduction()})  # so that it can be found

    def _is_purged(self) -> bool:
        return any(True for _ in self._store.list(self._keys.tomb(self._run)))

    def _drain(self) -> bool:
        return all([self._facts.drain(), self._points.drain()])

    def _sync(self) -> bool:
        return all([self._facts.sync(), self._points.sync()])

    def synced(self, succeeded: Callable[[bool], None]) -> Iterator[None]:
        """A job: write and fsync all that was logged so far; tells whether that went well."""
        yield
        succeeded(self._drain() and self._sync())

    def drain_within(self, timeout: float) -> bool:
        """Write what the disk refused, trying again for at most `timeout` seconds."""
        deadline = monotonic() + timeout
        pause = threading.Event()
        while not self._drain():
            if monotonic() >= deadline:
                return False
            pause.wait(0.2)
        return True

    def close(self, *, timeout: float) -> int:
        """Refuse lines from now on; the background syncs, seals and closes what is written.

        Waits at most `timeout` seconds, and only where the disk refuses what was logged.

        Returns:
            How many values had to be given up because the disk refused them to the end.
        """
        self.drain_within(timeout)
        self._points.close()
        if self.dropped:
            self.set({"summary/dropped": self.dropped})
        self._closed = True
        keeper.forget(self)
        keeper.submit(self._sealed())
        return self.dropped

    def discard(self) -> None:
        """Take back a run that the disk did not let begin: nothing of it is written later."""
        self._closed = True
        keeper.forget(self)
        for log in (self._facts, self._points):
            log.close()
            log.sync()
        try:
            self._store.delete(self._facts_key(0))
        except BackendError:
            return  # an empty log is no run either

    def close_at_once(self) -> None:
        """The same on the calling thread, without seals: for a process that a signal is ending."""
        self._closed = True
        self._drain()
        self._sync()

    def _sealed(self) -> Iterator[None]:
        """A job: seal the last object, sync and close."""
        yield
        self._seal_full_objects(all_of_them=True)
        if self._seals:
            self.set({f"seals/{self.writer}": self._seals})
        self._facts.drain()
        self._facts.close()
        self._sync()
        self._store.delete(self._keys.live_hint(self._run, self.writer))

    def _seal_full_objects(self, *, all_of_them: bool = False) -> None:
        """Note length and CRC-32 of each object that will not grow: a flipped bit is found."""
        seq, _ = self._points.lengths
        for full in range(len(self._seals), seq + 1 if all_of_them else seq):
            try:
                data = self._store.get(self._points_key(full))
            except BlobMissing:  # deleted meanwhile
                data = b""
            except BackendError:  # it is there, and readers had better not hear otherwise
                if not all_of_them:
                    return
                self._seals.append(None)
                continue
            end = data.rfind(b"\n") + 1
            self._seals.append((end, zlib.crc32(memoryview(data)[:end])))

    def _hint(self) -> None:
        """Rewrite `live/<run>.<writer>.json` after a change, and at every heartbeat."""
        lengths = (self._facts.lengths, self._points.lengths)
        if lengths == self._hinted and monotonic() < self._hint_due:
            return
        seq, size = self._points.lengths
        hint = {
            "t": clock.now(),
            "interval": HEARTBEAT,
            "segments": seq + 1,
            "bytes": size,
            "meta_bytes": self._facts.lengths[1],
            "last": self._last_values(seq, size),
        }
        try:
            self._store.put_hint(self._keys.live_hint(self._run, self.writer), orjson.dumps(hint))
        except BackendError:
            return  # a hint may be missing at any time; the logs have their own warning
        self._hinted = lengths
        self._hint_due = monotonic() + HEARTBEAT

    def _last_values(self, seq: int, size: int) -> dict[str, Any]:
        """The last line written, read back from the end of the current object."""
        if seq < 0 or not size:
            return {}
        try:
            tail = self._store.get(
                self._keys.segment(self._run, self.writer, seq),
                start=max(0, size - 65_536),
                stop=size,
            )
            return dict(orjson.loads(tail.rstrip(b"\n").rpartition(b"\n")[2]))
        except (
            BackendError,
            ValueError,
        ):  # a line of more than 64 kB, or deleted: a hint does without
            return {}


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
