"""What a run's status is, given that a killed process cannot say so itself.

A run is what its facts say, except that one said to be running is lost once none of its writers
lives: its process is gone from this machine, or its heartbeat has been silent for the longer of
5 minutes and 5 intervals. A lost run that speaks again is running again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from podstack import clock, processes
from podstack.backend import BlobInfo
from podstack.errors import BlobMissing
from podstack.names import ENDINGS, FAILED, RUNNING
from podstack.oplog import Fold
from podstack.reader import StoreReader

PATIENCE = 300.0  # seconds


class Status(NamedTuple):
    """`word` is running, completed, failed or killed; `lost_since` is set where nobody said so.

    said: when somebody did say so, epoch seconds; None while it runs, and where it is lost.
    """

    word: str
    lost_since: float | None = None
    said: float | None = None

    def ended(self, told: object) -> float | None:
        """When the run ended, epoch seconds; None while it runs.

        Args:
            told: what the run itself says of that. It says nothing where two processes that record
                it close at one time, each thinking that the other goes on.
        """
        if self.word == RUNNING:
            return None
        if isinstance(told, (int, float)):
            return float(told)
        return self.said if self.lost_since is None else self.lost_since

    def __str__(self) -> str:
        return (
            self.word
            if self.lost_since is None
            else f"{self.word} (lost since {clock.readable(self.lost_since)})"
        )


class Liveness:
    """Tells which writers of a store's runs are alive, from what this reader has seen.

    A hint is compared with its earlier self by this reader's own clock; only a hint seen for the
    first time is judged by the writer's.
    """

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader
        # key of a hint -> its tag, since when it is so, whether another was seen before
        self._seen: dict[str, tuple[str, float, bool]] = {}

    def status(self, run: str, fold: Fold) -> Status:
        word = str(fold.get("status", RUNNING))
        if word != RUNNING:
            change = fold.change("status")
            return Status(word, said=None if change is None else clock.stamp_time(change.stamp))
        hints = dict(self._reader.hints(run))
        signs = [sign for sign in _writers(fold) if sign.role != "child"]
        alive = [
            sign
            for sign in signs
            if sign.ending is None and self._lives(sign, hints.get(sign.writer))
        ]
        if alive:
            return Status(RUNNING)
        latest = max(signs, key=lambda sign: sign.last, default=None)
        if latest is not None and latest.ending is not None:
            return Status(latest.ending, said=clock.stamp_time(latest.last))
        last_seen = [self._last_time(sign, hints.get(sign.writer)) for sign in signs]
        return Status(FAILED, max(last_seen, default=clock.stamp_time(fold.stamp)))

    def others_alive(self, run: str, fold: Fold, but: str) -> bool:
        """Whether a writer other than `but` still records this run."""
        hints = dict(self._reader.hints(run))
        return any(
            sign.writer != but
            and sign.role != "child"
            and sign.ending is None
            and self._lives(sign, hints.get(sign.writer))
            for sign in _writers(fold)
        )

    def _lives(self, sign: _Writer, hint: BlobInfo | None) -> bool:
        if processes.is_gone(sign.record):
            return False
        unchanged_for, did_change = self._watched(hint) if hint is not None else (0.0, False)
        by_its_clock = 0.0 if did_change else clock.now() - self._last_time(sign, hint)
        return max(unchanged_for, by_its_clock) <= max(PATIENCE, 5 * sign.interval)

    def _watched(self, hint: BlobInfo) -> tuple[float, bool]:
        """Seconds that this reader has seen the hint as it is; whether it saw another before."""
        tag, since, did_change = self._seen.get(hint.key, ("", 0.0, False))
        if tag != hint.tag:
            since, did_change = clock.monotonic(), bool(tag)
            self._seen[hint.key] = (hint.tag, since, did_change)
        return clock.monotonic() - since, did_change

    def _last_time(self, sign: _Writer, hint: BlobInfo | None) -> float:
        beat = 0.0
        if hint is not None:
            try:
                beat = float(orjson.loads(self._reader.backend.get(hint.key))["t"])
            except (BlobMissing, ValueError, KeyError, TypeError):
                beat = 0.0  # gone or damaged meanwhile: the facts still have a time
        return max(beat, clock.stamp_time(sign.last))


class _Writer(NamedTuple):
    writer: str
    record: Any
    role: str
    interval: float
    last: str  # the largest stamp it is known to have written
    ending: str | None


def _writers(fold: Fold) -> Iterator[_Writer]:
    for writer, change in fold.changes_below("writers"):
        record = change.value if isinstance(change.value, dict) else {}
        closed = fold.change(f"closed/{writer}")
        ending = (
            closed.value.get("status")
            if closed is not None and isinstance(closed.value, dict)
            else None
        )
        yield _Writer(
            writer=writer,
            record=record,
            role=str(record.get("role", "main")),
            interval=_number(record.get("interval")),
            last=max(change.stamp, closed.stamp if closed is not None else ""),
            ending=ending if ending in ENDINGS else None,
        )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
