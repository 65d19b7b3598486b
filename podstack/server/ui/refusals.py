"""What a person sees where a program would get JSON: the way in, or a page that says what to do."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from podstack.server.access import API, Context
from podstack.server.errors import Refused, missing
from podstack.server.hosts import Headers
from podstack.server.ui.rendering import page

_TITLES = {
    400: "That address cannot be read",
    403: "This is not yours to see",
    404: "There is no such page",
    422: "That address cannot be read",
    503: "The store does not answer",
}
_TEXTS = {
    (
        404,
        missing().message,
    ): "It was deleted, its address is misspelt, or its project is not yours.",
}
_NO_PAGES = (API, "/static", "/healthz")


def is_page(method: str, path: str) -> bool:
    """Whether a person asks: everything but the API, the probe and the files of pages."""
    below = any(path == place or path.startswith(f"{place}/") for place in _NO_PAGES)
    return method == "GET" and not below


def wants_page(method: str, path: str, headers: Headers) -> bool:
    """Whether a refusal is read by a person: browsers say so, where one goes to an address."""
    accepted = ",".join(headers.get("accept", ()))
    return is_page(method, path) and "text/html" in accepted and "authorization" not in headers


def refused_page(here: Context, request: Request, refused: Refused) -> Response:
    """A refusal in the look of the pages; who is not known is led to the way in, and back."""
    if refused.status == 401:
        return _to_the_way_in(here, request)
    answer = page(
        here,
        request,
        "error.html",
        title=_TITLES.get(refused.status, "That did not work"),
        status=refused.status,
        code=refused.status,
        text=_TEXTS.get((refused.status, refused.message), refused.message),
    )
    for name, value in refused.headers.items():
        answer.headers[name] = value
    return answer


def _to_the_way_in(here: Context, request: Request) -> Response:
    prefix = here.services.settings.prefix
    query = request.scope["query_string"].decode("latin-1")
    path = quote(request.scope["path"], safe="/")
    wanted = prefix + path + (f"?{query}" if query else "")
    place = f"{prefix}/login?next={quote(wanted, safe='')}"
    return RedirectResponse(place, 303, {"Cache-Control": "no-store"})
