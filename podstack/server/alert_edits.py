"""Routes for alerts: made, tried on what was logged, removed; and those that fired in a project.

The process that records a run hears of a new alert as it does of one made by the SDK.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from podstack.index.wire import plain
from podstack.server.access import EDITOR, VIEWER, Context, Here, Routes
from podstack.server.asking import answer, reader_of
from podstack.server.experiment_edits import author_of
from podstack.server.fields import NUMBER, Fields, text, threaded
from podstack.server.run_edits import wrote_run

_CONDITION = text(2_000)
NEW = Fields({"condition": _CONDITION.must, "message": text(10_000), "cooldown": NUMBER})
TRIED = Fields({"condition": _CONDITION.must})

routes = Routes()


@routes.add("POST", "/projects/{project}/runs/{run}/alerts", EDITOR, openapi_extra=NEW.described)
async def create_alert(request: Request, here: Here, run: str) -> Response:
    """Watch a run for a condition; the same one again is the same alert."""
    return await threaded(here, _create, run, await NEW.read(request, here))


def _create(here: Context, run: str, told: dict[str, Any]) -> Response:
    reader_of(here).row(run)
    id = author_of(here).create_alert(run, **told)
    wrote_run(here, run)
    return answer({"id": id}, 201)


@routes.add("DELETE", "/projects/{project}/runs/{run}/alerts/{alert}", EDITOR)
def delete_alert(here: Here, run: str, alert: str) -> Response:
    """Watch for it no longer."""
    reader_of(here).row(run)
    author_of(here).delete_alert(run, alert)
    wrote_run(here, run)
    return answer({"id": alert})


@routes.add(
    "POST", "/projects/{project}/runs/{run}/alerts/test", VIEWER, openapi_extra=TRIED.described
)
async def test_alert(request: Request, here: Here, run: str) -> Response:
    """Where a condition would have fired over what was logged so far; nothing is kept."""
    return await threaded(here, _tried, run, await TRIED.read(request, here))


def _tried(here: Context, run: str, told: dict[str, Any]) -> Response:
    found = reader_of(here).run(run).test_alert(condition=told["condition"])
    return answer({"firings": [plain(firing._asdict()) for firing in found]})


@routes.add("GET", "/projects/{project}/runs/{run}/console", VIEWER)
def console(here: Here, run: str, tail: Annotated[int, Query(ge=1, le=5_000)] = 200) -> Response:
    """The last lines that a run printed."""
    return answer({"text": reader_of(here).run(run).console(tail)})
