"""The arithmetic of distributions: evenly spaced points, multiples in decimals, the bell curve."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import TypeVar

from podstack.parameters import JsonValue

_SMALLEST_UNIT = 2.0**-54  # half the distance of two draws: keeps a bell curve finite at 0
_Number = TypeVar("_Number", int, float)


def is_number(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def within(value: _Number, low: _Number, high: _Number) -> _Number:
    return min(max(value, low), high)


def share(index: int, count: int | None) -> float:
    """How far point `index` of `count` lies between the ends, 0 to 1 and both included."""
    return index / ((count or 2) - 1)


def spread(index: int, count: int, values: int) -> int:
    """The value that point `index` of `count` evenly spaced ones has, in whole numbers."""
    return (2 * index * (values - 1) + count - 1) // (2 * (count - 1)) if count > 1 else 0


def distinct(values: Iterable[JsonValue]) -> tuple[JsonValue, ...]:
    return tuple(dict.fromkeys(values))


def exact(number: float) -> Fraction:
    """The decimal number as it is written: 0.1 is a tenth."""
    return Fraction(repr(number))


def nearest_step(value: float, q: float) -> int:
    """How many q are nearest to `value`; the even one where two are."""
    return round(exact(value) / exact(q))


def multiple(step: int, q: float) -> float:
    return step * q if isinstance(q, int) else float(step * exact(q))


def bell(unit: float, mu: float, sigma: float) -> float:
    from statistics import NormalDist  # it loads a dozen modules; few spaces need it

    inside = within(unit, _SMALLEST_UNIT, 1 - 2 * _SMALLEST_UNIT)
    return NormalDist(mu, sigma).inv_cdf(inside)


def below(value: float, mu: float, sigma: float) -> float:
    return 0.5 * math.erfc((mu - value) / (sigma * math.sqrt(2)))
