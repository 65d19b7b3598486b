"""How sightings of runs stand in the tables of an index, and how they come back.

The tables `params`, `tags` and `metrics` are there to be searched; a run's row is shown from one
JSON text in `looks`, which is read five times as fast as twenty rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import Any

import orjson

from podstack.index.runs import Facts, Part, Reading, Sighting
from podstack.keys import Range, Segment
from podstack.series import Summary

CHUNK = 500  # bound values in one statement

_FACTS = ", ".join(Facts._fields)
_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_INT64 = 1 << 63

Data = tuple[dict[str, Any], list[str], dict[str, Summary]]


def sightings(
    connection: sqlite3.Connection, project: str, ids: Sequence[str]
) -> dict[str, tuple[int, Sighting]]:
    """(number, what the last look found) for those of the runs that were looked at."""
    rows = connection.execute(
        "SELECT looks.id, looks.number, word, seen, data, "
        + ", ".join(f"runs.{field}" for field in Facts._fields)
        + " FROM looks LEFT JOIN runs ON runs.number = looks.number"
        f" WHERE looks.project = ? AND looks.id IN ({_marks(ids)})",
        (project, *ids),
    )
    return {
        run: (number, _sighting(word, seen, data, facts))
        for run, number, word, seen, data, *facts in rows
    }


def _sighting(word: str, seen: bytes, data: bytes, facts: list[Any]) -> Sighting:
    meta, parts, packs, left_out = orjson.loads(seen)
    reading = Reading(
        meta,
        {Segment(writer, seq): Part(*part) for writer, seq, *part in parts},
        {Range(*place): tag for *place, tag in packs},
        frozenset(Segment(*place) for place in left_out),
    )
    row = Facts._make(facts)._replace(deleted=bool(facts[-1])) if word else None
    return Sighting(word, row, *data_of(data), reading)


def data_of(data: bytes) -> Data:
    """Parameters, tags and metrics of one run."""
    params, tags, metrics, odd = orjson.loads(data)
    found = {name: Summary(*values) for name, values in metrics.items()}
    if odd:
        found |= {
            name: Summary._make(_WORDS[x] if isinstance(x, str) else x for x in values)
            for name, values in odd.items()
        }
    return params, tags, found


class Batch:
    """Changes of some runs, written together: many rows by one statement are far cheaper."""

    def __init__(self, connection: sqlite3.Connection, project: str) -> None:
        self._connection, self._project = connection, project
        (highest,) = connection.execute("SELECT max(number) FROM looks").fetchone()
        self._next = (highest or 0) + 1
        self._stale: dict[str, list[tuple[int]]] = {"params": [], "tags": [], "metrics": []}
        self._no_runs: list[tuple[int]] = []
        self._looks: list[tuple[Any, ...]] = []
        self._runs: list[tuple[Any, ...]] = []
        self._params: list[tuple[Any, ...]] = []
        self._tags: list[tuple[Any, ...]] = []
        self._metrics: list[tuple[Any, ...]] = []

    def put(
        self, run: str, known: tuple[int, Sighting] | None, seen: Sighting, folder: str
    ) -> None:
        """Note what a look found; `folder` is the stamp of the run's folder before it."""
        number = known[0] if known is not None else self._next
        self._next += known is None
        before = known[1] if known is not None else _NEVER
        self._looks.append(
            (number, self._project, run, seen.word, folder, _reading(seen.reading), _data(seen))
        )
        if seen.facts is None:
            self._no_runs.append((number,))
        elif seen.facts != before.facts:
            self._runs.append((number, self._project, run, *seen.facts))
        if seen.params != before.params:
            self._replace("params", number, known)
            self._params += ((number, name, *typed(value)) for name, value in seen.params.items())
        if seen.tags != before.tags:
            self._replace("tags", number, known)
            self._tags += ((number, tag) for tag in seen.tags)
        self._put_metrics(number, before.metrics, seen.metrics)

    def _put_metrics(
        self, number: int, before: dict[str, Summary], now: dict[str, Summary]
    ) -> None:
        if not before.keys() <= now.keys():
            self._stale["metrics"].append((number,))
            before = {}
        changed = (item for item in now.items() if before.get(item[0]) != item[1])
        self._metrics += ((number, name, *summary) for name, summary in changed)

    def _replace(self, table: str, number: int, known: object) -> None:
        if known is not None:
            self._stale[table].append((number,))

    def write(self) -> None:
        many = self._connection.executemany
        for table, numbers in self._stale.items():
            if numbers:
                many(f"DELETE FROM {table} WHERE run = ?", numbers)
        if self._no_runs:
            many("DELETE FROM runs WHERE number = ?", self._no_runs)
        many("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?, ?, ?)", self._looks)
        many(f"INSERT OR REPLACE INTO runs VALUES ({_marks(range(14))})", self._runs)
        many("INSERT OR REPLACE INTO params VALUES (?, ?, ?, ?)", self._params)
        many("INSERT OR REPLACE INTO tags VALUES (?, ?)", self._tags)
        many("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self._metrics)


_NEVER = Sighting("", None, {}, [], {}, Reading({}, {}, {}))


def remove_runs(connection: sqlite3.Connection, project: str, ids: Iterable[str]) -> None:
    for chunk in chunks(list(ids)):
        numbers = connection.execute(
            f"SELECT number FROM looks WHERE project = ? AND id IN ({_marks(chunk)})",
            (project, *chunk),
        ).fetchall()
        for table in ("looks", "runs"):
            connection.executemany(f"DELETE FROM {table} WHERE number = ?", numbers)
        for table in ("params", "tags", "metrics"):
            connection.executemany(f"DELETE FROM {table} WHERE run = ?", numbers)


def typed(value: Any) -> tuple[str, Any]:
    """(kind, value) of a parameter, as it can be searched."""
    if value is None:
        return "none", None
    if isinstance(value, bool):
        return "bool", int(value)
    if isinstance(value, (int, float)):
        return "number", value if -_INT64 <= value < _INT64 else float(value)
    if isinstance(value, str):
        return "text", value
    return "json", orjson.dumps(value).decode()


def chunks(items: Sequence[Any], size: int = CHUNK) -> Iterator[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def _marks(items: Sequence[Any]) -> str:
    return ", ".join("?" * len(items))


def _reading(reading: Reading) -> bytes:
    parts = [(*place, *part) for place, part in reading.parts.items()]
    packs = [(*place, tag) for place, tag in reading.packs.items()]
    return orjson.dumps((reading.meta, parts, packs, [*map(tuple, reading.left_out)]))


def _data(seen: Sighting) -> bytes:
    metrics, odd = {}, {}
    for name, summary in seen.metrics.items():
        if isfinite(summary.last) and isfinite(summary.min) and isfinite(summary.max):
            metrics[name] = tuple(summary)
        else:
            odd[name] = [x if isfinite(x) else _word(x) for x in summary]
    return orjson.dumps((seen.params, seen.tags, metrics, odd))


def _word(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
