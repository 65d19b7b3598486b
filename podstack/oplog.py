"""Op logs: everything of a run or an experiment that is not a metric, as lines that merge.

`{"h": "<stamp>", "set": {"params/lr": 0.001, "tags/baseline": true}, "c": "<CRC-32>"}`

A path's value is what the largest (stamp, writer) set; null deletes. So a fold does not depend
on the order in which lines or logs are read, and reading one twice changes nothing. Pure: no
I/O and no clock in here.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

JsonValue = Any
_CHECKSUM = re.compile(rb',"c":"([0-9a-f]{8})"\}\Z')
NONE = {"$none": True}  # a value that is None: a plain null would delete its path


class Op(NamedTuple):
    """One line: what `writer` set at `stamp`."""

    stamp: str
    writer: str
    changes: Mapping[str, JsonValue]


class Change(NamedTuple):
    """One value that a path had or has; None as `value` means that it was deleted."""

    stamp: str
    writer: str
    value: JsonValue

    @property
    def rank(self) -> tuple[str, str, bytes]:
        """What decides between two changes of one path; the last part only for damaged logs."""
        return self.stamp, self.writer, _sortable(self.value)


def _sortable(value: JsonValue) -> bytes:
    """Its JSON; nothing where it is nested deeper than any fact is: a hostile log may hold that."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return b""


def encode(stamp: str, changes: Mapping[str, JsonValue]) -> bytes:
    """One line, newline included, with a checksum: no flipped bit is taken for a fact."""
    start = orjson.dumps({"h": stamp, "set": changes})[:-1]
    return start + b',"c":"%08x"}\n' % zlib.crc32(start)


def decode(data: bytes, writer: str) -> tuple[list[Op], int]:
    """The ops of all whole lines, and how many lines could not be read.

    A line that is an object without "h" and "set" belongs to a later version: it is passed over.
    One that contradicts its checksum counts as unreadable; one without any is taken as it is.
    """
    ops: list[Op] = []
    damaged = 0
    for line in data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]:
        try:
            row = orjson.loads(_checked(line))
        except ValueError:
            damaged += 1
            continue
        if (
            isinstance(row, dict)
            and isinstance(row.get("h"), str)
            and isinstance(row.get("set"), dict)
        ):
            ops.append(Op(row["h"], writer, row["set"]))
    return ops, damaged


def _checked(line: bytes) -> bytes:
    """`line`, or nothing where it contradicts its checksum."""
    checksum = _CHECKSUM.search(line)
    if checksum is None or int(checksum[1], 16) == zlib.crc32(line[: checksum.start()]):
        return line
    return b""


class Fold:
    """The state that a set of ops stands for."""

    def __init__(self, ops: Iterable[Op] = ()) -> None:
        self._changes: dict[str, Change] = {}
        self.stamp = ""  # the largest seen
        self.first = ""  # the smallest seen
        for op in ops:
            self.add(op)

    def add(self, op: Op) -> None:
        self.stamp = max(self.stamp, op.stamp)
        self.first = min(self.first or op.stamp, op.stamp)
        for path, value in op.changes.items():
            change = Change(op.stamp, op.writer, value)
            known = self._changes.get(path)
            if (
                known is None
                or (change.stamp, change.writer) > (known.stamp, known.writer)
                or (change[:2] == known[:2] and change.rank > known.rank)
            ):
                self._changes[path] = change

    def merge(self, other: Fold) -> Fold:
        """The fold of both sets of ops."""
        both = Fold()
        for fold in (self, other):
            both.stamp = max(both.stamp, fold.stamp)
            both.first = min(filter(None, (both.first, fold.first)), default="")
            for path, change in fold._changes.items():
                known = both._changes.get(path)
                if known is None or change.rank > known.rank:
                    both._changes[path] = change
        return both

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fold) and self._changes == other._changes

    __hash__ = None  # type: ignore[assignment]  # it grows

    def get(self, path: str, default: JsonValue = None) -> JsonValue:
        change = self._changes.get(path)
        return default if change is None or change.value is None else _value(change.value)

    def change(self, path: str) -> Change | None:
        """Who set the value of `path`, and when; None where it is unset or deleted."""
        change = self._changes.get(path)
        return change if change is not None and change.value is not None else None

    def below(self, field: str) -> dict[str, JsonValue]:
        """`{"lr": 0.001, …}` for the field `params`, in the order its paths were set."""
        return {name: _value(change.value) for name, change in self.changes_below(field)}

    def fields(self) -> dict[str, dict[str, JsonValue]]:
        """What `below` says of every field, at once."""
        found: dict[str, dict[str, JsonValue]] = {}
        for path, change in sorted(self._changes.items(), key=_stamp_of):
            field, slash, name = path.partition("/")
            if slash and change.value is not None:
                found.setdefault(field, {})[name] = _value(change.value)
        return found

    def changes_below(self, field: str) -> Iterator[tuple[str, Change]]:
        prefix = f"{field}/"
        found = [
            (path[len(prefix) :], change)
            for path, change in list(self._changes.items())  # another thread may add to it
            if path.startswith(prefix) and change.value is not None
        ]
        return iter(sorted(found, key=lambda pair: pair[1].stamp))


def _stamp_of(entry: tuple[str, Change]) -> str:
    return entry[1].stamp


def history(ops: Iterable[Op], path: str) -> list[Change]:
    """Every value `path` ever had, oldest first."""
    return histories(ops, path).get(path, [])


def histories(ops: Iterable[Op], prefix: str) -> dict[str, list[Change]]:
    """The history of every path that starts with `prefix`."""
    found: dict[str, dict[tuple[str, str, bytes], Change]] = {}
    for op in ops:
        for path, value in op.changes.items():
            if path.startswith(prefix):
                change = Change(op.stamp, op.writer, value)
                found.setdefault(path, {})[change.rank] = change
    return {path: [_read(changes[r]) for r in sorted(changes)] for path, changes in found.items()}


def _read(change: Change) -> Change:
    return change._replace(value=_value(change.value))


def stored(value: JsonValue) -> JsonValue:
    """`value` as it stands in a line: None needs a mark, since null deletes."""
    return NONE if value is None else value


def _value(value: JsonValue) -> JsonValue:
    return None if value == NONE else value
