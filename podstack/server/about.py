"""The server itself: whether it lives, which store it serves, who the caller is, sessions."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Request
from starlette.responses import Response

from podstack.keys import STORE
from podstack.server.access import PUBLIC, VIEWER, Context, Here, Routes
from podstack.server.bodies import read_json
from podstack.server.codes import Codes
from podstack.server.errors import Refused, unknown_caller
from podstack.server.exchange import Exchange
from podstack.server.sessions import COOKIE, LIFETIME
from podstack.server.tokens import Token

routes = Routes()
unversioned = Routes("")


@unversioned.add("GET HEAD", "/healthz", PUBLIC)
async def health() -> dict[str, str]:
    """Whether this process answers."""
    return {"status": "ok"}


@routes.add("GET", "/store", VIEWER)
async def store(here: Here) -> Response:
    """The format and the id of the store."""
    backend = here.services.stores.backend
    content = await here.services.threads.run(lambda: backend.get(STORE))
    try:
        facts = orjson.loads(content)
        told = {"podstack": facts["podstack"], "store": facts["store"]}
    except (ValueError, KeyError, TypeError):
        raise Refused(502, "store", "The store does not say what it is.") from None
    return Response(orjson.dumps(told), media_type="application/json")


@routes.add("GET", "/me", VIEWER)
async def me(here: Here) -> dict[str, Any]:
    """Who the caller is, and what they may do in which project; `*` is every project."""
    return {
        "user": here.user,
        "projects": dict(here.caller.roles),
        "token": here.caller.token or None,
    }


_A_TOKEN = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["token"],
                    "properties": {"token": {"type": "string"}},
                }
            }
        },
    }
}


@routes.add("GET", "/session", PUBLIC)
async def who_is_in(request: Request, here: Here) -> dict[str, str | None]:
    """Whose session a browser has; `user` is null where it has none."""
    services = here.services
    session = await services.threads.run(
        lambda: services.sessions.read(request.cookies.get(COOKIE, ""))
    )
    if session is None:
        return {"user": services.settings.user if services.settings.open else None}
    token = await services.threads.run(lambda: services.tokens.still(session.token))
    return {"user": token.user if token else None}


_A_CODE = orjson.loads(orjson.dumps(_A_TOKEN).replace(b'"token"', b'"code"'))


@routes.add("POST", "/session", PUBLIC, openapi_extra=_A_TOKEN)
async def log_in(request: Request, here: Here) -> Response:
    """Give a browser a cookie for a token."""
    told = await read_json(request, here)
    text = told.get("token") if isinstance(told, dict) else None
    if not isinstance(text, str):
        raise Refused(422, "invalid", 'Send a token, as in {"token": "pst_…"}.')
    services = here.services
    token = await services.threads.run(lambda: services.tokens.who(text))
    return await _in(request, here, token)


@routes.add("POST", "/session/code", PUBLIC, openapi_extra=_A_CODE)
async def log_in_by_code(request: Request, here: Here) -> Response:
    """Give a browser a cookie for a code of `podstack ui`, which is good once."""
    told = await read_json(request, here)
    code = told.get("code") if isinstance(told, dict) else None
    if not isinstance(code, str):
        raise Refused(422, "invalid", 'Send a code, as in {"code": "…"}.')
    services = here.services
    codes = Codes(services.stores.backend, services.sessions)
    ident = await services.threads.run(lambda: codes.redeem(code))
    if ident is None:
        raise unknown_caller()
    token = await services.threads.run(lambda: services.tokens.still(ident))
    return await _in(request, here, token)


async def _in(request: Request, here: Context, token: Token | None) -> Response:
    """
    Raises:
        Refused: 401, there is no such token.
    """
    if token is None:
        raise unknown_caller()
    services = here.services
    cookie, session = await services.threads.run(lambda: services.sessions.issue(token.id))
    answer = Response(
        orjson.dumps({"user": token.user, "csrf": session.csrf}), media_type="application/json"
    )
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LIFETIME),
        path=services.settings.prefix or "/",
        httponly=True,
        samesite="strict",
        secure=_exchange(request).is_https,
    )
    return answer


@routes.add("DELETE", "/session", PUBLIC)
async def log_out(here: Here) -> Response:
    """Take the cookie back."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path=here.services.settings.prefix or "/")
    return answer


def _exchange(request: Request) -> Exchange:
    exchange: Exchange = request.scope["podstack.exchange"]
    return exchange
