"""What one process writes of one run: its facts, its points, and that it is alive.

`Journal.append_points` and `Journal.set` hand a line to a `Log` each, which writes it before they
return; so does `append_text` for what the process prints. Only the rest is left to the
background: fsync, heartbeat, seals, and writing again what a full disk refused.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from podstack import clock, names, oplog, points, processes
from podstack.backend import LocalStore
from podstack.clock import hybrid_clock, monotonic
from podstack.console import Silence
from podstack.errors import BackendError, BlobMissing
from podstack.forks import renew_in_child
from podstack.keeper import keeper
from podstack.keys import Project, range_of
from podstack.log import Log
from podstack.spool import Spool

SEGMENT = 8_000_000  # bytes after which a metrics log goes on in the next object
SENT_SEGMENT = 1_000_000  # the same for the first of those that are sent elsewhere; then doubled
SYNC_EVERY = 5.0  # seconds between two fsyncs
HEARTBEAT = 10.0  # seconds; a writer silent for much longer is lost
TEXT_SEGMENT = 1_000_000  # bytes after which captured output goes on in the next object
TEXT_MEMORY = 1_000_000  # bytes of captured output that wait for a full disk


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
        self._facts = Log(store, self._facts_key, roll_at=_never, opened=self._keep)
        self._points = Log(store, self._points_key, roll_at=self._segment, opened=self._keep)
        self._text: Log | None = None
        self._aside = 0  # of `written`, what the run itself did not log
        self.unsettled: set[str] = set()  # files that lie here whole, but go no further
        self._awaited: list[Callable[[], None]] = []  # what is done once all of it is durable
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

    def _text_key(self, seq: int) -> str:
        return self._keys.console_segment(self._run, self.writer, seq)

    def _segment(self, seq: int) -> float:
        """Bytes of a segment. What is sent again as it grows begins small."""
        return min(SEGMENT, SENT_SEGMENT << min(seq, 8)) if self._is_spooled else SEGMENT

    @property
    def _is_spooled(self) -> bool:
        return isinstance(self._store, Spool)

    def _keep(self) -> None:
        if not self._closed:
            keeper.keep(self)

    def renew_in_child(self) -> None:
        self._writer = None
        self._seals = []
        self._role = "child"
        self._hinted = None
        self._aside = 0
        self.unsettled = set()
        self._awaited = []
        for log in self._logs:
            log.renew()
        self._text = None  # what a child prints is not its parent's

    @property
    def _logs(self) -> list[Log]:
        return [self._facts, self._points, *([] if self._text is None else [self._text])]

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

    def append_at_next_step(self, values: Any) -> tuple[int, bytes]:
        """The same at the step after the largest so far, whichever thread comes first.

        Returns:
            That step, and the line.
        """
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
        return step, line

    def append_aside(self, step: int, values: Mapping[str, float]) -> None:
        """Points beside what the run logs: neither its steps nor its progress hear of them.

        Raises:
            RunClosedError: the journal is closed.
        """
        line = points.encode(step, self.now(), values)
        with self._points.lock:
            before = self.written
            self._append(line)
            self._aside += self.written - before

    def append_text(self, lines: bytes) -> None:
        """Hand whole lines of what this process printed to the operating system.

        Nothing is said of a disk that refuses them: whoever holds the lock of a logging handler
        may be printing, and a warning would wait for it. The other logs have their own.

        Raises:
            RunClosedError: the journal is closed.
        """
        if self._text is None:
            self._text = Log(
                self._store,
                self._text_key,
                roll_at=lambda seq: TEXT_SEGMENT,
                opened=lambda: None,
                memory=TEXT_MEMORY,
                warner=Silence,
            )
        self._text.append(lines)

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
            is_first = self._writer is None or not self._facts.lengths[1]
            if is_first:
                changes = {f"writers/{self.writer}": self._introduction(), **changes}
            self._facts.append(oplog.encode(hybrid_clock.next(), changes))
        if is_first and not self._closed:
            self._hint()  # at once: readers follow hints to what is new

    def set_aside(self, changes: Mapping[str, Any]) -> None:
        """The same beside what the run logs: its progress does not hear of it."""
        with self._facts.lock:
            before = self.written
            self.set(changes)
            self._aside += self.written - before

    def _introduction(self) -> dict[str, Any]:
        return {**processes.this_process(), "role": self._role, "interval": HEARTBEAT}

    @property
    def dropped(self) -> int:
        return self._points.dropped + self._facts.dropped

    @property
    def written(self) -> int:
        """Grows with everything that the run logs; not with what is captured beside it."""
        seq, size = self._points.lengths
        return (seq + 1) * SEGMENT + size + self._facts.lengths[1] - self._aside

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
        if any(log.is_removed() for log in self._logs) and not self._is_purged():
            for log in self._logs:
                log.reopen()
            self.set({f"writers/{self.writer}": self._introduction()})  # so that it can be found

    def _is_purged(self) -> bool:
        return any(True for _ in self._store.list(self._keys.tomb(self._run)))

    def _drain(self) -> bool:
        if self._text is not None:
            self._text.drain()  # nobody waits for it
        return all([self._facts.drain(), self._points.drain()])

    def _sync(self) -> bool:
        awaited, self._awaited = self._awaited, []  # taken first: what is set meanwhile may miss it
        is_written = not self.refused
        is_synced = all([log.sync() for log in self._logs])  # noqa: C419  # every one, also after a failure
        if not (is_written and is_synced):
            self._awaited = [*awaited, *self._awaited]
            return is_synced
        for then in awaited:
            then()
        return True

    def once_durable(self, then: Callable[[], None]) -> None:
        """Call `then` when what was logged before will survive a power loss.

        At once, if the disk allows it, else from the background; never, if it refuses to the end.
        """
        self._awaited.append(then)
        self._drain()
        self._sync()

    def synced(self, succeeded: Callable[[bool], None]) -> Iterator[None]:
        """A job: write and fsync all that was logged so far; tells whether that went well."""
        yield
        succeeded(self._drain() and self._sync() and not self.unsettled)

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
        try:
            self.drain_within(timeout)
        finally:  # also where a Ctrl-C ended the wait for a disk
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
            self._store.delete(self._keys.live_hint(self._run, self.writer))
            self._store.delete(self._facts_key(0))
        except BackendError:
            return  # an empty log is no run either

    def close_at_once(self) -> None:
        """The same on the calling thread, without seals: for a process that a signal is ending."""
        self._closed = True
        self._drain()
        self._sync()
        self._hint(ended=True)

    def _sealed(self) -> Iterator[None]:
        """A job: seal the last object, sync and close."""
        yield
        self._seal_full_objects(all_of_them=True)
        if self._seals:
            self.set({f"seals/{self.writer}": self._seals})
        self._drain()
        for log in self._logs:
            log.close()
        self._sync()
        if self._is_purged():
            self._store.delete(self._keys.live_hint(self._run, self.writer))
        else:
            self._hint(ended=True)

    def _seal_full_objects(self, *, all_of_them: bool = False) -> None:
        """Note length and CRC-32 of each object that will not grow: a flipped bit is found."""
        seq, _ = self._points.lengths
        for full in range(len(self._seals), seq + 1 if all_of_them else seq):
            try:
                data = self._store.get(self._points_key(full))
            except BlobMissing:
                if self._is_spooled or self._is_compacted(full):  # its range has a checksum
                    self._seals.append(None)
                    continue
                data = b""  # deleted meanwhile
            except BackendError:  # it is there, and readers had better not hear otherwise
                if not all_of_them:
                    return
                self._seals.append(None)
                continue
            end = data.rfind(b"\n") + 1
            self._seals.append((end, zlib.crc32(memoryview(data)[:end])))

    def _is_compacted(self, seq: int) -> bool:
        listing = self._store.list(f"{self._keys.metrics(self._run)}{self.writer}/")
        ranges = [place for info in listing if (place := range_of(info.key)) is not None]
        return any(place.holds(seq, seq) for place in ranges)

    def _hint(self, *, ended: bool = False) -> None:
        """Rewrite `live/<run>.<writer>.json` after a change, at every heartbeat, and at the end."""
        lengths = (self._facts.lengths, self._points.lengths)
        if lengths == self._hinted and monotonic() < self._hint_due and not ended:
            return
        seq, size = self._points.lengths
        hint = {
            "t": clock.now(),
            "interval": HEARTBEAT,
            "segments": seq + 1,
            "bytes": size,
            "meta_bytes": self._facts.lengths[1],
            "last": self._last_values(seq, size),
            **({"ended": True} if ended else {}),
        }
        try:
            self._store.put_hint(self._keys.live_hint(self._run, self.writer), orjson.dumps(hint))
        except BackendError:
            return  # a hint may be missing at any time; the logs have their own warning
        self._hinted = lengths
        self._hint_due = monotonic() + HEARTBEAT

    def _last_values(self, seq: int, size: int) -> dict[str, Any]:
        """The last line that the run logged, read back from the end of the current object."""
        if seq < 0 or not size:
            return {}
        try:
            tail = self._store.get(
                self._keys.segment(self._run, self.writer, seq),
                start=max(0, size - 65_536),
                stop=size,
            )
            lines = map(orjson.loads, reversed(tail.splitlines()))
            return next((row for row in lines if not points.is_system(row["v"])), {})
        except (BackendError, ValueError, TypeError, KeyError):
            return {}  # a line of more than 64 kB, or deleted: a hint does without


def _never(seq: int) -> float:
    del seq  # facts are few: their log has one object
    return float("inf")
