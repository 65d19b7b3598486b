"""Questions about a project, answered as JSON: what a page, a script and `MLOpsClient` ask.

Lists are JSON in one parameter, as in `names=["loss","acc"]`; a text that begins with no bracket is
a list of one. NaN and infinities are the texts of FORMAT.md. An expression that cannot be read is
a 422 whose message points at the place.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from podstack import query
from podstack.compare import Comparison, compare
from podstack.errors import BackendError, UsageError
from podstack.experiment_table import check_sort, sorted_experiments
from podstack.index.wire import plain, run_out
from podstack.names import is_id
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.asking import (
    Text,
    answer,
    at_most,
    bad_cursor,
    experiment_of,
    indexing,
    looked,
    reader_of,
    texts,
)

MOST = 1000  # runs of one answer
MOST_COMPARED = 100
_FURTHEST = 1_000_000  # runs that may be left out

_CURSOR = re.compile(r"o([0-9]{1,7})")

Limit = Annotated[int, Query(ge=1, le=MOST)]
Offset = Annotated[int, Query(ge=0, le=_FURTHEST)]

routes = Routes()


@routes.add("GET", "/projects", VIEWER)
def projects(here: Here) -> Response:
    """The projects of the store that the caller may read."""
    found = here.services.stores.backend.list_dirs("projects/")
    names = [name for name in found if is_id(name) and here.caller.level_in(name)]
    return answer({"projects": names})


@routes.add("GET", "/projects/{project}/experiments", VIEWER)
def experiments(
    here: Here,
    search: Text = "",
    status: str = "all",
    tags: Text = "",
    sort: str = "created",
    deleted: bool = False,
    partial: bool = False,
) -> Response:
    """Experiments; those that are deleted only where asked for. partial: see `looked`."""
    if status not in ("active", "completed", "archived", "all"):
        raise UsageError("status is one of active, completed, archived or all.")
    check_sort(sort)
    wanted = set(texts(tags))
    reader = looked(here, partial)
    found = [
        row
        for row in reader.index.experiments()
        if (deleted or not row.deleted)
        and status in ("all", row.status)
        and search.lower() in f"{row.name}\n{row.description}".lower()
        and wanted <= set(row.tags)
    ]
    told = {"experiments": [row._asdict() for row in sorted_experiments(found, sort)]}
    return answer(told | indexing(reader))


@routes.add("GET", "/projects/{project}/experiments/{experiment}", VIEWER)
def one_experiment(here: Here, experiment: str) -> Response:
    """One experiment, by its id or its name."""
    reader = reader_of(here)
    reader.index.refresh()
    return answer(experiment_of(reader, experiment)._asdict())


@routes.add("GET", "/projects/{project}/runs", VIEWER)
def runs(
    here: Here,
    filter: Text = "",
    order_by: Text = "-created",
    experiment: str | None = None,
    status: str | None = None,
    tags: Text = "",
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: str = "",
    deleted: bool = False,
    count: bool = True,
) -> Response:
    """Runs that match, one page of them; `next` is the cursor of the next one.

    `count=false` saves counting: `total` is then null.
    """
    where = query.condition(filter, status, texts(tags))
    order = query.order_of(texts(order_by))
    start = _offset(cursor) if cursor else offset
    reader = reader_of(here)
    reader.index.refresh()
    inside = None if experiment is None else experiment_of(reader, experiment).id
    rows = reader.index.runs(where, order, inside, deleted, limit + 1, start)
    return answer(
        {
            "runs": [run_out(row) for row in rows[:limit]],
            "total": reader.index.count(where, inside, deleted) if count else None,
            "next": f"o{start + limit}" if len(rows) > limit else None,
        }
    )


@routes.add("GET", "/projects/{project}/rows", VIEWER)
def rows(here: Here, ids: Text) -> Response:
    """The runs of these ids, in their order, deleted ones too; unknown ones are left out."""
    wanted = at_most("ids", texts(ids), MOST_COMPARED)
    return answer({"runs": [run_out(row) for row in reader_of(here).rows(wanted)]})


@routes.add("GET", "/projects/{project}/matching", VIEWER)
def matching(here: Here, text: Text) -> Response:
    """The ids of the runs that a text may mean: by id, else by name, else by its beginning."""
    reader = reader_of(here)
    reader.index.refresh()
    return answer({"ids": reader.index.matching(text)[:MOST]})


@routes.add("GET", "/projects/{project}/names", VIEWER)
def names(here: Here) -> Response:
    """Every parameter, metric and tag in use, with the number of runs that have it."""
    reader = reader_of(here)
    reader.index.refresh()
    return answer(reader.index.names()._asdict())


@routes.add("GET", "/projects/{project}/indexing", VIEWER)
def how_far(here: Here) -> Response:
    """How far a long look at the store has come; `indexing` is null where none goes on.

    A look that failed is begun anew by asking; `trouble` says why the last one did, else it is "".
    """
    reader = reader_of(here)
    try:
        told = indexing(reader.so_far(0.0))
    except BackendError:  # which is the trouble
        told = {}
    return answer({"indexing": None, **told, "trouble": reader.shared.trouble})


@routes.add("GET", "/projects/{project}/compare", VIEWER)
def comparison(here: Here, runs: Text, baseline: str | None = None, metrics: Text = "") -> Response:
    """Runs beside a baseline: the parameters that differ, and what came of them."""
    wanted = at_most("runs", texts(runs), MOST_COMPARED)
    reader = reader_of(here)
    chosen = at_most("metrics", texts(metrics), MOST) or None
    return answer(_compared(compare(reader.index, wanted, baseline, chosen)))


def _compared(found: Comparison) -> dict[str, Any]:
    return {
        "runs": [run_out(row) for row in found.runs],
        "baseline": found.baseline.id,
        "params": found.params,
        "equal_params": found.equal_params,
        "metrics": {
            name: {run: plain(measured._asdict()) for run, measured in by_run.items()}
            for name, by_run in found.metrics.items()
        },
    }


def _offset(cursor: str) -> int:
    found = _CURSOR.fullmatch(cursor)
    if found is None or int(found[1]) > _FURTHEST:
        raise bad_cursor()
    return int(found[1])
