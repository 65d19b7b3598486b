"""What every request passes before a route sees it, in this order: name, origin, path, level.

Deny is the default. A route without a declared level is refused, and so is whatever matches none;
no route is asked who may use it.
"""

from __future__ import annotations

import hmac
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.cookies import CookieError, SimpleCookie
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Scope, Send

from podstack.errors import PodstackError
from podstack.server import access_log
from podstack.server.access import PUBLIC, Caller, Context, Level, Services, caller_of
from podstack.server.errors import Refused, missing, told, unknown_caller
from podstack.server.exchange import Exchange, Stalled
from podstack.server.hosts import READING, check_host, check_origin
from podstack.server.matching import PARTS
from podstack.server.sessions import COOKIE
from podstack.server.tokens import ADMIN, EVERY_PROJECT
from podstack.server.ui.refusals import is_page, refused_page, wants_page

logger = logging.getLogger("podstack.server")

_HIDDEN = re.compile(rb"%(?:2f|5c|00)|\\", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TOKEN = re.compile(rb"pst_[a-z0-9]{12}_[A-Za-z0-9_-]{43}")
_MOST_PARAMETERS = 50
_NOBODY = Caller("", {})


class Rest:
    """The routes that are mounted once nobody waits for the first page. Safe from threads."""

    def __init__(self, mount: Callable[[], None]) -> None:
        self._mount = mount
        self._lock = threading.Lock()
        self.is_mounted = False

    def mount(self) -> None:
        """Mount them, unless that was done."""
        with self._lock:
            if not self.is_mounted:
                self._mount()
                self.is_mounted = True


class Gate:
    """The outermost application: it lets through, refuses, and writes the line in the log."""

    def __init__(
        self,
        app: FastAPI,
        services: Services,
        levels: Mapping[Callable[..., Any], Level],
        rest: Rest,
    ) -> None:
        self.app, self.services, self.levels, self._rest = app, services, levels, rest
        self._names = services.settings.names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(Exchange(scope, send, self.services.settings), receive)
        else:  # there is no websocket here
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, exchange: Exchange, receive: Receive) -> None:
        try:
            await self._let_through(exchange)
            await self.app(exchange.scope, receive, exchange.send)
        except (Stalled, ClientDisconnect):
            pass  # nobody is there to be told
        except (PodstackError, Refused) as error:
            await self._refuse(exchange, told(error))
        except Exception as error:
            logger.exception("A request failed")
            await self._refuse(exchange, told(error))
        finally:
            if self.services.settings.access_log:
                access_log.write(exchange.entry)

    async def _refuse(self, exchange: Exchange, refused: Refused) -> None:
        """Tell a program in JSON, and a person by a page."""
        scope = exchange.scope
        if exchange.has_begun or not wants_page(scope["method"], scope["path"], exchange.headers):
            await exchange.refuse(refused)
            return
        here = scope.get("podstack") or Context(self.services, _NOBODY, "")
        answer = refused_page(here, Request(scope), refused)
        await answer(scope, _nothing, exchange.send)

    async def _let_through(self, exchange: Exchange) -> None:
        """Put the context beside the request, or refuse it."""
        scope, headers = exchange.scope, exchange.headers
        host = check_host(headers, self._names)
        method, path = scope["method"], self._path(scope)
        check_origin(method, headers, host, page=is_page(method, path))
        _check_query(scope["query_string"])
        scope["path"], scope[PARTS] = path, path.split("/")
        route, parameters = await self._route(scope)
        level = self.levels.get(getattr(route, "endpoint", _undeclared))
        if level is None:
            raise missing()
        caller = _NOBODY if level == PUBLIC else await self._caller(exchange)
        exchange.user = caller.user
        project = parameters.get("project")
        if level != PUBLIC:
            caller.check(level, project)
        scope["podstack"] = Context(self.services, caller, project or "")
        scope["podstack.exchange"] = exchange

    def _path(self, scope: Scope) -> str:
        """The path, decoded once and below the prefix.

        Raises:
            Refused: it is no text, or hides a separator, climbs, or holds an empty part.
        """
        raw: bytes = scope.get("raw_path") or b""
        try:
            path = unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise _odd_path() from None
        parts = path.split("/")[1:]
        if _HIDDEN.search(raw) or _CONTROL.search(path) or not path.startswith("/"):
            raise _odd_path()
        if not {".", ".."}.isdisjoint(parts) or "" in parts[:-1]:
            raise _odd_path()
        prefix = self.services.settings.prefix
        return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path

    async def _route(self, scope: Scope) -> tuple[BaseRoute, dict[str, Any]]:
        """The one route for this path and method, which may have to be mounted first.

        Raises:
            Refused: 404 there is none, 405 there is one for other methods.
        """
        if not self._rest.is_mounted:
            try:
                return self._match(scope)
            except Refused:
                await self.services.threads.run(self._rest.mount)
        return self._match(scope)

    def _match(self, scope: Scope) -> tuple[BaseRoute, dict[str, Any]]:
        """The one route for this path and method.

        Raises:
            Refused: 404 there is none, 405 there is one for other methods.
        """
        allowed: set[str] = set()
        for route in self.app.routes:
            match, found = route.matches(scope)
            if match == Match.FULL:
                return route, found.get("path_params", {})
            if match == Match.PARTIAL:
                allowed |= getattr(route, "methods", None) or set()
        if not allowed:
            raise missing()
        raise Refused(
            405,
            "method",
            "That cannot be done here.",
            headers={"Allow": ", ".join(sorted(allowed))},
        )

    async def _caller(self, exchange: Exchange) -> Caller:
        """Who asks: by their token, else by their session; anybody on an open server.

        Raises:
            Refused: 401.
        """
        shown = exchange.headers.get("authorization", [])
        if shown:
            return await self._by_token(shown)
        if self.services.settings.open:
            return Caller(self.services.settings.user, {EVERY_PROJECT: ADMIN})
        cookie = _cookie(exchange)
        if cookie:
            return await self._by_session(exchange, cookie)
        raise unknown_caller()

    async def _by_token(self, shown: list[str]) -> Caller:
        scheme, _, text = shown[0].partition(" ")
        if len(shown) != 1 or scheme.lower() != "bearer":
            raise unknown_caller()
        token = await self.services.threads.run(lambda: self.services.tokens.who(text.strip()))
        if token is None:
            raise unknown_caller()
        return caller_of(token)

    async def _by_session(self, exchange: Exchange, cookie: str) -> Caller:
        session = await self.services.threads.run(lambda: self.services.sessions.read(cookie))
        if session is None:
            raise unknown_caller()
        token = await self.services.threads.run(lambda: self.services.tokens.still(session.token))
        if token is None:
            raise unknown_caller()
        shown = exchange.headers.get("x-csrf-token", [""])[0]
        is_read = exchange.scope["method"] in READING
        if not is_read and not hmac.compare_digest(shown.encode(), session.csrf.encode()):
            raise Refused(403, "csrf", "A session writes with X-CSRF-Token only.")
        return replace(caller_of(token), csrf=session.csrf)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _undeclared() -> NoReturn:
    raise AssertionError("stands for a route without a function")


def _cookie(exchange: Exchange) -> str:
    for header in exchange.headers.get("cookie", []):
        try:
            found = SimpleCookie(header).get(COOKIE)
        except CookieError:
            continue
        if found is not None:
            return found.value
    return ""


def _check_query(query: bytes) -> None:
    if query.count(b"&") >= _MOST_PARAMETERS:
        raise Refused(400, "query", f"At most {_MOST_PARAMETERS} parameters are read.")
    if _TOKEN.search(unquote_to_bytes(query)):
        raise Refused(400, "token", "A token goes into the Authorization header, never into a URL.")


def _odd_path() -> Refused:
    return Refused(400, "path", "The path is not one: it climbs, or hides what it names.")
