"""Where a value of a parameter lies: on an axis of a picture, and among all draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from podstack.sweeps.distributions import (
    Categorical,
    Constant,
    Distribution,
    IntLogUniform,
    IntUniform,
    LogNormal,
    LogUniform,
    Normal,
    QUniform,
)
from podstack.sweeps.records import JsonValue, TrialRecord
from podstack.sweeps.spacing import is_number
from podstack.tables import cell

_LOG = (LogUniform, IntLogUniform, LogNormal)


class Scale(NamedTuple):
    """The axis of one parameter.

    labels: of a list of values, at 0, 1, 2 …; empty where the axis is one of numbers.
    """

    name: str
    is_log: bool = False
    values: tuple[JsonValue, ...] = ()
    labels: tuple[str, ...] = ()

    def place(self, value: JsonValue) -> float | None:
        """Where a value lies; None where it has no place, such as one of another kind."""
        if self.labels:
            same = (i for i, one in enumerate(self.values) if _alike(one, value))
            return next(map(float, same), None)
        if not is_number(value) or not math.isfinite(value) or (self.is_log and value <= 0):
            return None
        return float(value)


def scale_of(name: str, distribution: Distribution, tried: Iterable[JsonValue]) -> Scale:
    """The axis that shows all values that were tried, in the order of the list if there is one."""
    if not isinstance(distribution, (Categorical, Constant)):
        return Scale(name, isinstance(distribution, _LOG))
    listed = distribution.values if isinstance(distribution, Categorical) else (distribution.value,)
    known = list(tried)
    shown = tuple(one for one in listed if any(_alike(one, value) for value in known))
    return Scale(name, False, shown, tuple(cell(value) for value in shown))


def _alike(one: JsonValue, other: JsonValue) -> bool:
    return type(one) is type(other) and bool(one == other)


def varied(
    distributions: Mapping[str, Distribution], records: Iterable[TrialRecord]
) -> dict[str, str]:
    """Flat name → why it cannot matter; empty where at least two values were tried.

    To be there or not is a difference too: of a conditional parameter, one value is enough.
    """
    seen: dict[str, set[object]] = {name: set() for name in distributions}
    for record in records:
        for name in distributions:
            value = record.params.get(name, _NOWHERE)
            seen[name].add((type(value), value))
    return {name: _why(distributions[name], seen[name]) for name in distributions}


_NOWHERE = object()


def _why(distribution: Distribution, seen: set[object]) -> str:
    if isinstance(distribution, Constant) or distribution.points == 1:
        return "constant"
    return "one value tried" if len(seen) < 2 else ""


def share_below(distribution: Distribution, value: float) -> float:
    """The share of draws from a range or a bell curve below `value`: 0 to 1.

    A value of a countable range stands in the middle of its own share. What lies outside of the
    range, as a warm start's may, counts as the end of it.
    """
    if isinstance(distribution, (Normal, LogNormal)):
        return distribution.unit_of(value)
    if isinstance(distribution, QUniform):
        return (distribution.index_of(value) + 0.5) / distribution.steps
    low, high = float(distribution.min), float(distribution.max)  # type: ignore[attr-defined]
    if isinstance(distribution, (IntUniform, IntLogUniform)):
        low, high = low - 0.5, high + 0.5
    at = min(max(float(value), low), high)
    if isinstance(distribution, (LogUniform, IntLogUniform)):
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low) if high > low else 0.5


# Round values ----------------------------------------------------------------------------------

_MARKS = 5  # that an axis has, about


def round_values(distribution: Distribution) -> list[float]:
    """About five values of a range or a bell curve to write beside its axis, the lowest first.

    Powers of ten where a logarithmic range has two of them, else multiples of 1, 2 or 5; of a bell
    curve the middle, and one and two deviations to each side.
    """
    if isinstance(distribution, (Normal, LogNormal)):
        middle, deviation = distribution.mu, distribution.sigma
        places = [middle + sides * deviation for sides in (-2, -1, 0, 1, 2)]
        is_log = isinstance(distribution, LogNormal)
        return [float(f"{math.exp(at) if is_log else at:.2g}") for at in places]
    low, high = float(distribution.min), float(distribution.max)  # type: ignore[attr-defined]
    powers = _powers(low, high) if isinstance(distribution, _LOG) else []
    found = powers if len(powers) > 1 else _even(low, high)
    if isinstance(distribution, (IntUniform, IntLogUniform)):
        return [value for value in found if value.is_integer()]
    return found


def _powers(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / (_MARKS + 1)))
    return [float(f"1e{power}") for power in range(first, last + 1, step)]


def _even(low: float, high: float) -> list[float]:
    if not high > low:
        return [low]
    rough = (high - low) / _MARKS
    size = 10 ** math.floor(math.log10(rough))
    step = next(times * size for times in (1, 2, 5, 10) if times * size >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{at * step:.12g}") for at in range(first, last + 1)]
