"""The list of experiments, and an experiment's Settings tab.

The list carries its rows as data; its script draws, searches, sorts and changes them in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.responses import Response

from podstack.clock import now
from podstack.directions import MAXIMIZE
from podstack.index import ExperimentRow
from podstack.index.overview import Reached
from podstack.server.access import EDITOR, VIEWER, Context, Here, Routes
from podstack.server.asking import experiment_of, indexing, looked, reader_of
from podstack.server.objectives import ranked, stated
from podstack.server.readers import ProjectReader
from podstack.server.ui.rendering import page
from podstack.server.ui.shell_pages import project_names

if TYPE_CHECKING:
    from podstack.sweeps.records import Objective

_BARS = 24  # of the picture of when runs began
_WAITING = 30  # rows whose height is kept until the script draws them

routes = Routes(prefix="")


@routes.add("GET", "/projects/{project}/experiments", VIEWER)
def experiments_page(here: Here, request: Request) -> Response:
    """All experiments of a project; archived and deleted ones are among the data."""
    reader = looked(here, partial=True)
    rows = rows_of(reader)
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
            **indexing(reader),
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
    """The best value of what the experiment's runs are judged by."""
    by_name = {found.name: found for found in metrics}
    for judge in ranked({found.name: found.runs for found in metrics}, said):
        found = by_name[judge.metric]
        value = found.max if judge.direction == MAXIMIZE else found.min
        if value is not None and isfinite(value):
            return {"name": found.name, "value": value, "direction": judge.direction}
    return None


def _address(here: Context, request: Request) -> str:
    """What a client is told to open: this server, as the browser reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{here.services.settings.prefix}"
