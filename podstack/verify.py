"""Whether a store still is what was written: every line, every seal, every hash.

`verify` reads all of it and changes nothing. It may be run at any time, also while runs record:
what looks wrong is looked at twice, so that a file caught in the middle of its own change is not
called damaged.

What no checksum covers can only be read, not proven: the op logs, and the segments of a process
that was killed before it could seal them. There a flipped bit is found where it breaks a line, a
known fact or the order of the stamps, and not where it turns one value into another.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from podstack import clock, compacted, facts, keys, names, oplog, points, processes
from podstack.artifacts import Artifact, versions_of
from podstack.backend import BlobInfo
from podstack.checks import (
    DAMAGED,
    INFO,
    RESTORE,
    WARNING,
    Checked,
    Finding,
    Objects,
    OpLogs,
    Progress,
    Tally,
    lines,
    of_unknown_kind,
    unknown,
)
from podstack.errors import BlobMissing
from podstack.liveness import PATIENCE
from podstack.oplog import Fold
from podstack.store import FORMAT, Store

__all__ = ["DAMAGED", "INFO", "WARNING", "Checked", "Finding", "verify"]


def verify(
    store: Store, run_ids: Iterable[str] | None = None, progress: Progress | None = None
) -> Iterator[Finding]:
    """What is wrong with a project of a store, or with some of its runs.

    Args:
        run_ids: only these runs. Default: everything, runs that are hidden too.
        progress: called with how far it came, after each object and each 8 MB.

    Raises:
        BackendError: the store does not answer. An object that cannot be read is a finding.
    """
    tally = Tally(progress)
    if run_ids is None:
        yield from _label(store)
        yield from _experiments(store, tally)
        yield from _sweeps(store, tally)
        yield from _twice(lambda tally: _views(store, tally), tally)
        yield from _tombs(store)
        run_ids = store.reader.run_ids()
    runs = list(run_ids)
    tally.begin(len(runs))
    for run in runs:
        yield from _run(store, run, tally)
        tally.run()


# The store and what is not of a run ------------------------------------------------------------


def _label(store: Store) -> Iterator[Finding]:
    try:
        label = orjson.loads(store.backend.get(keys.STORE))
    except BlobMissing:
        advice = "Fine for a copied part of a store; the next run that is logged here makes it."
        yield Finding(WARNING, keys.STORE, "is missing", advice)
        return
    except ValueError:
        label = None
    whole = isinstance(label, dict) and label.get("podstack") == FORMAT
    if not whole or not isinstance(label.get("store"), str):
        advice = f'It should read {{"podstack":{FORMAT},"store":"<uuid>"}}, with any UUID.'
        yield Finding(DAMAGED, keys.STORE, f"is not the label of format {FORMAT}", advice)


def _experiments(store: Store, tally: Tally) -> Iterator[Finding]:
    for experiment in store.reader.experiment_ids():
        yield from _twice(
            lambda tally, e=experiment: _experiment(store, e, tally),  # type: ignore[misc]
            tally,
        )


def _experiment(store: Store, experiment: str, tally: Tally) -> Iterator[Finding]:
    objects = Objects(store.backend, tally)
    logs = OpLogs(facts.of_experiment)
    for info in objects.below(store.keys.experiment(experiment)):
        yield from objects.guarded(info, logs.check)
    yield from logs.torn(closed=set(), running=False)


def _sweeps(store: Store, tally: Tally) -> Iterator[Finding]:
    for sweep in store.reader.sweep_ids():
        yield from _twice(
            lambda tally, s=sweep: _sweep(store, s, tally),  # type: ignore[misc]
            tally,
        )


def _sweep(store: Store, sweep: str, tally: Tally) -> Iterator[Finding]:
    """A sweep's op logs and claims. Workers may be writing: a line without its end is none yet."""
    objects = Objects(store.backend, tally)
    logs = OpLogs(facts.of_sweep)
    for info in objects.below(store.keys.sweep(sweep)):
        is_claim = keys.claim_of(info.key) is not None
        yield from objects.guarded(info, _claim if is_claim else logs.check)
    yield from logs.torn(closed=set(), running=False)
    if logs.ops and logs.fold.get("strategy") is None:
        what = "has trials and no definition: what was searched for is not known"
        yield Finding(DAMAGED, store.keys.sweep(sweep), what, RESTORE)


def _views(store: Store, tally: Tally) -> Iterator[Finding]:
    objects = Objects(store.backend, tally)
    logs = OpLogs(facts.of_views)
    for info in objects.below(store.keys.views):
        yield from objects.guarded(info, logs.check)
    yield from logs.torn(closed=set(), running=False)


def _claim(objects: Objects, info: BlobInfo) -> Iterator[Finding]:
    """A claim without bytes was withdrawn; one that is no JSON counts as silent."""
    if not info.size or isinstance(_loaded(objects.content(info)), dict):
        return
    advice = "It is passed over: after a while its trial is offered to another worker."
    yield Finding(WARNING, info.key, "is a claim that cannot be read", advice)


def _loaded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        return None


def _tombs(store: Store) -> Iterator[Finding]:
    for run in sorted(store.reader.purged()):
        left = len(list(store.backend.list(store.keys.run(run))))
        if left:
            yield Finding(
                WARNING,
                store.keys.run(run),
                f"was purged, and {left} of its objects are still there",
                f"Remove them: podstack purge {run}",
            )


# One run ---------------------------------------------------------------------------------------


def _run(store: Store, run: str, tally: Tally) -> Iterator[Finding]:
    return _twice(lambda tally: _Look(store, run, tally).findings(), tally)


def _twice(look: Callable[[Tally], Iterator[Finding]], tally: Tally) -> Iterator[Finding]:
    """What is found by two looks: what only one of them saw was changing, and is not broken."""
    found = list(look(tally))
    if any(finding.severity != INFO for finding in found):
        again = {(finding.severity, finding.key) for finding in look(Tally())}
        found = [finding for finding in found if finding[:2] in again]
    return iter(found)


class _Look:
    """One look at one run: its op logs first, for what they name must then be there."""

    def __init__(self, store: Store, run: str, tally: Tally) -> None:
        self._store, self._run = store, run
        self._objects = Objects(store.backend, tally)
        self._logs = OpLogs(facts.of_run)
        # segment -> bytes and CRC of its whole lines; None where a damaged object held it
        self._segments: dict[keys.Segment, tuple[int, int] | None] = {}
        self._keys: dict[keys.Segment, str] = {}

    def findings(self) -> Iterator[Finding]:
        for info in self._objects.below(self._store.keys.meta(self._run)):
            yield from self._objects.guarded(info, self._logs.check)
        fold = self._logs.fold
        self._closed = set(fold.below("closed"))
        self._running = bool(fold.stamp) and self._is_running(fold)
        yield from self._logs.torn(closed=self._closed, running=self._running)
        stored = self._stored()
        if not fold.stamp and any(info.size for infos in stored.values() for info in infos):
            what = "has no op log that can be read, so that its points and files have no run"
            yield Finding(DAMAGED, self._store.keys.run(self._run), what, RESTORE)
        yield from self._points(stored.pop("metrics", []))
        yield from self._files({info.key: info for info in stored.pop("artifacts", [])})
        for kind, infos in stored.items():
            for info in infos:
                yield from self._objects.guarded(info, _OTHERS.get(kind, of_unknown_kind))

    def _is_running(self, fold: Fold) -> bool:
        return self._store.liveness.status(self._run, fold).word == names.RUNNING

    def _stored(self) -> dict[str, list[BlobInfo]]:
        """All objects of the run but the op logs, by the first part of their keys."""
        found: dict[str, list[BlobInfo]] = {}
        prefix = self._store.keys.run(self._run)
        for info in self._objects.below(prefix):
            found.setdefault(keys.child(info.key, prefix), []).append(info)
        found.pop("meta", None)
        return found

    # Points ------------------------------------------------------------------------------------

    def _points(self, infos: list[BlobInfo]) -> Iterator[Finding]:
        for info in infos:
            yield from self._objects.guarded(info, self._segment)
        seals = self._logs.fold.below("seals")
        yield from self._missing(seals)
        yield from self._contradicted(seals)
        yield from self._unproven(seals)

    def _segment(self, objects: Objects, info: BlobInfo) -> Iterator[Finding]:
        place, several = keys.segment_of(info.key), keys.range_of(info.key)
        if several is not None:
            yield from self._compacted(objects, info, several)
            return
        if place is None:
            yield unknown(info)
            return
        data = objects.content(info)
        end = data.rfind(b"\n") + 1
        self._segments[place] = end, zlib.crc32(memoryview(data)[:end])
        self._keys[place] = info.key
        _, damaged = points.decode(data)
        if damaged:
            yield Finding(DAMAGED, info.key, f"holds {lines(damaged)} that are no points", RESTORE)
        if len(data) > end and not self._is_written(place.writer):
            what = (
                f"ends in the middle of a line: {len(data) - end:,} bytes follow the last whole one"
            )
            advice = "They are passed over: a kill, a full disk or a stranger left them."
            yield Finding(WARNING, info.key, what, advice)

    def _compacted(self, objects: Objects, info: BlobInfo, place: keys.Range) -> Iterator[Finding]:
        """Segments that were put together: every bit has a checksum, and each segment its seal."""
        count = place.last - place.first + 1
        seals: list[tuple[int, int] | None] = [None] * count
        try:
            index = compacted.check(objects.content(info))
            if len(index.segments) != count:
                raise compacted.Damage("it holds another number of segments than it is called by")
            seals = [(seal.bytes, seal.crc) for seal in index.segments]
        except compacted.Damage as damage:
            yield Finding(DAMAGED, info.key, f"is not what was written: {damage}", RESTORE)
        for seq, seal in enumerate(seals, place.first):
            segment = keys.Segment(place.writer, seq)
            if segment not in self._segments:
                self._segments[segment] = seal
                self._keys[segment] = info.key

    def _is_written(self, writer: str) -> bool:
        return self._running and writer not in self._closed

    def _missing(self, seals: Mapping[str, Any]) -> Iterator[Finding]:
        """Segments that must be there: sealed ones, and all below the highest."""
        count = {writer: len(s) for writer, s in seals.items() if isinstance(s, list)}
        for writer, seq in self._segments:
            count[writer] = max(count.get(writer, 0), seq + 1)
        for writer, segments in count.items():
            for seq in range(segments):
                if keys.Segment(writer, seq) not in self._segments:
                    key = self._store.keys.segment(self._run, writer, seq)
                    yield Finding(DAMAGED, key, "is missing; its points are lost", RESTORE)

    def _contradicted(self, seals: Mapping[str, Any]) -> Iterator[Finding]:
        for place, found in self._segments.items():
            seal = _seal_of(seals, place)
            if seal is None or found is None or seal == [*found]:
                continue
            size = found[0]
            if size < seal[0]:
                what = f"is cut off: {size:,} of {seal[0]:,} bytes are there"
            elif size > seal[0]:
                what = f"has grown after it was sealed: {size:,} instead of {seal[0]:,} bytes"
            else:
                what = "is not what was written: its CRC-32 is another than its seal's"
            yield Finding(DAMAGED, self._keys[place], what, RESTORE)

    def _unproven(self, seals: Mapping[str, Any]) -> Iterator[Finding]:
        """Writers whose points can be read, but not proven."""
        known = self._logs.fold.below("writers")
        for writer in sorted({place.writer for place in self._segments}):
            key = f"{self._store.keys.metrics(self._run)}{writer}/"
            if known and writer not in known:
                what = "holds points of a writer that no op log names"
                advice = "A forked process that was killed leaves this, and so does a lost op log."
                yield Finding(WARNING, key, what, advice)
            elif not self._is_written(writer) and writer not in seals:
                what = "has no seals, for its process was killed: a changed value would not be seen"
                yield Finding(INFO, key, what)

    # Files -------------------------------------------------------------------------------------

    def _files(self, stored: dict[str, BlobInfo]) -> Iterator[Finding]:
        named: set[str] = set()
        root = self._store.keys.run(self._run)
        for path, changes in oplog.histories(self._logs.ops, "artifacts/").items():
            entries = [change.value for change in changes if isinstance(change.value, dict)]
            legal = [entry for entry in entries if keys.is_artifact_key(entry.get("key"))]
            if len(legal) < len(entries):
                yield _illegal(root, path.partition("/")[2])
            named |= {root + entry["key"] for entry in legal}
            yield from self._versions(path.partition("/")[2], legal, stored)
        if not self._running and not self._is_settling():
            for key in sorted(set(stored) - named):
                what = "is a file that no fact names"
                advice = "A process killed while it copied leaves this. It may be removed by hand."
                yield Finding(WARNING, key, what, advice)

    def _is_settling(self) -> bool:
        """Whether a process that ended the run a moment ago may still be naming its files."""
        fold = self._logs.fold
        lately = clock.now() - clock.stamp_time(fold.stamp) < PATIENCE
        return lately and not all(map(processes.is_gone, fold.below("writers").values()))

    def _versions(
        self, path: str, entries: list[Any], stored: dict[str, BlobInfo]
    ) -> Iterator[Finding]:
        seen: set[str] = set()
        for version in versions_of(self._store, self._run, path, entries):
            info = stored.get(version.key)
            if info is None:
                what = f"is missing: the content of the artifact {names.printable(path)}"
                yield Finding(DAMAGED, version.key, what, RESTORE)
            elif version.key not in seen:
                yield from self._objects.guarded(info, self._file_check(version))
            seen.add(version.key)

    def _file_check(self, version: Artifact) -> Callable[[Objects, BlobInfo], Iterator[Finding]]:
        def check(objects: Objects, info: BlobInfo) -> Iterator[Finding]:
            if info.size != version.size:
                what = f"has {info.size:,} bytes; {version.size:,} were logged"
                yield Finding(DAMAGED, info.key, what, RESTORE)
            elif version.sha256 is not None:
                digest = objects.sha256(info)
                if digest != version.sha256:
                    what = f"has the SHA-256 {digest}; logged was {version.sha256}"
                    yield Finding(DAMAGED, info.key, what, RESTORE)
            elif not self._running:
                what = "was never hashed, for its process was killed: only its size is right"
                yield Finding(INFO, info.key, what)

        return check


# Words -----------------------------------------------------------------------------------------


def _seal_of(seals: Mapping[str, Any], place: keys.Segment) -> Any:
    of_writer: Any = seals.get(place.writer)
    return (
        of_writer[place.seq] if facts.are_seals(of_writer) and place.seq < len(of_writer) else None
    )


def _illegal(root: str, path: str) -> Finding:
    what = f"has an entry for {names.short(path)} that points to nowhere in its run"
    return Finding(DAMAGED, f"{root}artifacts/", what, "It is passed over; nothing is fetched.")


def _text(objects: Objects, info: BlobInfo) -> Iterator[Finding]:
    if b"\0" in objects.content(info):
        yield Finding(WARNING, info.key, "holds NUL bytes where text should be", RESTORE)


def _json(objects: Objects, info: BlobInfo) -> Iterator[Finding]:
    if not isinstance(_loaded(objects.content(info)), dict):
        yield Finding(DAMAGED, info.key, "is no JSON object", RESTORE)


_OTHERS = {"console": _text, "environment": _json}
