"""The runs table: of an experiment, and of a whole project.

The page asks `…/table` for its runs and draws them; all of its view is in the address: `q` the
filter, `sort` an order, `cols` and `pins` columns, `group` one of them, `runs` what is selected.
"""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from podstack.index import ExperimentRow
from podstack.server.access import EDITOR, VIEWER, Context, Here, Routes
from podstack.server.asking import experiment_of, looked
from podstack.server.ui.rendering import page

routes = Routes(prefix="")


@routes.add("GET", "/projects/{project}/runs", VIEWER)
def all_runs_page(here: Here, request: Request) -> Response:
    """The runs of all experiments."""
    return _table(here, request, None)


@routes.add("GET", "/projects/{project}/experiments/{experiment}", VIEWER)
def runs_page(here: Here, request: Request, experiment: str) -> Response:
    """The runs of one experiment, by its id or its name."""
    return _table(here, request, experiment_of(looked(here, partial=True), experiment))


def _table(here: Context, request: Request, experiment: ExperimentRow | None) -> Response:
    prefix = here.services.settings.prefix
    told = None if experiment is None else {"id": experiment.id, "name": experiment.name}
    return page(
        here,
        request,
        "runs.html",
        title=experiment.name if experiment else "Runs",
        data={
            "experiment": told,
            "address": f"{request.url.scheme}://{request.url.netloc}{prefix}",
        },
        active="experiments" if experiment else "runs",
        scripts=("pages/runs.js",),
        styles=("runs.css",),
        experiment=experiment,
        may_edit=here.role >= EDITOR,
    )
