"""Routes for the tokens of one project, for its admins. A token's text is told once, when made.

Tokens of other projects, and those for every project, are not shown and not ended here: the
command `podstack token` does that, for whoever runs the server.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.server.access import ADMIN, Context, Here, Routes
from podstack.server.errors import Refused, missing
from podstack.server.fields import NAME, Fields, Kind, threaded
from podstack.server.questions import answer
from podstack.server.tokens import Token

_LONGEST = 10 * 365 * 86_400  # seconds

_SPAN = Kind(
    f"null, or seconds up to {_LONGEST:,}",
    {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": _LONGEST},
    lambda value: (
        value is None
        or (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and 0 < value <= _LONGEST
        )
    ),
)
NEW = Fields({"user": NAME.must, "role": NAME.must, "expires_in": _SPAN.must})

routes = Routes()


@routes.add("GET", "/projects/{project}/tokens", ADMIN)
def tokens(here: Here) -> Response:
    """The tokens of this project, newest first; never their texts."""
    found = [token for token in here.services.tokens.all() if token.project == here.project]
    found.sort(key=lambda token: -token.created)
    return answer({"tokens": [_told(token) for token in found]})


@routes.add("POST", "/projects/{project}/tokens", ADMIN, openapi_extra=NEW.described)
async def create_token(request: Request, here: Here) -> Response:
    """Make a token; `token` is its text, which nobody is told again."""
    return await threaded(here, _create, await NEW.read(request, here))


def _create(here: Context, told: dict[str, Any]) -> Response:
    if here.services.settings.open:
        raise Refused(
            409,
            "open",
            "This server needs no tokens, and the first one would shut everybody out: "
            "make it by `podstack token create`, then start the server again.",
        )
    text, token = here.services.tokens.create(
        user=told["user"],
        project=here.project,
        role=told["role"],
        expires_in=told["expires_in"],
    )
    return answer({"token": text, **_told(token)}, 201)


@routes.add("DELETE", "/projects/{project}/tokens/{token}", ADMIN)
def revoke_token(here: Here, token: str) -> Response:
    """End a token of this project: from the next request on, it is none."""
    found = here.services.tokens.find(token)
    if found is None or found.project != here.project:
        raise missing()
    return answer(_told(here.services.tokens.revoke(token)))


def _told(token: Token) -> dict[str, Any]:
    names = ("id", "user", "project", "role", "created", "expires", "revoked")
    return {name: getattr(token, name) for name in names}
