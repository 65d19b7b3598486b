"""From the spool to a store that is no folder of this machine.

A run is written to a spool first: a local store in the same layout. The shipper copies whatever
changed since it last did: logs packed, whole and again as they grow, files once. Every object has
one writer and only grows, so copying twice is the same as copying once, and an answer that was
lost costs nothing. What is in the store is removed here: a file at once, the rest of a run once it
is over and a listing of the store shows all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from podstack import keys
from podstack.backend import Backend, BlobInfo
from podstack.clock import monotonic
from podstack.console import Warner, readable_bytes, warn
from podstack.errors import AccessDeniedError, BackendError, BackendUnavailable, BlobMissing
from podstack.forks import renew_in_child
from podstack.keys import Project
from podstack.packed import SUFFIX, Packing, packed
from podstack.retry import Backoff
from podstack.spool import Spool

Told = Callable[[bool], None]

SHORTEST, LONGEST, SHARE = 2.0, 60.0, 0.02  # seconds, seconds, of a run's age
DENIED_FOR = 300.0  # seconds between two tries where the store refuses us
REFUSED_FOR = 60.0  # seconds before an object that was refused is sent again, if it has changed

_PACKED_AT_ONCE = 256 * 1024  # bytes of a log below which it is packed anew each time
_ASKED_FOR = 8 << 20  # bytes of a file from which on it is worth asking whether it is there


class _Sent(NamedTuple):
    tag: str  # that the object had in the spool
    key: str  # in the store
    size: int  # bytes, in the store


class Shipper:
    """Copies one spool to its store: logs by one thread, files by another.

    The spool is the truth and outlives this process; the shipper holds nothing that is not in
    it. An outage is retried with growing pauses, told once and then at most once a minute, and
    never reaches the training loop. A store that refuses us is told of once and asked again every
    five minutes; an object that it refuses, when that changed.
    """

    def __init__(self, spool: Spool, remote: Backend, project: Project) -> None:
        self._spool, self._remote, self._keys = spool, remote, project
        self._warner = Warner()
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._sent: dict[str, _Sent] = {}
        self._packings: dict[str, Packing] = {}
        self._refused: dict[str, tuple[str, float]] = {}  # key -> its tag, when
        self._closed: set[tuple[str, str]] = set()  # run, writer: what no more is written of
        self._closed_logs: set[str] = set()  # keys of logs of no run that are
        self._has_lost = False  # whether a listing did not show what was sent
        self._backoff = Backoff()
        self._file_backoff = Backoff()
        self._denied = False
        self._working = threading.RLock()
        self._uploading = threading.RLock()
        self._busy = self._is_uploading = False
        self._began = self._due = monotonic()
        self.error = ""  # the last one, until something succeeds

    def renew_in_child(self) -> None:
        self._begin()

    def began(self) -> None:
        """A run begins: it is sent at once, and then as often as its age asks for."""
        self._began = self._due = monotonic()

    def closed(self, run: str, writer: str) -> None:
        """A writer of a run is done: nothing more is written under its name."""
        self._closed.add((run, writer))

    def closed_log(self, key: str) -> None:
        """The same for one log that belongs to no run."""
        self._closed_logs.add(key)

    @property
    def interval(self) -> float:
        """Seconds between two looks at what changed: 2 % of the run's age, from 2 to 60."""
        return min(LONGEST, max(SHORTEST, SHARE * (monotonic() - self._began)))

    @property
    def is_failing(self) -> bool:
        """Whether the store did not answer, or refused us, when it was last asked."""
        return self._backoff.has_failed

    @property
    def is_denied(self) -> bool:
        """Whether the store refuses us: waiting will not help."""
        return self._denied

    @property
    def may_try(self) -> bool:
        return self._backoff.is_over

    @property
    def left(self) -> int:
        """Bytes in the spool that the store does not have yet."""
        return sum(info.size for info in self._spool.list() if not self._is_sent(info))

    def _is_sent(self, info: BlobInfo) -> bool:
        sent = self._sent.get(info.key)
        return info.key.startswith(self._keys.live) or (sent is not None and sent.tag == info.tag)

    # Logs ----------------------------------------------------------------------------------

    def tick(self) -> None:
        """Ship what changed, once per interval: 2 % of the run's age, between 2 and 60 s."""
        if monotonic() >= self._due and self._backoff.is_over and not self._busy:
            for _ in self.ship(lambda succeeded: None):
                pass
            self._due = monotonic() + self.interval

    def ship(self, succeeded: Told) -> Iterator[None]:
        """A job: copy logs and hints that changed; tells whether the store has all of them now."""
        with self._working:
            self._busy = True
            try:
                yield from self._pass()
            except BackendError as error:
                self._failed(error)
                succeeded(False)
                return
            finally:
                self._busy = False
            self._succeeded()
        succeeded(not self._refused and not self._has_lost)

    def _pass(self) -> Iterator[None]:
        self._spool.measure()
        hints = self._hints()  # taken first and sent last: what they tell of is there before
        there = {info.key: info for info in self._spool.list() if self._is_log(info.key)}
        for info in sorted(there.values(), key=_facts_last):
            yield
            if not self._is_sent(info) and self._may_send(info):
                self._send(info, self._send_log)
        self._send_hints(hints)
        self._let_go(there)
        self._has_lost = False
        for run, writer in sorted(self._closed):
            self._clear(run, writer)
        for key in sorted(self._closed_logs):
            self._clear_log(key)

    def _is_log(self, key: str) -> bool:
        """Whether it goes with the logs: all but hints and the files that somebody logged."""
        return not key.startswith(self._keys.live) and "/artifacts/" not in key

    def _send(self, info: BlobInfo, send: Callable[[BlobInfo], _Sent]) -> None:
        """
        Raises:
            BackendError: the store does not answer, or refuses us.
        """
        try:
            self._sent[info.key] = send(info)
        except BlobMissing:
            return  # moved to its final name, or its run was closed, while we looked
        except BackendError as error:
            if _may_pass(error) or isinstance(error, AccessDeniedError):
                raise
            self._refused[info.key] = (info.tag, monotonic())
            self._warner.warn(f"{self._remote.url} does not take {info.key}: {error}")
        else:
            self._refused.pop(info.key, None)

    def _may_send(self, info: BlobInfo) -> bool:
        tag, when = self._refused.get(info.key, ("", 0.0))
        return tag != info.tag and (not tag or monotonic() - when >= REFUSED_FOR)

    def _send_log(self, info: BlobInfo) -> _Sent:
        if keys.plain_log(info.key) is None:
            data, key = self._spool.get(info.key), info.key
        else:
            data, key = self._packed(info.key), info.key + SUFFIX
        self._remote.put(key, data)
        return _Sent(info.tag, key, len(data))

    def _packed(self, key: str) -> bytes:
        """A log as it is now, packed; of a long one only what is new is read and compressed."""
        packing = self._packings.get(key)
        if packing is None:
            plain = self._spool.get(key)
            if len(plain) < _PACKED_AT_ONCE:
                return packed(plain)
            packing = self._packings[key] = Packing()
            packing.feed(plain)
        else:
            packing.feed(self._spool.get(key, start=packing.fed))
        return packing.whole()

    def _let_go(self, there: dict[str, BlobInfo]) -> None:
        """Forget the packed form of segments that are full."""
        newest: dict[str, str] = {}
        for key in there:
            folder = key.rpartition("/")[0]
            newest[folder] = max(key, newest.get(folder, ""))
        for key in list(self._packings):
            is_full = newest.get(key.rpartition("/")[0], key) != key and key in there
            if key not in there or (is_full and self._is_sent(there[key])):
                del self._packings[key]

    # Hints ---------------------------------------------------------------------------------

    def _hints(self) -> dict[str, tuple[str, bytes]]:
        """(tag, content) of every hint in the spool."""
        found = {}
        for info in self._spool.list(self._keys.live):
            try:
                found[info.key] = (info.tag, self._spool.get(info.key))
            except BlobMissing:
                continue
        return found

    def _send_hints(self, hints: dict[str, tuple[str, bytes]]) -> None:
        for key, (tag, content) in hints.items():
            if key not in self._sent or self._sent[key].tag != tag:
                self._send_hint(key, content)
                self._sent[key] = _Sent(tag, key, len(content))
        for key in [key for key in self._sent if key.startswith(self._keys.live)]:
            if key not in hints:
                self._remote.delete(key)
                del self._sent[key]

    def _send_hint(self, key: str, content: bytes) -> None:
        """
        Raises:
            BackendError: the store does not answer, or refuses us; not for one hint, which may
                be missing at any time.
        """
        try:
            self._remote.put(key, content)
        except BackendError as error:
            if _may_pass(error) or isinstance(error, AccessDeniedError):
                raise
            self._warner.warn(f"{self._remote.url} does not take {key}: {error}")

    # Files ---------------------------------------------------------------------------------

    def upload(self, succeeded: Told) -> Iterator[None]:
        """A job: copy files that somebody logged, and remove them here once they are there."""
        with self._uploading:
            self._is_uploading = True
            try:
                for info in list(self._files()):
                    yield
                    if self._may_send(info):
                        self._send(info, self._send_file)
            except BackendError as error:
                self._failed(error)
                if not isinstance(error, AccessDeniedError):  # they go with the next ones
                    self._file_backoff.failed()
                succeeded(False)
                return
            finally:
                self._is_uploading = False
            self._file_backoff.succeeded()
        succeeded(not any(True for _ in self._files()))

    def upload_again(self) -> None:
        """From the background: try files once more that an outage kept from going."""
        may_try = self._file_backoff.has_failed and self._file_backoff.is_over
        if may_try and not self._is_uploading:
            for _ in self.upload(lambda succeeded: None):
                pass

    def _files(self) -> Iterator[BlobInfo]:
        """Those that have their hash, and the name that it gives them."""
        for info in self._spool.list(self._keys.runs):
            if "/artifacts/" in info.key and "/artifacts/incoming-" not in info.key:
                yield info

    def _send_file(self, info: BlobInfo) -> _Sent:
        path = self._spool.path(info.key)
        if not path.exists():
            raise BlobMissing(f"There is no {info.key}.", url=self._spool.url, key=info.key)
        if info.size < _ASKED_FOR or not self._has(info):
            self._remote.put(info.key, path)
        self._spool.delete(info.key)
        return _Sent(info.tag, info.key, info.size)

    def _has(self, info: BlobInfo) -> bool:
        """Whether the store has a file already: its name is that of its content."""
        return any(i.key == info.key and i.size == info.size for i in self._remote.list(info.key))

    # What is over --------------------------------------------------------------------------

    def _clear(self, run: str, writer: str) -> None:
        """Remove what a writer wrote here, if a listing shows that the store has all of it.

        Another one may be writing of the same run meanwhile. A request that was given up may still
        arrive, and replace what was sent after it: then it is sent once more.
        """
        prefixes = self._keys.written_by(run, writer)
        here = [info for prefix in prefixes for info in self._spool.list(prefix)]
        if not all(self._is_sent(info) for info in here) or self._has_files(run):
            return
        asked = prefixes if here else ()
        there = {info.key: info.size for prefix in asked for info in self._remote.list(prefix)}
        stale = [i.key for i in here if there.get(self._sent[i.key].key) != self._sent[i.key].size]
        for key in stale:
            self._has_lost = True
            del self._sent[key]
        if not stale:
            # The last hint too, which stays in the store.
            self._remove([*(info.key for info in here), self._keys.live_hint(run, writer)])
            self._closed.discard((run, writer))

    def _has_files(self, run: str) -> bool:
        """Whether files of a run wait here: what tells of them stays as long."""
        return any(True for _ in self._spool.list(f"{self._keys.run(run)}artifacts/"))

    def _clear_log(self, key: str) -> None:
        """The same for one log that belongs to no run. It may have grown while it was sent."""
        here = next((info for info in self._spool.list(key) if info.key == key), None)
        if here is None or not self._is_sent(here):
            return
        sent = self._sent[key]
        there = {found.key: found.size for found in self._remote.list(sent.key)}
        if there.get(sent.key) != sent.size:
            self._has_lost = True
            del self._sent[key]
            return
        self._remove([key])
        self._closed_logs.discard(key)

    def _remove(self, keys: list[str]) -> None:
        for key in keys:
            self._spool.delete(key)
            self._sent.pop(key, None)
            self._packings.pop(key, None)

    # Success and failure -------------------------------------------------------------------

    def _succeeded(self) -> None:
        if self._denied:
            warn(f"{self._remote.url} takes what is sent again")
        self._denied, self.error = False, ""
        self._backoff.succeeded()

    def _failed(self, error: BackendError) -> None:
        self.error = str(error)
        if isinstance(error, AccessDeniedError):
            self._backoff.failed(at_least=DENIED_FOR)
            if not self._denied:
                self._denied = True
                every = f"asked again every {DENIED_FOR / 60:.0f} min"
                warn(f"{self._remote.url} refuses ({every}): {error} {self._goes_on()}")
            return
        self._backoff.failed(at_least=getattr(error, "retry_after", None) or 0.0)
        self._warner.warn(f"{self._remote.url} does not answer: {error} {self._goes_on()}")

    def _goes_on(self) -> str:
        left = self.left
        if not left:  # it was only asked whether it has all of it
            return "Training goes on; all that was logged has been sent."
        waiting = readable_bytes(left)
        return f"Training goes on; {waiting} wait in {self._spool.url} and are sent later."


def _may_pass(error: BackendError) -> bool:
    """Whether trying again may help: an outage, or what a disk on a network says."""
    return isinstance(error, BackendUnavailable) or error.errno is not None


def _facts_last(info: BlobInfo) -> tuple[bool, str]:
    """Facts speak of points and files, so they follow them."""
    return "/meta/" in info.key, info.key
