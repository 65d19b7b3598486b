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
from podstack.server import (
    about,
    alert_edits,
    comparisons,
    documents,
    experiment_edits,
    note_edits,
    notifications,
    objects,
    overlays,
    previews,
    questions,
    record_questions,
    run_edits,
    run_questions,
    sweep_edits,
    sweep_insight,
    sweep_questions,
    sweep_ranges,
    table_questions,
    token_edits,
    view_routes,
)
from podstack.server.access import Level, Routes, Services
from podstack.server.errors import Refused, told
from podstack.server.gate import Gate
from podstack.server.herald import Herald
from podstack.server.readers import Readers
from podstack.server.sessions import Sessions
from podstack.server.settings import ServerSettings
from podstack.server.stores import Stores
from podstack.server.targets import Targets
from podstack.server.threads import Threads
from podstack.server.tokens import Tokens
from podstack.server.turns import Turns
from podstack.server.ui import PARTS as PAGES
from podstack.server.ui.refusals import refused_page, wants_page

# Every module of routes. One that is missing here is not served.
PARTS: tuple[Routes, ...] = (
    about.unversioned,
    about.routes,
    comparisons.routes,
    documents.routes,
    notifications.routes,
    objects.routes,
    overlays.routes,
    previews.routes,
    questions.routes,
    run_questions.routes,
    sweep_insight.routes,
    sweep_questions.routes,
    sweep_ranges.routes,
    table_questions.routes,
    experiment_edits.routes,
    run_edits.routes,
    note_edits.routes,
    alert_edits.routes,
    sweep_edits.routes,
    token_edits.routes,
    view_routes.routes,
    record_questions.routes,
    *PAGES,
)


def create_app(settings: ServerSettings) -> Gate:
    """The application for one store. No I/O happens before the first request.

    `.app` is the FastAPI application inside, `.levels` what each route takes, `.services` the rest.
    """
    services = _services(settings)
    app = FastAPI(
        title="podstack",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(services),
    )
    levels: dict[Callable[..., Any], Level] = {}
    for part in PARTS:
        part.mount(app, levels)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return Gate(app, services, levels)


def _services(settings: ServerSettings) -> Services:
    stores = Stores(settings.store)
    tokens, sessions = Tokens(stores.backend), Sessions(stores.backend)
    threads = Threads(settings.threads)
    targets = Targets(stores.backend, Allowed(settings.allowed_receivers))
    herald = Herald(stores.backend, targets)
    readers = Readers(stores)
    return Services(settings, stores, tokens, sessions, threads, Turns(), readers, targets, herald)


def _lifespan(services: Services) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = services.settings.threads
        watch = asyncio.create_task(_end_with_parent())
        yield
        watch.cancel()
        await asyncio.to_thread(services.herald.close)
        services.threads.close()
        services.stores.close()

    return lifespan


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
