"""The experiments of a project in the index: few, so that all are listed at each refresh."""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from podstack import clock
from podstack.names import is_id
from podstack.reader import OpLogs
from podstack.store import Store

Seen = dict[str, dict[str, str]]  # experiment -> its objects and their tags


class ExperimentReader:
    """Compares what a listing shows with what it showed before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: Seen | None = None

    def changed(self) -> bool:
        """Whether there is anything that this process has not brought into the index yet."""
        return self._listing() != self._seen

    def update(self, connection: sqlite3.Connection, project: str) -> None:
        """Bring the table up to date, in a transaction of its own."""
        listing = self._listing()
        known = {
            row[0]: orjson.loads(row[1])
            for row in connection.execute(
                "SELECT id, seen FROM experiments WHERE project = ?", (project,)
            )
        }
        for experiment in known.keys() - listing.keys():
            _remove(connection, project, experiment)
        for experiment, tags in listing.items():
            if known.get(experiment) != tags:
                _remove(connection, project, experiment)
                self._insert(connection, project, experiment, tags)
        self._seen = listing

    def _listing(self) -> Seen:
        prefix = self._store.keys.experiments
        found: Seen = {}
        for info in self._store.backend.list(prefix):
            experiment, _, name = info.key[len(prefix) :].partition("/")
            if is_id(experiment):
                found.setdefault(experiment, {})[name] = info.tag
        return found

    def _insert(
        self, connection: sqlite3.Connection, project: str, experiment: str, seen: dict[str, str]
    ) -> None:
        fold = OpLogs(self._store.backend, self._store.keys.experiment(experiment)).fold()
        created, tags = fold.get("created"), sorted(fold.below("tags"))
        row: tuple[Any, ...] = (
            project,
            experiment,
            str(fold.get("name") or experiment),
            str(fold.get("description", "")),
            float(created) if _is_time(created) else clock.stamp_time(fold.first),
            bool(fold.get("archived")),
            bool(fold.get("deleted")),
            orjson.dumps(tags),
            orjson.dumps(seen),
        )
        number = connection.execute(
            "INSERT INTO experiments VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row
        ).lastrowid
        connection.executemany(
            "INSERT INTO experiment_tags VALUES (?, ?)", [(number, tag) for tag in tags]
        )


def _remove(connection: sqlite3.Connection, project: str, experiment: str) -> None:
    found = connection.execute(
        "SELECT number FROM experiments WHERE project = ? AND id = ?", (project, experiment)
    ).fetchall()
    connection.executemany("DELETE FROM experiments WHERE number = ?", found)
    connection.executemany("DELETE FROM experiment_tags WHERE experiment = ?", found)


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
