"""Series of many runs at once, as charts draw them: `GET …/series`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import Query
from numpy.typing import NDArray
from starlette.responses import Response

from podstack.errors import NotFoundError, UsageError
from podstack.metrics import Metrics
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.buckets import MOST as MOST_BUCKETS
from podstack.server.buckets import Steps, bucketed, columns_of
from podstack.server.questions import Text, at_most, reader_of, texts
from podstack.server.readers import FRESH, ProjectReader

MOST_RUNS = 100  # runs of one answer
MOST_NAMES = 100  # metrics of one answer
MOST_CELLS = 1_000_000  # runs x metrics x buckets
USUAL = 300  # buckets

Floats = NDArray[np.float64]
Buckets = Annotated[int, Query(ge=1, le=MOST_BUCKETS)]
Bound = Annotated[float | None, Query(allow_inf_nan=False)]
Axis = Literal["step", "relative", "wall"]

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
    known = {run: edition[1] for run, edition in editions.items() if edition is not None}

    def body() -> bytes:
        told = {run: thinned(run, began) for run, began in known.items()}
        missing = [run for run in ids if run not in known]
        return orjson.dumps({"series": told, "missing": missing})

    def thinned(run: str, began: float) -> dict[str, Any]:
        with reader.metrics(run, FRESH) as found:
            names = [name for name in wanted if name in found]
            return {name: _thinned(found, name, window, began) for name in names}

    question = ("series", tuple(ids), tuple(wanted), window)
    told = reader.remembered(question, body, len, tuple(editions.values()))
    return Response(told, media_type="application/json")


def _edition(reader: ProjectReader, run: str, window: Window) -> tuple[object, float] | None:
    """What stands for the points of a run as of now, or of a second ago, and when it began.

    All tabs that look at a run ask for the same: one of them in a second has it made. None where
    there is no such run; the time is 0 where the window does not need it.
    """
    try:
        began = reader.row(run).created if window.is_relative else 0.0
        with reader.metrics(run, FRESH) as found:
            return object() if found.version is None else found.version, began
    except NotFoundError:
        return None


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
    if window.axis == "step":
        return steps, None
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    return (ordered - min(began, ordered[0]) if began else ordered), order


def _joined(found: Metrics, x: str, steps: NDArray[np.int64]) -> tuple[Floats, NDArray[np.intp]]:
    """The values of another metric at some steps, and the points that have one."""
    if x not in found:
        return np.empty(0), np.empty(0, np.intp)
    others, places, _ = columns_of(found[x])
    _, mine, theirs = np.intersect1d(steps, others, assume_unique=True, return_indices=True)
    mine, theirs = mine[kept := np.isfinite(places[theirs])], theirs[kept]
    order = np.argsort(places[theirs], kind="stable")
    return places[theirs][order], mine[order]
