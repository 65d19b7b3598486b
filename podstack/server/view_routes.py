"""Routes for saved views: who may read a project sees them, who may edit keeps and removes."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.server.access import EDITOR, VIEWER, Context, Here, Routes
from podstack.server.asking import Text, answer
from podstack.server.fields import NAME, Fields, text, threaded
from podstack.views import MAX_PAGE, MAX_QUERY, Views

NEW = Fields({"name": NAME.must, "page": text(MAX_PAGE).must, "query": text(MAX_QUERY).must})

routes = Routes()


@routes.add("GET", "/projects/{project}/views", VIEWER)
def views(here: Here, page: Text | None = None) -> Response:
    """The saved views by name; those of one page if it is given."""
    return answer({"views": [view._asdict() for view in Views(here.store).all(page)]})


@routes.add("POST", "/projects/{project}/views", EDITOR, openapi_extra=NEW.described)
async def save_view(request: Request, here: Here) -> Response:
    """Keep what a page shows under a name; the same name on the same page is replaced."""
    return await threaded(here, _save, await NEW.read(request, here))


def _save(here: Context, told: dict[str, Any]) -> Response:
    kept = Views(here.store).save(told["name"], told["page"], told["query"], user=here.user)
    return answer(kept._asdict(), 201)


@routes.add("DELETE", "/projects/{project}/views/{view}", EDITOR)
def remove_view(here: Here, view: str) -> Response:
    """Forget a view."""
    return answer(Views(here.store).remove(view, user=here.user)._asdict())
