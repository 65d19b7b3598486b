"""What this process prints, kept with its open runs and read back: `run.console()`.

While a run is open, the `write` of the objects that are `sys.stdout` and `sys.stderr` is wrapped.
The objects stay where and what they are, so whoever holds one already, such as a logging handler,
is heard too, and `fileno`, `isatty`, `buffer` and the rest are untouched. Text is shown first and
then kept; no failure to keep it reaches the program. A forked child keeps nothing.
"""

from __future__ import annotations

import re
import sys
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from podstack import keys
from podstack.backend import Backend, BlobInfo
from podstack.clock import monotonic
from podstack.console import readable_bytes, tell_of_failure, warn
from podstack.errors import BlobMissing, RunClosedError, UsageError, WrongTypeError
from podstack.forks import renew_in_child
from podstack.keeper import keeper
from podstack.names import short
from podstack.secrets import masked
from podstack.transcript import Transcript

LIMIT = 64_000_000  # bytes of output that one writer keeps
SETTLE_EVERY = 30.0  # seconds after which an unfinished line is kept as it stands
_TAIL = 65_536  # bytes read at first for the last lines
_SIGN_OF_SECRET = re.compile(  # in lower case; looked for first, for `masked` takes 10 µs
    r"key|secret|passw|passphrase|credential|token|://|bearer|authorization"
    r"|hf_|sk[-_]|gh[pousr]_|github_pat|glpat|akia|asia|aiza|xox|pypi-|npm_|eyj"
)
_HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Journal(Protocol):
    """Where the output of one run goes."""

    def append_text(self, lines: bytes) -> None: ...


class _Stream:
    """An object that programs print to, with its `write` wrapped."""

    def __init__(self, stream: Any, record: Callable[[_Stream, str], None]) -> None:
        """
        Raises:
            AttributeError, TypeError: it has no `write`, or takes no attributes.
        """
        self.stream = stream
        self.transcript = Transcript()
        original = stream.write
        attributes = vars(stream)  # not setattr: a wrapper might hand it on to what it wraps
        self._replaced = attributes.get("write")

        def write(text: str) -> Any:
            result = original(text)
            record(self, text)
            return result

        self._write = attributes["write"] = write

    def unwrap(self) -> bool:
        """Put the original back; False where somebody else wrapped it too meanwhile."""
        attributes = vars(self.stream)
        if attributes.get("write") is not self._write:
            return False
        del attributes["write"]
        if self._replaced is not None:
            attributes["write"] = self._replaced
        return True


class _Share:
    """What one open run gets."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._left = LIMIT
        self.is_full = False

    def take(self, lines: bytes) -> None:
        if self.is_full:
            return
        self._left -= len(lines)
        if self._left < 0:
            self.is_full = True
            lines = f"podstack: {_too_much()}\n".encode()
        try:
            self.journal.append_text(lines)
        except RunClosedError:
            self.is_full = True


def _too_much() -> str:
    return f"more than {readable_bytes(LIMIT)} were printed; the rest is shown and not kept"


class Recorder:
    """Hands what is printed to every run that is open in this process.

    Safe from any thread, from signal handlers, and from what it itself makes the process print.
    Its lock is never held while the original stream writes, nor while podstack warns.
    """

    def __init__(self) -> None:
        self._streams: list[_Stream] = []
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._is_busy = False
        self._queue: deque[tuple[_Stream, str]] = deque()  # printed while recording
        self._shares: list[_Share] = []
        self._told_of_limit = False
        self._settle_at = 0.0

    def renew_in_child(self) -> None:
        self._begin()
        for stream in self._streams:
            stream.transcript = Transcript()

    def opened(self, journal: Journal) -> None:
        """Keep what is printed from now on with this run too."""
        with self._lock:
            if not self._shares:
                self._wrap()
                self._settle_at = monotonic() + SETTLE_EVERY
            self._shares.append(_Share(journal))
        keeper.keep(self)

    def closed(self, journal: Journal, error: str | None = None, *, at_once: bool = False) -> None:
        """End a run's share with what is unfinished; a second call is a no-op.

        Args:
            error: the traceback that ends the run, kept unless it was printed.
            at_once: from a signal handler; it waits for nobody in either case.
        """
        del at_once
        with self._lock:
            share = next((s for s in self._shares if s.journal is journal), None)
            if share is None:
                return
            self._settle()
            if error and not self._was_printed(error):
                share.take(_encoded(Transcript().feed(error.rstrip("\n") + "\n")))
            self._shares.remove(share)
            if not self._shares:
                self._streams = [stream for stream in self._streams if not stream.unwrap()]
                keeper.forget(self)

    def tick(self) -> None:
        """From the background: keep what stands unfinished for long."""
        if monotonic() >= self._settle_at:
            self._settle_at = monotonic() + SETTLE_EVERY
            self._settle()
        with self._lock:  # somebody may flush or end a run just now
            is_news = not self._told_of_limit and any(share.is_full for share in self._shares)
            self._told_of_limit |= is_news
        if is_news:
            warn(_too_much())

    def _wrap(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is None or any(known.stream is stream for known in self._streams):
                continue
            try:
                self._streams.append(_Stream(stream, self._record))
            except (AttributeError, TypeError):
                continue  # an object of the program's own that cannot be listened to

    def _record(self, stream: _Stream, text: str) -> None:
        if not self._shares:
            return  # wrapped by somebody else too, so that this stayed in between
        failure = None
        with self._lock:
            if self._is_busy:  # a signal handler printed, or a destructor
                self._queue.append((stream, text))
                return
            self._is_busy = True
            try:
                self._queue.append((stream, text))
                while self._queue:
                    stream, text = self._queue.popleft()
                    lines = stream.transcript.feed(text if isinstance(text, str) else str(text))
                    if lines:
                        self._hand_out(lines)
            except Exception as error:  # noqa: BLE001  # a program's print() must not fail of us
                failure = error
                self._shares = []
            finally:
                self._is_busy = False
        if failure is not None:
            tell_of_failure("what is printed is not kept any more", failure)

    def _settle(self) -> None:
        with self._lock:
            if not self._is_busy:  # else this is a signal handler inside a print
                lines = "".join(stream.transcript.settle() for stream in self._streams)
                if lines:
                    self._hand_out(lines)

    def _hand_out(self, lines: str) -> None:
        data = _encoded(lines)
        for share in self._shares:
            share.take(data)

    def _was_printed(self, error: str) -> bool:
        last = Transcript().feed(error.rstrip("\n").rpartition("\n")[2] + "\n").rstrip("\n")
        return any(last in stream.transcript.last_rows for stream in self._streams)


def _encoded(lines: str) -> bytes:
    """As they are kept: without secrets."""
    if _SIGN_OF_SECRET.search(lines.lower()):
        lines = "".join(map(masked, lines.splitlines(keepends=True)))
    return lines.encode("utf-8", "backslashreplace")


recorder = Recorder()


# Reading ---------------------------------------------------------------------------------------


def console_text(backend: Backend, prefix: str, tail: int | None = None) -> str:
    """What the writers of a run printed, one after the other; its last `tail` lines if given.

    No control character but tab and newline is in it.

    Raises:
        UsageError: `tail` is negative.
    """
    objects = [info for _, info in sorted(_objects(backend, prefix).items())]
    if tail is None:
        return "".join(_text(_whole_lines(_read(backend, info))) for info in objects)
    if isinstance(tail, bool) or not isinstance(tail, int):
        raise WrongTypeError(f"tail is a number of lines, not {short(tail)}.")
    if tail < 0:
        raise UsageError(f"tail is a number of lines from 0 on, not {tail}.")
    lines: list[bytes] = []
    for info in reversed(objects):
        if len(lines) >= tail:
            break
        lines = _last_lines(backend, info, tail - len(lines)) + lines
    return _text(b"".join(lines[-tail:] if tail else []))


def _objects(backend: Backend, prefix: str) -> dict[keys.Segment, BlobInfo]:
    """One object for each segment: a packed copy counts only where there is no plain one."""
    found: dict[keys.Segment, BlobInfo] = {}
    for info in backend.list(prefix):
        place = keys.console_segment_of(info.key)
        if place is not None and (place not in found or found[place].key.endswith(".gz")):
            found[place] = info
    return found


def _read(backend: Backend, info: BlobInfo, start: int = 0) -> bytes:
    try:
        data = backend.get(info.key, start=start)
        return _unpacked(data) if info.key.endswith(".gz") else data
    except BlobMissing:  # purged meanwhile
        return b""
    except (EOFError, zlib.error) as error:
        warn(f"{info.key} in {backend.url} is damaged ({error}); it is passed over")
        return b""


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)  # a gzip header
    return unpacker.decompress(data) + unpacker.flush()


def _whole_lines(data: bytes) -> bytes:
    """Without what follows the last newline: it is being written, or was torn by a kill."""
    return data[: data.rfind(b"\n") + 1]


def _last_lines(backend: Backend, info: BlobInfo, count: int) -> list[bytes]:
    """At most `count` whole lines from the end of an object, of which only the end is read."""
    for start in _starts(info):
        data = _read(backend, info, start)
        first = data.find(b"\n") + 1 if start else 0  # the first line may be half of one
        lines = _whole_lines(data[first:]).split(b"\n")[:-1]
        if len(lines) >= count:
            break
    return [line + b"\n" for line in lines[-count:]]


def _starts(info: BlobInfo) -> Iterator[int]:
    """Where to begin to read, further back each time, and from the beginning at last."""
    length = _TAIL
    while length < info.size and not info.key.endswith(".gz"):
        yield info.size - length
        length *= 8
    yield 0


def _text(data: bytes) -> str:
    return _HARMFUL.sub("\N{REPLACEMENT CHARACTER}", data.decode("utf-8", "replace"))
