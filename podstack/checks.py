"""One object of a store at a time: read whole, with whatever may be wrong with it.

`verify` asks here, and puts together what the objects of a run say of one another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from podstack import clock, facts, keys, names, oplog
from podstack.backend import Backend, BlobInfo
from podstack.errors import BackendError, BlobMissing
from podstack.oplog import Fold, Op
from podstack.packed import UNREADABLE, unpacked

DAMAGED, WARNING, INFO = "damaged", "warning", "info"

_CHUNK = 8 << 20  # bytes
_AHEAD = 24 * 3600.0  # seconds: a stamp further ahead of this clock was a wrong clock
RESTORE = "Bring it back from a copy of the store, if there is one; all else is unaffected."


class Finding(NamedTuple):
    """Something worth telling: how bad, of which object, what it is, what to do."""

    severity: str
    key: str
    what: str
    advice: str = ""


class Checked(NamedTuple):
    """How far `verify` came: runs done, of how many, objects and bytes read."""

    runs: int = 0
    of: int = 0
    objects: int = 0
    bytes: int = 0


Progress = Callable[[Checked], None]


class Tally:
    def __init__(self, progress: Progress | None = None) -> None:
        self._progress, self._so_far = progress, Checked()

    def begin(self, runs: int) -> None:
        self._so_far = self._so_far._replace(of=runs)

    def run(self) -> None:
        self._tell(self._so_far._replace(runs=self._so_far.runs + 1))

    def object(self) -> None:
        self._tell(self._so_far._replace(objects=self._so_far.objects + 1))

    def read(self, size: int) -> None:
        self._tell(self._so_far._replace(bytes=self._so_far.bytes + size))

    def _tell(self, so_far: Checked) -> None:
        self._so_far = so_far
        if self._progress is not None:
            self._progress(so_far)


class Objects:
    """The objects of one prefix, read with whatever may be wrong with them."""

    def __init__(self, backend: Backend, tally: Tally) -> None:
        self._backend, self._tally = backend, tally

    def below(self, prefix: str) -> list[BlobInfo]:
        return list(self._backend.list(prefix))

    def content(self, info: BlobInfo) -> bytes:
        """All of it, unpacked."""
        data = self._backend.get(info.key)
        self._tally.read(len(data))
        return unpacked(data) if info.key.endswith(".gz") else data

    def sha256(self, info: BlobInfo) -> str:
        digest = hashlib.sha256()
        for start in range(0, info.size, _CHUNK):
            chunk = self._backend.get(info.key, start, start + _CHUNK)
            digest.update(chunk)
            self._tally.read(len(chunk))
        return digest.hexdigest()

    def guarded(
        self, info: BlobInfo, check: Callable[[Objects, BlobInfo], Iterator[Finding]]
    ) -> Iterator[Finding]:
        """What `check` finds; an object that cannot be read is a finding too."""
        try:
            yield from check(self, info)
        except BlobMissing:
            return  # gone while we look: whoever needs it misses it
        except BackendError as error:
            yield Finding(DAMAGED, info.key, f"cannot be read: {error}", RESTORE)
        except UNREADABLE as error:
            yield Finding(DAMAGED, info.key, f"is no whole gzip file: {error}", RESTORE)
        self._tally.object()


class OpLogs:
    """The op logs of a run or an experiment, and what they say together."""

    def __init__(self, is_right: Callable[[str, Any], bool | None]) -> None:
        self._is_right = is_right
        self.ops: list[Op] = []
        self.fold = Fold()
        self._torn: dict[
            str, tuple[str, bytes]
        ] = {}  # writer -> key, what follows the last newline

    def check(self, objects: Objects, info: BlobInfo) -> Iterator[Finding]:
        writer = keys.log_writer(info.key)
        if writer is None:
            yield unknown(info)
            return
        data = objects.content(info)
        ops, damaged = oplog.decode(data, writer)
        if tail := data[data.rfind(b"\n") + 1 :]:
            self._torn[writer] = info.key, tail
        if damaged:
            yield Finding(DAMAGED, info.key, f"holds {lines(damaged)} that are no JSON", RESTORE)
        yield from self._odd_lines(info.key, data.count(b"\n") - damaged - len(ops))
        yield from self._odd_stamps(info.key, [op.stamp for op in ops])
        yield from self._odd_facts(info.key, ops)
        self.ops += ops
        for op in ops:
            self.fold.add(op)

    def torn(self, *, closed: set[str], running: bool) -> Iterator[Finding]:
        """Logs that end in the middle of a line, although nobody is writing it."""
        for writer, (key, tail) in self._torn.items():
            what = f"ends in the middle of a line: {len(tail):,} bytes follow the last whole one"
            if b"\0" in tail:
                yield Finding(DAMAGED, key, f"{what}, with NUL bytes among them", RESTORE)
            elif writer in closed:
                yield Finding(DAMAGED, key, f"{what}, although its writer ended well", RESTORE)
            elif not running:
                advice = "They are passed over: a kill or a full disk tore the last change."
                yield Finding(WARNING, key, what, advice)

    def _odd_lines(self, key: str, count: int) -> Iterator[Finding]:
        if count:
            what = f"holds {lines(count)} without a stamp and changes"
            yield Finding(WARNING, key, what, "A later podstack wrote them, or they are damaged.")

    def _odd_stamps(self, key: str, stamps: list[str]) -> Iterator[Finding]:
        if any(not facts.is_stamp(stamp) for stamp in stamps):
            yield Finding(DAMAGED, key, "holds a stamp that is not 16 hex digits", RESTORE)
        elif any(later <= earlier for earlier, later in pairwise(stamps)):
            yield Finding(WARNING, key, "holds lines whose stamps do not rise", RESTORE)
        elif stamps and clock.stamp_time(stamps[-1]) > clock.now() + _AHEAD:
            when = clock.readable(clock.stamp_time(stamps[-1]))
            advice = "A clock was wrong; what it set wins until then."
            yield Finding(WARNING, key, f"holds a stamp from the future, {when}", advice)

    def _odd_facts(self, key: str, ops: list[Op]) -> Iterator[Finding]:
        changes = [change for op in ops for change in op.changes.items() if change[1] is not None]
        unknown = {path for path, value in changes if self._is_right(path, value) is None}
        for path in sorted(
            {path for path, value in changes if self._is_right(path, value) is False}
        ):
            what = f"sets {names.short(path)} to something that it cannot be"
            yield Finding(DAMAGED, key, what, RESTORE)
        if unknown:
            named = names.short(min(unknown))
            what = f"sets {len(unknown)} facts that this podstack does not know, such as {named}"
            yield Finding(INFO, key, what, "A later podstack set them; they are kept.")


def unknown(info: BlobInfo) -> Finding:
    return Finding(INFO, info.key, "is not known to this podstack", "It is kept and ignored.")


def of_unknown_kind(objects: Objects, info: BlobInfo) -> Iterator[Finding]:
    del objects
    yield unknown(info)


def lines(count: int) -> str:
    return f"{count:,} line{'s' if count > 1 else ''}"
