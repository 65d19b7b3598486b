"""Which route a path belongs to: what is seen at a glance is what the whole pattern says."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st

from podstack.server.app import create_app
from podstack.server.matching import PARTS, GlancingRoute
from podstack.server.settings import ServerSettings

ROUTES = [
    route
    for route in create_app(ServerSettings(store="unused")).app.routes
    if isinstance(route, GlancingRoute)
]
_PARAMETER = re.compile(r"\{[^}]*\}")
_ODD = ["/", "//", "/static", "/static/", "/projects", "/projects/p/", "/api/v1", "/api/v1/x/y"]


def both(path: str, method: str) -> None:
    scope = {"type": "http", "method": method, "path": path, PARTS: path.split("/")}
    for route in ROUTES:
        glanced, whole = route.matches(dict(scope)), APIRoute.matches(route, dict(scope))
        assert glanced == whole, (route.path, path)


def test_every_route_of_the_server_is_one_that_glances() -> None:
    assert len(ROUTES) > 60


@pytest.mark.parametrize("filled", ["x", "runs", "a/b/c", "%2e", ""])
def test_a_glance_finds_what_the_pattern_finds(filled: str) -> None:
    for path in [*(_PARAMETER.sub(filled, route.path) for route in ROUTES), *_ODD]:
        both(path, "GET")
        both(f"{path}/more", "PUT")


@given(st.lists(st.sampled_from(sorted({p for r in ROUTES for p in r.path.split("/")} | {"x"}))))
def test_a_glance_finds_what_the_pattern_finds_on_any_path(parts: list[str]) -> None:
    both("/" + "/".join(parts), "GET")
