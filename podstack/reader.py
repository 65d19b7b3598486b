"""The way in: the longest version of each log that was seen, folded and decoded.

A reader never waits and takes no lock in the store. It keeps what it has read, asks again only
for what grew, and drops what follows the last newline. A damaged object costs only itself and is
named in a warning.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from typing import Any

from podstack import keys, oplog, points
from podstack.backend import Backend, BlobInfo
from podstack.clock import hybrid_clock
from podstack.console import warn
from podstack.errors import BlobMissing
from podstack.forks import renew_in_child
from podstack.keys import Project
from podstack.oplog import Change, Fold, Op
from podstack.points import Batch


class _Log:
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
        packed = info.key.endswith(".gz")
        try:
            data = (
                _unpacked(backend.get(info.key))[self.offset :]
                if packed
                else backend.get(info.key, start=self.offset)
            )
        except BlobMissing:
            return b""
        except (OSError, EOFError, zlib.error) as error:
            if not packed:
                raise
            warn(f"{info.key} in {backend.url} is damaged ({error}); it is passed over")
            data = b""
        whole = data[: data.rfind(b"\n") + 1]
        self.tag = info.tag
        self.offset += len(whole)
        self.checksum = zlib.crc32(whole, self.checksum)
        return whole

    def count_damaged(self, lines: int, name: str) -> None:
        """Tell of unreadable lines, once for each object."""
        if lines and not self.damaged:
            warn(f"{name} has {lines} lines that cannot be read; they are passed over")
        self.damaged += lines


def _unpacked(data: bytes) -> bytes:
    import gzip  # 2 ms, for stores that hold packed logs

    return gzip.decompress(data)


class OpLogs:
    """The fold of all op logs below one prefix."""

    def __init__(self, backend: Backend, prefix: str) -> None:
        self._backend, self._prefix = backend, prefix
        self._logs: dict[str, _Log] = {}
        self._ops: list[Op] = []
        self._fold = Fold()
        self._lock = threading.RLock()
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._lock = threading.RLock()

    def fold(self) -> Fold:
        """The state as of now. Cheap where nothing changed: one listing."""
        with self._lock:
            for info in self._backend.list(self._prefix):
                writer = keys.log_writer(info.key)
                if writer is not None:
                    self._read(info, writer)
            return self._fold

    def history(self, path: str) -> list[Change]:
        """Every value `path` ever had, oldest first."""
        self.fold()
        return oplog.history(self._ops, path)

    def histories(self, prefix: str) -> dict[str, list[Change]]:
        """The history of every path that starts with `prefix`."""
        self.fold()
        return oplog.histories(self._ops, prefix)

    def _read(self, info: BlobInfo, writer: str) -> None:
        log = self._logs.setdefault(writer, _Log())
        ops, damaged = oplog.decode(log.grown(self._backend, info), writer)
        for op in ops:
            self._fold.add(op)
        self._ops += ops
        log.count_damaged(damaged, f"{info.key} in {self._backend.url}")
        hybrid_clock.observe(self._fold.stamp)


class _SegmentLog(_Log):
    """One segment of points."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []


_ABSENT = _SegmentLog()


class PointLogs:
    """The points of one run, by writer, as far as they were read."""

    def __init__(self, backend: Backend, prefix: str) -> None:
        self._backend, self._prefix = backend, prefix
        self._segments: dict[tuple[str, int], _SegmentLog] = {}
        self._distrusted: set[tuple[str, int]] = set()
        self._told: set[tuple[tuple[str, int], bool]] = set()
        self._lock = threading.RLock()
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._lock = threading.RLock()

    def refresh(self, seals: dict[str, Any]) -> bool:
        """Read what is new; whether there was anything.

        Args:
            seals: for each writer that closed, the [bytes, CRC-32] of each of its segments. A
                segment that contradicts its seal is passed over and named.
        """
        with self._lock:
            before = self._state()
            for place, info in self._longest().items():
                self._read(place, info)
            self._check(seals)
            return self._state() != before

    def batches(self) -> list[tuple[str, list[Batch]]]:
        """(writer, its batches in order) for all writers."""
        with self._lock:
            by_writer: dict[str, list[Batch]] = {}
            for place in sorted(self._segments):
                if place not in self._distrusted:
                    by_writer.setdefault(place[0], []).extend(self._segments[place].batches)
            return list(by_writer.items())

    def _longest(self) -> dict[tuple[str, int], BlobInfo]:
        """One object for each segment: a packed copy counts only where there is no plain one."""
        found: dict[tuple[str, int], BlobInfo] = {}
        for info in self._backend.list(self._prefix):
            place = keys.segment_of(info.key)
            if place is not None and (place not in found or found[place].key.endswith(".gz")):
                found[place] = info
        return found

    def _read(self, place: tuple[str, int], info: BlobInfo) -> None:
        segment = self._segments.setdefault(place, _SegmentLog())
        batches, damaged = points.decode(segment.grown(self._backend, info))
        segment.batches += batches
        segment.count_damaged(damaged, f"{info.key} in {self._backend.url}")

    def _check(self, seals: dict[str, Any]) -> None:
        for place, seal in _seals(seals):
            segment = self._segments.get(place, _ABSENT)
            if seal != (segment.offset, segment.checksum):
                self._contradicted(place, found=segment.offset, sealed=seal[0])

    def _contradicted(self, place: tuple[str, int], *, found: int, sealed: int) -> None:
        """Whole lines that were cut off are right so far; any others could hold a wrong value."""
        is_cut = found < sealed
        if not is_cut:
            self._distrusted.add(place)
        if (place, is_cut) in self._told:
            return
        self._told.add((place, is_cut))
        writer, seq = place
        name = f"segment {seq} of writer {writer} below {self._backend.url}/{self._prefix}"
        if is_cut:
            warn(f"{name} is cut off: {found} of {sealed} bytes are there")
        else:
            warn(f"{name} is not what its seal says; it is passed over: a value may be wrong")

    def _state(self) -> list[int]:
        return [len(self._distrusted), *(segment.offset for segment in self._segments.values())]


def _seals(seals: dict[str, Any]) -> Iterator[tuple[tuple[str, int], tuple[int, int]]]:
    """((writer, segment), (bytes, CRC-32)) of every seal that is one."""
    for writer, of_writer in seals.items():
        for seq, seal in enumerate(of_writer if isinstance(of_writer, list) else ()):
            if isinstance(seal, list) and [type(part) for part in seal] == [int, int]:
                yield (writer, seq), (seal[0], seal[1])


class StoreReader:
    """What a store holds. The seam for the index: whoever lists asks here."""

    def __init__(self, backend: Backend, project: Project) -> None:
        self.backend, self.keys = backend, project

    def run_ids(self) -> list[str]:
        """All runs that are not purged, oldest first as far as ids tell."""
        purged = self.purged()
        return [run for run in self.backend.list_dirs(self.keys.runs) if run not in purged]

    def experiment_ids(self) -> list[str]:
        return list(self.backend.list_dirs(self.keys.experiments))

    def purged(self) -> set[str]:
        prefix = self.keys.tombs
        return {info.key[len(prefix) :].removesuffix(".json") for info in self.backend.list(prefix)}

    def hints(self, run: str) -> Iterator[tuple[str, BlobInfo]]:
        """(writer, where its hint is) for the writers of a run that say they are alive."""
        prefix = self.keys.live_of(run)
        for info in self.backend.list(prefix):
            writer = info.key[len(prefix) :].removesuffix(".json")
            if (
                "." not in writer
            ):  # else it belongs to a run whose id starts with this one and a dot
                yield writer, info
