"""Every module of routes, but for those of the first page, which `app.FIRST` names.

One that is missing in both is not served.
"""

from __future__ import annotations

from podstack.server import (
    alert_edits,
    comparisons,
    documents,
    experiment_edits,
    note_edits,
    notifications,
    objects,
    overlays,
    previews,
    questions,
    record_questions,
    run_edits,
    run_questions,
    sweep_edits,
    sweep_insight,
    sweep_questions,
    sweep_ranges,
    table_questions,
    token_edits,
    view_routes,
)
from podstack.server.access import Routes
from podstack.server.ui import (
    alerts_page,
    artifact_page,
    compare_page,
    metrics_page,
    notes_page,
    run_tabs,
    runs_page,
    search_page,
    sweep_pages,
    workspace_page,
)

PARTS: tuple[Routes, ...] = (
    comparisons.routes,
    documents.routes,
    notifications.routes,
    objects.routes,
    overlays.routes,
    previews.routes,
    questions.routes,
    run_questions.routes,
    sweep_insight.routes,
    sweep_questions.routes,
    sweep_ranges.routes,
    table_questions.routes,
    experiment_edits.routes,
    run_edits.routes,
    note_edits.routes,
    alert_edits.routes,
    sweep_edits.routes,
    token_edits.routes,
    view_routes.routes,
    record_questions.routes,
    search_page.routes,
    search_page.api_routes,
    alerts_page.routes,
    compare_page.routes,
    metrics_page.routes,
    notes_page.routes,
    run_tabs.routes,
    artifact_page.routes,
    runs_page.routes,
    sweep_pages.routes,
    workspace_page.routes,
)
