"""Routes for the tokens of a project: who has one, a new one, the end of one.

An admin of a project sees and ends the tokens of that project; those for every project are seen and
ended by an admin of every project. The text of a token is in the answer that made it, and nowhere
else.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.server.access import ADMIN, Context, Here, Routes
from podstack.server.asking import answer
from podstack.server.errors import Refused, missing
from podstack.server.fields import NAME, Fields, Kind, threaded
from podstack.server.tokens import ADMIN as ADMIN_ROLE
from podstack.server.tokens import EVERY_PROJECT, ROLES, Token, Tokens

LONGEST = 10 * 365 * 86400  # seconds that a token may be good for, unless it is good for ever

_SPAN = Kind(
    f"seconds from 60 to {LONGEST:,}, or null for ever",
    {"type": ["number", "null"], "minimum": 60, "maximum": LONGEST},
    lambda value: (
        value is None
        or (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and 60 <= value <= LONGEST
        )
    ),
)
_ROLE = Kind(
    f"one of {', '.join(ROLES)}",
    {"type": "string", "enum": list(ROLES)},
    lambda value: isinstance(value, str) and value in ROLES,
)
NEW = Fields({"user": NAME.must, "role": _ROLE.must, "expires_in": _SPAN.must})

routes = Routes()


@routes.add("GET", "/projects/{project}/tokens", ADMIN)
def tokens(here: Here) -> Response:
    """Who has a token of this project, newest first; also those that were revoked or expired."""
    found = [token for token in here.services.tokens.all() if _is_seen(here, token)]
    found.sort(key=lambda token: -token.created)
    return answer({"tokens": [_shown(here, token) for token in found]})


@routes.add("POST", "/projects/{project}/tokens", ADMIN, openapi_extra=NEW.described)
async def create_token(request: Request, here: Here) -> Response:
    """Make a token for this project. Its text is shown this once."""
    return await threaded(here, _create, await NEW.read(request, here))


def _create(here: Context, told: dict[str, Any]) -> Response:
    if here.services.settings.open:
        raise Refused(
            409,
            "open",
            "This server asks nobody for a token. Make the first one with `podstack token create`, "
            "and start the server again.",
        )
    text, token = here.services.tokens.create(
        user=told["user"], project=here.project, role=told["role"], expires_in=told["expires_in"]
    )
    return answer({"token": text, **_shown(here, token)}, 201)


@routes.add("DELETE", "/projects/{project}/tokens/{token}", ADMIN)
def revoke_token(here: Here, token: str) -> Response:
    """End a token, from the next request on; the sessions that stand on it, too."""
    known: Tokens = here.services.tokens
    found = known.find(token)
    if found is None or not _is_seen(here, found):
        raise missing()
    return answer(_shown(here, known.revoke(token)))


def _is_seen(here: Context, token: Token) -> bool:
    if token.project == here.project:
        return True
    rules_all = here.caller.roles.get(EVERY_PROJECT) == ADMIN_ROLE
    return token.project == EVERY_PROJECT and rules_all


def _shown(here: Context, token: Token) -> dict[str, Any]:
    names = ("id", "user", "project", "role", "created", "expires", "revoked")
    facts = {name: getattr(token, name) for name in names}
    return {**facts, "yours": token.id == here.caller.token}
