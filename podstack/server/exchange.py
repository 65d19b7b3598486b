"""One request and its answer, as the gate sees them: the headers in, the headers out, the time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.types import Message, Scope, Send

from podstack.clock import monotonic
from podstack.server.access_log import Entry
from podstack.server.errors import Refused
from podstack.server.hosts import Headers
from podstack.server.settings import ServerSettings

_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"x-frame-options": b"DENY",
}
_UNLESS_SET = {
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": (
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
    ),
}
_DISCARDED = 1 << 20  # bytes


class Stalled(Exception):  # nobody is at fault
    """Whoever asked does not read the answer."""


class Exchange:
    """Sends what a route answers, with the headers that every answer has."""

    def __init__(self, scope: Scope, send: Send, settings: ServerSettings) -> None:
        self.scope = scope
        self.headers = headers_of(scope)
        self.user = ""
        self.status = 0
        self._is_complete = False
        self._send, self._settings = send, settings
        self._sent = 0
        self._began = monotonic()

    @property
    def has_begun(self) -> bool:
        return self.status != 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = _completed(message.get("headers", ()))
            await self._send(message)
            return
        body = message.get("body", b"")
        self._is_complete = not message.get("more_body", False)
        is_first, self._sent = self._sent == 0, self._sent + len(body)
        if is_first and self._is_complete:
            await self._send(message)  # nothing waits before it: no timer is needed
            return
        try:
            await asyncio.wait_for(self._send(message), self._settings.idle)
        except asyncio.TimeoutError:
            self.abort()
            raise Stalled from None

    async def refuse(self, refused: Refused) -> None:
        """Answer with a refusal; where an answer has begun already, break it off."""
        if self.has_begun:
            if not self._is_complete:
                self.abort()
            return
        length = str(len(refused.body))
        headers = {"content-type": "application/json", "content-length": length}
        closing = {"connection": "close"} if self._leaves_much(refused) else {}
        pairs = {**headers, **refused.headers, **closing}.items()
        start = {
            "type": "http.response.start",
            "status": refused.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
        }
        await self.send(start)
        await self.send({"type": "http.response.body", "body": refused.body})

    def _leaves_much(self, refused: Refused) -> bool:
        """Whether more of the body would follow than is worth reading to keep a connection."""
        length = self.headers.get("content-length", ["0"])[0]
        is_long = len(length) > 7 or int(length) > _DISCARDED
        return refused.status == 408 or is_long or "transfer-encoding" in self.headers

    def abort(self) -> None:
        """Cut the connection, so that nobody takes what was sent for the whole."""
        cut = self.scope.get("extensions", {}).get("podstack.abort")
        if cut is not None:
            cut()

    @property
    def client(self) -> str:
        """The address that asks; behind a trusted proxy, the one that the proxy names."""
        peer = (self.scope.get("client") or ("-",))[0]
        named = self.headers.get("x-forwarded-for")
        if named and self._settings.trusts(peer):
            return named[-1].rpartition(",")[2].strip()
        return str(peer)

    @property
    def is_https(self) -> bool:
        """Whether the browser speaks TLS, to us or to a trusted proxy."""
        peer = (self.scope.get("client") or ("-",))[0]
        named = self.headers.get("x-forwarded-proto")
        if named and self._settings.trusts(peer):
            return named[-1].strip().lower() == "https"
        return bool(self.scope["scheme"] == "https")

    @property
    def entry(self) -> Entry:
        scope = self.scope
        raw = scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string", b"")
        path = raw.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")
        seconds = monotonic() - self._began
        return Entry(
            self.client, self.user, scope["method"], path, self.status, self._sent, seconds
        )


def headers_of(scope: MutableMapping[str, Any]) -> Headers:
    """All values of each header, by its name in lower case."""
    found: Headers = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _completed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kept = [(name.lower(), value) for name, value in headers if name.lower() not in _ALWAYS]
    names = {name for name, _ in kept}
    more = [pair for pair in _UNLESS_SET.items() if pair[0] not in names]
    return [*kept, *_ALWAYS.items(), *more]
