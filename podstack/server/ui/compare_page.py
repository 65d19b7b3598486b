"""The page that lays runs beside one another: `/projects/{project}/compare`.

`?runs=["id",…]` are the runs in the order of the strip; `?experiment=…&q=…` are those of an
experiment that match a filter, 500 at most. All else in the query is the view, and the page's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.errors import NotFoundError, PodstackError, UsageError
from podstack.server.access import VIEWER, Context, Here, Routes
from podstack.server.asking import Text, experiment_of, reader_of, texts
from podstack.server.comparisons import columns_for
from podstack.server.ui.assets import tree
from podstack.server.ui.rendering import page

MANY = 20  # runs past which charts come first

# id of the section, its heading
_SECTIONS = (
    ("params", "Parameters"),
    ("metrics", "Metrics"),
    ("curves", "Curves"),
    ("parallel", "Parallel coordinates"),
    ("importance", "Which parameter mattered"),
    ("scatter", "Scatter"),
    ("bars", "Final values"),
    ("texts", "Side by side"),
)
_CHARTS_FIRST = (
    "parallel",
    "importance",
    "scatter",
    "bars",
    "curves",
    "metrics",
    "params",
    "texts",
)

_LONG = 6  # rows from which the table of metrics is tall, so that it gets the room at once

_AT_ONCE = 2  # panels that come with the page; further ones wait until they are in sight

routes = Routes(prefix="")


@routes.add("GET", "/projects/{project}/compare", VIEWER)
def compare_page(
    here: Here, request: Request, runs: Text = "", experiment: Text = "", q: Text = ""
) -> Response:
    """The page, and what `compare/columns` says of its runs, so that it need not ask first."""
    whole = _experiment(here, experiment)
    many = whole is not None or _count(runs) > MANY
    headings = dict(_SECTIONS)
    order = _CHARTS_FIRST if many else tuple(headings)
    columns = _columns(here, runs, whole, q)
    return page(
        here,
        request,
        "compare.html",
        title=f"Compare {whole['name']}" if whole else "Compare runs",
        data={"experiment": whole, "columns": columns},
        active="compare",
        scripts=("pages/compare.js",),
        styles=("charts.css", "compare.css"),
        sections=[(name, headings[name]) for name in order],
        modules=_modules(order[:_AT_ONCE]),
        long=_long(columns),
        experiment=whole,
    )


def _long(columns: dict[str, Any] | None) -> tuple[str, ...]:
    """The panels whose tables are tall."""
    rows = max(len(columns["metrics"]), len(columns["runs"]["id"])) if columns else 0
    return ("metrics",) if rows > _LONG else ()


def _columns(
    here: Context, runs: str, whole: dict[str, Any] | None, q: str
) -> dict[str, Any] | None:
    """None where there is nothing to answer: the page asks by itself then, and shows why not."""
    if not runs and whole is None:
        return None
    try:
        return columns_for(here, runs, whole["id"] if whole else None, q)
    except PodstackError:
        return None


def _modules(names: Sequence[str]) -> list[str]:
    """The scripts of the panels that are in sight at first: they need not wait for the page."""
    panels = [f"compare/{name}_panel.js" for name in names]
    return [*panels, *tree().imported(panels)]


def _experiment(here: Context, wanted: str) -> dict[str, Any] | None:
    """Its id and name; None where the query names none, or one that is not there."""
    if not wanted:
        return None
    reader = reader_of(here)
    reader.index.refresh()
    try:
        row = experiment_of(reader, wanted)
    except NotFoundError:
        return {"id": wanted, "name": wanted}  # the page's own request says what is wrong
    return {"id": row.id, "name": row.name}


def _count(runs: str) -> int:
    try:
        return len(texts(runs))
    except UsageError:
        return 0
