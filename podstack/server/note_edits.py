"""Routes for the notes of a run: read with their version, written over that version only.

The Markdown is rendered here, once for all pages, so that what a preview shows is what is kept.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Request
from starlette.responses import Response

from podstack.edits import Notes, NotesConflict, notes_of
from podstack.server.access import EDITOR, VIEWER, Context, Here, Routes
from podstack.server.asking import answer, reader_of
from podstack.server.experiment_edits import author_of
from podstack.server.fields import NAME, TEXT, Fields, threaded
from podstack.server.run_edits import wrote_run

NOTES = Fields({"text": TEXT.must, "version": NAME.must})
MARKDOWN = Fields({"text": TEXT.must})

routes = Routes()


@routes.add("GET", "/projects/{project}/runs/{run}/notes", VIEWER)
def notes(here: Here, run: str) -> Response:
    """The notes, rendered too; `version` goes with the next write."""
    found = notes_of(reader_of(here).run(run))
    return answer({**_told(found), "html": _rendered(found.text)})


@routes.add("PUT", "/projects/{project}/runs/{run}/notes", EDITOR, openapi_extra=NOTES.described)
async def write_notes(request: Request, here: Here, run: str) -> Response:
    """Replace the notes that were read as `version`; 409 with theirs if another wrote since."""
    told = await NOTES.read(request, here)
    async with here.services.turns.of(f"notes {here.project} {run}"):
        return await threaded(here, _write, run, told)


def _write(here: Context, run: str, told: dict[str, Any]) -> Response:
    reader_of(here).row(run)
    try:
        kept = author_of(here).write_notes(run, told["text"], told["version"])
    except NotesConflict as conflict:
        return _conflict(conflict.notes)
    finally:
        wrote_run(here, run)
    return answer(_told(kept))


def _conflict(theirs: Notes) -> Response:
    error = {"code": "conflict", "message": "The notes were changed by someone else."}
    content = orjson.dumps({"error": error, **_told(theirs)})
    return Response(content, 409, media_type="application/json")


def _told(found: Notes) -> dict[str, Any]:
    return {
        "text": found.text,
        "version": found.version,
        "by": found.author,
        "time": found.time,
    }


@routes.add("POST", "/projects/{project}/markdown", VIEWER, openapi_extra=MARKDOWN.described)
async def markdown(request: Request, here: Here) -> Response:
    """A text as notes are shown, for a preview; nothing is kept."""
    told = await MARKDOWN.read(request, here)
    return await threaded(here, lambda here: answer({"html": _rendered(told["text"])}))


def _rendered(text: str) -> str:
    from podstack.server.ui.markdown import render  # the renderer is heavy, and not always asked

    return render(text)
