"""What can be asked, for programs (OpenAPI) and for people (one plain page, no script)."""

from __future__ import annotations

from html import escape
from typing import Any

import orjson
from fastapi import Request
from starlette.responses import Response

from podstack.server.access import VIEWER, Routes

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>podstack: the API</title></head>
<body><h1>podstack: the API</h1>
<p>The same for programs: <a href="openapi.json">openapi.json</a>. Send
<code>Authorization: Bearer pst_…</code> where the server asks for a token.</p>
{routes}</body></html>
"""
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

routes = Routes()


@routes.add("GET", "/openapi.json", VIEWER)
async def openapi(request: Request) -> Response:
    """This API, as OpenAPI describes one."""
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json")


@routes.add("GET", "/docs", VIEWER)
async def documents(request: Request) -> Response:
    """This API, as a page."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    listed = [
        _route(path, method, facts)
        for path, methods in paths.items()
        for method, facts in methods.items()
    ]
    return Response(
        _PAGE.format(routes="\n".join(listed)),
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": _POLICY},
    )


def _route(path: str, method: str, facts: dict[str, Any]) -> str:
    named = [
        f"<li><code>{escape(parameter['name'])}</code>, in the {escape(parameter['in'])}</li>"
        for parameter in facts.get("parameters", [])
    ]
    return (
        f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
        f"<p>{escape(facts.get('description', ''))}</p><ul>{''.join(named)}</ul>"
    )
