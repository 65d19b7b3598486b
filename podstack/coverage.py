"""Which objects make up one writer's points: the largest ranges, and the segments beside them.

Compaction replaces segments a to b by one object. Ranges nest and never overlap by halves, so of
two that share a segment the larger one holds all of the smaller. A listing is no snapshot: it
may miss both a range that was just written and the segments that were just deleted for it. So
whoever reads demands all numbers from 0 to the highest, and lists again where one is missing.
Pure: no I/O in here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from podstack import keys
from podstack.backend import BlobInfo
from podstack.keys import Range


class Objects(NamedTuple):
    """What a listing shows of one writer. Of a segment that is plain and packed, the plain one."""

    segments: dict[int, BlobInfo]
    ranges: dict[Range, BlobInfo]

    @property
    def highest(self) -> int:
        """The largest number that any of them holds, or -1."""
        return max([-1, *self.segments, *(place.last for place in self.ranges)])


class Gap(NamedTuple):
    """Segments `first` to `last` that no object holds."""

    first: int
    last: int


class Cover(NamedTuple):
    """Ranges and single segments in order, none of which holds what another does; and the gaps."""

    items: list[Range | int]
    gaps: list[Gap]


def by_writer(listing: Iterable[BlobInfo]) -> dict[str, Objects]:
    """The objects of each writer; what format 1 does not know is left out."""
    found: dict[str, Objects] = {}
    for info in listing:
        place, compacted = keys.segment_of(info.key), keys.range_of(info.key)
        if compacted is not None:
            found.setdefault(compacted.writer, Objects({}, {})).ranges[compacted] = info
        elif place is not None:
            segments = found.setdefault(place.writer, Objects({}, {})).segments
            if place.seq not in segments or segments[place.seq].key.endswith(".gz"):
                segments[place.seq] = info
    return found


def largest(ranges: Iterable[Range]) -> list[Range]:
    """Those that no other one holds, in order; of two that overlap by halves the first."""
    kept: list[Range] = []
    for place in sorted(ranges, key=lambda r: (r.first, -r.last)):
        if not kept or place.first > kept[-1].last:
            kept.append(place)
    return kept


def cover(ranges: Iterable[Range], segments: Collection[int], highest: int) -> Cover:
    """How segments 0 to `highest` are to be read."""
    kept = largest(ranges)
    single = sorted(set(segments) - {seq for r in kept for seq in range(r.first, r.last + 1)})
    items: list[Range | int] = [*kept, *single]
    items.sort(key=_first)
    gaps, due = [], 0
    for item in items:
        if _first(item) > due:
            gaps.append(Gap(due, _first(item) - 1))
        due = _last(item) + 1
    if due <= highest:
        gaps.append(Gap(due, highest))
    return Cover(items, gaps)


def _first(item: Range | int) -> int:
    return item if isinstance(item, int) else item.first


def _last(item: Range | int) -> int:
    return item if isinstance(item, int) else item.last
