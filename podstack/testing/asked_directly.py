"""A request to the application itself, without a server, a socket or a parser around it."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from starlette.types import ASGIApp


class Told(NamedTuple):
    """An answer: its status, and its body as bytes."""

    status: int
    body: bytes


def asked_directly(app: ASGIApp, path: str, method: str = "GET") -> Told:
    """Ask for a path, with its query if it has one and no body, as a client of this machine."""
    path, _, query = path.partition("?")
    sent: list[Any] = []
    is_asked = False

    async def receive() -> Any:
        nonlocal is_asked
        if is_asked:
            await asyncio.Event().wait()  # the client stays, and says nothing more
        is_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "headers": [(b"host", b"localhost")], "scheme": "http",
        "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return Told(int(sent[0]["status"]), b"".join(part.get("body", b"") for part in sent[1:]))
