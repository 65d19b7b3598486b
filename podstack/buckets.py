"""Series thinned for a chart: equal ranges of steps, each with what a curve and its band need.

Pages ask a server for them; a figure in a notebook makes the same here, where no server does.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from podstack.index.wire import floats
from podstack.series import Series

MOST = 4000  # buckets of one series

Floats = NDArray[np.float64]
Steps = NDArray[np.int64] | Floats
Axis = Literal["step", "relative", "wall"]


def columns_of(one: Series) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Steps, values and times of a series, not copied; not to be changed."""
    view = one.view
    if not len(view):
        return np.empty(0, np.int64), np.empty(0), np.empty(0)
    steps = np.frombuffer(view.steps, np.int64)
    return steps, np.frombuffer(view.values, np.float64), np.frombuffer(view.times, np.float64)


def placed(
    steps: NDArray[np.int64], times: Floats, axis: Axis, began: float
) -> tuple[Steps, NDArray[np.intp] | None]:
    """Where points stand on an axis, in ascending order, and which points those are.

    Args:
        axis: at their step, at seconds since the run began (`relative`), or at epoch seconds.
        began: when that was, epoch seconds; a point from before stands below zero.

    Returns:
        The places, and the points in their order; None for all as they are.
    """
    if axis == "step" or not len(times):
        return steps, None
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    return (ordered - began if axis == "relative" else ordered), order


def bucketed(
    steps: Steps,
    values: Floats,
    times: Floats,
    *,
    count: int,
    start: float | None,
    stop: float | None,
    log: bool = False,
    around: bool = False,
    told: Floats | NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """At most `count` buckets of the points with `start <= step <= stop`.

    Args:
        steps: where each point stands, in ascending order; steps, or any other places.
        log: ranges of one ratio instead of one width; what is not above zero is left out.
        around: also the points next to the range, each as a bucket, so that a line goes on to the
            edges of a zoomed chart.
        told: a further column, of which the answer's `step` has the value of each first point.

    Returns:
        Columns of one length. x and time: of the bucket's first point; mean, min, max: over its
        finite values, NaN where it has none; last: its last value; count: its points; odd: how
        many of them are NaN or infinite. A bucket without points is left out, so a spike of one
        step is in some bucket's min or max at every zoom.
    """
    low = 0 if start is None else int(np.searchsorted(steps, start, "left"))
    high = len(steps) if stop is None else int(np.searchsorted(steps, stop, "right"))
    if log:
        low = max(low, int(np.searchsorted(steps, 0, "right")))
    high = max(low, high)
    begins = low + _begins(steps[low:high], count, log)
    if around:
        before = [low - 1] if low > 0 and not (log and steps[low - 1] <= 0) else []
        after = [high] if high < len(steps) else []
        begins, high = np.array([*before, *begins, *after], np.int64), high + len(after)
    if not len(begins):
        names = ("x", "time", "mean", "last", "min", "max", "count", "odd")
        return {name: [] for name in names} | ({} if told is None else {"step": []})
    ends = np.append(begins[1:], high)
    low, begins, ends = int(begins[0]), begins - begins[0], ends - begins[0]
    steps, values, times = steps[low:high], values[low:high], times[low:high]
    finite = np.isfinite(values)
    known = np.add.reduceat(finite.astype(np.int64), begins)
    shares = np.maximum(known, 1).repeat(ends - begins)  # divided first: a sum may overflow
    mean = np.add.reduceat(np.where(finite, values, 0.0) / shares, begins)
    lowest = np.minimum.reduceat(np.where(finite, values, np.inf), begins)
    highest = np.maximum.reduceat(np.where(finite, values, -np.inf), begins)
    return {
        "x": steps[begins].tolist(),
        "time": floats(times[begins].tolist()),
        "mean": floats(np.where(known > 0, mean, np.nan).tolist()),
        "last": floats(values[ends - 1].tolist()),
        "min": floats(np.where(known > 0, lowest, np.nan).tolist()),
        "max": floats(np.where(known > 0, highest, np.nan).tolist()),
        "count": (ends - begins).tolist(),
        "odd": (ends - begins - known).tolist(),
    } | ({} if told is None else {"step": told[low:high][begins].tolist()})


def _begins(steps: Steps, count: int, log: bool) -> NDArray[np.int64]:
    """Where each bucket begins; every point is one, where they are no more than the buckets."""
    if len(steps) <= count:
        return np.arange(len(steps))
    spaced = np.geomspace if log else np.linspace
    edges = spaced(float(steps[0]), float(steps[-1]), count, endpoint=False)
    begins = np.searchsorted(steps.astype(np.float64), edges, "left")
    begins[0] = 0
    return np.unique(np.minimum(begins, len(steps) - 1))
