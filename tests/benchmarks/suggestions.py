"""Suggestions: what the parameters of the next trial cost, by how many trials there are already.

The trials are made up, so that 5,000 of them take no hours; a suggestion is asked for, its trial is
ended, and the next one is asked for. The baseline is Optuna's own ask and tell of the same sampler
on a study in memory that was given the same trials.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.strategies import make_strategy
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._tables import Figure, Table, figures_table, ratio_at_most

_SPACE = {
    "lr": {"distribution": "log_uniform", "min": 1e-5, "max": 1e-1, "count": 50},
    "dropout": {"min": 0.0, "max": 0.5, "count": 50},
    "layers": {"min": 1, "max": 8},
    "optimizer": {"values": ["adam", "sgd", "lion"]},
}
_STRATEGIES: dict[str, tuple[str, dict[str, Any]]] = {
    "grid": ("grid", {}),
    "random": ("random", {}),
    "random, quasi": ("random", {"quasi": True}),
    "bayesian, tpe": ("bayesian", {"sampler": "tpe"}),
    "bayesian, gp": ("bayesian", {"sampler": "gp"}),
}
_GP_TRIALS = 200  # beyond it a Gaussian process takes seconds, here and in Optuna
_CALLS = 9


def tables(*, quick: bool) -> Iterator[Table]:
    for trials in (12,) if quick else (10, 200, 1_000, 5_000):
        yield figures_table(
            f"A suggestion after {trials:,} trials", list(_figures(trials, quick)), *_NOTES
        )


_NOTES = (
    f"{len(_SPACE)} parameters. The first one of a process has to translate all trials; imports "
    "are not counted.",
)


def _figures(trials: int, quick: bool) -> Iterator[Figure]:
    optuna_tpe = in_fresh_process(optuna_ask, "tpe", trials)
    for name, (strategy, options) in _STRATEGIES.items():
        if name == "bayesian, gp" and (quick or trials > _GP_TRIALS):
            continue
        baseline, of = optuna_tpe, "Optuna, tpe"
        if name == "bayesian, gp":
            baseline, of = in_fresh_process(optuna_ask, "gp", trials), "Optuna, gp"
        first, next_one = in_fresh_process(suggestion, strategy, options, trials)
        target = ratio_at_most(1.25) if name == "bayesian, tpe" and trials >= 1000 else None
        yield Figure(name, next_one, "s", baseline, of, target)
        if name == "bayesian, tpe":
            yield Figure(f"{name}, the first", first, "s", baseline, of)


def _loss(params: dict[str, Any]) -> float:
    return abs(math.log10(params["lr"]) + 3) + params["dropout"] + params["layers"] / 8


def _earlier(trials: int) -> list[TrialRecord]:
    """Trials that chance chose, all of them ended."""
    search = make_strategy(
        "random", SearchSpace.parse(_SPACE), Objective("loss", "minimize"), seed=1, options={}
    )
    params = [search.suggest(number, ()) for number in range(1, trials + 1)]
    return [TrialRecord(n, each, "completed", _loss(each)) for n, each in enumerate(params, 1)]


def _median_time(call: Callable[[], None]) -> float:
    times = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def suggestion(name: str, options: dict[str, Any], trials: int) -> tuple[float, float]:
    """Seconds for the first suggestion of a process, and the median of the next ones."""
    space, objective = SearchSpace.parse(_SPACE), Objective("loss", "minimize")
    warm = make_strategy(name, space, objective, seed=1, options=options)
    seen = _earlier(trials)
    warm.suggest(9999, _earlier(12))  # imports
    search = make_strategy(name, space, objective, seed=2, options=options)

    def suggest() -> None:
        params = search.suggest(len(seen) + 1, seen)
        seen.append(TrialRecord(len(seen) + 1, params, "completed", _loss(params)))

    start = time.perf_counter()
    suggest()
    return time.perf_counter() - start, _median_time(suggest)


def optuna_ask(sampler: str, trials: int) -> float:
    """Seconds for Optuna's own ask and tell, the median."""
    import optuna

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        "lr": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True),
        "dropout": optuna.distributions.FloatDistribution(0.0, 0.5),
        "layers": optuna.distributions.IntDistribution(1, 8),
        "optimizer": optuna.distributions.CategoricalDistribution(["adam", "sgd", "lion"]),
    }
    made: optuna.samplers.BaseSampler = (
        optuna.samplers.GPSampler(seed=1)
        if sampler == "gp"
        else optuna.samplers.TPESampler(seed=1, multivariate=True, constant_liar=True)
    )
    study = optuna.create_study(sampler=made)
    for each in _earlier(trials):
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(each.params), distributions=distributions, value=each.value
            )
        )

    def ask_and_tell() -> None:
        trial = study.ask(distributions)
        study.tell(trial, _loss(trial.params))

    ask_and_tell()
    return _median_time(ask_and_tell)
