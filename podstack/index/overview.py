"""What a list of experiments shows beside each: when its runs began, how far its metrics got."""

from __future__ import annotations

import sqlite3
from sys import float_info
from typing import NamedTuple

_SHOWN = "runs.project = ? AND runs.deleted = 0"
_LOWEST, _HIGHEST = (
    f"{part}(CASE WHEN abs(metrics.{part}) <= {float_info.max!r} THEN metrics.{part} END)"
    for part in ("min", "max")
)


class Reached(NamedTuple):
    """How far a metric got in an experiment. min, max: of those that are finite; else None."""

    name: str
    runs: int
    min: float | None
    max: float | None


def starts(connection: sqlite3.Connection, project: str) -> dict[str, list[float]]:
    """By experiment: when its runs began, in order."""
    found: dict[str, list[float]] = {}
    sql = f"SELECT experiment, created FROM runs WHERE {_SHOWN} ORDER BY created"
    for experiment, created in connection.execute(sql, (project,)):
        found.setdefault(experiment, []).append(created)
    return found


def reached(connection: sqlite3.Connection, project: str) -> dict[str, list[Reached]]:
    """By experiment: its metrics, the most common first."""
    sql = (
        f"SELECT runs.experiment, metrics.name, count(*) AS n, {_LOWEST}, {_HIGHEST} "
        f"FROM runs JOIN metrics ON metrics.run = runs.number WHERE {_SHOWN} "
        "GROUP BY 1, 2 ORDER BY n DESC, 2"
    )
    found: dict[str, list[Reached]] = {}
    for experiment, *row in connection.execute(sql, (project,)):
        found.setdefault(experiment, []).append(Reached(*row))
    return found
