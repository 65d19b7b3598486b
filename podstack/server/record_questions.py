"""What the record of a run tells besides its points: its past, its code, its alerts, its data."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from podstack import clock
from podstack.alerts import Alert, Firing
from podstack.edits import author_of
from podstack.index import RunRow
from podstack.index.wire import plain
from podstack.query import order_of
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.asking import Text, answer, reader_of
from podstack.server.beside import standing_out
from podstack.server.readers import ProjectReader
from podstack.stored_run import StoredRun

MOST_CHANGES = 1000  # of one answer, the latest ones
MOST_FIRINGS = 500
MOST_LOOKED_AT = 300  # runs, the latest ones, whose records are read for one answer

Firings = Annotated[int, Query(ge=1, le=MOST_FIRINGS)]

routes = Routes()


@routes.add("GET", "/projects/{project}/runs/{run}/environment", VIEWER)
def environment(here: Here, run: str) -> Response:
    """What was recorded of a run's surroundings: command, code with its diff, packages, machine."""
    return answer(plain(dict(reader_of(here).run(run).environment)))


@routes.add("GET", "/projects/{project}/runs/{run}/history", VIEWER)
def history(here: Here, run: str, path: Text) -> Response:
    """Every value that a fact of a run had, oldest first, with who set it: `params/lr`, `notes`."""
    opened = reader_of(here).run(run)
    found = opened.history(path)[-MOST_CHANGES:]
    told = [
        {
            "time": clock.stamp_time(change.stamp),
            "by": author_of(opened, change),
            "value": plain(change.value),
        }
        for change in found
    ]
    return answer({"changes": told})


@routes.add("GET", "/projects/{project}/runs/{run}/charts", VIEWER)
def charts(here: Here, run: str) -> Response:
    """Which charts a run has, one for each metric, where alerts fired on them, and its place."""
    reader = reader_of(here)
    return answer(charts_of(reader, run) | standing_out(reader, run))


def charts_of(reader: ProjectReader, run: str) -> dict[str, Any]:
    """The names are of the index: to count a million points takes seconds."""
    return {"metrics": list(reader.row(run).metrics), "flags": _flags_of(reader.run(run))}


def _flags_of(run: StoredRun) -> dict[str, list[dict[str, Any]]]:
    """By metric: the step and the time of each firing, and a line that tells of it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for alert in run.alerts:
        for firing in alert.fired:
            found.setdefault(firing.metric, []).append(flag_of(firing, alert))
    return found


def flag_of(firing: Firing, alert: Alert) -> dict[str, Any]:
    """A firing as a mark of a chart."""
    said = f"{alert.message} ({alert.condition})" if alert.message else alert.condition
    text = f"{said}: {firing.metric} = {firing.value:.6g} at step {firing.step}"
    return {"step": firing.step, "time": firing.time, "text": text}


@routes.add("GET", "/projects/{project}/alerts", VIEWER)
def fired_alerts(here: Here, limit: Firings = 100) -> Response:
    """What fired in the project, newest first, in the runs that were begun last.

    `looked_at` is how many runs were read, `runs` how many there are.
    """
    reader = reader_of(here)
    rows, total = _latest(reader)
    fired = [told for row in rows for told in _fired(row, StoredRun(reader.store, row.id))]
    fired.sort(key=lambda told: -float(told["time"]))
    return answer({"alerts": fired[:limit], "looked_at": len(rows), "runs": total})


def _fired(row: RunRow, run: StoredRun) -> list[dict[str, Any]]:
    about = {"run": row.id, "run_name": row.name, "experiment": row.experiment_id}
    return [
        {**about, "id": alert.id, "message": alert.message, **plain(firing._asdict())}
        for alert in run.alerts
        for firing in alert.fired
    ]


@routes.add("GET", "/projects/{project}/datasets/{digest}/runs", VIEWER)
def runs_of_dataset(here: Here, digest: str) -> Response:
    """The runs that used the same data, newest first, among those that were begun last.

    digest: a dataset's `sha256` or `sha256_of_ends`.
    """
    reader = reader_of(here)
    rows, total = _latest(reader)
    found = [
        {"id": row.id, "name": row.name, "status": row.status, "experiment": row.experiment_id}
        for row in rows
        if _used(StoredRun(reader.store, row.id), digest)
    ]
    return answer({"runs": found, "looked_at": len(rows), "total": total})


def _used(run: StoredRun, digest: str) -> bool:
    digests = [(d.get("sha256"), d.get("sha256_of_ends")) for d in run.datasets.values()]
    return any(digest in pair for pair in digests)


def _latest(reader: ProjectReader) -> tuple[list[RunRow], int]:
    """The runs that were begun last, newest first, and how many there are in all."""
    reader.index.refresh()
    return reader.index.runs(order=order_of("-created"), limit=MOST_LOOKED_AT), reader.index.count()
