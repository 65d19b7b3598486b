"""What earlier trials have shown decides the next one: Optuna's samplers as a pure function.

Until ten trials have a value, trials are spread evenly (random_search.py, quasi). From then on the
sampler models them: `tpe`, the multivariate tree-structured Parzen estimator, or `gp`, a Gaussian
process. Running trials count as bad ones (the constant liar), so that workers that ask at the same
time go to different places; failed and killed ones, and those whose value is NaN, count for
nothing; pruned ones count by their last report.

Every suggestion starts from nothing: a new sampler, seeded by a hash of seed and number, looks at
the trials sorted by number. Kept from one call to the next is only the form that Optuna wants each
ended trial in. So the result depends on the arguments alone, it does not matter when a trial
became known, and a suggestion costs what Optuna's own model costs: linear in the trials seen for
`tpe`.

Optuna is imported when the first model is needed: optuna_view.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

from podstack.errors import MissingExtraError, UsageError
from podstack.names import COMPLETED, short
from podstack.parameters import JsonValue
from podstack.sweeps.distributions import Categorical
from podstack.sweeps.grid import check_number
from podstack.sweeps.random_search import RandomSearch, drawn, hashed, unit_of
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace

if TYPE_CHECKING:
    from podstack.sweeps.optuna_view import Model

STARTUP = 10  # trials with a value before there is a model; Optuna's own number
MAX_VALUES = 1_000  # of one list; the model keeps a share of each for each trial
_TRIES = 5  # for a point that was not tried before, where points can be counted


class BayesianSearch:
    """The strategy `bayesian`.

    Args:
        sampler: "tpe", or "gp".

    Raises:
        UsageError: a parameter has more than 1,000 values to choose from.
        MissingExtraError: Optuna is not installed; for "gp", torch or scipy is not.
    """

    def __init__(
        self, space: SearchSpace, objective: Objective, seed: int, *, sampler: str = "tpe"
    ) -> None:
        _check_installed(sampler)
        _check_values(space)
        self.size: int | None = None
        self._space, self._objective = space, objective
        self._seed, self._sampler = seed, sampler
        self._start = RandomSearch(space, seed, quasi=True)

    @cached_property
    def _model(self) -> Model:
        from podstack.sweeps.optuna_view import Model  # half a second, and not everyone needs it

        return Model(self._space, self._objective, self._sampler)

    @cached_property
    def _points(self) -> float:
        """How many different trials there can be."""
        discrete = all(each.discrete for each in self._space.distributions.values())
        return self._space.size or math.inf if discrete else math.inf

    def suggest(self, number: int, seen: Sequence[TrialRecord]) -> dict[str, JsonValue]:
        check_number(number)
        others = sorted((r for r in seen if r.number != number), key=lambda r: r.number)
        tried = [r.params for r in others] if len(others) < self._points < math.inf else []
        for attempt in range(_TRIES):
            found = self._suggest(number, others, attempt)
            if found not in tried:
                break
        return found

    def _suggest(
        self, number: int, others: Sequence[TrialRecord], attempt: int
    ) -> dict[str, JsonValue]:
        def unit(name: str) -> float:
            if attempt:
                return unit_of(self._seed, number, name, attempt)
            return self._start.unit(number, name)

        if sum(map(_informs, others)) < STARTUP:
            return drawn(self._space, unit)
        return self._model.ask(number, others, hashed(self._seed, number, attempt), unit)


def _informs(record: TrialRecord) -> bool:
    """Whether a trial has shown something."""
    return record.status == COMPLETED and (record.pruned or record.counts)


def _check_values(space: SearchSpace) -> None:
    for name, distribution in space.distributions.items():
        if isinstance(distribution, Categorical) and distribution.points > MAX_VALUES:
            raise UsageError(
                f"Parameter {short(name)} has {distribution.points:,} values; the strategy "
                f"'bayesian' models lists of up to {MAX_VALUES:,}. Write a range with min and max, "
                "or use the strategy 'random'."
            )


def _check_installed(sampler: str) -> None:
    if not _is_installed("optuna"):
        raise MissingExtraError(
            "The strategy 'bayesian' needs optuna. Run: pip install 'podstack[sweeps]'"
        )
    missing = [name for name in ("torch", "scipy") if not _is_installed(name)]
    if sampler == "gp" and missing:
        raise MissingExtraError(
            f"The sampler 'gp' needs {' and '.join(missing)}. Run: pip install "
            f"{' '.join(missing)}; or use the sampler 'tpe'."
        )


def _is_installed(name: str) -> bool:
    """Whether a package could be imported, without importing it."""
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # somebody hides it
        return False
