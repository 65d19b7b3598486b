"""Routes that change runs: names, tags, deletion with undo, and the request to stop.

A run that a process records hears of it as it does of an edit by the SDK: within seconds.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.index import RunRow
from podstack.index.wire import run_out
from podstack.names import RUNNING
from podstack.server.access import EDITOR, Context, Here, Routes
from podstack.server.asking import answer, reader_of
from podstack.server.errors import Refused
from podstack.server.experiment_edits import author_of, wrote
from podstack.server.fields import FLAG, IDS, NAME, TAGS, Fields, threaded

CHANGES = Fields(
    {"name": NAME, "tags": TAGS, "add_tags": TAGS, "remove_tags": TAGS, "deleted": FLAG}
)
MANY = Fields({"ids": IDS.must, "add_tags": TAGS, "remove_tags": TAGS, "deleted": FLAG})

routes = Routes()


@routes.add("PATCH", "/projects/{project}/runs/{run}", EDITOR, openapi_extra=CHANGES.described)
async def edit_run(request: Request, here: Here, run: str) -> Response:
    """Rename, tag (`tags` replaces all), delete or bring back."""
    return await threaded(here, _edit, run, await CHANGES.read(request, here))


def _edit(here: Context, run: str, told: dict[str, Any]) -> Response:
    reader = reader_of(here)
    reader.row(run)
    author_of(here).edit_run(run, told)
    wrote_run(here, run)
    return answer(run_out(reader.row(run)))


@routes.add("PATCH", "/projects/{project}/runs", EDITOR, openapi_extra=MANY.described)
async def edit_runs(request: Request, here: Here) -> Response:
    """The same change to many runs; ids that are unknown are told and cost the others nothing."""
    return await threaded(here, _edit_many, await MANY.read(request, here))


def _edit_many(here: Context, told: dict[str, Any]) -> Response:
    wanted = list(dict.fromkeys(told.pop("ids")))
    reader, author = reader_of(here), author_of(here)
    known = [row.id for row in reader.rows(wanted)]
    author.edit_runs(known, told)
    for run in known:
        wrote_run(here, run)
    missing = sorted(set(wanted) - set(known))
    return answer({"runs": [_brief(row) for row in reader.rows(known)], "missing": missing})


def _brief(row: RunRow) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "tags": row.tags, "deleted": row.deleted}


@routes.add("POST", "/projects/{project}/runs/{run}/stop", EDITOR)
def stop_run(here: Here, run: str) -> Response:
    """Ask whoever records the run to stop: its `should_stop` turns true within seconds."""
    reader = reader_of(here)
    if reader.row(run).status != RUNNING:
        raise Refused(409, "ended", "The run has ended: there is nothing to stop.")
    author_of(here).request_stop(run)
    wrote_run(here, run)
    return answer({"status": reader.row(run).status, "stop": True})


def wrote_run(here: Context, run: str) -> None:
    """Have everybody on this server see an edit of a run, and the herald look for firings."""
    wrote(here, f"runs/{run}/meta/edit.jsonl")
