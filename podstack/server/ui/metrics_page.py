"""The Metrics tab of a run: a chart for each metric, with the alerts that fired on it."""

from __future__ import annotations

import orjson
from fastapi import Request
from starlette.responses import Response

from podstack.server.access import VIEWER, Here, Routes
from podstack.server.asking import reader_of
from podstack.server.comparisons import columns_for
from podstack.server.record_questions import charts_of
from podstack.server.ui.run_page import run_page

routes = Routes(prefix="")


@routes.add("GET", "/projects/{project}/runs/{run}/metrics", VIEWER)
def metrics_page(here: Here, request: Request, run: str) -> Response:
    """The page, with the names of the metrics, so that charts have their places at once."""
    return run_page(
        here,
        request,
        "run_metrics.html",
        run,
        "metrics",
        data={
            "columns": columns_for(here, orjson.dumps([run]).decode()),
            **charts_of(reader_of(here), run),
        },
        scripts=("pages/run_metrics.js",),
        styles=("charts.css", "workspace.css"),
    )
