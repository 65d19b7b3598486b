"""Hints that lead the readers of a store to what was copied into it.

The hint of a run is read before its facts and sent after them, so that what it tells of is there.
A hint that ended long ago may be swept before anybody saw it: then, and where there is none, a run
that the target knew before gets one as an edit does. A run that is new there is found by its
folder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import orjson

from podstack import clock, names
from podstack.backend import Backend, BlobInfo, LocalStore
from podstack.differences import Unit, is_plain_key
from podstack.errors import BlobMissing
from podstack.keys import Project
from podstack.patience import Patience
from podstack.transfer import Written
from podstack.witnesses import Witnesses

_YOUNG = 7200.0  # seconds; older ones may be swept


class Hints:
    """Those of one project after the other. Every method but `begin` may be called at any time."""

    def __init__(self, source: Backend, target: Backend, witnesses: Witnesses) -> None:
        self._source, self._target, self._witnesses = source, target, witnesses
        self._lock = threading.Lock()
        self._here: dict[str, list[BlobInfo]] = {}
        self._there: set[str] = set()
        self._taken: dict[str, list[tuple[BlobInfo, bytes]]] = {}

    def begin(self, project: Project, patience: Patience) -> None:
        """List what is there."""
        self._here, self._taken, self._project = {}, {}, project
        for info in patience(lambda: list(self._source.list(project.live))):
            run, writer = project.hinted(info.key)
            if names.is_id(run) and names.is_id(writer) and is_plain_key(info.key):
                self._here.setdefault(run, []).append(info)
        self._there = {i.key for i in patience(lambda: list(self._target.list(project.live)))}

    def take(self, unit: Unit) -> None:
        """Read those of a run, before what they tell of."""
        taken = [(info, data) for info in self._here.get(unit.run, ()) if (data := self._get(info))]
        with self._lock:
            self._taken[unit.run] = taken

    def tell_of(self, unit: Unit, *, is_new: bool) -> Iterator[Written]:
        """Send those of a run that changed, or make one."""
        with self._lock:
            taken = self._taken.pop(unit.run, [])
        young = [(info, data) for info, data in taken if _is_young(data)]
        for info, data in young:
            yield from self._sent(info, data)
        if not young and not is_new:
            edit = orjson.dumps({"t": clock.now(), "ended": True})
            key = self._project.live_hint(unit.run, names.new_writer_id())
            self._put(key, edit)
            yield Written(key, len(edit))

    def of_the_living(self, buried: set[str]) -> list[BlobInfo]:
        """Hints that the target lacks, although it has all that they tell of: to be sent too."""
        return [
            info
            for run, infos in self._here.items()
            for info in infos
            if run not in buried
            and info.key not in self._there
            and not self._witnesses.tell(info, {})
        ]

    def send(self, info: BlobInfo) -> Iterator[Written]:
        """One of those, if its writer still writes."""
        data = self._get(info)
        if data and _is_young(data) and not _facts(data).get("ended"):
            yield from self._sent(info, data)
        self._witnesses.note_sent(info)

    def _sent(self, info: BlobInfo, data: bytes) -> Iterator[Written]:
        if info.key in self._there and _time(self._stored(info.key)) >= _time(data):
            return
        self._put(info.key, data)
        self._witnesses.note_sent(info)
        with self._lock:
            self._there.add(info.key)
        yield Written(info.key, len(data))

    def _get(self, info: BlobInfo) -> bytes:
        try:
            return self._source.get(info.key)
        except BlobMissing:
            return b""

    def _stored(self, key: str) -> bytes:
        try:
            return self._target.get(key)
        except BlobMissing:
            return b""

    def _put(self, key: str, data: bytes) -> None:
        if isinstance(self._target, LocalStore):
            self._target.put_hint(key, data)
        else:
            self._target.put(key, data)


def _facts(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _time(data: bytes) -> float:
    found = _facts(data).get("t")
    return float(found) if isinstance(found, (int, float)) else 0.0


def _is_young(data: bytes) -> bool:
    return clock.now() - _time(data) < _YOUNG
