"""The page of what fired in a project."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from podstack.server.access import VIEWER, Here, Routes
from podstack.server.ui.rendering import page

routes = Routes(prefix="")


@routes.add("GET", "/projects/{project}/alerts", VIEWER)
def alerts_page(here: Here, request: Request) -> Response:
    """The alerts that fired, newest first, with a way to their runs."""
    return page(
        here,
        request,
        "alerts.html",
        title="Alerts",
        active="alerts",
        scripts=("pages/alerts.js",),
    )
