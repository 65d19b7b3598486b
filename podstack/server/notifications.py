"""Routes for who is told of a project's alerts. What a target's URL is, no answer says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack import clock
from podstack.alerts.receivers import Notice, NotTaken, Receiver
from podstack.server.access import ADMIN, EDITOR, Here, Routes
from podstack.server.asking import answer
from podstack.server.bodies import read_json
from podstack.server.errors import Refused

AT_ONCE = 4  # requests that wait for a receiver or for a name: each holds a thread

_busy = threading.BoundedSemaphore(AT_ONCE)
_FIELDS = frozenset(("url", "label", "secret"))
_A_TARGET = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "url": {"type": "string", "writeOnly": True},
                        "label": {"type": "string"},
                        "secret": {"type": "string", "writeOnly": True},
                    },
                    "required": ["url"],
                    "additionalProperties": False,
                }
            }
        },
    }
}

routes = Routes()


@routes.add("GET", "/projects/{project}/notifications", EDITOR)
def targets(here: Here) -> Response:
    """Who is told when an alert fires, without addresses and secrets."""
    found = sorted(here.services.targets.all(here.project), key=lambda target: target.created)
    return answer({"notifications": [target.shown for target in found]})


@routes.add("POST", "/projects/{project}/notifications", ADMIN, openapi_extra=_A_TARGET)
async def add_target(request: Request, here: Here) -> Response:
    """Tell one more: a webhook, a mail server, or a service such as slack://.

    url: never shown again. secret: a webhook's notices are signed with it.
    """
    told = await read_json(request, here)
    url, label, secret = _read(told)
    with _one_of_few():
        made = await asyncio.to_thread(
            here.services.targets.add, here.project, url, label=label, secret=secret, user=here.user
        )
    return answer(made.shown)


@routes.add("DELETE", "/projects/{project}/notifications/{id}", ADMIN)
def remove_target(here: Here, id: str) -> Response:
    """Tell one less."""
    here.services.targets.remove(here.project, id)
    return Response(status_code=204)


@routes.add("POST", "/projects/{project}/notifications/{id}/test", ADMIN)
def test_target(here: Here, id: str) -> Response:
    """Send one notice now, once. What the receiver answers is not shown but its status."""
    found = here.services.targets.receiver(here.services.targets.get(here.project, id))
    with _one_of_few():
        return answer(tried(found, here.project))


@contextmanager
def _one_of_few() -> Iterator[None]:
    if not _busy.acquire(blocking=False):
        raise Refused(429, "busy", "Others are tested now.", headers={"Retry-After": "5"})
    try:
        yield
    finally:
        _busy.release()


def tried(receiver: Receiver, project: str) -> dict[str, Any]:
    """What comes of one notice to a receiver."""
    try:
        receiver.deliver(sample(project))
    except NotTaken as error:
        return {"ok": False, "reason": str(error)}
    return {"ok": True, "reason": ""}


def sample(project: str) -> Notice:
    """The notice of a test."""
    return Notice(
        run_id="test",
        run_name="test",
        experiment="",
        condition="test > 0",
        message="This is a test: nothing fired.",
        metric="test",
        value=1.0,
        step=0,
        time=clock.now(),
        url=project,
    )


def _read(told: Any) -> tuple[str, str, str]:
    if not isinstance(told, dict) or not told.keys() <= _FIELDS or "url" not in told:
        raise Refused(422, "invalid", "A target is an object of url, label and secret.")
    found = told["url"], told.get("label", ""), told.get("secret", "")
    if not all(isinstance(text, str) for text in found):
        raise Refused(422, "invalid", "url, label and secret are texts.")
    return found
