"""Every route of the server, for tests that must not miss the one that is added next."""

from __future__ import annotations

import re
from typing import NamedTuple

from podstack.server.access import Level
from podstack.server.app import create_app
from podstack.server.settings import ServerSettings


class Declared(NamedTuple):
    """A route as the application has it."""

    method: str
    path: str
    level: Level


def all_routes() -> list[Declared]:
    """Every method of every route that declares a level, read from the application itself."""
    gate = create_app(ServerSettings("memory://routes"))
    return [
        Declared(method, getattr(route, "path", ""), gate.levels[endpoint])
        for route in gate.app.routes
        if (endpoint := getattr(route, "endpoint", None)) is not None and endpoint in gate.levels
        for method in sorted(getattr(route, "methods", None) or ())
    ]


def filled(path: str, project: str = "alpha", key: str = "live/x.w.json") -> str:
    """A route's path with every parameter filled; a key may hold slashes, an id may not."""
    keyed = re.sub(r"\{[^}]*:path\}", key, path.replace("{project}", project))
    return re.sub(r"\{[^}]*\}", "x", keyed)
