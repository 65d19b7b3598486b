"""The points of one run, as the store has them: growing segments and compacted ranges."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from podstack import coverage, points
from podstack.backend import Backend, BlobInfo
from podstack.compacted import Damage
from podstack.console import warn
from podstack.coverage import Gap, Objects
from podstack.errors import BlobMissing
from podstack.forks import renew_in_child
from podstack.keys import Range, Segment
from podstack.parts import Part, PartStretch
from podstack.points import Batch
from podstack.reader import GrowingLog
from podstack.series import Log, Stretch

_TRIES = 12  # listings, before what is missing counts as missing


class _SegmentLog(GrowingLog):
    """One segment of points."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []

    @property
    def seal(self) -> tuple[int, int]:
        return self.offset, self.checksum

    def add(self, batches: list[Batch]) -> None:
        """Keep them. Small ones become large ones, so that a log read line by line has few.

        A batch that was handed out is never changed: two are joined into a third.
        """
        self.batches += batches
        while len(self.batches) > 1 and _are_joined(*self.batches[-2:]):
            last = self.batches.pop()
            self.batches[-1] = points.joined(self.batches[-1], last)


class PointLogs:
    """The points of one run, by writer, as far as they were read.

    Segments are read as they grow; of compacted ranges only the index is, and their points are
    fetched metric by metric when they are asked for.
    """

    def __init__(self, backend: Backend, prefix: str) -> None:
        self._backend, self._prefix = backend, prefix
        self._segments: dict[Segment, _SegmentLog] = {}
        self._parts: dict[Range, Part] = {}  # the largest ones, none of which holds another
        self._unreadable: dict[Range, str] = {}  # ranges that are damaged -> their tag
        self._distrusted: set[Segment] = set()
        self._seals: dict[str, Any] = {}
        self._accepted: set[tuple[str, Gap]] = set()  # gaps that are there whenever one looks
        self._told: set[object] = set()
        self._found = self._state()  # what there was after the last refresh that came to its end
        self._version = object()  # another one whenever something was found
        self._lock = threading.RLock()
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._lock = threading.RLock()

    def refresh(self, seals: dict[str, Any], writers: Iterable[str] = ()) -> bool:
        """Read what is new; whether there was anything since a refresh last came to its end.

        Args:
            seals: for each writer that closed, the [bytes, CRC-32] of each of its segments. A
                segment that contradicts its seal is passed over and named.
            writers: who records, as far as one knows. Where a listing shows nothing of one of
                them it may have been overtaken, and is asked for once more.
        """
        with self._lock:
            self._seals = seals
            self._look(set(writers))
            self._check()
            before, self._found = self._found, self._state()
            if self._found == before:
                return False
            self._version = object()
            return True

    def as_of(self) -> tuple[object, list[Log]]:
        """The logs, and what stands for them: the same object for as long as nothing was found."""
        with self._lock:
            return self._version, self.logs()

    def logs(self) -> list[Log]:
        """(writer, what it logged in order) for all writers: batches, and stretches of ranges."""
        with self._lock:
            return [(w, pieces) for w in self._writers() if (pieces := list(self._pieces(w)))]

    @property
    def bytes_read(self) -> int:
        """Bytes of the lines that are kept as points."""
        with self._lock:
            return sum(log.offset for log in self._segments.values())

    def parts(self) -> dict[Segment, tuple[str, int, int]]:
        """How far each segment was read: (tag, bytes of whole lines, CRC-32 of those).

        One that a compacted range holds has no tag.
        """
        with self._lock:
            found = {
                Segment(place.writer, seq): ("", seal.bytes, seal.crc)
                for place, part in self._parts.items()
                for seq, seal in enumerate(part.index.segments, place.first)
            }
            read = self._segments.items()
            return found | {Segment(*place): (log.tag, *log.seal) for place, log in read}

    def batches(self) -> list[tuple[str, list[Batch]]]:
        """The same as batches alone: fetches all points of compacted ranges.

        Lines of a compacted range come back as one batch for each name.

        Raises:
            MissingExtraError: a range is compacted, and pyarrow is not installed.
        """
        for _ in range(_TRIES):
            try:
                return [(writer, _as_batches(pieces)) for writer, pieces in self.logs()]
            except BlobMissing:  # merged into a larger range meanwhile
                self.refresh(self._seals)
        return [(writer, _as_batches(pieces)) for writer, pieces in self.logs()]

    # Looking -------------------------------------------------------------------------------

    def _look(self, writers: set[str]) -> None:
        """List, open and read, again where a listing was overtaken by a compaction."""
        for attempt in range(_TRIES):
            found = coverage.by_writer(self._backend.list(self._prefix))
            gaps = self._take(found)
            silent = (writers | set(self._writers())) - found.keys()
            missing = gaps | self._open_ends(found)
            if not missing - self._accepted and (not silent or attempt):
                return
            _pause(attempt)
        self._accepted = missing
        for writer, gap in sorted(gaps):
            self._tell_of_gap(writer, gap)

    def _open_ends(self, found: dict[str, Objects]) -> set[tuple[str, Gap]]:
        """Where a listing ends in a range, though its writer did not close and so has more.

        The last segment of such a writer is never compacted. A listing without it is from before
        that segment, and lacks those that a compaction deleted meanwhile, too: they leave no gap.
        """
        return {
            (writer, Gap(objects.highest + 1, objects.highest + 1))
            for writer, objects in found.items()
            if not _count(self._seals.get(writer))
            and objects.highest > max(objects.segments, default=-1)
        }

    def _take(self, found: dict[str, Objects]) -> set[tuple[str, Gap]]:
        """Read what a listing shows; the gaps in it."""
        seals, gaps = self._seals, set()
        for writer in {*found, *self._writers(), *_sealed_writers(seals)}:
            objects = found.get(writer, Objects({}, {}))
            self._open_ranges(writer, objects)
            parts = self._parts_of(writer)
            known = [seq for w, seq in self._segments if w == writer]
            highest = max([objects.highest, _count(seals.get(writer)) - 1, *known])
            cover = coverage.cover(parts, objects.segments, highest)
            lost = self._lost(writer)
            for item in cover.items:
                if not isinstance(item, int):
                    self._read_beside(item, objects, seals.get(writer))
                elif not self._read(Segment(writer, item), objects.segments[item]):
                    gaps.add((writer, Gap(item, item)))
            gaps |= {(writer, gap) for gap in cover.gaps if not _within(gap, lost)}
        return gaps

    def _open_ranges(self, writer: str, objects: Objects) -> None:
        """Open what is new, the largest first; a damaged one gives way to what it holds."""
        ranges = dict(objects.ranges)
        for place in self._lost(writer):
            if place not in ranges:
                del self._unreadable[place]
        while True:
            new = [
                place
                for place in coverage.largest(ranges)
                if place not in self._parts or self._parts[place].info.tag != ranges[place].tag
            ]
            failed = [place for place in new if not self._open(place, ranges[place])]
            if not failed:
                break
            for place in failed:
                del ranges[place]
        kept = coverage.largest(self._parts_of(writer))
        for place in set(self._parts_of(writer)) - set(kept):
            del self._parts[place]

    def _open(self, place: Range, info: BlobInfo) -> bool:
        if self._unreadable.get(place) == info.tag:
            return False
        try:
            self._parts[place] = Part(self._backend, place, info)
        except BlobMissing:
            return False
        except Damage as damage:
            self._unreadable[place] = info.tag
            warn(f"{info.key} in {self._backend.url} is damaged ({damage}); it is passed over")
            return False
        return True

    def _read_beside(self, place: Range, objects: Objects, seals: Any) -> None:
        """Segments that a range replaces: nearly always gone, or about to be deleted.

        One that grew after it was compacted, such as in a copy that was made while the run
        recorded, is read and counts instead of what the range has of it.
        """
        for seq, sealed in enumerate(self._parts[place].index.segments, place.first):
            at, info = Segment(place.writer, seq), objects.segments.get(seq)
            is_right = _seal_of(seals, seq) == sealed[:2]
            if info is not None and not is_right and not _is_shorter(info, sealed.bytes):
                self._read(at, info)
            own = self._segments.get(at)
            if own is not None and (is_right or own.offset <= sealed.bytes):
                del self._segments[at]

    def _read(self, place: Segment, info: BlobInfo) -> bool:
        """Read what is new of a segment; False if it went after it was listed."""
        segment = self._segments.get(place) or _SegmentLog()
        batches, damaged = points.decode(segment.grown(self._backend, info))
        if segment.tag != info.tag:
            return False
        self._segments[place] = segment
        segment.add(batches)
        segment.count_damaged(damaged, f"{info.key} in {self._backend.url}")
        return True

    # What was found ------------------------------------------------------------------------

    def _writers(self) -> list[str]:
        return sorted({writer for writer, _ in self._segments} | {p.writer for p in self._parts})

    def _parts_of(self, writer: str) -> list[Range]:
        return [place for place in self._parts if place.writer == writer]

    def _lost(self, writer: str) -> list[Range]:
        """Its ranges that are damaged."""
        return [place for place in self._unreadable if place.writer == writer]

    def _pieces(self, writer: str) -> Iterator[Batch | Stretch]:
        parts = self._parts_of(writer)
        seqs = [seq for w, seq in self._segments if w == writer]
        for item in coverage.cover(parts, seqs, -1).items:
            if not isinstance(item, int):
                yield from self._stretches(self._parts[item])
            elif Segment(writer, item) not in self._distrusted:
                yield from self._segments[Segment(writer, item)].batches

    def _stretches(self, part: Part) -> Iterator[Batch | Stretch]:
        """A range, around segments that are read beside it or passed over."""
        writer, start, last = part.place
        for seq in range(start, last + 1):
            at = Segment(writer, seq)
            if at in self._segments or at in self._distrusted:
                if start < seq:
                    yield PartStretch(part, start, seq - 1)
                if at not in self._distrusted:
                    yield from self._segments[at].batches
                start = seq + 1
        if start <= last:
            yield PartStretch(part, start, last)

    def _check(self) -> None:
        parts = self.parts()
        for place, seal in sealed(self._seals):
            if place not in parts and _within(Gap(place.seq, place.seq), self._lost(place.writer)):
                continue  # it was told that its range is damaged
            _, *found = parts.get(place, ("", 0, 0))
            if seal != tuple(found):
                self._contradicted(place, found=found[0], sealed=seal[0])

    def _contradicted(self, place: Segment, *, found: int, sealed: int) -> None:
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

    def _tell_of_gap(self, writer: str, gap: Gap) -> None:
        """Once; and not of what was seen before it went, nor of what a seal will tell."""
        seqs = range(gap.first, min(gap.last, gap.first + 99) + 1)
        if (writer, gap) in self._told or all(
            Segment(writer, seq) in self._segments for seq in seqs
        ):
            return
        self._told.add((writer, gap))
        which = f"{gap.first}" if gap.first == gap.last else f"{gap.first} to {gap.last}"
        warn(
            f"segment {which} of writer {writer} below {self._backend.url}/{self._prefix} "
            "is missing, while later ones are there"
        )

    def _state(self) -> list[object]:
        offsets = {place: segment.offset for place, segment in self._segments.items()}
        return [len(self._distrusted), offsets, set(self._parts)]


def _are_joined(one: Batch, next: Batch) -> bool:
    """Whether to join two: where the second is as large as the first, so each point moves rarely.

    (A point is copied once for each doubling of what it is in.)
    """
    return one.values.keys() == next.values.keys() and len(next.steps) >= len(one.steps)


def _within(gap: Gap, ranges: Iterable[Range]) -> bool:
    return any(place.holds(gap.first, gap.last) for place in ranges)


def _as_batches(pieces: Iterable[Batch | Stretch]) -> list[Batch]:
    found: list[Batch] = []
    for piece in pieces:
        if isinstance(piece, Batch):
            found.append(piece)
            continue
        for name in piece.names:
            columns = piece.columns(name)
            found.append(Batch(columns.steps, columns.times, {name: columns.values}))
    return found


def _pause(attempt: int) -> None:
    """Let a compaction that is under way get on; at once the first times."""
    if attempt > 2:
        threading.Event().wait(0.002 * attempt)


def _is_shorter(info: BlobInfo, size: int) -> bool:
    """Whether a segment cannot hold more than `size` bytes; of a packed one that is not known."""
    return info.size <= size and not info.key.endswith(".gz")


def _sealed_writers(seals: dict[str, Any]) -> set[str]:
    return {writer for writer, of_writer in seals.items() if _count(of_writer)}


def _count(of_writer: Any) -> int:
    return len(of_writer) if isinstance(of_writer, list) else 0


def _seal_of(of_writer: Any, seq: int) -> Any:
    seal = of_writer[seq] if isinstance(of_writer, list) and seq < len(of_writer) else None
    return tuple(seal) if isinstance(seal, list) else None


def sealed(seals: Mapping[str, Any]) -> Iterator[tuple[Segment, tuple[int, int]]]:
    """((writer, segment), (bytes, CRC-32)) of every seal that is one."""
    for writer, of_writer in seals.items():
        for seq, seal in enumerate(of_writer if isinstance(of_writer, list) else ()):
            if isinstance(seal, list) and [type(part) for part in seal] == [int, int]:
                yield Segment(writer, seq), (seal[0], seal[1])
