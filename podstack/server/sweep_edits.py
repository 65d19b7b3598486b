"""Routes that make a sweep, check one that is being written down, and stop one."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.errors import MissingExtraError, UsageError, WrongTypeError
from podstack.server.access import EDITOR, VIEWER, Context, Here, Routes
from podstack.server.experiment_edits import wrote
from podstack.server.fields import NAME, NUMBER, OBJECT, TEXT, Fields, threaded
from podstack.server.questions import answer, experiment_of, reader_of
from podstack.server.sweep_questions import exact
from podstack.sweeps.claims import writer_id
from podstack.sweeps.creating import Wanted, definition_of
from podstack.sweeps.definition import Definition
from podstack.sweeps.register import Register
from podstack.sweeps.space import SearchSpace

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

_ODD = (UsageError, WrongTypeError, MissingExtraError)

routes = Routes()


@routes.add("POST", "/projects/{project}/sweeps", EDITOR, openapi_extra=NEW.described)
async def create_sweep(request: Request, here: Here) -> Response:
    """Begin a search. The fields are the arguments of `MLOpsClient.create_sweep`."""
    return await threaded(here, _create, await NEW.read(request, here))


def _create(here: Context, told: dict[str, Any]) -> Response:
    reader = reader_of(here)
    reader.index.refresh()
    inside = experiment_of(reader, told.get("experiment", "default")).id
    definition = _defined(told, inside)._replace(user=here.user)
    _register(here, definition.id).edit(definition.as_changes(), author=here.user)
    wrote(here, f"sweeps/{definition.id}/")
    return answer({"id": definition.id, "name": definition.name}, 201)


@routes.add("POST", "/projects/{project}/sweeps/check", VIEWER, openapi_extra=NEW.described)
async def check_sweep(request: Request, here: Here) -> Response:
    """What is wrong with a sweep, by parameter, and how many trials it has; nothing is stored.

    An error that is no single parameter's stands under the empty name.
    """
    return await threaded(here, _check, await NEW.read(request, here))


def _check(_: Context, told: dict[str, Any]) -> Response:
    errors = _errors_of(told["parameters"])
    trials = None if errors else _trials(told)
    if not errors:
        try:
            _defined(told, "")
        except _ODD as error:
            errors = {"": str(error)}
    return answer({"trials": exact(trials), "errors": errors})


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


def _defined(told: dict[str, Any], experiment: str) -> Definition:
    words = {name: _whole(told.get(name)) for name in Wanted._fields}
    return definition_of(Wanted(**words), experiment, (), [])


def _whole(value: Any) -> Any:
    """A form tells 20 as 20.0 at times."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _errors_of(parameters: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a space: by the parameters that are wrong alone, else as a whole."""
    try:
        SearchSpace.parse(parameters)
    except _ODD as error:
        alone = {name: _error_of(name, spec) for name, spec in parameters.items()}
        found = {name: text for name, text in alone.items() if text}
        return found or {"": str(error)}
    return {}


def _error_of(name: str, spec: Any) -> str:
    """What is wrong with one parameter, whatever the condition on another one says."""
    told = {k: v for k, v in spec.items() if k != "when"} if isinstance(spec, dict) else spec
    try:
        SearchSpace.parse({name: told})
    except _ODD as error:
        return str(error)
    return ""


def _trials(told: dict[str, Any]) -> int | None:
    """How many trials a sweep with a good space has; None where nothing says so."""
    size = SearchSpace.parse(told["parameters"]).size if told.get("strategy") == "grid" else None
    known = [count for count in (size, _whole(told.get("max_trials"))) if count is not None]
    return min(known, default=None)
