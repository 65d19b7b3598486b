"""The objective over two parameters, as a grid of cells: what a contour shows, without a library.

The surface is a kernel regression over the trials (Nadaraya 1964, Watson 1964) with Scott's
bandwidth (1992), in the unit square of the two parameters: a range evenly by its draws, a list by
its places. A cell that is far from every trial is None, so that nothing is shown as known that
is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, isfinite
from typing import NamedTuple

from podstack.sweeps.distributions import Categorical, Constant, Distribution
from podstack.sweeps.records import JsonValue, TrialRecord
from podstack.sweeps.scales import round_values, share_below
from podstack.sweeps.spacing import is_number

CELLS = 32  # along each parameter that is a range
MOST = 400  # trials, the latest ones: the time of a grid grows with them
_FAR = 1e-3  # weight of the nearest trials below which a cell is blank
_BROADEST, _NARROWEST = 0.2, 0.04  # bandwidth, in parts of the square


class Spot(NamedTuple):
    """A trial in the unit square."""

    x: float
    y: float
    value: float
    number: int


class Axis(NamedTuple):
    """One side of the square.

    cells: the value in the middle of each cell. marks: places, 0 to 1, and what stands there.
    """

    cells: list[JsonValue]
    marks: list[tuple[float, JsonValue]]


class Relief(NamedTuple):
    """rows: from the lowest y up, each from the lowest x on."""

    columns: int
    rows: list[list[float | None]]
    spots: list[Spot]
    axes: tuple[Axis, Axis]


def unit_of(distribution: Distribution, value: JsonValue) -> float | None:
    """Where a value lies in its parameter, 0 to 1; None for what the parameter cannot be."""
    if isinstance(distribution, Categorical):
        if not distribution.contains(value):
            return None
        return (distribution.place_of(value) + 0.5) / len(distribution.values)
    if isinstance(distribution, Constant):
        return 0.5
    return share_below(distribution, value) if is_number(value) and isfinite(value) else None


def relief(x: tuple[str, Distribution], y: tuple[str, Distribution],
           trials: Iterable[TrialRecord]) -> Relief:  # fmt: skip
    """The surface over two parameters, each a name and its distribution.

    Completed trials that have both parameters and a finite value count; the latest 400 of them.
    """
    spots = [spot for trial in trials if (spot := _spot(x, y, trial)) is not None][-MOST:]
    columns, rows = _cells(x[1]), _cells(y[1])
    wide, high = _bandwidth([s.x for s in spots]), _bandwidth([s.y for s in spots])
    across = [_weights(spots_x, columns, wide) for spots_x in (s.x for s in spots)]
    up = [_weights(spots_y, rows, high) for spots_y in (s.y for s in spots)]
    values = [spot.value for spot in spots]
    made = [[_cell(across, up, values, i, j) for i in range(columns)] for j in range(rows)]
    return Relief(columns, made, spots, (axis_of(x[1]), axis_of(y[1])))


def axis_of(distribution: Distribution) -> Axis:
    """What the cells along a parameter mean, and round values to write beside them."""
    count = _cells(distribution)
    cells = [distribution.at((cell + 0.5) / count) for cell in range(count)]
    if isinstance(distribution, (Categorical, Constant)):
        values = distribution.values if isinstance(distribution, Categorical) else cells
        return Axis(list(values), [((at + 0.5) / count, one) for at, one in enumerate(values)])
    marks = [(unit_of(distribution, value), value) for value in round_values(distribution)]
    return Axis(cells, [(at, value) for at, value in marks if at is not None])


def _spot(
    x: tuple[str, Distribution], y: tuple[str, Distribution], trial: TrialRecord
) -> Spot | None:
    if not trial.counts or trial.value is None or not isfinite(trial.value):
        return None
    if x[0] not in trial.params or y[0] not in trial.params:
        return None
    across, up = unit_of(x[1], trial.params[x[0]]), unit_of(y[1], trial.params[y[0]])
    if across is None or up is None:
        return None
    return Spot(across, up, trial.value, trial.number)


def _cells(distribution: Distribution) -> int:
    points = 1 if isinstance(distribution, Constant) else CELLS
    return len(distribution.values) if isinstance(distribution, Categorical) else points


def _bandwidth(places: Sequence[float]) -> float:
    """Scott's rule in two dimensions, within bounds that keep a few trials apart."""
    if len(places) < 2:
        return _BROADEST
    mean = sum(places) / len(places)
    deviation = (sum((p - mean) ** 2 for p in places) / (len(places) - 1)) ** 0.5
    return float(min(_BROADEST, max(_NARROWEST, deviation * len(places) ** (-1 / 6))))


def _weights(place: float, cells: int, bandwidth: float) -> list[float]:
    return [exp(-(((i + 0.5) / cells - place) ** 2) / (2 * bandwidth**2)) for i in range(cells)]


def _cell(
    across: Sequence[Sequence[float]],
    up: Sequence[Sequence[float]],
    values: Sequence[float],
    i: int,
    j: int,
) -> float | None:
    weights = [x[i] * y[j] for x, y in zip(across, up, strict=True)]
    total = sum(weights)
    if total < _FAR:
        return None
    return sum((w / total) * v for w, v in zip(weights, values, strict=True))
