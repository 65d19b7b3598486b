"""Sorted listings of two stores, cut into units that go side by side, in waves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import NamedTuple

from podstack.backend import Backend, BlobInfo
from podstack.differences import Suspect, Unit, unit_of

PAGE = 50_000  # objects of a listing that are held in memory
WAVE = 64  # units whose objects are on their way at once


class Pending(NamedTuple):
    """A unit that may lack something. is_new: the target has nothing of it."""

    unit: Unit
    size: int
    is_new: bool


class Groups:
    """A sorted listing, asked for one unit after the other in the same order."""

    def __init__(self, listing: Iterator[BlobInfo]) -> None:
        self._groups = grouped(listing)
        self._next = next(self._groups, None)

    def of(self, unit: Unit) -> list[BlobInfo]:
        while self._next is not None and self._next[0].prefix < unit.prefix:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != unit:
            return []
        return self._next[1]


def page_of(backend: Backend, prefix: str, last: str) -> list[BlobInfo]:
    return list(islice(backend.list(prefix, start_after=last), PAGE))


def grouped(listing: Iterable[BlobInfo]) -> Iterator[tuple[Unit, list[BlobInfo]]]:
    for unit, infos in groupby(listing, key=lambda info: unit_of(info.key)):
        if unit is not None:
            yield unit, list(infos)


def waves(pending: Iterable[Pending]) -> Iterator[list[Pending]]:
    wave: list[Pending] = []
    for entry in pending:
        wave.append(entry)
        if len(wave) == WAVE:
            yield wave
            wave = []
    if wave:
        yield wave


def growth(suspect: Suspect) -> int:
    return max(0, suspect.size - (suspect.there.size if suspect.there else 0))
