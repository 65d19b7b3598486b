"""Who may do what: every route declares a level, and what declares none is refused.

A module of routes makes a `Routes`, adds to it, and is named in `parts.PARTS`:

    routes = Routes()

    @routes.add("GET", "/projects/{project}/runs", VIEWER)
    def runs(here: Here) -> dict[str, Any]:
        return {"runs": here.store.index.runs()}

The gate (gate.py) has looked at the level before the function runs. A plain `def` runs in a thread
and may ask the store; an `async def` must not wait for it. `Here` tells who asks, and of what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from fastapi import Depends, FastAPI, Request

from podstack.names import is_id
from podstack.server import tokens
from podstack.server.errors import Refused, missing
from podstack.server.herald import Herald
from podstack.server.matching import GlancingRoute
from podstack.server.readers import Readers
from podstack.server.sessions import Sessions
from podstack.server.settings import ServerSettings
from podstack.server.stores import Stores
from podstack.server.targets import Targets
from podstack.server.threads import Threads
from podstack.server.tokens import EVERY_PROJECT, Token, Tokens
from podstack.server.turns import Turns

if TYPE_CHECKING:
    from podstack.store import Store

API = "/api/v1"


class Level(IntEnum):
    """What it takes to use a route, in its project; where it names none, in any project."""

    PUBLIC = 0
    VIEWER = 1
    EDITOR = 2
    ADMIN = 3


PUBLIC, VIEWER, EDITOR, ADMIN = Level
_LEVELS = {tokens.VIEWER: VIEWER, tokens.EDITOR: EDITOR, tokens.ADMIN: ADMIN}

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Route(NamedTuple):
    """One route as it is declared. options: for FastAPI's `add_api_route`."""

    methods: tuple[str, ...]
    path: str
    level: Level
    endpoint: Callable[..., Any]
    options: dict[str, Any]


class Routes:
    """The routes of one module, each with its level."""

    def __init__(self, prefix: str = API) -> None:
        self._prefix = prefix
        self._routes: list[Route] = []

    def add(
        self, methods: str, path: str, level: Level, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route. methods: one, or several between spaces."""

        def declared(endpoint: Endpoint) -> Endpoint:
            route = Route(tuple(methods.split()), self._prefix + path, level, endpoint, options)
            self._routes.append(route)
            return endpoint

        return declared

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def mount(self, app: FastAPI, levels: dict[Callable[..., Any], Level]) -> None:
        """Give the routes to an app, and their levels to its gate."""
        for route in self._routes:
            levels[route.endpoint] = route.level
            app.router.add_api_route(
                route.path,
                route.endpoint,
                methods=list(route.methods),
                route_class_override=GlancingRoute,
                **route.options,
            )


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. roles: by project; `*` stands for every project."""

    user: str
    roles: Mapping[str, str]
    token: str = ""  # its id; empty where none is needed
    csrf: str = ""  # of a browser's session: what it must show to write

    def level_in(self, project: str) -> Level | None:
        """What the caller may in a project, or None where it is none of theirs."""
        role = self.roles.get(project) or self.roles.get(EVERY_PROJECT)
        return _LEVELS[role] if role else None

    def highest(self) -> Level:
        return max((_LEVELS[role] for role in self.roles.values()), default=PUBLIC)

    def check(self, level: Level, project: str | None) -> None:
        """
        Raises:
            Refused: 404 for a project that is not the caller's, as for one that is not there; 403
                where the role is too low.
        """
        if project is not None and not is_id(project):
            raise missing()
        mine = self.highest() if project is None else self.level_in(project)
        if mine is None:
            raise missing()
        if mine < level:
            raise forbidden(level)


def caller_of(token: Token) -> Caller:
    return Caller(token.user, {token.project: token.role}, token.id)


def forbidden(level: Level) -> Refused:
    return Refused(403, "forbidden", f"This takes the role {level.name.lower()}.")


@dataclass(frozen=True, slots=True)
class Services:
    """What a running server has, shared by all requests."""

    settings: ServerSettings
    stores: Stores
    tokens: Tokens
    sessions: Sessions
    threads: Threads
    turns: Turns
    readers: Readers
    targets: Targets
    herald: Herald


class Context(NamedTuple):
    """What a route knows of its request. project: empty where the route names none."""

    services: Services
    caller: Caller
    project: str

    @property
    def user(self) -> str:
        return self.caller.user

    @property
    def role(self) -> Level:
        """The caller's, in this project."""
        return self.caller.level_in(self.project) or PUBLIC

    @property
    def store(self) -> Store:
        """The project's objects, reader and index."""
        return self.services.stores.of(self.project)


async def context(request: Request) -> Context:
    """The context that the gate has put beside the request."""
    here: Context = request.scope["podstack"]
    return here


Here = Annotated[Context, Depends(context)]
