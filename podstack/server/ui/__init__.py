"""The web pages. Each module with pages is named in PARTS, on a line of its own."""

from __future__ import annotations

from podstack.server.access import Routes
from podstack.server.ui import (
    compare_page,
    experiments_page,
    runs_page,
    shell_pages,
    sweep_pages,
)

PARTS: tuple[Routes, ...] = (
    shell_pages.routes,
    shell_pages.api_routes,
    compare_page.routes,
    experiments_page.routes,
    runs_page.routes,
    sweep_pages.routes,
)
