"""The trials of a sweep as its op logs tell them, kept up to date line by line.

Each path is what the largest (stamp, writer) set, but for how a trial ended: of several endings
the smallest counts, with all that its line says, so that the first completion stays. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from podstack.names import ENDINGS, RUNNING
from podstack.oplog import Change, Op
from podstack.sweeps.records import JsonValue, TrialRecord, from_word

_PATH = re.compile(r"trials/([1-9][0-9]{0,5})/(.+)", re.DOTALL)
ENDING = ("status", "value", "metrics", "error", "pruned", "ended")  # what one line says together


class States:
    """What is known of each trial. To read a line twice changes nothing."""

    def __init__(self) -> None:
        self._changes: dict[int, dict[str, Change]] = {}
        self._workers: dict[int, dict[str, Change]] = {}  # number → writer → what it said last
        self._endings: dict[int, tuple[str, str, Mapping[str, JsonValue]]] = {}
        self._records: dict[int, TrialRecord] = {}
        self._changed: set[int] = set()
        self._ordered: list[TrialRecord] | None = None
        self.over_up_to = 0  # the trials 1 to this are all over
        self.over = 0  # how many are

    def add(self, ops: Iterable[Op]) -> None:
        for op in ops:
            endings: dict[int, dict[str, JsonValue]] = {}
            for path, value in op.changes.items():
                match = _PATH.fullmatch(path)
                if match is not None:
                    self._take(op, int(match[1]), match[2], value, endings)
            for number, said in endings.items():
                self._end(number, (op.stamp, op.writer, said))
        while self.over_up_to + 1 in self._endings:
            self.over_up_to += 1

    def _take(
        self,
        op: Op,
        number: int,
        name: str,
        value: JsonValue,
        endings: dict[int, dict[str, JsonValue]],
    ) -> None:
        self._changed.add(number)
        if name in ENDING:
            if op.changes.get(f"trials/{number}/status") in ENDINGS:
                endings.setdefault(number, {})[name] = value
                return
            if name != "status":
                return
        is_worker = name == "worker"
        table = self._workers if is_worker else self._changes
        said = table.setdefault(number, {})
        change, place = Change(op.stamp, op.writer, value), op.writer if is_worker else name
        if place not in said or change.rank > said[place].rank:
            said[place] = change

    def _end(self, number: int, ending: tuple[str, str, Mapping[str, JsonValue]]) -> None:
        known = self._endings.get(number)
        self.over += known is None
        if known is None or ending[:2] < known[:2]:
            self._endings[number] = ending

    # Reading -------------------------------------------------------------------------------

    def get(self, number: int) -> TrialRecord | None:
        if number in self._changed:
            self._refresh()
        return self._records.get(number)

    def was_released(self, number: int, writer: str, generation: int) -> bool:
        """Whether the last that a writer said of a trial is that it gave that back.

        Only its own words count: by a clock that is ahead they would seem later than those of
        whoever took the trial since.
        """
        change = self._workers.get(number, {}).get(writer)
        said = _table(None if change is None else change.value)
        return bool(said.get("released")) and _count(said.get("generation")) >= generation

    def _worker(self, number: int) -> dict[str, Any]:
        """Who has or had a trial: of the latest generation who did not give it back."""
        said = [(_table(c.value), c) for c in self._workers.get(number, {}).values()]
        ranks = [(_count(w.get("generation")), not w.get("released"), c.rank) for w, c in said]
        return said[ranks.index(max(ranks))][0] if said else {}

    def is_over(self, number: int) -> bool:
        return number in self._endings

    @property
    def records(self) -> list[TrialRecord]:
        """All trials that were begun, by number. A list that nobody may change."""
        if self._changed or self._ordered is None:
            self._refresh()
            self._ordered = [self._records[number] for number in sorted(self._records)]
        return self._ordered

    def _refresh(self) -> None:
        for number in self._changed:
            self._records[number] = self._built(number)
        self._changed.clear()
        self._ordered = None

    def _built(self, number: int) -> TrialRecord:
        changes = self._changes.get(number, {})
        facts = {name: c.value for name, c in changes.items() if c.value is not None}
        worker = self._worker(number)
        released = bool(worker.get("released"))
        end = self._endings[number][2] if number in self._endings else {}
        return TrialRecord(
            number=number,
            params=_scalars(facts.get("params")),
            status=str(end.get("status", RUNNING)),
            value=_number(end.get("value")),
            metrics=_metrics(_table(end.get("metrics"))),
            reports=_reports(facts),
            pruned=bool(end.get("pruned")),
            run=_text(facts.get("run")),
            error=_text(end.get("error")),
            worker="" if released and not end else str(worker.get("writer", "")),
            host=str(worker.get("host", "")),
            generation=_count(worker.get("generation")),
            started=_number(facts.get("started")),
            ended=_number(end.get("ended")),
            label=str(facts.get("label", "")),
        )


def _reports(facts: Mapping[str, JsonValue]) -> dict[int, float]:
    found: dict[int, float] = {}
    for name, word in facts.items():
        value = _number(word)
        if name.startswith("reports/") and value is not None:
            try:
                found[int(name[len("reports/") :])] = value
            except ValueError:
                continue  # of a later version
    return dict(sorted(found.items()))


def _metrics(words: Mapping[str, JsonValue]) -> dict[str, float]:
    values = ((name, _number(word)) for name, word in words.items())
    return {name: value for name, value in values if value is not None}


def _table(value: JsonValue) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _scalars(value: JsonValue) -> dict[str, JsonValue]:
    """What of a table may be parameters: a stranger's log may hold anything."""
    return {
        name: inner
        for name, inner in _table(value).items()
        if inner is None or isinstance(inner, (str, int, float))
    }


def _count(value: JsonValue) -> int:
    return value if type(value) is int and value >= 0 else 0


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: JsonValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return from_word(value)
    except ValueError:
        return None
