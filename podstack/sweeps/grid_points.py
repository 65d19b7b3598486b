"""The points of a grid, numbered, without ever listing them.

Parameters without conditions are the digits of a number in mixed radix, the last one lowest. A
parameter on which others depend is a tree: for each of its values there are as many points as
those that are active there have together. Sizes of trees are added once; a point is then found by
bisection. So a point costs a few microseconds for each parameter, and sizes are exact ints.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate

from podstack.parameters import JsonValue
from podstack.sweeps.conditions import Condition
from podstack.sweeps.distributions import Distribution


class GridPoints:
    """All distinct points of distributions that have `points`.

    Args:
        distributions: flat name → distribution, in the order of digits.
        conditions: flat name → condition; they hang together as a forest (conditions.py).
    """

    def __init__(
        self, distributions: Mapping[str, Distribution], conditions: Mapping[str, Condition]
    ) -> None:
        self._distributions = distributions
        self._conditions = conditions
        self._children: dict[str, list[str]] = {}
        for name, when in conditions.items():
            self._children.setdefault(when.name, []).append(name)
        self._roots = [name for name in distributions if name not in conditions]
        self._ends = {}
        ordered = sorted(self._children, key=self._depth, reverse=True)
        for name in ordered:  # children first
            self._ends[name] = list(accumulate(self._sizes_below(name)))
        self.size = math.prod(self._size_of(name) for name in self._roots)

    def _depth(self, name: str) -> int:
        when = self._conditions.get(name)
        return 0 if when is None else 1 + self._depth(when.name)

    def _size_of(self, name: str) -> int:
        """How many points a parameter and all that depends on it have."""
        ends = self._ends.get(name)
        return ends[-1] if ends else self._distributions[name].points or 0

    def _sizes_below(self, name: str) -> Iterable[int]:
        """For each value of a parameter, the points of those that depend on it."""
        distribution = self._distributions[name]
        for index in range(distribution.points or 0):
            active = self._active(name, distribution.point(index))
            yield math.prod(self._size_of(child) for child in active)

    def _active(self, name: str, value: JsonValue) -> list[str]:
        return [c for c in self._children[name] if self._conditions[c].allows(value)]

    def point(self, index: int) -> dict[str, JsonValue]:
        """Point `index`, 0 ≤ index < size."""
        found: dict[str, JsonValue] = {}
        self._digits(self._roots, index, found)
        return found

    def _digits(self, names: list[str], index: int, found: dict[str, JsonValue]) -> None:
        for name in reversed(names):
            index, digit = divmod(index, self._size_of(name))
            self._digit(name, digit, found)

    def _digit(self, name: str, digit: int, found: dict[str, JsonValue]) -> None:
        ends = self._ends.get(name)
        if ends is None:
            found[name] = self._distributions[name].point(digit)
            return
        place = bisect_right(ends, digit)
        found[name] = self._distributions[name].point(place)
        below = digit - (ends[place - 1] if place else 0)
        self._digits(self._active(name, found[name]), below, found)
