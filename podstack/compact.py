"""Compaction: segments of points become Parquet, an eighth as large and read metric by metric.

It may run at any time, on any machine, in several processes at once, and be killed at any moment.
Ranges are aligned: blocks of 16, 256, 4096 … segments while a writer may go on, and 0 to the last
once it has ended; so two ranges nest or are apart. A range is written whole, read back and
compared, and only then are the segments deleted whose content it holds. The highest segment of a
writer that has not ended is never touched. What cannot be kept without a loss stays as it is and
is named: lines that this version cannot read, and segments that contradict their seals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from podstack import clock, compacted, coverage, journal, keys, parquet, processes
from podstack.backend import BlobInfo
from podstack.compacted import Damage, Seal
from podstack.console import readable_bytes
from podstack.coverage import Objects
from podstack.errors import BackendError, BlobMissing
from podstack.keys import Range
from podstack.merging import Merger, Missing, Seals, Stay, content, seal_of
from podstack.oplog import Fold
from podstack.parts import Part
from podstack.point_logs import sealed
from podstack.reader import OpLogs
from podstack.store import Store

FANOUT = 16  # segments of the smallest block, and blocks in one of the next size
LOST_FOR = 7 * 24 * 3600.0  # seconds of silence after which a writer has ended
_LISTINGS = 5  # before what is missing counts as missing


class Written(NamedTuple):
    """One new range: its key, its points, and bytes of what it replaces and of itself."""

    key: str
    points: int
    before: int
    after: int


class Left(NamedTuple):
    """What stays as it is, and why."""

    key: str
    why: str


class Report(NamedTuple):
    """What a compaction did. `deleted` counts objects that a range has replaced."""

    runs: int = 0
    written: tuple[Written, ...] = ()
    deleted: int = 0
    left: tuple[Left, ...] = ()

    @property
    def points(self) -> int:
        """Points in the new ranges; those that went through two of them count twice."""
        return sum(one.points for one in self.written)

    @property
    def before(self) -> int:
        """Bytes of what the new ranges replace."""
        return sum(one.before for one in self.written)

    @property
    def after(self) -> int:
        """Bytes of the new ranges."""
        return sum(one.after for one in self.written)

    def __add__(self, other: object) -> Report:
        if not isinstance(other, Report):
            return NotImplemented
        left = tuple(dict.fromkeys(self.left + other.left))
        written = self.written + other.written
        return Report(self.runs + other.runs, written, self.deleted + other.deleted, left)

    def __str__(self) -> str:
        what = f"{self.points:,} points of {self.runs} runs in {len(self.written)} new ranges"
        sizes = f"{readable_bytes(self.before)} → {readable_bytes(self.after)}"
        left = "".join(f"\nleft as it is: {key}: {why}" for key, why in self.left)
        return f"{what}, {sizes}, {self.deleted} objects deleted{left}"


class Compacted(NamedTuple):
    """How far a compaction came: runs out of `of`, and bytes that were replaced."""

    runs: int
    of: int
    bytes: int


Progress = Callable[[Compacted], None]


def compact(
    store: Store, run_ids: Iterable[str] | None = None, progress: Progress | None = None
) -> Report:
    """Compact all runs of a project, or some of them.

    Args:
        progress: called with how far it came, after each range and each run.

    Raises:
        MissingExtraError: pyarrow is not installed.
        BackendError: the store does not answer. Trouble with one writer's objects is in the report.
    """
    parquet.pyarrow()
    runs = list(store.reader.run_ids() if run_ids is None else run_ids)
    report = Report()
    for number, run in enumerate(runs):
        for step in _Run(store, run).compacted():
            report += step
            if progress is not None:
                progress(Compacted(number, len(runs), report.before))
        report += Report(runs=1)
        if progress is not None:
            progress(Compacted(number + 1, len(runs), report.before))
    return report


class _Plan(NamedTuple):
    """seals: of the writer's segments, where they are known. targets: (first, last)."""

    seals: Seals
    targets: list[tuple[int, int]]


class _Run:
    """One run, writer after writer."""

    def __init__(self, store: Store, run: str) -> None:
        self._store, self._run = store, run
        self._backend, self._keys = store.backend, store.keys
        self._prefix = store.keys.metrics(run)
        self._read: dict[BlobInfo, Seal] = {}  # segments that a new range holds

    def compacted(self) -> Iterator[Report]:
        for writer in coverage.by_writer(self._backend.list(self._prefix)):
            try:
                yield from self._writer(writer)
            except BlobMissing:
                continue  # somebody else compacts the same: it is in good hands
            except BackendError as error:
                yield Report(left=(Left(f"{self._prefix}{writer}/", str(error)),))

    def _writer(self, writer: str) -> Iterator[Report]:
        yield self._swept(writer)
        plan = self._plan(writer, self._objects(writer))
        for first, last in plan.targets:
            try:
                written = self._made(Range(writer, first, last), plan.seals)
            except Stay as stay:
                yield Report(left=(Left(stay.key, stay.why),))
                continue
            if written is not None:
                yield Report(written=(written,)) + self._swept(writer)

    def _objects(self, writer: str) -> Objects:
        listing = self._backend.list(f"{self._prefix}{writer}/")
        return coverage.by_writer(listing).get(writer, Objects({}, {}))

    # Which ranges --------------------------------------------------------------------------

    def _plan(self, writer: str, objects: Objects) -> _Plan:
        if not objects.segments and len(objects.ranges) < 2:
            return _Plan({}, [])
        fold = OpLogs(self._backend, self._keys.meta(self._run)).fold()
        seals = fold.below("seals").get(writer)
        known = {place.seq: seal for place, seal in sealed({writer: seals})}
        if isinstance(seals, list) and objects.highest < len(seals):
            return _Plan(known, list(targets(len(seals), ended=True)))
        if seals is None and objects.segments and self._has_ended(writer, fold):
            return _Plan({}, list(targets(self._sealed(writer, objects), ended=True)))
        return _Plan(known, list(targets(self._full(objects), ended=False)))

    def _has_ended(self, writer: str, fold: Fold) -> bool:
        """Whether a writer without seals writes no more: its process is gone, or lost for long."""
        change = fold.change(f"writers/{writer}")
        if change is None or not isinstance(change.value, dict):
            return False
        record: Any = change.value
        if processes.is_gone(record):
            return True
        try:
            hint = orjson.loads(self._backend.get(self._keys.live_hint(self._run, writer)))
            beat = float(hint["t"])
        except (BlobMissing, ValueError, TypeError, KeyError):
            beat = 0.0
        return clock.now() - max(beat, clock.stamp_time(change.stamp)) > LOST_FOR

    def _sealed(self, writer: str, objects: Objects) -> int:
        """How many segments an ended writer has; readers are told, for no segment will be left."""
        count = objects.highest + 1
        self._store.edit(self._keys.meta(self._run), {f"seals/{writer}": [None] * count})
        return count

    def _full(self, objects: Objects) -> int:
        """How many segments, from 0 on, a writer that goes on is done with.

        A copy may hold one that was caught while it grew, and later ones. So each must be so full
        that the first line of the next did not fit.
        """
        in_ranges = {seq for r in objects.ranges for seq in range(r.first, r.last + 1)}
        for seq in range(objects.highest):
            if seq in in_ranges or (seq + 1 in in_ranges and seq in objects.segments):
                continue
            info, after = objects.segments.get(seq), objects.segments.get(seq + 1)
            if info is None or after is None:
                return seq
            if info.key.endswith(".gz"):
                continue  # shipped: such segments are cut at other lengths
            start = self._backend.get(after.key, stop=1 << 16)
            if info.size + start.find(b"\n") + 1 <= journal.SEGMENT:
                return seq
        return max(0, objects.highest)

    # One range -----------------------------------------------------------------------------

    def _made(self, place: Range, seals: Seals) -> Written | None:
        """Write a range, unless it is there.

        Raises:
            Stay: it is not to be made.
            BlobMissing: somebody else made it meanwhile.
        """
        key = self._keys.range(self._run, *place)
        merger = self._merger(place, seals)
        if merger is None:
            return None
        data = merger.encoded()
        if self._changed(merger):
            return None
        self._backend.put(key, data)
        if any(True for _ in self._backend.list(self._keys.tomb(self._run))):
            self._backend.delete(key)  # purged meanwhile: nothing of it comes back
            return None
        stored = self._backend.get(key)
        if stored != data and not _is_same(stored, data):
            raise Stay(key, "it did not come back as it was written; what it holds is kept")
        self._read |= {source.info: source.seals[0] for source in merger.sources}
        index = compacted.check(data)
        before = sum(source.info.size for source in merger.sources)
        return Written(key, index.points, before, len(data))

    def _merger(self, place: Range, seals: Seals) -> Merger | None:
        """None where the range is there already, or would hold no point."""
        for attempt in range(_LISTINGS):
            objects = self._objects(place.writer)
            if any(other.holds(place.first, place.last) for other in objects.ranges):
                return None
            try:
                merger = Merger(self._backend, place, objects, seals)
            except Missing as missing:
                if attempt < _LISTINGS - 1:
                    continue
                key = self._keys.segment(self._run, place.writer, missing.seq)
                raise Stay(key, "it is missing") from missing
            return merger if merger.names else None
        return None

    def _changed(self, merger: Merger) -> bool:
        """Whether what was read is not all there any more, or the range is there by now."""
        place = merger.place
        objects = self._objects(place.writer)
        there = {info.key: info.tag for group in objects for info in group.values()}
        return any(r.holds(place.first, place.last) for r in objects.ranges) or any(
            there.get(source.info.key) != source.info.tag for source in merger.sources
        )

    # Deleting ------------------------------------------------------------------------------

    def _swept(self, writer: str) -> Report:
        """Delete what a range holds that a listing shows, and that is whole to the last bit."""
        listing = list(self._backend.list(f"{self._prefix}{writer}/"))
        ranges = {place: info for info in listing if (place := keys.range_of(info.key))}
        report = Report()
        for place in coverage.largest(ranges):
            held = [info for info in listing if info is not ranges[place] and _in(place, info.key)]
            if held:
                report += self._emptied(place, ranges[place], held)
        return report

    def _emptied(self, place: Range, outer: BlobInfo, held: list[BlobInfo]) -> Report:
        try:
            index = compacted.check(self._backend.get(outer.key))
        except Damage as damage:
            return Report(left=(Left(outer.key, f"it is damaged: {damage}"),))
        deleted, left = 0, []
        for info in held:
            try:
                wrong = self._difference(info, place, index.segments)
            except BlobMissing:
                continue
            if wrong:
                left.append(Left(info.key, wrong))
            else:
                self._backend.delete(info.key)
                deleted += 1
        return Report(deleted=deleted, left=tuple(left))

    def _difference(self, info: BlobInfo, place: Range, seals: list[Seal]) -> str:
        """What keeps an object that a range holds from being deleted; empty if nothing does."""
        inner, segment = keys.range_of(info.key), keys.segment_of(info.key)
        try:
            if inner is not None:
                first = inner.first - place.first
                found = Part(self._backend, inner, info).index.segments
                same = found == seals[first : first + len(found)]
                return "" if same else "it differs from the range that holds it"
            assert segment is not None, "only these two kinds lie in a range"
            found_seal = self._read.get(info) or seal_of(content(self._backend, info))
        except Damage as damage:
            return f"it is damaged: {damage}"
        except Stay as stay:
            return stay.why
        expected = seals[segment.seq - place.first]
        if found_seal[:2] == expected[:2]:
            return ""
        longer = found_seal.bytes > expected.bytes
        return f"it is {'longer' if longer else 'other'} than what its range has of it"


def targets(count: int, *, ended: bool) -> Iterator[tuple[int, int]]:
    """The ranges to make of a writer's first `count` segments, smaller ones first.

    Of one that has ended all become one range; before, blocks keep what is read at once small.
    """
    size = FANOUT
    while size <= count and not (ended and (size == count or size > FANOUT)):
        yield from ((start, start + size - 1) for start in range(0, count - size + 1, size))
        size *= FANOUT
    if ended and count:
        yield 0, count - 1


def _in(place: Range, key: str) -> bool:
    segment, inner = keys.segment_of(key), keys.range_of(key)
    if segment is not None:
        return place.holds(segment.seq, segment.seq)
    return inner is not None and place.holds(inner.first, inner.last)


def _is_same(stored: bytes, ours: bytes) -> bool:
    """Whether another process wrote the same range, in other bytes."""
    try:
        found, wanted = compacted.check(stored), compacted.check(ours)
    except Damage:
        return False
    return (found.segments, found.points, found.columns.keys()) == (
        wanted.segments,
        wanted.points,
        wanted.columns.keys(),
    )
