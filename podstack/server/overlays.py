"""Series of many runs at once, as charts draw them: `GET …/series`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import orjson
from fastapi import Query
from numpy.typing import NDArray
from starlette.responses import Response

from podstack.buckets import MOST as MOST_BUCKETS
from podstack.buckets import Axis, Steps, bucketed, columns_of, placed
from podstack.errors import NotFoundError, UsageError
from podstack.metrics import Metrics
from podstack.names import RUNNING
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.asking import Text, at_most, reader_of, texts
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
    axis: Axis = "step",
    log: bool = False,
    around: bool = False,
) -> Response:
    """`{run: {name: buckets}}`; a run has the names that it logged, and `missing` are no runs.

    `status` is each run's; one that is not `running` has all its points in the answer.

    axis: where points stand: at their step, at seconds since the run was started (`relative`), or
    at epoch seconds (`wall`); the answer's `x` is in that unit, and so are start and stop, the
    first and the last place to take.
    x: a metric to lay the others over, in place of an axis. A point then stands at the value that
    x has at its step; points whose step has none, or one that is not finite, are left out.
    log: buckets of one ratio, as a logarithmic axis shows them; places above zero only.
    around: also the point before start and the one after stop.

    Where points do not stand at their steps, `step` is that of each bucket's first point.
    """
    ids = list(dict.fromkeys(at_most("runs", texts(runs), MOST_RUNS)))
    wanted = at_most("names", texts(names), MOST_NAMES)
    if len(ids) * len(wanted) * buckets > MOST_CELLS:
        raise UsageError(f"That is more than {MOST_CELLS:,} buckets: ask for fewer at a time.")
    window = Window(x, axis, buckets, start, stop, log, around)
    reader = reader_of(here)
    editions = {run: _edition(reader, run, window) for run in ids}
    known = {run: edition for run, edition in editions.items() if edition is not None}

    def body() -> bytes:
        told = {run: thinned(run, edition.began) for run, edition in known.items()}
        missing = [run for run in ids if run not in known]
        status = {run: edition.status for run, edition in known.items()}
        return orjson.dumps({"series": told, "status": status, "missing": missing})

    def thinned(run: str, began: float) -> dict[str, Any]:
        with reader.metrics(run, FRESH) as found:
            names = [name for name in wanted if name in found]
            return {name: _thinned(found, name, window, began) for name in names}

    question = ("series", tuple(ids), tuple(wanted), window)
    told = reader.remembered(question, body, len, tuple(editions.values()))
    return Response(told, media_type="application/json")


class _Edition(NamedTuple):
    """What an answer about a run depends on. began: 0 where the window does not need it."""

    points: object
    status: str
    began: float


def _edition(reader: ProjectReader, run: str, window: Window) -> _Edition | None:
    """A run as of now, or of a second ago while it goes on; None where there is no such run.

    All tabs that look at a run ask for the same: one of them in a second has it made.
    """
    try:
        row = reader.row(run)
        with reader.metrics(run, FRESH if row.status == RUNNING else 0.0) as found:
            points = object() if found.version is None else found.version
    except NotFoundError:
        return None
    return _Edition(points, row.status, row.created if window.is_relative else 0.0)


@dataclass(frozen=True, slots=True)
class Window:
    """What a chart shows of its x axis, and how finely."""

    x: str
    axis: Axis
    buckets: int
    start: float | None
    stop: float | None
    log: bool
    around: bool

    @property
    def is_relative(self) -> bool:
        """Whether x is the time since the run began."""
        return self.axis == "relative" and not self.x


def _thinned(found: Metrics, name: str, window: Window, began: float) -> dict[str, Any]:
    steps, values, times = columns_of(found[name])
    places, order = _places(found, steps, times, window, began)
    if order is not None:
        steps, values, times = steps[order], values[order], times[order]
    return bucketed(
        places,
        values,
        times,
        count=window.buckets,
        start=window.start,
        stop=window.stop,
        log=window.log,
        around=window.around,
        told=None if places is steps else steps,
    )


def _places(
    found: Metrics, steps: NDArray[np.int64], times: Floats, window: Window, began: float
) -> tuple[Steps, NDArray[np.intp] | None]:
    """Where points stand, in ascending order, and which points those are; None for all."""
    if window.x:
        return _joined(found, window.x, steps)
    return placed(steps, times, window.axis, began)


def _joined(found: Metrics, x: str, steps: NDArray[np.int64]) -> tuple[Floats, NDArray[np.intp]]:
    """The values of another metric at some steps, and the points that have one."""
    if x not in found:
        return np.empty(0), np.empty(0, np.intp)
    others, places, _ = columns_of(found[x])
    _, mine, theirs = np.intersect1d(steps, others, assume_unique=True, return_indices=True)
    mine, theirs = mine[kept := np.isfinite(places[theirs])], theirs[kept]
    order = np.argsort(places[theirs], kind="stable")
    return places[theirs][order], mine[order]
