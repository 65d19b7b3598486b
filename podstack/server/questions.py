"""Questions about a project, answered as JSON: what a page, a script and `MLOpsClient` ask.

Lists are JSON in one parameter, as in `names=["loss","acc"]`; a text that begins with no bracket is
a list of one. NaN and infinities are the texts of FORMAT.md. An expression that cannot be read is
a 422 whose message points at the place.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import orjson
from fastapi import Query
from starlette.responses import Response

from podstack import query
from podstack.compare import Comparison, compare
from podstack.errors import NotFoundError, UsageError
from podstack.experiment_table import check_sort, sorted_experiments
from podstack.index import ExperimentRow
from podstack.index.wire import plain, run_out
from podstack.names import experiment_id, is_id
from podstack.server.access import VIEWER, Context, Here, Routes
from podstack.server.errors import Refused
from podstack.server.readers import ProjectReader

MOST = 1000  # runs of one answer
MOST_COMPARED = 100
LONGEST = 8_000  # characters of a filter
_FURTHEST = 1_000_000  # runs that may be left out

_CURSOR = re.compile(r"o([0-9]{1,7})")

Limit = Annotated[int, Query(ge=1, le=MOST)]
Offset = Annotated[int, Query(ge=0, le=_FURTHEST)]
Text = Annotated[str, Query(max_length=LONGEST)]

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
) -> Response:
    """Experiments; those that are deleted only where asked for."""
    if status not in ("active", "completed", "archived", "all"):
        raise UsageError("status is one of active, completed, archived or all.")
    check_sort(sort)
    wanted = set(texts(tags))
    reader = reader_of(here)
    reader.index.refresh()
    found = [
        row
        for row in reader.index.experiments()
        if (deleted or not row.deleted)
        and status in ("all", row.status)
        and search.lower() in f"{row.name}\n{row.description}".lower()
        and wanted <= set(row.tags)
    ]
    return answer({"experiments": [row._asdict() for row in sorted_experiments(found, sort)]})


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
    reader = reader_of(here)
    reader.index.refresh()
    return answer({"runs": [run_out(row) for row in reader.index.rows(wanted)]})


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


# Shared with the questions about one run -----------------------------------------------------


def answer(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def reader_of(here: Context) -> ProjectReader:
    return here.services.readers.of(here.project)


def texts(value: str) -> list[str]:
    """A list of texts, from JSON or from one text; empty from an empty one.

    Raises:
        UsageError: it is neither.
    """
    if not value.lstrip().startswith("["):
        return [value] if value else []
    try:
        found = orjson.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise UsageError('A list is JSON, as in ["loss","acc"].')
    return found


def at_most(what: str, values: list[str], most: int) -> list[str]:
    """
    Raises:
        UsageError: there are more.
    """
    if len(values) > most:
        raise UsageError(f"{what} are at most {most:,}, not {len(values):,}.")
    return values


def bad_cursor() -> Refused:
    return Refused(400, "cursor", "That is no cursor: take one from an answer, or leave it out.")


def _offset(cursor: str) -> int:
    found = _CURSOR.fullmatch(cursor)
    if found is None or int(found[1]) > _FURTHEST:
        raise bad_cursor()
    return int(found[1])


def experiment_of(reader: ProjectReader, wanted: str) -> ExperimentRow:
    """
    Raises:
        NotFoundError: there is none; the nearest existing ones are named.
    """
    known = {row.id: row for row in reader.index.experiments()}
    by_name = {row.name: row for row in known.values()}
    found = known.get(wanted) or known.get(experiment_id(wanted)) or by_name.get(wanted)
    if found is None:
        raise NotFoundError.among("experiment", wanted, [*known, *by_name])
    return found
