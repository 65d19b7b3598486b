"""The list of experiments, and an experiment's Settings tab.

The list carries its rows as data; its script draws, searches, sorts and changes them in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.clock import now
from podstack.directions import MAXIMIZE, direction_of
from podstack.index import ExperimentRow
from podstack.index.overview import Reached
from podstack.server.access import EDITOR, VIEWER, Context, Here, Routes
from podstack.server.objectives import stated
from podstack.server.questions import experiment_of, reader_of
from podstack.server.readers import ProjectReader
from podstack.server.ui.rendering import page
from podstack.server.ui.shell_pages import project_names
from podstack.sweeps.records import Objective

_BARS = 24  # of the picture of when runs began
_WAITING = 30  # rows whose height is kept until the script draws them

routes = Routes(prefix="")


@routes.add("GET", "/projects/{project}/experiments", VIEWER)
def experiments_page(here: Here, request: Request) -> Response:
    """All experiments of a project; archived and deleted ones are among the data."""
    rows = rows_of(reader_of(here))
    listed = [row for row in rows if not row["archived"] and not row["deleted"]]
    return page(
        here,
        request,
        "experiments.html",
        title="Experiments",
        active="experiments",
        data={
            "experiments": rows,
            "projects": project_names(here),
            "address": _address(here, request),
        },
        scripts=("pages/experiments.js",),
        styles=("experiments.css",),
        may_edit=here.role >= EDITOR,
        is_empty=not rows,
        waiting=min(len(listed), _WAITING),
        has_tags=any(row["tags"] for row in listed),
    )


@routes.add("GET", "/projects/{project}/experiments/{experiment}/settings", VIEWER)
def experiment_settings(here: Here, request: Request, experiment: str) -> Response:
    """Name, description and tags of an experiment; archiving and deleting it."""
    reader = reader_of(here)
    reader.index.refresh()
    row = experiment_of(reader, experiment)
    shown = ("id", "name", "description", "tags", "archived", "deleted", "runs")
    return page(
        here,
        request,
        "experiment_settings.html",
        title=f"Settings of {row.name}",
        data={"experiment": {name: getattr(row, name) for name in shown}},
        active="experiments",
        scripts=("pages/experiment_settings.js",),
        styles=("experiments.css",),
        experiment=row,
        may_edit=here.role >= EDITOR,
    )


def rows_of(reader: ProjectReader) -> list[dict[str, Any]]:
    """Every experiment, with when its runs began and its best value."""
    index = reader.index
    index.refresh()
    began, reached = reader.remembered("overview", lambda: (index.starts(), index.reached()), _size)
    said = stated(reader)
    return [
        {
            **row._asdict(),
            "starts": _bars(row, began.get(row.id, [])),
            "best": _best(reached.get(row.id, []), said.get(row.id)),
        }
        for row in index.experiments()
    ]


def _size(overview: tuple[dict[str, list[float]], dict[str, list[Reached]]]) -> int:
    """About how many bytes it takes."""
    began, reached = overview
    return 32 * sum(map(len, began.values())) + 300 * sum(map(len, reached.values()))


def _bars(row: ExperimentRow, began: Sequence[float]) -> list[int]:
    """How many runs began in each of equal spans from the first one until now."""
    if not began:
        return []
    first = min(began)
    span = max(now() - first, 1.0)
    bars = [0] * _BARS
    for moment in began:
        bars[max(0, min(_BARS - 1, int((moment - first) / span * _BARS)))] += 1
    return bars


def _best(metrics: Sequence[Reached], said: Objective | None) -> dict[str, Any] | None:
    """The best value of what a sweep improves, else of the metric that most runs have, among those
    with a known direction."""
    stated_first = [
        (found, said.direction) for found in metrics if said and found.name == said.metric
    ]
    for found, way in (*stated_first, *_common(metrics)):
        value = found.max if way == MAXIMIZE else found.min
        if value is not None:
            return {"name": found.name, "value": value, "direction": way}
    return None


def _common(metrics: Sequence[Reached]) -> list[tuple[Reached, str]]:
    known = [(found, way) for found in metrics if (way := direction_of(found.name)) is not None]
    most = max((found.runs for found, _ in known), default=0)
    common = [pair for pair in known if pair[0].runs >= 0.8 * most]
    return sorted(common, key=lambda pair: _rank(pair[0].name, pair[1]))


def _rank(name: str, way: str) -> tuple[bool, bool, str]:
    """What was validated before what was trained on, a score before a loss."""
    return not name.lower().startswith(("val", "valid", "test", "eval")), way != MAXIMIZE, name


def _address(here: Context, request: Request) -> str:
    """What a client is told to open: this server, as the browser reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{here.services.settings.prefix}"
