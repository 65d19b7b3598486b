"""What one store has that another lacks, object by object.

A log may lie plain in one store and packed in the other: the two are one log, and the longer plain
text wins. A segment that stands in a range of the other store is not lacking there, unless it is
longer than what the range has of it. Any other object is lacking where it is absent or shorter.

What sizes tell is told without a request: `suspects` is pure. `Comparison` asks about the rest, and
remembers the answers as witnesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from podstack import keys
from podstack.backend import Backend, BlobInfo, LocalStore
from podstack.compacted import Damage
from podstack.errors import BlobMissing
from podstack.keys import Range
from podstack.names import is_id
from podstack.packed import SUFFIX, plain_length
from podstack.parts import Part
from podstack.witnesses import Witnesses

NEVER = frozenset(("server", "cache"))  # the server's own, and what anybody can build again

_PARTS = re.compile(r"projects/([^/]+)/([^/]+)/(?:([^/]+)/)?")
_KINDS = {
    "metrics": "points",
    "meta": "facts",
    "console": "output",
    "artifacts": "files",
    "environment": "environment",
}


_KINDS_OF_FOLDERS = {
    "experiments": "facts",
    "sweeps": "sweeps",
    "views": "views",
    "live": "hints",
    "tombs": "tombs",
}


class Unit(NamedTuple):
    """Objects that go together: a run, an experiment, a sweep, or what else lies in one folder."""

    prefix: str
    project: str
    run: str  # empty for what is no run


class Suspect(NamedTuple):
    """An object that may have to be copied.

    forms: where it lies in the source, twice if plain and packed. there: what the target has of
    it. holders: ranges of the target that may hold it.
    """

    key: str
    forms: tuple[BlobInfo, ...]
    there: BlobInfo | None
    holders: tuple[BlobInfo, ...]

    @property
    def size(self) -> int:
        return max(form.size for form in self.forms)


class Item(NamedTuple):
    """An object to copy: from where, to which key, and what lies there now."""

    info: BlobInfo
    key: str
    there: BlobInfo | None


def is_plain_key(key: str) -> bool:
    """Whether a key that some store listed leads nowhere but into a store."""
    odd = {"", ".", ".."}
    return (
        odd.isdisjoint(key.split("/"))
        and key.isprintable()
        and "\\" not in key
        and ":" not in key.partition("/")[0]
        and len(key.encode("utf-8", "replace")) <= keys.MAX_KEY
    )


def unit_of(key: str) -> Unit | None:
    """Where a key belongs; None for what is never copied, and for labels, tombs and hints."""
    match = _PARTS.match(key)
    if match is None:
        top, slash, _ = key.partition("/")
        is_known = top in ("projects", *NEVER) or key == keys.STORE or key.startswith(".")
        return None if is_known else Unit(top + slash, "", "")
    project, kind, name = match[1], match[2], match[3]
    if not is_id(project) or kind in ("live", "tombs", *NEVER):
        return None
    below = f"projects/{project}/{kind}/"
    if kind == "runs" and name is not None:
        return Unit(f"{below}{name}/", project, name) if is_id(name) else None
    if kind in ("experiments", "sweeps") and name is not None:
        return Unit(f"{below}{name}/", project, "")
    return Unit(below, project, "")


def kind_of(key: str) -> str:
    """The word for an object in a report."""
    parts = key.split("/")
    if len(parts) > 4 and parts[2] == "runs":
        return _KINDS.get(parts[4], "other")
    return _KINDS_OF_FOLDERS.get(parts[2] if len(parts) > 2 else "", "other")


def suspects(
    source: Iterable[BlobInfo], target: Iterable[BlobInfo], witnesses: Witnesses
) -> list[Suspect]:
    """What of a unit's objects may be lacking in the target, as far as sizes tell."""
    there = {info.key: info for info in target}
    ranges = [(place, info) for info in there.values() if (place := _range_in_metrics(info.key))]
    found = []
    for key, forms in _by_log(source).items():
        suspect = Suspect(key, forms, _counting(key, there), _holders(key, ranges))
        if not _is_there(suspect, there, witnesses):
            found.append(suspect)
    return found


def _by_log(source: Iterable[BlobInfo]) -> dict[str, tuple[BlobInfo, ...]]:
    """The forms of each object; all but logs have one."""
    found: dict[str, tuple[BlobInfo, ...]] = {}
    for info in source:
        key = keys.plain_log(info.key) or info.key
        found[key] = (*found.get(key, ()), info)
    return found


def _counting(key: str, there: Mapping[str, BlobInfo]) -> BlobInfo | None:
    """What a reader of the target takes: of two forms the plain one."""
    packed = there.get(key + SUFFIX) if keys.plain_log(key) else None
    return there.get(key) or packed


def _range_in_metrics(key: str) -> Range | None:
    return keys.range_of(key) if kind_of(key) == "points" else None


def _holders(key: str, ranges: list[tuple[Range, BlobInfo]]) -> tuple[BlobInfo, ...]:
    """The ranges that hold a segment or another range, the largest first."""
    if not ranges or kind_of(key) != "points":
        return ()
    segment, inner = keys.segment_of(key), keys.range_of(key)
    if segment is not None:
        inner = Range(segment.writer, segment.seq, segment.seq)
    if inner is None:
        return ()
    held = [
        (place, info)
        for place, info in ranges
        if place.writer == inner.writer and place.holds(*inner[1:]) and info.key != key
    ]
    return tuple(info for _, info in sorted(held, key=lambda pair: (pair[0].first, -pair[0].last)))


def _is_there(suspect: Suspect, there: Mapping[str, BlobInfo], witnesses: Witnesses) -> bool:
    """Whether the target has it for sure."""
    if all(witnesses.tell(form, there) for form in suspect.forms):
        return True
    found = suspect.there
    if found is None or any(_is_packed(info.key) for info in (found, *suspect.forms)):
        return False
    return suspect.size <= found.size


def _is_packed(key: str) -> bool:
    return key.endswith(SUFFIX) and keys.plain_log(key) is not None


class Comparison:
    """Decides what sizes alone do not tell."""

    def __init__(self, source: Backend, target: Backend, witnesses: Witnesses) -> None:
        self._source, self._target, self._witnesses = source, target, witnesses
        self._packs = not isinstance(target, LocalStore)

    def lacking(self, source: Iterable[BlobInfo], target: list[BlobInfo]) -> Iterator[Item]:
        """What has to be copied of one unit.

        Raises:
            BlobMissing: an object went meanwhile.
        """
        for suspect in suspects(source, target, self._witnesses):
            item = self._item(suspect)
            if item is not None:
                yield item

    def _item(self, suspect: Suspect) -> Item | None:
        if keys.plain_log(suspect.key) is None:
            return self._other(suspect)
        if len(suspect.forms) == 1 and suspect.there is None and not suspect.holders:
            return Item(suspect.forms[0], self._form(suspect.key), None)  # nothing to ask
        length, info = max((plain_length(self._source, form), form) for form in suspect.forms)
        witness = suspect.there
        if witness is None or plain_length(self._target, witness) < length:
            witness = self._holder_of(suspect, length)
        if witness is not None:
            self._remember(suspect, witness)
            return None
        key = suspect.there.key if suspect.there else self._form(suspect.key)
        return Item(info, key, suspect.there)

    def _other(self, suspect: Suspect) -> Item | None:
        (info,) = suspect.forms
        if suspect.there is None:
            witness = self._range_holder_of(suspect)
            if witness is not None:
                self._remember(suspect, witness)
                return None
        return Item(info, info.key, suspect.there)

    def _form(self, key: str) -> str:
        """The key of a log that the target has not yet.

        A folder gets plain text: there it can be appended to, searched and read by any tool, and
        compaction knows a full segment by its length. Elsewhere bytes cost more than that is worth.
        """
        return key + SUFFIX if self._packs else key

    def _remember(self, suspect: Suspect, witness: BlobInfo) -> None:
        for form in suspect.forms:
            self._witnesses.note(form, witness)

    def _holder_of(self, suspect: Suspect, length: int) -> BlobInfo | None:
        """The range that has as much of a segment as the source."""
        segment = keys.segment_of(suspect.key)
        if segment is None:
            return None
        for info in suspect.holders:
            part = _opened(self._target, info)
            if part and part.index.segments[segment.seq - part.place.first].bytes >= length:
                return info
        return None

    def _range_holder_of(self, suspect: Suspect) -> BlobInfo | None:
        """The range that has the same segments as a smaller one of the source."""
        inner = _opened(self._source, suspect.forms[0]) if suspect.holders else None
        if inner is None:
            return None
        for info in suspect.holders:
            outer = _opened(self._target, info)
            first = inner.place.first - outer.place.first if outer else 0
            end = first + len(inner.index.segments)
            if outer and outer.index.segments[first:end] == inner.index.segments:
                return info
        return None


def _opened(backend: Backend, info: BlobInfo) -> Part | None:
    """A compacted object, or None where it is damaged or gone: it then holds nothing."""
    place = keys.range_of(info.key)
    try:
        return Part(backend, place, info) if place else None
    except (Damage, BlobMissing):
        return None
