"""The application: the parts with routes, behind the gate."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from podstack.addresses import Allowed
from podstack.errors import PodstackError
from podstack.server import about
from podstack.server.access import Level, Routes, Services
from podstack.server.errors import Refused, told
from podstack.server.gate import Gate, Rest
from podstack.server.herald import Herald
from podstack.server.readers import Readers
from podstack.server.sessions import Sessions
from podstack.server.settings import ServerSettings
from podstack.server.stores import Stores
from podstack.server.targets import Targets
from podstack.server.threads import Threads
from podstack.server.tokens import Tokens
from podstack.server.turns import Turns
from podstack.server.ui import experiments_page, shell_pages
from podstack.server.ui.refusals import refused_page, wants_page

# The routes of a first page. All others are in parts.py, which takes as long to import again.
FIRST: tuple[Routes, ...] = (
    about.unversioned,
    about.routes,
    shell_pages.routes,
    experiments_page.routes,
)
_REST_AFTER = 1.0  # seconds for the first page, before the routes of the others are mounted


def create_app(settings: ServerSettings, *, at_once: bool = True) -> Gate:
    """The application for one store. No I/O happens before the first request.

    `.app` is the FastAPI application inside, `.levels` what each route takes, `.services` the rest.

    Args:
        at_once: mount every route now. Else only those of the first page; the others with the first
            request that none of these takes, or in the background once it runs.
    """
    services = _services(settings)
    levels: dict[Callable[..., Any], Level] = {}
    rest = Rest(lambda: _mount_rest(app, levels))
    app = FastAPI(
        title="podstack",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(services, rest),
    )
    for part in FIRST:
        part.mount(app, levels)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    if at_once:
        rest.mount()
    return Gate(app, services, levels, rest)


def _mount_rest(app: FastAPI, levels: dict[Callable[..., Any], Level]) -> None:
    from podstack.server.parts import PARTS  # here: half of what a server imports

    for part in PARTS:
        part.mount(app, levels)


def _services(settings: ServerSettings) -> Services:
    stores = Stores(settings.store)
    tokens, sessions = Tokens(stores.backend), Sessions(stores.backend)
    threads = Threads(settings.threads)
    targets = Targets(stores.backend, Allowed(settings.allowed_receivers))
    herald = Herald(stores.backend, targets)
    readers = Readers(stores)
    return Services(settings, stores, tokens, sessions, threads, Turns(), readers, targets, herald)


def _lifespan(services: Services, rest: Rest) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = services.settings.threads
        tasks = [asyncio.create_task(_end_with_parent()), asyncio.create_task(_soon(rest))]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.to_thread(services.herald.close)
        services.threads.close()
        services.stores.close()

    return lifespan


async def _soon(rest: Rest) -> None:
    """Mount the rest while whoever opened the first page looks at it."""
    await asyncio.sleep(_REST_AFTER)
    await asyncio.to_thread(rest.mount)


async def _end_with_parent() -> None:
    """Stop when whoever started this worker is gone: a killed server leaves none behind."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    while os.getppid() == parent.pid:
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _answer(request: Request, refused: Refused) -> Response:
    scope = request.scope
    if wants_page(scope["method"], scope["path"], scope["podstack.exchange"].headers):
        return refused_page(scope["podstack"], request, refused)
    return Response(refused.body, refused.status, refused.headers, media_type="application/json")


async def _of_framework(request: Request, error: Exception) -> Response:
    """What the framework itself refuses, in our words: its own tell of its insides."""
    status = error.status_code if isinstance(error, HTTPException) else 422
    return _answer(
        request, Refused(status, "invalid", "The request is not one that can be answered.")
    )


async def _of_a_route(request: Request, error: Exception) -> Response:
    return _answer(request, told(error))  # the gate writes the traceback of what nobody foresaw


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Any]] = {
    HTTPException: _of_framework,
    RequestValidationError: _of_framework,
    Refused: _of_a_route,
    PodstackError: _of_a_route,
    Exception: _of_a_route,
}
