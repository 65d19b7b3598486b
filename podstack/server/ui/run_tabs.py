"""The tabs of a run that are mostly text: overview, parameters, data sets, alerts, notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from fastapi import Request
from starlette.responses import Response

from podstack.columns import same
from podstack.edits import notes_of
from podstack.index import RunRow
from podstack.index.wire import plain
from podstack.query import order_of
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.asking import Text, reader_of
from podstack.server.beside import beside
from podstack.server.readers import ProjectReader
from podstack.server.standing import best_beside
from podstack.server.ui.markdown import render
from podstack.server.ui.run_page import run_page
from podstack.server.ui.words import size

_LINES = 200  # of the console
_DIFF = 256 << 10  # characters of a diff that are shown
_LABELS = {"cpu": "CPU", "gpus": "GPUs"}

routes = Routes(prefix="")


# Overview ------------------------------------------------------------------------------------


@routes.add("GET", "/projects/{project}/runs/{run}", VIEWER)
def overview(here: Here, request: Request, run: str) -> Response:
    """What a run came to, and what it was made by."""
    reader = reader_of(here)
    row, stored = reader.row(run), reader.run(run)
    found = stored.environment
    seen = beside(reader, row)
    return run_page(
        here,
        request,
        "run_overview.html",
        run,
        "overview",
        data={
            "metrics": list(row.metrics),
            "directions": seen.directions,
            "other": seen.other.id if seen.other else None,
        },
        scripts=("pages/run_overview.js",),
        metrics=seen.results,
        other=seen.other,
        other_role=seen.role,
        environment=found,
        facts=_facts(found),
        diff=_diff_lines(found.diff[:_DIFF]),
        diff_left_out=max(0, len(found.diff) - _DIFF),
        console=stored.console(_LINES),
        error=row.error,
        parent=row.parent,
    )


def _diff_lines(diff: str) -> list[tuple[str, str]]:
    """Each line of a diff with what it is: added, removed, place, or nothing."""
    kinds = {"+": "added", "-": "removed", "@": "place"}
    named = ("+++", "---", "diff ", "index ")
    return [
        ("file" if line.startswith(named) else kinds.get(line[:1], ""), line)
        for line in diff.splitlines()
    ]


def _facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is told of machine and program, in words."""
    names = ("python", "host", "platform", "cpu", "cores", "memory", "gpus", "folder", "script")
    told = ((name, environment.get(name)) for name in names)
    return [
        (_LABELS.get(name, name.capitalize()), _said(name, value))
        for name, value in told
        if value not in (None, "", [], {})
    ]


def _said(name: str, value: Any) -> str:
    return size(value) if name == "memory" and isinstance(value, int) else _worded(value)


def _worded(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_worded, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_worded(inner)}" for name, inner in value.items())
    return str(value)


# Parameters ----------------------------------------------------------------------------------


class Parameter(NamedTuple):
    """A parameter beside another run's. state: same, changed, added or missing."""

    group: str
    name: str
    path: str
    value: Any
    other: Any
    state: str


@routes.add("GET", "/projects/{project}/runs/{run}/params", VIEWER)
def params(here: Here, request: Request, run: str, than: Text = "") -> Response:
    """The parameters as a tree, beside those of another run; by default the best one's."""
    reader = reader_of(here)
    row = reader.row(run)
    other = _other(reader, row, than)
    rows = _beside(row.params, other.params if other else None)
    return run_page(
        here,
        request,
        "run_params.html",
        run,
        "params",
        data={"params": _as_json(row.params)},
        scripts=("pages/run_params.js",),
        rows=rows,
        other=other,
        different=sum(one.state != "same" for one in rows) if other else 0,
        candidates=_candidates(reader, row),
    )


def _as_json(params: Mapping[str, Any]) -> str:
    """A text, because a browser would round a large integer and take 1.0 for 1."""
    return orjson.dumps(plain(params), option=orjson.OPT_INDENT_2).decode()


def _other(reader: ProjectReader, row: RunRow, wanted: str) -> RunRow | None:
    if wanted == "none":
        return None
    if wanted:
        return next(iter(reader.rows([wanted])), None)
    best = best_beside(reader, row)
    return None if best is None or best.id == row.id else best


def _candidates(reader: ProjectReader, row: RunRow) -> list[RunRow]:
    """Runs to compare with: the newest of its experiment."""
    newest = order_of(["-created"])
    found = reader.index.runs(order=newest, experiment=row.experiment_id, limit=51)
    return [one for one in found if one.id != row.id][:50]


def _beside(mine: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> list[Parameter]:
    paths = sorted({*mine, *(theirs or {})}, key=lambda path: (_group(path) != "", path))
    return [_parameter(path, mine, theirs) for path in paths]


def _parameter(path: str, mine: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> Parameter:
    known = theirs is not None and path in theirs
    state = (
        "same"
        if theirs is None or (known and path in mine and same(theirs[path], mine[path]))
        else "changed"
        if known and path in mine
        else "added"
        if path in mine
        else "missing"
    )
    group = _group(path)
    name = path[len(group) + 1 :] if group else path
    return Parameter(group, name, path, mine.get(path), (theirs or {}).get(path), state)


def _group(path: str) -> str:
    """What stands before the last dot or slash."""
    return path[: max(path.rfind("."), path.rfind("/"), 0)]


# Data sets, alerts, notes --------------------------------------------------------------------


@routes.add("GET", "/projects/{project}/runs/{run}/datasets", VIEWER)
def datasets(here: Here, request: Request, run: str) -> Response:
    """What the run was trained on."""
    found = reader_of(here).run(run).datasets
    return run_page(
        here,
        request,
        "run_datasets.html",
        run,
        "datasets",
        scripts=("pages/run_datasets.js",),
        datasets=found,
    )


@routes.add("GET", "/projects/{project}/runs/{run}/alerts", VIEWER)
def alerts(here: Here, request: Request, run: str) -> Response:
    """What the run is watched for, and when that came."""
    reader = reader_of(here)
    return run_page(
        here,
        request,
        "run_alerts.html",
        run,
        "alerts",
        data={"metrics": sorted(reader.row(run).metrics)},
        scripts=("pages/run_alerts.js",),
        styles=("charts.css",),
        alerts=reader.run(run).alerts,
    )


@routes.add("GET", "/projects/{project}/runs/{run}/notes", VIEWER)
def notes(here: Here, request: Request, run: str) -> Response:
    """The notes, to read and to write."""
    found = notes_of(reader_of(here).run(run))
    return run_page(
        here,
        request,
        "run_notes.html",
        run,
        "notes",
        data={"text": found.text, "version": found.version},
        scripts=("pages/run_notes.js",),
        notes=found,
        html=render(found.text),
    )
