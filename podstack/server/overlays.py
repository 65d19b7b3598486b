"""Series of many runs at once, as charts draw them: `GET …/series`."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import Query
from numpy.typing import NDArray
from starlette.responses import Response

from podstack.errors import NotFoundError, UsageError
from podstack.metrics import Metrics
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.buckets import MOST as MOST_BUCKETS
from podstack.server.buckets import bucketed, columns_of
from podstack.server.questions import Text, at_most, reader_of, texts
from podstack.server.readers import FRESH, ProjectReader

MOST_RUNS = 100  # runs of one answer
MOST_NAMES = 100  # metrics of one answer
MOST_CELLS = 1_000_000  # runs x metrics x buckets
USUAL = 300  # buckets

Floats = NDArray[np.float64]
Buckets = Annotated[int, Query(ge=1, le=MOST_BUCKETS)]
Bound = Annotated[float | None, Query(allow_inf_nan=False)]

routes = Routes()


@routes.add("GET", "/projects/{project}/series", VIEWER)
def overlay(
    here: Here,
    runs: Text,
    names: Text,
    buckets: Buckets = USUAL,
    start: Bound = None,
    stop: Bound = None,
    x: Text = "",
) -> Response:
    """`{run: {name: buckets}}`; a run has the names that it logged, and `missing` are no runs.

    start, stop: the first and the last step to take; with x, values of x.
    x: a metric to lay the others over. A point then stands at the value that x has at its step;
    points whose step has none, or one that is not finite, are left out.
    """
    ids = list(dict.fromkeys(at_most("runs", texts(runs), MOST_RUNS)))
    wanted = at_most("names", texts(names), MOST_NAMES)
    if len(ids) * len(wanted) * buckets > MOST_CELLS:
        raise UsageError(f"That is more than {MOST_CELLS:,} buckets: ask for fewer at a time.")
    reader = reader_of(here)
    versions = {run: _version(reader, run) for run in ids}

    def body() -> bytes:
        told = {run: thinned(run) for run in ids if versions[run] is not None}
        missing = [run for run in ids if versions[run] is None]
        return orjson.dumps({"series": told, "missing": missing})

    def thinned(run: str) -> dict[str, Any]:
        with reader.metrics(run, FRESH) as found:
            names = [name for name in wanted if name in found]
            return {name: _thinned(found, name, x, buckets, start, stop) for name in names}

    question = ("series", *ids, *wanted, len(ids), x, buckets, start, stop)
    told = reader.remembered(question, body, len, tuple(versions.values()))
    return Response(told, media_type="application/json")


def _version(reader: ProjectReader, run: str) -> object | None:
    """What stands for the points of a run as of now, or of a second ago; None where there is none.

    All tabs that look at a run ask for the same: one of them in a second has it made.
    """
    try:
        with reader.metrics(run, FRESH) as found:
            return object() if found.version is None else found.version
    except NotFoundError:
        return None


def _thinned(
    found: Metrics, name: str, x: str, count: int, start: float | None, stop: float | None
) -> dict[str, Any]:
    steps, values, times = columns_of(found[name])
    places = steps.astype(np.float64) if x else steps
    if x:
        places, values, times = _joined(found, x, steps, values, times)
    return bucketed(places, values, times, count=count, start=start, stop=stop)


def _joined(
    found: Metrics, x: str, steps: NDArray[np.int64], values: Floats, times: Floats
) -> tuple[Floats, Floats, Floats]:
    """The points over another metric, in its order."""
    if x not in found:
        return np.empty(0), np.empty(0), np.empty(0)
    others, places, _ = columns_of(found[x])
    _, mine, theirs = np.intersect1d(steps, others, assume_unique=True, return_indices=True)
    mine, theirs = mine[kept := np.isfinite(places[theirs])], theirs[kept]
    order = np.argsort(places[theirs], kind="stable")
    return places[theirs][order], values[mine][order], times[mine][order]
