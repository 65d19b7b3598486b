"""Every point of the space once: trial n is point n - 1, so a grid can be resumed anywhere."""

from __future__ import annotations

from collections.abc import Sequence

from podstack.errors import UsageError
from podstack.names import short
from podstack.parameters import JsonValue
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.space import SearchSpace


def check_number(number: int) -> int:
    """`number`, if a trial may have it.

    Raises:
        UsageError: it is below 1.
    """
    if number < 1:
        raise UsageError(f"A trial's number is 1 or more, not {short(number)}.")
    return number


class GridSearch:
    """The strategy `grid`. What was seen changes nothing.

    Raises:
        UsageError: a range of the space has no count; it is named.
    """

    def __init__(self, space: SearchSpace) -> None:
        space.check_grid()
        self._space = space
        self.size = space.size

    def suggest(self, number: int, seen: Sequence[TrialRecord]) -> dict[str, JsonValue]:
        return self._space.grid_point(check_number(number) - 1)
