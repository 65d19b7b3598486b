"""Routes that make a sweep, check one that is being written down, and stop one."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.server.access import EDITOR, VIEWER, Context, Here, Routes
from podstack.server.asking import answer, experiment_of, reader_of
from podstack.server.experiment_edits import wrote
from podstack.server.fields import NAME, NUMBER, OBJECT, TEXT, Fields, threaded
from podstack.server.sweep_checks import checked, defined
from podstack.sweeps.claims import writer_id
from podstack.sweeps.register import Register

_WORDS = {
    "experiment": NAME,
    "strategy": NAME,
    "objective_metric": NAME,
    "direction": NAME,
    "max_trials": NUMBER,
    "name": NAME,
    "seed": NUMBER,
    "sampler": NAME,
    "target": NUMBER,
    "patience": NUMBER,
    "max_time": NUMBER,
    "pruner": NAME,
}
NEW = Fields({**_WORDS, "parameters": OBJECT.must})
STOP = Fields({"reason": TEXT})

routes = Routes()


@routes.add("POST", "/projects/{project}/sweeps", EDITOR, openapi_extra=NEW.described)
async def create_sweep(request: Request, here: Here) -> Response:
    """Begin a search. The fields are the arguments of `MLOpsClient.create_sweep`."""
    return await threaded(here, _create, await NEW.read(request, here))


def _create(here: Context, told: dict[str, Any]) -> Response:
    reader = reader_of(here)
    reader.index.refresh()
    inside = experiment_of(reader, told.get("experiment", "default")).id
    definition = defined(told, inside)._replace(user=here.user)
    _register(here, definition.id).edit(definition.as_changes(), author=here.user)
    wrote(here, f"sweeps/{definition.id}/")
    return answer({"id": definition.id, "name": definition.name}, 201)


@routes.add("POST", "/projects/{project}/sweeps/check", VIEWER, openapi_extra=NEW.described)
async def check_sweep(request: Request, here: Here) -> Response:
    """What is wrong with a sweep, and how many trials it has; nothing is stored.

    `errors` is by the whole names of parameters, such as `optimizer/lr`; one of all of them stands
    under the empty name. `fields` is by argument. `direction` is what the metric's name says.
    """
    return await threaded(here, _check, await NEW.read(request, here))


def _check(_: Context, told: dict[str, Any]) -> Response:
    return answer(checked(told))


@routes.add("POST", "/projects/{project}/sweeps/{sweep}/stop", EDITOR, openapi_extra=STOP.described)
async def stop_sweep(request: Request, here: Here, sweep: str) -> Response:
    """Give out no further trials. Those that run go on to their end."""
    return await threaded(here, _stop, sweep, await STOP.read(request, here))


def _stop(here: Context, sweep: str, told: dict[str, Any]) -> Response:
    seen = reader_of(here).sweeps.one(sweep)
    _register(here, seen.definition.id).stop(told.get("reason", ""), author=here.user)
    wrote(here, f"sweeps/{seen.definition.id}/")
    return answer({"id": seen.definition.id, "status": reader_of(here).sweeps.one(sweep).status})


def _register(here: Context, sweep: str) -> Register:
    return Register(here.store, sweep, writer_id)
