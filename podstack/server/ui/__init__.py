"""The web pages. Each module with pages is named in PARTS, on a line of its own."""

from __future__ import annotations

from podstack.server.access import Routes
from podstack.server.ui import (
    alerts_page,
    artifact_page,
    compare_page,
    experiments_page,
    metrics_page,
    run_tabs,
    runs_page,
    shell_pages,
    sweep_pages,
    workspace_page,
)

PARTS: tuple[Routes, ...] = (
    shell_pages.routes,
    shell_pages.api_routes,
    alerts_page.routes,
    compare_page.routes,
    experiments_page.routes,
    metrics_page.routes,
    run_tabs.routes,
    artifact_page.routes,
    runs_page.routes,
    sweep_pages.routes,
    workspace_page.routes,
)
