"""What a figure of runs shows, whatever draws it: which metrics, over what, how smooth.

The points are bucketed as for the pages, by the server where there is one, else here. matplotlib
draws (`curve_pictures.py`), where the extra `plot` is installed; nothing of it is loaded before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack.curves import Look, looks
from podstack.errors import (
    BackendError,
    MissingExtraError,
    NotFoundError,
    UsageError,
    WrongTypeError,
)
from podstack.names import short
from podstack.overlaid import asked
from podstack.points import SYSTEM

if TYPE_CHECKING:
    from podstack.buckets import Axis
    from podstack.store import Store
    from podstack.stored_run import StoredRun

AXES = ("step", "relative", "wall")
MOST = 12  # metrics of one figure
BUCKETS = 300  # points of a curve, as on a page
_COLUMNS = ("x", "mean", "min", "max", "count", "odd")


class Line(NamedTuple):
    """One run's curve of one metric: columns of one length.

    x: steps, seconds since the run began, or epoch seconds. mean, low, high: of each bucket's
    finite values, NaN where it has none. count: its points. line: what is drawn: the mean, or that
    smoothed. odd: how many points are NaN or infinite.
    """

    label: str
    look: Look
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    line: Sequence[float]
    odd: int


class Plot(NamedTuple):
    """metrics: the lines by the metric's name. notes: what found no room, as sentences."""

    metrics: Mapping[str, Sequence[Line]]
    axis: Axis
    notes: Sequence[str] = ()


class Wanted(NamedTuple):
    """What was asked for, checked. metrics: None for all that there are."""

    metrics: Sequence[str] | None
    axis: Axis
    smooth: float


def wanted(metrics: object, x: object, smooth: object) -> Wanted:
    """
    Raises:
        UsageError: there is no such axis; smooth is out of range; no metric is named.
        WrongTypeError: metrics is no list of names, or smooth no number.
    """
    if x not in AXES:
        raise UsageError(f"x is {', '.join(AXES)}, not {short(x)}.")
    if isinstance(smooth, bool) or not isinstance(smooth, (int, float)):
        raise WrongTypeError(f"smooth is a number from 0 to below 1, not {short(smooth)}.")
    if not 0 <= smooth < 1:
        raise UsageError(f"smooth is a number from 0 to below 1, not {smooth}.")
    return Wanted(_names(metrics), x, float(smooth))  # type: ignore[arg-type]  # one of AXES


def _names(metrics: object) -> list[str] | None:
    if metrics is None:
        return None
    listed = [metrics] if isinstance(metrics, str) else metrics
    if not isinstance(listed, (list, tuple)) or not all(isinstance(one, str) for one in listed):
        raise WrongTypeError(
            f"metrics is a name or a list of names such as ['loss'], not {short(metrics)}."
        )
    if not listed:
        raise UsageError("metrics is an empty list. Name some, or leave it out for all.")
    return list(dict.fromkeys(listed))


# One run, or several -------------------------------------------------------------------------


def of_run(run: StoredRun, want: Wanted) -> Plot:
    """The metrics of one run that its user logged, unless others are named.

    Raises:
        NotFoundError: it has no such metric; the nearest are named.
        BackendError: the store does not answer.
    """
    known = list(run.metrics)
    usual = [name for name in known if not name.startswith(SYSTEM)]
    return of_runs(run._store, {run.id: run.name}, {run.id: run}, usual, known, want)


def of_runs(
    store: Store,
    labels: Mapping[str, str],
    runs: Mapping[str, StoredRun],
    usual: Sequence[str],
    known: Iterable[str],
    want: Wanted,
    notes: Sequence[str] = (),
) -> Plot:
    """
    Args:
        labels: of the runs, by their ids, in the order of the legend.
        usual: metrics that are shown where none is named.
        known: all that there are.
        notes: what to tell besides.

    Raises: as `of_run`.
    """
    for name in want.metrics or ():
        if name not in known:
            raise NotFoundError.among("metric", name, known)
    names = list(usual if want.metrics is None else want.metrics)
    read = _read(store, runs, names[:MOST], want.axis)
    colours = looks(labels)
    lines = {
        name: [
            _line(labels[run], colours[run], read[run][name], want.smooth)
            for run in labels
            if len(read[run].get(name, {}).get("x", ()))
        ]
        for name in names[:MOST]
    }
    more = len(names) - MOST
    hidden = [f"{more} more metric{'s'[: more != 1]}: plot([…])"] if more > 0 else []
    return Plot({n: found for n, found in lines.items() if found}, want.axis, [*notes, *hidden])


def _read(
    store: Store, runs: Mapping[str, StoredRun], names: Sequence[str], axis: Axis
) -> dict[str, dict[str, Any]]:
    """Buckets by run and metric."""
    told = asked(store, list(runs), names, {"buckets": BUCKETS, "axis": axis})
    return {id: told[id] if id in told else _own(run, names, axis) for id, run in runs.items()}


def _own(run: StoredRun, names: Sequence[str], axis: Axis) -> dict[str, Any]:
    """What a server would answer."""
    from podstack.buckets import bucketed, columns_of, placed  # numpy

    found, metrics = {}, run.metrics
    for name in (name for name in names if name in metrics):
        steps, values, times = columns_of(metrics[name])
        places, order = placed(steps, times, axis, run.created)
        if order is not None:
            values, times = values[order], times[order]
        found[name] = bucketed(places, values, times, count=BUCKETS, start=None, stop=None)
    return found


def _line(label: str, look: Look, columns: Mapping[str, Any], smooth: float) -> Line:
    """
    Raises:
        BackendError: a server told something else than columns.
    """
    try:
        x, mean, low, high, count, odd = (
            [float(each) for each in columns[name]] for name in _COLUMNS
        )
    except (KeyError, TypeError, ValueError):
        raise BackendError(f"The answer holds no curve: {short(columns)}.") from None
    return Line(label, look, x, mean, low, high, smoothed(mean, count, smooth), int(sum(odd)))


def smoothed(values: Sequence[float], counts: Sequence[float], weight: float) -> Sequence[float]:
    """An exponential mean without the bias to its start, the same as on the pages.

    A bucket of n points moves it as n points of its mean would, so it hardly depends on how a
    series was thinned. Constants, and one or two values, stay as they are; so do gaps.

    Args:
        values: of each bucket; NaN is a gap.
        counts: points of each bucket.
        weight: 0 (nothing is smoothed) to below 1.

    Source: Kingma and Ba, Adam, 2015, section 3, for the missing bias.
    """
    known = [value for value in values if isfinite(value)]
    if not weight or len(known) <= 2 or min(known) == max(known):
        return values
    mean = share = 0.0
    found = []
    for value, count in zip(values, counts, strict=True):
        if isfinite(value):
            kept = weight ** max(1.0, count)
            mean, share = mean * kept + value * (1 - kept), share * kept + (1 - kept)
            value = mean / share
        found.append(value)
    return found


def drawn(plot: Plot) -> Any:
    """The figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return pictures().picture(plot)


def pictures() -> Any:
    """What draws; asked for before anything is read, so that what is missing is said at once."""
    try:
        from podstack import curve_pictures  # loads matplotlib
    except ModuleNotFoundError as cause:
        raise MissingExtraError.for_(cause, extra="plot", also=("matplotlib", "numpy")) from cause
    return curve_pictures
