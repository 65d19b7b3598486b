"""The Metrics tab of a run: a chart for each metric, with the alerts that fired on it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import orjson
from fastapi import Request
from starlette.responses import Response

from podstack.server.access import VIEWER, Here, Routes
from podstack.server.comparisons import columns_for
from podstack.server.questions import reader_of
from podstack.server.ui.run_page import run_page
from podstack.stored_run import StoredRun

routes = Routes(prefix="")


@routes.add("GET", "/projects/{project}/runs/{run}/metrics", VIEWER)
def metrics_page(here: Here, request: Request, run: str) -> Response:
    """The page, with the names of the metrics, so that charts have their places at once."""
    reader = reader_of(here)
    return run_page(
        here,
        request,
        "run_metrics.html",
        run,
        "metrics",
        data={
            "columns": columns_for(here, orjson.dumps([run]).decode()),
            "metrics": list(reader.row(run).metrics),  # of the index: a million points take seconds
            "flags": _flags(reader.run(run)),
        },
        scripts=("pages/run_metrics.js",),
        styles=("charts.css", "workspace.css"),
    )


def _flags(run: StoredRun) -> dict[str, list[dict[str, Any]]]:
    """By metric: where an alert fired on it, and what it said."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for alert in run.alerts:
        for firing in alert.fired:
            text = alert.message or alert.condition
            found[firing.metric].append({"x": firing.step, "text": text})
    return found
