"""What a page knows of a sweep, as a text that any server can read: so it is told only what is new.

A cursor is data, never a number that one server gave: a hash of the sweep's own facts, then blocks
of trials, each with a hash of what was told of them. Trials that are over stand in blocks as large
as they come, those that run alone, so a thousand trials take some three hundred characters. A
block whose hash is another one now is told anew, as are trials of no block: a result that arrives
late is never missed, whatever its writer's clock said. What is no cursor knows nothing.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from podstack.index.wire import plain
from podstack.sweeps.records import TrialRecord

_SIZE = 6  # bytes of a hash: 8 characters
_MOST = 400  # blocks of a cursor; above, also trials that run share one
_LARGEST = 20  # the power of two that holds any number of a trial
_BLOCK = r"([0-9]{1,6})([a-t])([A-Za-z0-9_-]{8})"
_CURSOR = re.compile(rf"[A-Za-z0-9_-]{{8}}(?:{_BLOCK})*")

Prints = Mapping[int, bytes]  # by number: a hash of all that is told of a trial


class Block(NamedTuple):
    """The trials of 2^level numbers from `first` on, and the hash of what is told of them."""

    first: int
    level: int
    print: str

    @property
    def end(self) -> int:
        return self.first + (1 << self.level)


def trial_out(trial: TrialRecord) -> dict[str, Any]:
    """A trial as answers tell it."""
    told = {**trial._asdict(), "params": dict(trial.params), "metrics": dict(trial.metrics)}
    told["reports"] = {str(step): value for step, value in trial.reports.items()}
    return {name: plain(value) for name, value in told.items()}


class Printer:
    """Hashes trials; one that did not change is not hashed again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[TrialRecord, bytes]] = {}

    def prints(self, trials: Iterable[TrialRecord]) -> Prints:
        return {trial.number: self._print(trial) for trial in trials}

    def _print(self, trial: TrialRecord) -> bytes:
        known = self._known.get(trial.number)
        if known is None or known[0] is not trial:
            made = _hash(orjson.dumps(trial_out(trial), option=orjson.OPT_SORT_KEYS))
            known = self._known[trial.number] = (trial, made)
        return known[1]


def cursor_of(facts: Mapping[str, Any], trials: Sequence[TrialRecord], prints: Prints) -> str:
    """Whoever was told this knows that.

    Args:
        facts: of the sweep itself, as they are told.
        trials: by number.
    """
    least = 0
    while len(blocks := list(_blocks(trials, prints, least))) > _MOST:
        least += 1
    told = "".join(f"{one.first}{chr(ord('a') + one.level)}{one.print}" for one in blocks)
    return _text(_hash(orjson.dumps(facts))) + told


def news(cursor: str, trials: Sequence[TrialRecord], prints: Prints) -> list[TrialRecord] | None:
    """The trials that whoever has the cursor does not know as they are; None if it is no cursor."""
    blocks = _read(cursor)
    if blocks is None:
        return None
    numbers = [trial.number for trial in trials]
    known: set[int] = set()
    for block in blocks:
        inside = _between(numbers, block.first, block.end)
        if _joint(inside, prints) == block.print:
            known.update(inside)
    return [trial for trial in trials if trial.number not in known]


def _read(cursor: str) -> list[Block] | None:
    """Its blocks, in order and apart: so that looking at them takes no longer than all trials."""
    if not _CURSOR.fullmatch(cursor):
        return None
    found = [
        Block(int(first), ord(level) - ord("a"), print_)
        for first, level, print_ in re.findall(_BLOCK, cursor[8:])
    ]
    apart = all(one.end <= other.first for one, other in pairwise(found))
    return found if apart else None


def _blocks(trials: Sequence[TrialRecord], prints: Prints, least: int) -> Iterator[Block]:
    """All trials in blocks of at least 2^least numbers, and larger ones where all are over."""
    begun = [trial.number for trial in trials]
    over = [trial.number for trial in trials if trial.is_over]
    at = 0
    while at < len(begun):
        first = begun[at] >> least << least
        level = least
        while level + 1 < _LARGEST and _is_over(over, first, level + 1):
            level += 1
        end = first + (1 << level)
        yield Block(first, level, _joint(_between(begun, first, end), prints))
        at = bisect_left(begun, end)


def _is_over(over: Sequence[int], first: int, level: int) -> bool:
    size = 1 << level
    return first % size == 0 and len(_between(over, first, first + size)) == size


def _between(numbers: Sequence[int], first: int, end: int) -> Sequence[int]:
    return numbers[bisect_left(numbers, first) : bisect_left(numbers, end)]


def _joint(numbers: Iterable[int], prints: Prints) -> str:
    return _text(_hash(b"".join(prints[number] for number in numbers)))


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=_SIZE).digest()


def _text(made: bytes) -> str:
    return urlsafe_b64encode(made).decode()
