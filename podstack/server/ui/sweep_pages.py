"""The pages of sweeps: the list, the form that makes one, and the monitor.

The lists and the monitor ask `…/sweeps` and draw; the form asks `…/sweeps/check` while one types,
and `…/experiments/{e}/ranges` for what an experiment's runs already have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.responses import Response

from podstack.errors import NotFoundError
from podstack.server.access import EDITOR, VIEWER, Context, Here, Routes
from podstack.server.asking import Text, experiment_of, is_rounded, reader_of
from podstack.server.sweep_questions import fixed, seen_of
from podstack.server.ui.rendering import page
from podstack.sweeps.definition import Definition
from podstack.sweeps.pruning import PRUNERS

_STRATEGIES = (
    ("grid", "Grid", "Every combination, once"),
    ("random", "Random", "Independent draws"),
    ("bayesian", "Bayesian", "Learns from the trials that ended"),
)
_PANELS = (
    ("best", "Best so far"),
    ("history", "History"),
    ("importance", "Which parameter mattered"),
    ("contour", "The objective over two parameters"),
    ("parallel", "All parameters at once"),
    ("slices", "Each parameter alone"),
    ("timeline", "Timeline"),
    ("trials", "Trials"),
    ("space", "What is searched"),
)

routes = Routes(prefix="")


@routes.add("GET", "/projects/{project}/sweeps", VIEWER)
def sweeps_page(here: Here, request: Request) -> Response:
    """All sweeps of a project."""
    return _list(here, request, None)


@routes.add("GET", "/projects/{project}/experiments/{experiment}/sweeps", VIEWER)
def experiment_sweeps_page(here: Here, request: Request, experiment: str) -> Response:
    """The sweeps of an experiment."""
    return _list(here, request, _experiment(here, experiment))


@routes.add("GET", "/projects/{project}/sweeps/new", VIEWER)
def new_sweep_page(
    here: Here, request: Request, experiment: Text = "", like: Text = ""
) -> Response:
    """The form that makes a sweep; whoever may not edit can still write a snippet with it.

    like: the id or name of a sweep that fills it in.
    """
    model = seen_of(here, like).definition if like else None
    home = _home(here, model.experiment) if model else None
    chosen = _experiment(here, experiment) if experiment else home
    return page(
        here,
        request,
        "sweep_new.html",
        title="New sweep",
        data={
            "experiment": chosen,
            "experiments": _experiments(here),
            "may_edit": here.role >= EDITOR,
            "address": _address(here, request),
            "like": _model(model) if model else None,
        },
        active="sweeps",
        scripts=("pages/sweep_new.js",),
        styles=("sweeps.css",),
        experiment=chosen,
        like=model,
        strategies=_STRATEGIES,
        pruners=PRUNERS,
        may_edit=here.role >= EDITOR,
    )


@routes.add("GET", "/projects/{project}/sweeps/{sweep}", VIEWER)
def sweep_page(here: Here, request: Request, sweep: str) -> Response:
    """The monitor of one sweep, by its id or name."""
    seen = seen_of(here, sweep)
    definition = seen.definition
    home = _home(here, definition.experiment)
    return page(
        here,
        request,
        "sweep.html",
        title=definition.name or definition.id,
        data={
            "sweep": definition.id,
            "may_edit": here.role >= EDITOR,
            "address": _address(here, request),
        },
        active="sweeps",
        scripts=("pages/sweep.js",),
        styles=("compare.css", "sweeps.css"),
        sweep=definition,
        experiment=home,
        panels=_PANELS,
        state=seen.status,
        may_edit=here.role >= EDITOR,
    )


def _list(here: Context, request: Request, experiment: dict[str, Any] | None) -> Response:
    return page(
        here,
        request,
        "sweeps.html",
        title=f"Sweeps of {experiment['name']}" if experiment else "Sweeps",
        data={
            "experiment": experiment,
            "names": {} if experiment else _names(here),
            "may_edit": here.role >= EDITOR,
        },
        active="sweeps",
        scripts=("pages/sweeps.js",),
        styles=("sweeps.css",),
        experiment=experiment,
        may_edit=here.role >= EDITOR,
    )


def _model(definition: Definition) -> dict[str, Any]:
    """What the form is filled with. floats: parameters whose numbers a browser tells otherwise."""
    return {
        **fixed(definition),
        "strategy": definition.strategy,
        "objective": definition.objective._asdict(),
        "max_trials": definition.max_trials,
        "warm": len(definition.warm),
        "floats": [
            name
            for name, one in definition.space.distributions.items()
            if any(map(_is_told_otherwise, _listed(one.as_json())))
        ],
    }


def _listed(spec: Mapping[str, Any]) -> list[Any]:
    return [*spec.get("values", ()), spec.get("value")]


def _is_told_otherwise(value: Any) -> bool:
    """JavaScript has one kind of number: 1.0 is 1, and some large integers are others."""
    return value.is_integer() if isinstance(value, float) else is_rounded(value)


def _experiments(here: Context) -> list[dict[str, str]]:
    """Those that a new sweep may belong to, the newest first."""
    index = reader_of(here).index
    index.refresh()
    shown = [row for row in index.experiments() if not row.deleted and not row.archived]
    return [{"id": row.id, "name": row.name} for row in reversed(shown)]


def _names(here: Context) -> dict[str, str]:
    """The names of experiments by their ids."""
    index = reader_of(here).index
    index.refresh()
    return {row.id: row.name for row in index.experiments()}


def _home(here: Context, wanted: str) -> dict[str, Any] | None:
    """The experiment of a sweep; None where it is not there, or not yet."""
    try:
        return _experiment(here, wanted)
    except NotFoundError:
        return None


def _address(here: Context, request: Request) -> str:
    """What a client is told to open: this server, as the browser reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{here.services.settings.prefix}"


def _experiment(here: Context, wanted: str) -> dict[str, Any]:
    reader = reader_of(here)
    reader.index.refresh()
    row = experiment_of(reader, wanted)
    return {"id": row.id, "name": row.name, "description": row.description}
