"""A page: a template, what it shows, and what its scripts get.

Every text is escaped by the templates; `|safe` is for Markdown that was made harmless, and nothing
else. A page carries no inline script, style or handler, so that its policy can forbid them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import orjson
from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from podstack.clock import now
from podstack.server.access import Context, Level
from podstack.server.ui import words
from podstack.server.ui.assets import icon, tree

HERE = Path(__file__).parent

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
SHELL = "core/shell.js"
_ESCAPES = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def page(
    here: Context,
    request: Request,
    template: str,
    *,
    title: str,
    data: Any = None,
    active: str = "",
    status: int = 200,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    **names: Any,
) -> Response:
    """Render a page.

    Args:
        template: a file of `templates/`.
        title: of the window, without the product's name.
        data: JSON for the page's scripts, as `page.data`.
        active: which entry of the top bar is marked: experiments, runs, sweeps, compare, alerts.
        scripts, styles: files of `static/`, beside those that every page has.
        names: what else the template uses.
    """
    prefix = here.services.settings.prefix
    html = (
        _templates()
        .get_template(template)
        .render(
            title=title,
            active=active,
            page_json=page_json(here, data),
            scripts=[tree().url(prefix, name) for name in (SHELL, *scripts)],
            preloads=[tree().url(prefix, name) for name in tree().imported((SHELL, *scripts))],
            styles=[tree().url(prefix, name) for name in ("base.css", *styles)],
            **_places(here, prefix),
            **names,
        )
    )
    return Response(html, status, HEADERS, media_type="text/html")


def page_json(here: Context, data: Any) -> Markup:
    """The JSON of a page, such that no text in it can end the element that holds it."""
    facts = {
        "base": here.services.settings.prefix,
        "project": here.project,
        "user": here.user,
        "role": _role(here).name.lower(),
        "csrf": here.caller.csrf,
        "now": now(),
        "data": data,
    }
    text = orjson.dumps(facts, option=orjson.OPT_SERIALIZE_NUMPY, default=str).decode()
    return Markup(text.translate(_ESCAPES))  # the escapes are ours


def _places(here: Context, prefix: str) -> Mapping[str, Any]:
    project = here.project

    def url(path: str) -> str:
        return prefix + path

    def project_url(path: str) -> str:
        return f"{prefix}/projects/{project}{path}" if project else prefix + path

    def asset(name: str) -> str:
        return tree().url(prefix, name)

    return {
        "url": url,
        "project_url": project_url,
        "asset": asset,
        "static": tree().url(prefix, ""),
        "project": project,
        "user": here.user,
        "role": _role(here).name.lower(),
        "has_session": bool(here.caller.csrf),
        "is_open": here.services.settings.open,
    }


def _role(here: Context) -> Level:
    return here.role if here.project else here.caller.highest()


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["icon"] = icon
    environment.filters.update(words.FILTERS)
    return environment
