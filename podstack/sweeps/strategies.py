"""What decides the parameters of a trial: a grid, chance, or what earlier trials have shown.

A strategy is a pure function. The same seed, number and trials give the same parameters, in every
process and whatever the order in which the trials became known; so any worker may suggest any
number, and a worker that takes over a number of another one gets what that one got.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Protocol

from podstack.errors import UsageError, WrongTypeError
from podstack.names import short
from podstack.parameters import JsonValue
from podstack.sweeps.bayesian import BayesianSearch
from podstack.sweeps.grid import GridSearch
from podstack.sweeps.random_search import RandomSearch
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace


class Strategy(Protocol):
    """Gives the parameters of each trial. May be shared by threads."""

    size: int | None  # how many trials it can make; None: no end

    def suggest(self, number: int, seen: Sequence[TrialRecord]) -> dict[str, JsonValue]:
        """The parameters of trial `number`, from 1, under flat names.

        Args:
            seen: what is known of other trials, in any order: running ones with their parameters,
                ended ones with their values, those of a warm start with numbers of 0 and below.

        Raises:
            UsageError: `number` is below 1 or beyond `size`.
        """


def make_strategy(
    name: str,
    space: SearchSpace,
    objective: Objective,
    *,
    seed: int,
    options: Mapping[str, JsonValue],
) -> Strategy:
    """The strategy called `name`: grid, random or bayesian.

    Args:
        seed: any whole number; a grid does not need it.
        options: `{"quasi": true}` for random: evenly spread points instead of independent ones.
            `{"sampler": "tpe"}` (default) or `"gp"` for bayesian.

    Raises:
        WrongTypeError: the name is no text, or the seed no whole number.
        UsageError: there is no such strategy or option, or the space has no grid.
        MissingExtraError: bayesian without Optuna, or its sampler "gp" without torch and scipy.
    """
    if not isinstance(name, str):
        raise WrongTypeError(f"A strategy is a name, {_known()}; not {short(name)}.")
    if name not in _STRATEGIES:
        near = get_close_matches(name[:100], _STRATEGIES, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"There is no strategy {short(name)}; there are {_known()}.{guess}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise WrongTypeError(f"seed is {short(seed)}. It is a whole number.")
    make, known = _STRATEGIES[name]
    checked = {option: _option(name, option, options[option], known) for option in options}
    return make(space, objective, seed, checked)


def _known() -> str:
    return ", ".join(_STRATEGIES)


def _option(
    strategy: str, option: str, value: JsonValue, known: Mapping[str, tuple[JsonValue, ...]]
) -> JsonValue:
    if option not in known:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise UsageError(f"The strategy {strategy!r} has no option {short(option)}; {has}.")
    if not any(type(each) is type(value) and each == value for each in known[option]):
        allowed = " or ".join(repr(each) for each in known[option])
        raise UsageError(
            f"The option {option!r} of the strategy {strategy!r} is {short(value)}; "
            f"it may be {allowed}."
        )
    return value


_Make = Callable[[SearchSpace, Objective, int, Mapping[str, JsonValue]], Strategy]
_STRATEGIES: dict[str, tuple[_Make, Mapping[str, tuple[JsonValue, ...]]]] = {
    "grid": (lambda space, objective, seed, options: GridSearch(space), {}),
    "random": (
        lambda space, objective, seed, options: RandomSearch(
            space, seed, quasi=options.get("quasi", False)
        ),
        {"quasi": (True, False)},
    ),
    "bayesian": (
        lambda space, objective, seed, options: BayesianSearch(
            space, objective, seed, sampler=options.get("sampler", "tpe")
        ),
        {"sampler": ("tpe", "gp")},
    ),
}
