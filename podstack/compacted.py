"""What a compacted object says of itself: its segments, its names, where each lies, checksums.

A Parquet file has a checksum for each page, but none for its footer. So podstack puts an index of
its own between the last row group and the footer, where Parquet allows anything:

    row groups | index, JSON | length of the index | CRC-32 | footer | length of the footer | PAR1

Both numbers are 4 bytes, the lowest first. The CRC-32 is that of everything behind the row groups
except itself; the index holds one for each row group. So every bit of the file is covered, is
checked before Parquet's own code sees it, and can be checked without that code. Pure: no I/O.
"""

from __future__ import annotations

import struct
import zlib
from math import isfinite, isnan
from typing import Any, NamedTuple

import orjson

from podstack.series import Summary

VERSION = 1
MAGIC = b"PAR1"

_NUMBERS = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error)


class Seal(NamedTuple):
    """One segment: bytes and CRC-32 of its whole lines, as in a seal, and how many those are."""

    bytes: int
    crc: int
    lines: int


class Column(NamedTuple):
    """One metric: its rows are `row` to `row + rows`; `summary` is that of its view."""

    row: int
    rows: int
    first_step: int
    summary: Summary


class Group(NamedTuple):
    """One row group: bytes `start` to `stop` of the file, and the CRC-32 of those."""

    start: int
    stop: int
    rows: int
    crc: int


class Index(NamedTuple):
    """segments: from the first on. columns: by name, in the order in which names came."""

    segments: list[Seal]
    columns: dict[str, Column]
    groups: list[Group]
    last_time: float

    @property
    def points(self) -> int:
        return sum(group.rows for group in self.groups)

    @property
    def bytes(self) -> int:
        """What the segments took."""
        return sum(seal.bytes for seal in self.segments)


class Damage(ValueError):
    """The bytes are not what was written."""


class NotEnough(Exception):
    """The index begins before the bytes that were given."""

    def __init__(self, wanted: int) -> None:
        super().__init__(wanted)
        self.wanted = wanted  # bytes from the end of the file


def with_index(parquet: bytes, index: Index) -> bytes:
    """The Parquet file with the index in it; `index.groups` must tile it up to the footer."""
    footer = parquet[index.groups[-1].stop :]
    text = _encoded(index)
    length = _LENGTH.pack(len(text))
    crc = zlib.crc32(footer, zlib.crc32(length, zlib.crc32(text)))
    return b"".join((parquet[: index.groups[-1].stop], text, length, _LENGTH.pack(crc), footer))


def read_index(tail: bytes, size: int) -> Index:
    """The index in the last bytes of a file of `size` bytes.

    Raises:
        NotEnough: more bytes are needed; it says how many.
        Damage: they are no such file, or not as they were written.
    """
    if len(tail) < 16 or tail[-4:] != MAGIC:
        raise Damage("it does not end as a Parquet file does")
    footer = _LENGTH.unpack_from(tail, len(tail) - 8)[0] + 8
    if footer + 8 > len(tail):
        raise NotEnough(footer + 8)
    length, crc = _NUMBERS.unpack_from(tail, len(tail) - footer - 8)
    if length + footer + 8 > len(tail):
        raise NotEnough(length + footer + 8)
    at = len(tail) - footer - 8
    covered = (tail[at - length : at + 4], tail[at + 8 :])
    if zlib.crc32(covered[1], zlib.crc32(covered[0])) != crc:
        raise Damage("the checksum of its index is wrong")
    try:
        index = _decoded(orjson.loads(tail[at - length : at]))
    except _WRONG as error:
        raise Damage(f"its index cannot be read: {error}") from error
    if index.groups[-1].stop != size - (len(tail) - at) - length:
        raise Damage("bytes were put into it or cut out of it")
    return index


def checksum(data: bytes | memoryview) -> int:
    return zlib.crc32(data)


def check_group(group: Group, data: bytes | memoryview) -> None:
    """
    Raises:
        Damage: `data` is not what the row group was.
    """
    if len(data) != group.stop - group.start or zlib.crc32(data) != group.crc:
        raise Damage(f"the checksum of bytes {group.start} to {group.stop} is wrong")


def check(data: bytes) -> Index:
    """The index of a whole file, every bit of which is as it was written.

    Raises:
        Damage: it is not.
    """
    try:
        index = read_index(data, len(data))
    except NotEnough as error:
        raise Damage("it is cut off") from error
    for group in index.groups:
        check_group(group, memoryview(data)[group.start : group.stop])
    return index


def _encoded(index: Index) -> bytes:
    columns = {
        name: [c.row, c.rows, c.first_step, *map(_written, c.summary)]
        for name, c in index.columns.items()
    }
    facts = {
        "podstack": VERSION,
        "segments": [list(seal) for seal in index.segments],
        "columns": columns,
        "groups": [list(group) for group in index.groups],
        "last_time": index.last_time,
    }
    return orjson.dumps(facts)


def _decoded(facts: dict[str, Any]) -> Index:
    if facts["podstack"] != VERSION:
        raise Damage(f"its index has version {facts['podstack']}; this podstack reads {VERSION}")
    index = Index(
        [Seal(*seal) for seal in facts["segments"]],
        {name: _column(*values) for name, values in facts["columns"].items()},
        [Group(*group) for group in facts["groups"]],
        float(facts["last_time"]),
    )
    if not index.segments or not index.groups:
        raise Damage("its index is empty")
    return index


def _column(row: int, rows: int, first_step: int, *rest: Any) -> Column:
    last, last_step, low, low_step, high, high_step, steps = rest
    summary = Summary(float(last), last_step, float(low), low_step, float(high), high_step, steps)
    return Column(row, rows, first_step, summary)


def _written(value: float) -> float | str:
    """NaN and the infinities are the same words as in a line of points."""
    if isfinite(value):
        return value
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
