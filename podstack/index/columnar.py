"""Runs as columns: what a table of ten thousand of them is made of.

A row's parameters and metrics are taken from the one JSON text that `looks` holds of it and put
straight into columns, without an object for each run.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from podstack.index import rows as tables

FACTS = (
    "id", "name", "status", "lost_since", "experiment", "user", "created", "ended", "parent",
    "notes", "deleted",
)  # fmt: skip

Figures = Sequence[Any]  # those of a Summary, in its order; what JSON lacks as a text


class Columnar(NamedTuple):
    """Columns of one length. None where a run has no such thing.

    facts: by FACTS; the experiment is an id. params: as logged, but [] stands for a logged None.
    metrics: the figures of a Summary.
    """

    facts: dict[str, list[Any]]
    tags: list[list[str]]
    params: dict[str, list[Any]]
    metrics: dict[str, list[Figures | None]]


def columnar(connection: sqlite3.Connection, numbers: Sequence[int]) -> Columnar:
    """The runs of these numbers, in their order; unknown ones are left out."""
    found = _found(connection, numbers)
    known = [found[number] for number in numbers if number in found]
    names = zip(*(row[:-1] for row in known), strict=True) if known else ([] for _ in FACTS)
    facts = {name: list(column) for name, column in zip(FACTS, names, strict=True)}
    table = Columnar(facts, [], {}, {})
    for place, row in enumerate(known):
        _put(table, place, len(known), row[-1])
    return table


def stamps(connection: sqlite3.Connection, project: str) -> dict[str, int]:
    """A number for each run that changes whenever a look found something new.

    So it does when nobody records it any more, without that anything new is found, and when its
    experiment is renamed, deleted or restored.
    """
    experiments = {
        experiment: zlib.crc32(f"{deleted} {name}".encode())
        for experiment, name, deleted in connection.execute(
            "SELECT id, name, deleted FROM experiments WHERE project = ?", (project,)
        )
    }
    found = connection.execute(
        "SELECT runs.id, looks.seen, runs.status, runs.ended, runs.experiment FROM runs "
        "JOIN looks ON looks.number = runs.number WHERE runs.project = ?",
        (project,),
    )
    return {
        run: zlib.crc32(f"{status} {ended}".encode(), zlib.crc32(seen, experiments.get(place, 0)))
        for run, seen, status, ended, place in found
    }


def _found(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    fields = ", ".join(f"runs.{name}" for name in FACTS)
    sql = (
        f"SELECT runs.number, {fields}, looks.data FROM runs "
        "JOIN looks ON looks.number = runs.number WHERE runs.number IN "
    )
    found: dict[int, tuple[Any, ...]] = {}
    for chunk in tables.chunks(numbers):
        marks = ", ".join("?" * len(chunk))
        found |= {row[0]: row[1:] for row in connection.execute(f"{sql}({marks})", chunk)}
    return found


def _put(table: Columnar, place: int, size: int, data: bytes) -> None:
    params, tags, metrics, odd = orjson.loads(data)
    table.tags.append(tags)
    for name, value in params.items():
        _column(table.params, name, size)[place] = [] if value is None else _shown(value)
    for name, figures in (metrics | odd).items():
        _column(table.metrics, name, size)[place] = figures


def _column(columns: dict[str, list[Any]], name: str, size: int) -> list[Any]:
    column = columns.get(name)
    if column is None:
        column = columns[name] = [None] * size
    return column


def _shown(value: Any) -> Any:
    """Lists and dicts as their compact JSON, as a filter sees them."""
    return orjson.dumps(value).decode() if isinstance(value, (list, dict)) else value
