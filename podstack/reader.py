"""The way in: the longest version of each log that was seen, folded and decoded.

A reader never waits and takes no lock in the store. It keeps what it has read, asks again only
for what grew, and drops what follows the last newline. A damaged object costs only itself and is
named in a warning.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator

from podstack import keys, names, oplog
from podstack.backend import Backend, BlobInfo
from podstack.clock import hybrid_clock
from podstack.console import warn
from podstack.errors import BlobMissing
from podstack.forks import renew_in_child
from podstack.keys import Project
from podstack.oplog import Change, Fold, Op
from podstack.packed import UNREADABLE, unpacked


class GrowingLog:
    """One growing object, as far as it was read."""

    def __init__(self) -> None:
        self.tag = ""
        self.offset = 0  # plain bytes that were decoded, up to a newline
        self.checksum = 0  # CRC-32 of those
        self.damaged = 0  # lines that could not be read

    def grown(self, backend: Backend, info: BlobInfo) -> bytes:
        """The whole lines that are new since the last call; nothing where the object is gone."""
        if info.tag == self.tag:
            return b""
        whole = whole_lines(backend, info, self.offset)
        if whole is None:
            return b""
        self.tag = info.tag
        self.offset += len(whole)
        self.checksum = zlib.crc32(whole, self.checksum)
        return whole

    def count_damaged(self, lines: int, name: str) -> None:
        """Tell of unreadable lines, once for each object."""
        if lines and not self.damaged:
            warn(f"{name} has {lines} lines that cannot be read; they are passed over")
        self.damaged += lines


def whole_lines(backend: Backend, info: BlobInfo, offset: int = 0) -> bytes | None:
    """The whole lines of a log beyond `offset` plain bytes; None where the object is gone."""
    packed = info.key.endswith(".gz")
    try:
        data = (
            unpacked(backend.get(info.key))[offset:]
            if packed
            else backend.get(info.key, start=offset)
        )
    except BlobMissing:
        return None
    except UNREADABLE as error:
        if not packed:
            raise
        warn(f"{info.key} in {backend.url} is damaged ({error}); it is passed over")
        return b""
    return data[: data.rfind(b"\n") + 1]


class OpLogs:
    """The fold of all op logs below one prefix."""

    def __init__(self, backend: Backend, prefix: str) -> None:
        self._backend, self._prefix = backend, prefix
        self._logs: dict[str, GrowingLog] = {}
        self._ops: list[Op] = []
        self._fold = Fold()
        self._lock = threading.RLock()
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._lock = threading.RLock()

    def fold(self, listing: Iterable[BlobInfo] | None = None) -> Fold:
        """The state as of now. Cheap where nothing changed: one listing, unless it is given."""
        with self._lock:
            for info in self._backend.list(self._prefix) if listing is None else listing:
                writer = keys.log_writer(info.key)
                if writer is not None:
                    self._read(info, writer)
            return self._fold

    def is_beyond(self, listing: Iterable[BlobInfo]) -> bool:
        """Whether more was read than the listing showed: what it showed beside is older, too."""
        with self._lock:
            return any(
                info.key.endswith(".jsonl")
                and (log := self._logs.get(keys.log_writer(info.key) or "")) is not None
                and log.offset > info.size
                for info in listing
            )

    def ops_beyond(self, count: int) -> list[Op]:
        """What was read after the first `count` lines, in the order in which it was read."""
        with self._lock:
            return self._ops[count:]

    def history(self, path: str) -> list[Change]:
        """Every value `path` ever had, oldest first."""
        self.fold()
        return oplog.history(self._ops, path)

    def histories(self, prefix: str) -> dict[str, list[Change]]:
        """The history of every path that starts with `prefix`."""
        self.fold()
        return oplog.histories(self._ops, prefix)

    def _read(self, info: BlobInfo, writer: str) -> None:
        log = self._logs.setdefault(writer, GrowingLog())
        ops, damaged = oplog.decode(log.grown(self._backend, info), writer)
        for op in ops:
            self._fold.add(op)
        self._ops += ops
        log.count_damaged(damaged, f"{info.key} in {self._backend.url}")
        hybrid_clock.observe(self._fold.stamp)


class StoreReader:
    """What a store holds. The seam for the index: whoever lists asks here."""

    def __init__(self, backend: Backend, project: Project) -> None:
        self.backend, self.keys = backend, project

    def run_ids(self) -> list[str]:
        """All runs that are not purged, oldest first as far as ids tell."""
        purged = self.purged()
        found = filter(names.is_id, self.backend.list_dirs(self.keys.runs))
        return [run for run in found if run not in purged]

    def experiment_ids(self) -> list[str]:
        return list(filter(names.is_id, self.backend.list_dirs(self.keys.experiments)))

    def sweep_ids(self) -> list[str]:
        return list(filter(names.is_id, self.backend.list_dirs(self.keys.sweeps)))

    def purged(self) -> set[str]:
        prefix = self.keys.tombs
        return {info.key[len(prefix) :].removesuffix(".json") for info in self.backend.list(prefix)}

    def hints(self, run: str) -> Iterator[tuple[str, BlobInfo]]:
        """(writer, where its hint is) for the writers of a run that say they are alive."""
        for info in self.backend.list(self.keys.live_of(run)):
            owner, writer = self.keys.hinted(info.key)
            if owner == run:  # else one whose id starts with this one and a dot
                yield writer, info
