"""What an index answers: rows of runs and experiments, put together from its tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from podstack.clock import now
from podstack.index import rows as tables
from podstack.series import Summary


class RunRow(NamedTuple):
    """A run as the index knows it; `experiment` is a name, `ended` None while it runs."""

    id: str
    name: str
    status: str
    lost_since: float | None
    experiment_id: str
    experiment: str
    user: str
    created: float
    ended: float | None
    duration: float
    parent: str | None
    tags: list[str]
    params: dict[str, Any]
    metrics: dict[str, Summary]
    notes: str
    error: str | None
    deleted: bool


class ExperimentRow(NamedTuple):
    """An experiment; runs that are deleted do not count. `last_activity` is a time."""

    id: str
    name: str
    description: str
    tags: list[str]
    created: float
    archived: bool
    deleted: bool
    status: str
    runs: int
    running: int
    last_activity: float


class Names(NamedTuple):
    """Every name in use, with the number of runs that have it."""

    params: dict[str, int]
    metrics: dict[str, int]
    tags: dict[str, int]


_ROW = """
SELECT runs.number, runs.id, runs.name, runs.status, runs.lost_since, runs.experiment,
  coalesce(experiments.name, runs.experiment), runs.user, runs.created, runs.ended, runs.parent,
  runs.notes, runs.error, runs.deleted, looks.data
FROM runs JOIN looks ON looks.number = runs.number
LEFT JOIN experiments ON experiments.project = runs.project AND experiments.id = runs.experiment
WHERE runs.number IN """


def rows(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[RunRow]:
    found: dict[int, RunRow] = {}
    for chunk in tables.chunks(numbers):
        marks = ", ".join("?" * len(chunk))
        for number, *row in connection.execute(f"{_ROW}({marks})", chunk):
            found[number] = _row(*row)
    return [found[number] for number in numbers if number in found]


def _row(
    id: str, name: str, status: str, lost_since: float | None, experiment_id: str, experiment: str,
    user: str, created: float, ended: float | None, parent: str | None, notes: str,
    error: str | None, deleted: int, data: bytes,
) -> RunRow:  # fmt: skip
    params, tags, metrics = tables.data_of(data)
    duration = max(0.0, (now() if ended is None else ended) - created)
    return RunRow(
        id, name, status, lost_since, experiment_id, experiment, user, created, ended, duration,
        parent, tags, params, metrics, notes, error, bool(deleted),
    )  # fmt: skip


def experiments(connection: sqlite3.Connection, project: str) -> list[ExperimentRow]:
    runs = {
        experiment: counts
        for experiment, *counts in connection.execute(
            "SELECT experiment, count(*), sum(status = 'running'), "
            "max(max(created, coalesce(ended, created))) "
            "FROM runs WHERE project = ? AND deleted = 0 GROUP BY experiment",
            (project,),
        )
    }
    rows = connection.execute(
        "SELECT id, name, description, tags, created, archived, deleted FROM experiments "
        "WHERE project = ? ORDER BY created, id",
        (project,),
    )
    return [_experiment(*row, *runs.get(row[0], (0, 0, 0.0))) for row in rows]


def _experiment(
    id: str, name: str, description: str, tags: bytes, created: float, archived: int, deleted: int,
    runs: int, running: int, latest: float,
) -> ExperimentRow:  # fmt: skip
    status = "archived" if archived else "completed" if runs and not running else "active"
    return ExperimentRow(
        id, name, description, orjson.loads(tags), created, bool(archived), bool(deleted), status,
        runs, running, now() if running else max(created, latest),
    )  # fmt: skip
