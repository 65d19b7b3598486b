"""Segments and smaller ranges of one writer, read to become one range: everything, or nothing.

A reader passes over what it cannot read. Here that would lose it for good, so whatever is not
understood to the last byte stops the range.
"""

from __future__ import annotations

import zlib
from array import array
from collections import defaultdict

from podstack import compacted, coverage, parquet, points
from podstack.backend import Backend, BlobInfo
from podstack.compacted import Damage, Index, Seal
from podstack.coverage import Objects
from podstack.keys import Range
from podstack.packed import UNREADABLE, unpacked
from podstack.parquet import Rows, Unfit, no_rows
from podstack.parts import Part
from podstack.points import Batch
from podstack.series import Columns

Seals = dict[int, tuple[int, int]]  # segment -> bytes and CRC-32, where they are known


class Stay(Exception):
    """What is not compacted: its key, and why."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key, self.why = key, why


class Segment:
    """One segment, parsed."""

    def __init__(self, info: BlobInfo, seal: Seal, batches: list[Batch]) -> None:
        self.info, self.seals = info, [seal]
        self._batches: dict[str, list[tuple[int, Batch]]] = defaultdict(list)
        line = 0
        for batch in batches:
            for name in batch.values:
                self._batches[name].append((line, batch))
            line += len(batch.steps)
        self.names = self._batches.keys()

    def add_to(self, rows: Rows, name: str, lines_before: int) -> None:
        for line, batch in self._batches.get(name, ()):
            start, count = lines_before + line, len(batch.steps)
            columns = Columns(batch.steps, batch.values[name], batch.times)
            rows.extend(Rows(columns, array("q", range(start, start + count))), 0)


class SmallerRange:
    """One range that a larger one will hold."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self.info, self.seals, self.names = part.info, part.index.segments, part.index.columns

    def add_to(self, rows: Rows, name: str, lines_before: int) -> None:
        if name in self.names:
            rows.extend(self._part.rows_for_sure(name), lines_before)


class Merger:
    """The sources of one range, in order.

    Raises, when made:
        Stay: they are not all there, or not all understood.
        BlobMissing: somebody else compacts the same.
    """

    def __init__(self, backend: Backend, place: Range, objects: Objects, seals: Seals) -> None:
        self._backend, self._objects, self._seals = backend, objects, seals
        self.place = place
        cover = coverage.cover(self._inner_ranges(), self._inner_segments(), place.last)
        gaps = [gap for gap in cover.gaps if gap.last >= place.first]
        if gaps:
            missing = max(gaps[0].first, place.first)
            raise Missing(place.writer, missing)
        self.sources: list[Segment | SmallerRange] = []
        for item in cover.items:
            self.sources.append(
                self._segment(item) if isinstance(item, int) else self._smaller_range(item)
            )

    @property
    def seals(self) -> list[Seal]:
        return [seal for source in self.sources for seal in source.seals]

    @property
    def names(self) -> list[str]:
        """In the order in which they came."""
        return list(dict.fromkeys(name for source in self.sources for name in source.names))

    def rows(self, name: str) -> Rows:
        found, lines = no_rows(), 0
        for source in self.sources:
            source.add_to(found, name, lines)
            lines += sum(seal.lines for seal in source.seals)
        return found

    def encoded(self) -> bytes:
        """The range, which was read back and compared bit by bit.

        Raises:
            Stay: it would not hold all that its sources do.
        """
        key = self.sources[0].info.key
        try:
            data = parquet.encode(self.names, self.rows, self.seals)
            self._compare(data, compacted.check(data))
        except (Unfit, Damage) as error:
            raise Stay(key, f"it and what follows cannot be compacted: {error}") from error
        return data

    def _compare(self, data: bytes, index: Index) -> None:
        """
        Raises:
            Unfit: the range is not what its sources are.
        """
        expected = []
        for name in sorted(self.names, key=str.encode):
            rows = self.rows(name)
            expected.append((name, len(rows.lines)))
            found = parquet.decode(
                index, name, len(data), data, lambda start, stop: data[start:stop]
            )
            if not rows.is_same(found):
                raise Unfit(f"the points of {name!r} do not come back as they were")
        if list(parquet.keys_of(data)) != expected or index.segments != self.seals:
            raise Unfit("its keys do not come back as they were")

    def _inner_ranges(self) -> list[Range]:
        place, found = self.place, []
        for other in self._objects.ranges:
            if place.holds(other.first, other.last):
                found.append(other)
            elif other.first <= place.last and place.first <= other.last:
                key = self._objects.ranges[other].key
                raise Stay(key, "it overlaps by halves with what would be compacted")
        return found

    def _inner_segments(self) -> list[int]:
        return [seq for seq in self._objects.segments if self.place.holds(seq, seq)]

    def _segment(self, seq: int) -> Segment:
        info = self._objects.segments[seq]
        data = content(self._backend, info)
        seal = seal_of(data)
        if seq in self._seals and self._seals[seq] != seal[:2]:
            raise Stay(info.key, "it is not what its seal says")
        try:
            batches = points.decode_exactly(data)
        except ValueError as error:
            raise Stay(info.key, str(error)) from error
        if sum(len(batch.steps) for batch in batches) != seal.lines:
            raise Stay(info.key, "not all of its lines can be read")
        return Segment(info, seal, batches)

    def _smaller_range(self, place: Range) -> SmallerRange:
        info = self._objects.ranges[place]
        try:
            part = Part(self._backend, place, info)
        except Damage as damage:
            raise Stay(info.key, f"it is damaged: {damage}") from damage
        for seq, sealed in enumerate(part.index.segments, place.first):
            self._refuse_grown(seq, sealed)
            if seq in self._seals and self._seals[seq] != sealed[:2]:
                raise Stay(info.key, f"what it has of segment {seq} is not what its seal says")
        return SmallerRange(part)

    def _refuse_grown(self, seq: int, sealed: Seal) -> None:
        info = self._objects.segments.get(seq)
        if info is None or (info.size <= sealed.bytes and not info.key.endswith(".gz")):
            return
        if len(content(self._backend, info)) > sealed.bytes:
            raise Stay(
                info.key, "it has grown after it was compacted, and is read beside its range"
            )


class Missing(Exception):
    """A segment is neither there nor in a range, as one listing had it."""

    def __init__(self, writer: str, seq: int) -> None:
        super().__init__(f"segment {seq} of writer {writer}")
        self.seq = seq


def content(backend: Backend, info: BlobInfo) -> bytes:
    """The whole lines of a segment.

    Raises:
        BlobMissing: it is gone.
        Stay: it cannot be unpacked.
    """
    data = backend.get(info.key)
    if info.key.endswith(".gz"):
        try:
            data = unpacked(data)
        except UNREADABLE as error:
            raise Stay(info.key, f"it cannot be unpacked: {error}") from error
    return data[: data.rfind(b"\n") + 1]


def seal_of(data: bytes) -> Seal:
    return Seal(len(data), zlib.crc32(data), data.count(b"\n"))
