"""The charts of an experiment: `/projects/{project}/experiments/{experiment}/charts`.

A rail of runs on the left, a chart for each metric on the right. Everything else in the query
(which runs, the axes, smoothing, groups, zoom) is the view, and the page's own: a link is a view.
"""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from podstack.server.access import VIEWER, Here, Routes
from podstack.server.asking import experiment_of, reader_of
from podstack.server.comparisons import columns_for
from podstack.server.ui.rendering import page

routes = Routes(prefix="")


@routes.add("GET", "/projects/{project}/experiments/{experiment}/charts", VIEWER)
def workspace_page(here: Here, request: Request, experiment: str) -> Response:
    """The page, with its newest runs as columns, so that it need not ask for them first.

    Raises:
        NotFoundError: there is no such experiment.
    """
    reader = reader_of(here)
    reader.index.refresh()
    row = experiment_of(reader, experiment)
    return page(
        here,
        request,
        "workspace.html",
        title=f"Charts of {row.name}",
        data={
            "experiment": {"id": row.id, "name": row.name},
            "columns": columns_for(here, experiment=row.id),
        },
        active="experiments",
        scripts=("pages/workspace.js",),
        styles=("charts.css", "workspace.css"),
        experiment=row,
    )
