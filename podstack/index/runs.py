"""What the index keeps of one run, taken from the store: as little of it as has to be read.

A `Sighting` is what one look at a run found: its row, its parameters, tags and metrics, and how
far each of its objects was read. The next look goes on from there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, NamedTuple

from podstack import clock, names, points, summaries
from podstack.backend import Backend, BlobInfo
from podstack.console import warn
from podstack.errors import BlobMissing, MissingExtraError
from podstack.keys import Range, Segment, range_of, segment_of
from podstack.liveness import Status
from podstack.names import RUNNING
from podstack.oplog import Fold
from podstack.point_logs import PointLogs, sealed
from podstack.points import Batch
from podstack.reader import OpLogs, whole_lines
from podstack.series import Log, Summary, assemble
from podstack.store import Store

MAX_ERROR = 10_000  # characters of a traceback that are kept, from its end

_TRIES = 5  # readings of a run that is being compacted

Tags = dict[str, str]  # object -> the tag it had when it was read


class Facts(NamedTuple):
    """One row of the table `runs`, but for its number, project and id."""

    name: str
    status: str
    lost_since: float | None
    experiment: str
    user: str
    created: float
    ended: float | None
    parent: str | None
    notes: str
    error: str | None
    deleted: bool


class Part(NamedTuple):
    """One segment as far as it was read: bytes of whole lines, and their CRC-32."""

    tag: str
    offset: int
    checksum: int


class Reading(NamedTuple):
    """How far the objects of a run were read.

    parts has segments too that a compacted range holds. packs are these ranges with their tags;
    left_out are segments that contradict their seals.
    """

    meta: Tags
    parts: dict[Segment, Part]
    packs: dict[Range, str]
    left_out: frozenset[Segment] = frozenset()


class Sighting(NamedTuple):
    """What is known of a run. `word` is the status as stored; empty where it is no run (yet)."""

    word: str
    facts: Facts | None
    params: dict[str, Any]
    tags: list[str]
    metrics: dict[str, Summary]
    reading: Reading


class RunReader:
    """Looks at runs. It keeps the facts of those that are running, which are asked for often."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: dict[str, OpLogs] = {}

    def look(
        self,
        run: str,
        known: Sighting | None,
        listing: tuple[list[BlobInfo], list[BlobInfo]] | None = None,
    ) -> Sighting:
        """The run as of now.

        Args:
            known: what an earlier look found; it is handed back where nothing changed.
            listing: its objects of facts and of points, where somebody listed them already.
        """
        keys, backend = self._store.keys, self._store.backend
        meta, metrics = listing or (
            list(backend.list(keys.meta(run))),
            list(backend.list(keys.metrics(run))),
        )
        objects = _Objects(backend, metrics)
        tags = {info.key.rpartition("/")[2]: info.tag for info in meta}
        if (
            known is not None
            and known.word not in (RUNNING, "")
            and known.reading.meta == tags
            and objects.are(known.reading)
        ):
            return known
        fold = self._fold(run, meta)
        if self._running[run].is_beyond(meta):  # a run that has ended by now has points by now
            objects = _Objects(backend, backend.list(keys.metrics(run)))
        if not fold.stamp:
            self._running.pop(run, None)
            return Sighting("", None, {}, [], {}, Reading(tags, {}, {}))
        word = str(fold.get("status", RUNNING))
        if word != RUNNING:
            self._running.pop(run, None)
        facts = facts_of(run, fold, self._store.liveness.status(run, fold))
        fields = fold.fields()
        reading, summary = self._points(run, known, objects, fields.get("seals", {}))
        return Sighting(
            word,
            facts,
            fields.get("params", {}),
            sorted(fields.get("tags", {})),
            summary,
            reading._replace(meta=tags),
        )

    def forget(self, run: str) -> None:
        self._running.pop(run, None)

    def _fold(self, run: str, meta: list[BlobInfo]) -> Fold:
        logs = self._running.get(run)
        if logs is None:
            logs = self._running[run] = OpLogs(self._store.backend, self._store.keys.meta(run))
        return logs.fold(meta)

    def _points(
        self, run: str, known: Sighting | None, objects: _Objects, sealing: dict[str, Any]
    ) -> tuple[Reading, dict[str, Summary]]:
        seals = dict(sealed(sealing))
        if known is not None and known.facts is not None:
            grown = _grown(known, objects, seals)
            if grown is not None:
                return grown
        if objects.are_whole(seals):
            parts, logs = objects.read({})
            if not _contradicting(parts, seals):
                return Reading({}, parts, {}), summaries.summarised(logs)
        return self._anew(run, objects, sealing, known)

    def _anew(
        self, run: str, objects: _Objects, seals: dict[str, Any], known: Sighting | None
    ) -> tuple[Reading, dict[str, Summary]]:
        """From all points, the way that everybody else reads them: ranges, damage and all."""
        logs = PointLogs(self._store.backend, self._store.keys.metrics(run))
        for last in (*[False] * (_TRIES - 1), True):
            logs.refresh(seals)
            try:
                summary = _summaries(logs.logs())
                break
            except BlobMissing:  # merged into a larger range meanwhile
                if last:
                    raise
            except MissingExtraError as error:
                warn(f"run {run}: {error} Until then its metrics in tables may be old")
                summary = known.metrics if known is not None else {}
                break
        parts = {place: Part(*part) for place, part in logs.parts().items()}
        left_out = _contradicting(parts, dict(sealed(seals)))
        return Reading({}, parts, objects.packs, frozenset(left_out)), summary


def _summaries(logs: list[Log]) -> dict[str, Summary]:
    pieces = [piece for _, pieces in logs for piece in pieces]
    found = dict.fromkeys(
        name for p in pieces for name in (p.values if isinstance(p, Batch) else p.names)
    )
    return {name: assemble(name, logs).summary for name in found}


class _Objects:
    """The objects below a run's `metrics/`, as one listing showed them."""

    def __init__(self, backend: Backend, listing: Iterable[BlobInfo]) -> None:
        self._backend = backend
        self.segments: dict[Segment, BlobInfo] = {}
        self.packs: dict[Range, str] = {}
        for info in listing:
            place = segment_of(info.key)
            if place is not None:
                if place not in self.segments or self.segments[place].key.endswith(".gz"):
                    self.segments[place] = info
            elif (pack := range_of(info.key)) is not None:
                self.packs[pack] = info.tag

    def are_whole(self, seals: Iterable[Segment]) -> bool:
        """Whether they are plain segments, all from 0 to the last of each writer."""
        highest: dict[str, int] = {}
        for writer, seq in self.segments:
            highest[writer] = max(highest.get(writer, 0), seq)
        count = sum(highest.values()) + len(highest)
        return not self.packs and count == len(self.segments) and self.segments.keys() >= {*seals}

    def are(self, reading: Reading) -> bool:
        """Whether nothing changed since then."""
        parts = reading.parts
        return (
            self.packs == reading.packs
            and all(
                place in parts and parts[place].tag == info.tag
                for place, info in self.segments.items()
            )
            and (len(parts) == len(self.segments) or not self.lost(reading))
        )

    def lost(self, reading: Reading) -> set[Segment]:
        """Segments that were read then, are gone now, and stand in no pack."""
        gone = reading.parts.keys() - self.segments.keys()
        return gone - _covered(self.packs, gone)

    def read(
        self, parts: Mapping[Segment, Part]
    ) -> tuple[dict[Segment, Part], list[tuple[str, list[Batch]]]]:
        """What stands behind `parts`: how far it goes now, and the new lines of each writer."""
        now, logs = dict(parts), dict[str, list[Batch]]()
        for place, info in sorted(self.segments.items()):
            part = parts.get(place, _UNREAD)
            if part.tag == info.tag:
                continue
            lines = whole_lines(self._backend, info, part.offset)
            if lines is None:  # gone meanwhile: the next listing will say more
                continue
            batches, damaged = points.decode(lines)
            if damaged:
                warn(f"{info.key} in {self._backend.url} has {damaged} lines that cannot be read")
            logs.setdefault(place.writer, []).extend(batches)
            end = part.offset + len(lines)
            now[place] = Part(info.tag, end, zlib.crc32(lines, part.checksum))
        return now, list(logs.items())


_UNREAD = Part("", 0, 0)


def _grown(
    known: Sighting, objects: _Objects, seals: Mapping[Segment, tuple[int, int]]
) -> tuple[Reading, dict[str, Summary]] | None:
    """`known` and what is new; None where that does not tell, and all has to be read."""
    before = known.reading
    if not _is_explained(before, objects):
        return None
    parts, logs = objects.read(before.parts)
    changed = {place for place in parts if parts[place] != before.parts.get(place)}
    if changed & before.left_out or _contradicting(parts, seals) != before.left_out:
        return None
    both = summaries.merged(known.metrics, logs) if logs else known.metrics
    return None if both is None else (Reading({}, parts, objects.packs, before.left_out), both)


def _is_explained(before: Reading, objects: _Objects) -> bool:
    """Whether nothing shrank, what is gone stands in a range, and new ranges hold no more."""
    if objects.lost(before) or any(
        info.size < before.parts[place].offset
        for place, info in objects.segments.items()
        if place in before.parts and not info.key.endswith(".gz")
    ):
        return False
    if objects.packs == before.packs:
        return True
    changed = {pack for pack, tag in objects.packs.items() if before.packs.get(pack) != tag}
    vanished = before.packs.keys() - objects.packs.keys()
    held = {place for pack in vanished for place in _places(pack)}
    return (
        not before.left_out
        and not changed & before.packs.keys()
        and all(place in before.parts for pack in changed for place in _places(pack))
        and held <= _covered(objects.packs, held) | objects.segments.keys()
    )


def _places(pack: Range) -> Iterator[Segment]:
    return (Segment(pack.writer, seq) for seq in range(pack.first, pack.last + 1))


def _covered(packs: Iterable[Range], places: Set[Segment]) -> set[Segment]:
    """Those of the segments that a range holds."""
    return {
        place
        for place in places
        if any(pack.writer == place.writer and pack.holds(place.seq, place.seq) for pack in packs)
    }


def _contradicting(
    parts: Mapping[Segment, Part], seals: Mapping[Segment, tuple[int, int]]
) -> set[Segment]:
    """Segments that hold as much as their seal says, or more, and are not what it says."""
    return {
        place
        for place, (size, checksum) in seals.items()
        if (part := parts.get(place)) is not None
        and part.offset >= size
        and (part.offset, part.checksum) != (size, checksum)
    }


def facts_of(run: str, fold: Fold, status: Status) -> Facts:
    """The same that `StoredRun` says of these facts."""
    created = fold.get("created")
    parent, error = fold.get("parent"), fold.get("error")
    first = created if isinstance(created, (int, float)) else clock.stamp_time(fold.first)
    return Facts(
        name=str(fold.get("name") or names.name_of_run(run)),
        status=status.word,
        lost_since=status.lost_since,
        experiment=str(fold.get("experiment", "")),
        user=str(fold.get("user", "")),
        created=float(first or clock.now()),
        ended=status.ended(fold.get("ended")),
        parent=parent if isinstance(parent, str) else None,
        notes=str(fold.get("notes", "")),
        error=error[-MAX_ERROR:] if isinstance(error, str) else None,
        deleted=bool(fold.get("deleted")),
    )
