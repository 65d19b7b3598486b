"""What every tab of a run shows: its name, state, place among others, and what one may do to it.

A tab is a template that extends `run_base.html`, answered by

    return run_page(here, request, "run_params.html", run, "params", data={…}, scripts=(…))

`run_context` are the names that the header needs, for whoever answers without `run_page`; the
scripts and styles of the header are then `SCRIPTS` and `STYLES`, and `data["run"]` its `run_data`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.index import RunRow
from podstack.server.access import EDITOR, Context
from podstack.server.asking import reader_of
from podstack.server.standing import place_of, standing_of
from podstack.server.ui.rendering import page

SCRIPTS = ("pages/run_header.js",)
STYLES = ("run.css",)

TABS = (
    ("overview", "Overview"),
    ("params", "Parameters"),
    ("metrics", "Metrics"),
    ("artifacts", "Artifacts"),
    ("datasets", "Datasets"),
    ("alerts", "Alerts"),
    ("notes", "Notes"),
)


def run_page(
    here: Context,
    request: Request,
    template: str,
    run_id: str,
    tab: str,
    *,
    data: Mapping[str, Any] | None = None,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    **names: Any,
) -> Response:
    """One tab of a run.

    Args:
        tab: a key of TABS.
        data: what its scripts get as `page.data`, beside `run`.
        names: what the template gets, beside the names of `run_context`.

    Raises:
        NotFoundError: there is no such run.
    """
    known = run_context(here, run_id)
    words = dict(TABS)
    name = known["run"].name
    return page(
        here,
        request,
        template,
        title=name if tab == "overview" else f"{words[tab]} · {name}",
        data={
            "run": run_data(here, known["run"]),
            "best_order": known["standing"].order if known["standing"] else "",
            "tab": tab,
            **(data or {}),
        },
        active="runs",
        scripts=(*SCRIPTS, *scripts),
        styles=(*STYLES, *styles),
        **{**known, "tab": tab, **names},
    )


def run_context(here: Context, run_id: str) -> dict[str, Any]:
    """The names that `run_base.html` uses: run, stored, standing, place, run_tabs, may_edit.

    Raises:
        NotFoundError: there is no such run.
    """
    reader = reader_of(here)
    row = reader.row(run_id)
    standing = standing_of(reader, row)
    return {
        "run": row,
        "stored": reader.run(run_id),
        "standing": standing,
        "place": place_of(standing),
        "run_tabs": _tabs(row.id),
        "may_edit": here.role >= EDITOR,
    }


def run_data(here: Context, row: RunRow) -> dict[str, Any]:
    """What the header's script knows of the run."""
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "experiment": row.experiment_id,
        "parent": row.parent,
        "created": row.created,
        "ended": row.ended,
        "duration": row.duration,
        "tags": row.tags,
        "deleted": row.deleted,
        "editable": here.role >= EDITOR,
    }


def _tabs(run: str) -> list[tuple[str, str, str]]:
    """Key, word and path below the project of each tab."""
    return [
        (key, word, f"/runs/{run}" if key == "overview" else f"/runs/{run}/{key}")
        for key, word in TABS
    ]
