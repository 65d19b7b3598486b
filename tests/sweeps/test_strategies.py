"""Grid, random and Bayesian search: pure functions of seed, number and the trials seen."""

from __future__ import annotations

import json
import logging
import math
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from podstack.errors import MissingExtraError, UsageError, WrongTypeError
from podstack.sweeps.random_search import scrambled_halton
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.strategies import Strategy, make_strategy
from podstack.testing.stage import DEADLINE

LOSS = Objective("loss", "minimize")
PLAIN = {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}}
MIXED = {
    "lr": {"distribution": "log_uniform", "min": 1e-5, "max": 1e-1},
    "batch": {"min": 16, "max": 128, "q": 16},
    "layers": {"min": 1, "max": 6},
    "width": {"distribution": "int_log_uniform", "min": 8, "max": 512},
    "optimizer": {"values": ["adam", "sgd", True, 1, None]},
    "momentum": {"min": 0.0, "max": 0.99, "when": {"optimizer": "sgd"}},
    "nesterov": {"values": [True, False], "when": {"optimizer": ["sgd", "adam"]}},
    "noise": {"distribution": "normal", "mu": 0.0, "sigma": 2.0},
    "scale": {"distribution": "log_normal", "mu": 1.0, "sigma": 0.5, "q": 0.5},
    "one": {"values": ["only"]},
    "fixed": 3,
}

RANDOM_1 = {"x": 0.8081564188975967, "y": 0.28150933396378935, "n": 975}
QUASI_1 = {"x": 0.9853697733785262, "y": 0.33964640924209116, "n": 62}


def strategy(
    name: str,
    written: dict[str, Any] = MIXED,
    *,
    seed: int = 7,
    objective: Objective = LOSS,
    **options: Any,
) -> Strategy:
    return make_strategy(name, SearchSpace.parse(written), objective, seed=seed, options=options)


def searched(
    search: Strategy, loss: Callable[[dict[str, Any]], float], trials: int
) -> list[TrialRecord]:
    """The trials of one worker."""
    seen: list[TrialRecord] = []
    for number in range(1, trials + 1):
        params = search.suggest(number, seen)
        seen.append(TrialRecord(number, params, "completed", loss(params)))
    return seen


def loss_of(params: dict[str, Any]) -> float:
    """Something with a minimum, for MIXED."""
    away = abs(math.log10(params["lr"]) + 3) + abs(params["layers"] - 4) / 4
    return away + abs(params["noise"]) / 4 + 0.3 * (params["optimizer"] != "sgd")


ALL = [
    ("random", {}),
    ("random", {"quasi": True}),
    ("bayesian", {}),
    pytest.param("bayesian", {"sampler": "gp"}, marks=pytest.mark.slow),  # it imports torch
]


# All of them -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), ALL)
def test_every_suggestion_is_of_the_space(name: str, options: dict[str, Any]) -> None:
    space = SearchSpace.parse(MIXED)
    trials = searched(strategy(name, **options), loss_of, 14 if "sampler" in options else 25)

    assert all(space.contains(trial.params) for trial in trials)
    assert len({json.dumps(trial.params) for trial in trials}) == len(trials)


_ELSEWHERE = """
import json, sys
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.strategies import make_strategy
asked = json.load(sys.stdin)
space = SearchSpace.parse(asked["space"])
search = make_strategy(
    asked["name"], space, Objective("loss", "minimize"), seed=7, options=asked["options"]
)
seen = [TrialRecord(n, params, "completed", value) for n, params, value in asked["seen"]]
json.dump([search.suggest(number, seen) for number in asked["numbers"]], sys.stdout)
"""


@pytest.mark.parametrize(("name", "options"), ALL)
def test_another_process_suggests_the_same_whatever_the_order(
    name: str, options: dict[str, Any]
) -> None:
    search = strategy(name, **options)
    seen = searched(strategy("random", seed=1), loss_of, 15)
    numbers = [16, 17, 40]
    here = [search.suggest(number, seen) for number in numbers]
    shuffled = random.Random(3).sample(seen, len(seen))
    asked = {
        "space": SearchSpace.parse(MIXED).as_json(),
        "name": name,
        "options": options,
        "seen": [[trial.number, trial.params, trial.value] for trial in shuffled],
        "numbers": numbers[::-1],
    }
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[::-1] == here
    assert len({json.dumps(each) for each in here}) == 3


@pytest.mark.parametrize(("name", "options"), ALL[:3])
def test_another_seed_gives_other_trials(name: str, options: dict[str, Any]) -> None:
    one, other = (strategy(name, seed=seed, **options).suggest(1, []) for seed in (1, 2))

    assert one != other


@pytest.mark.parametrize("name", ["grid", "random", "bayesian"])
def test_numbers_begin_at_one(name: str) -> None:
    search = strategy(name, {"a": {"values": [1, 2]}})

    with pytest.raises(UsageError, match="1 or more, not 0"):
        search.suggest(0, [])


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("bayes", {}, "no strategy 'bayes'.*Did you mean 'bayesian'"),
        ("grid", {"quasi": True}, "no option 'quasi'; it has none"),
        ("random", {"qasi": True}, "no option 'qasi'; it has quasi"),
        ("random", {"quasi": 1}, "it may be True or False"),
        ("bayesian", {"sampler": "cma"}, "it may be 'tpe' or 'gp'"),
    ],
)
def test_an_unknown_strategy_or_option_is_refused_with_those_that_are(
    name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        strategy(name, PLAIN, **options)


def test_a_strategy_is_a_name_and_never_code() -> None:
    with pytest.raises(WrongTypeError, match="A strategy is a name"):
        strategy(lambda: 1)  # type: ignore[arg-type]
    with pytest.raises(WrongTypeError, match="seed is 'a'"):
        strategy("random", seed="a")  # type: ignore[arg-type]


# Grid --------------------------------------------------------------------------------------------


def test_a_grid_gives_every_point_once_and_then_says_how_many_there_were() -> None:
    grid = strategy("grid", {"a": {"values": ["x", "y"]}, "b": {"min": 1, "max": 3}})
    points = [tuple(grid.suggest(number, []).values()) for number in range(1, 7)]

    assert grid.size == 6
    assert points == [("x", 1), ("x", 2), ("x", 3), ("y", 1), ("y", 2), ("y", 3)]
    with pytest.raises(UsageError, match="The grid has 6 points"):
        grid.suggest(7, [])


def test_a_grid_without_a_count_is_refused_when_it_is_made() -> None:
    with pytest.raises(UsageError, match=r"'x'.*1 more.*continuous range"):
        strategy("grid", PLAIN)


# Random ------------------------------------------------------------------------------------------


def test_random_draws_stay_what_they_are_in_every_version() -> None:
    """Whoever resumes a sweep years later gets the trials that were promised."""
    space = {**PLAIN, "n": {"min": 1, "max": 1000}}

    assert strategy("random", space).suggest(1, []) == RANDOM_1
    assert strategy("random", space, quasi=True).suggest(1, []) == QUASI_1


def test_one_more_parameter_does_not_change_the_others() -> None:
    one = strategy("random", PLAIN).suggest(5, [])
    more = strategy("random", {"w": {"min": 0, "max": 9}, **PLAIN}).suggest(5, [])

    assert {name: more[name] for name in one} == one


@pytest.mark.parametrize("quasi", [False, True])
def test_draws_are_uniform(quasi: bool) -> None:
    search = strategy("random", PLAIN, quasi=quasi)
    trials = [search.suggest(number, []) for number in range(1, 2001)]
    tenths = [[int(trial[name] * 10) for trial in trials] for name in ("x", "y")]
    counts = [column.count(part) for column in tenths for part in range(10)]

    assert min(counts) > (190 if quasi else 140)
    assert max(counts) < (210 if quasi else 260)


def test_quasi_random_trials_fill_the_square_more_evenly() -> None:
    def empty(quasi: bool, seed: int) -> int:
        search = strategy("random", PLAIN, seed=seed, quasi=quasi)
        trials = [search.suggest(number, []) for number in range(1, 65)]
        return 64 - len({(int(t["x"] * 8), int(t["y"] * 8)) for t in trials})

    even, chance = (median(empty(quasi, seed) for seed in range(20)) for quasi in (True, False))

    assert even < chance - 3


@pytest.mark.parametrize("base", [2, 3, 541])
def test_the_first_points_of_a_halton_sequence_lie_one_in_each_part(base: int) -> None:
    units = [scrambled_halton(1, number, base) for number in range(base)]

    assert sorted(int(unit * base) for unit in units) == list(range(base))
    assert all(0 < unit < 1 for unit in units)


# Bayesian ----------------------------------------------------------------------------------------


def branin(params: dict[str, Any]) -> float:
    """Regret. Source: L. C. W. Dixon and G. P. Szegő, 1978; minimum 0.397887."""
    x, y = 15 * params["x"] - 5, 15 * params["y"]
    bowl = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.397887


_A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14],
      [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]  # fmt: skip
_P = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
      [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]  # fmt: skip
_WEIGHTS = [1.0, 1.2, 3.0, 3.2]
SIX = {f"x{i}": {"min": 0.0, "max": 1.0} for i in range(6)}


def hartmann6(params: dict[str, Any]) -> float:
    """Regret. Source: J. K. Hartmann, 1973, in six dimensions; minimum -3.32237."""
    x = [params[f"x{i}"] for i in range(6)]
    away = [
        sum(a * (value - p / 1e4) ** 2 for a, value, p in zip(row, x, place, strict=True))
        for row, place in zip(_A, _P, strict=True)
    ]
    return 3.32237 - sum(w * math.exp(-d) for w, d in zip(_WEIGHTS, away, strict=True))


def regrets(
    name: str,
    written: dict[str, Any],
    loss: Callable[[dict[str, Any]], float],
    seeds: int,
    trials: int = 50,
) -> float:
    """The median over seeds of the best regret."""
    best = [
        min(t.value or 0.0 for t in searched(strategy(name, written, seed=seed), loss, trials))
        for seed in range(seeds)
    ]
    return median(best)


def test_bayesian_search_beats_chance_on_hartmann6() -> None:
    bayesian, chance = (regrets(name, SIX, hartmann6, 5, 40) for name in ("bayesian", "random"))

    assert bayesian < 0.6 * chance


@pytest.mark.slow
@pytest.mark.parametrize(
    ("written", "loss"), [(PLAIN, branin), (SIX, hartmann6)], ids=["branin", "hartmann6"]
)
def test_bayesian_search_beats_chance_over_20_seeds_at_50_trials(
    written: dict[str, Any], loss: Callable[[dict[str, Any]], float]
) -> None:
    bayesian, chance = (regrets(name, written, loss, 20) for name in ("bayesian", "random"))
    print(f"median regret: bayesian {bayesian:.3f}, random {chance:.3f}")

    assert bayesian < 0.6 * chance


def test_maximizing_goes_the_other_way() -> None:
    search = strategy("bayesian", SIX, objective=Objective("score", "maximize"))
    trials = searched(search, lambda params: -hartmann6(params), 40)
    chance = searched(strategy("random", SIX), lambda params: -hartmann6(params), 40)

    late = median(trial.value or 0.0 for trial in trials[20:])
    assert late > median(trial.value or 0.0 for trial in chance)


def test_workers_that_ask_at_the_same_time_go_to_different_places() -> None:
    search = strategy("bayesian", {"a": {"values": list(range(12))}, "b": {"values": [1, 2, 3]}})
    seen = searched(search, lambda params: params["a"] + params["b"], 12)
    for number in range(13, 21):
        seen.append(TrialRecord(number, search.suggest(number, seen), "running"))
    asked = [json.dumps(trial.params, sort_keys=True) for trial in seen[12:]]

    assert len(set(asked)) == 8


def _params(**changed: Any) -> dict[str, Any]:
    return {"x": 0.5, "y": 0.5, **changed}


@pytest.mark.parametrize(
    "useless",
    [
        TrialRecord(3, _params(), "failed", error="out of memory"),
        TrialRecord(3, _params(), "killed"),
        TrialRecord(3, _params(), "completed", math.nan),
        TrialRecord(3, {}, "running"),
        TrialRecord(3, {"unknown": 1}, "completed", -1.0),
    ],
    ids=["failed", "killed", "nan", "undecided", "of another space"],
)
def test_a_trial_that_shows_nothing_changes_nothing(useless: TrialRecord) -> None:
    search = strategy("bayesian", PLAIN)
    seen = [trial for trial in searched(strategy("random", PLAIN), branin, 14) if trial.number != 3]

    assert search.suggest(20, [*seen, useless]) == search.suggest(20, seen)


def test_what_a_trial_shows_counts_once_it_is_known() -> None:
    seen = searched(strategy("random", PLAIN), branin, 14)
    late = TrialRecord(2, _params(x=0.1), "running")
    search = strategy("bayesian", PLAIN)
    running = search.suggest(20, [*seen[2:], seen[0], late])
    done = search.suggest(20, [*seen[2:], seen[0], late._replace(status="completed", value=-9.0)])

    assert len({json.dumps(each) for each in (running, done)}) == 2
    again = strategy("bayesian", PLAIN)
    assert again.suggest(20, [*seen[2:], seen[0], late]) == running


def test_a_pruned_trial_counts_by_its_reports() -> None:
    bad = [TrialRecord(n, _params(x=0.1, y=n / 30), "completed", 9.0, pruned=True,
                       reports={1: 9.0}) for n in range(1, 21)]  # fmt: skip
    good = [r._replace(number=r.number + 20, params=_params(x=0.9), reports={1: 1.0, 2: 0.5})
            for r in bad[:3]]  # fmt: skip
    suggested = [
        strategy("bayesian", PLAIN, seed=seed).suggest(30, [*bad, *good]) for seed in range(9)
    ]

    assert median(each["x"] for each in suggested) > 0.7


def test_a_warm_start_saves_the_start() -> None:
    """With earlier trials known, the first trial of a sweep already goes where they were good."""

    def away(params: dict[str, Any]) -> float:
        return abs(params["x"] - 0.9) + abs(params["y"] - 0.9)

    known = searched(strategy("random", PLAIN, seed=99), away, 60)
    warm = [trial._replace(number=-trial.number) for trial in known]
    first, cold = (
        [away(strategy("bayesian", PLAIN, seed=seed).suggest(1, seen)) for seed in range(15)]
        for seen in (warm, [])
    )

    assert median(first) < 0.6 * median(cold)


def test_a_trial_does_not_see_itself() -> None:
    seen = searched(strategy("random", PLAIN), branin, 14)
    search = strategy("bayesian", PLAIN)
    own = TrialRecord(20, _params(), "running", generation=1)

    assert search.suggest(20, [*seen, own]) == search.suggest(20, seen)


def test_what_can_be_counted_is_not_tried_twice_before_it_has_to() -> None:
    space = {"a": {"values": list(range(5))}, "b": {"values": ["x", "y", "z", "w"]}}
    trials = searched(strategy("bayesian", space), lambda params: params["a"], 18)

    assert len({json.dumps(trial.params) for trial in trials}) >= 16


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_infinite_values_do_not_end_the_search(sampler: str) -> None:
    seen = searched(strategy("random", PLAIN), branin, 12)
    seen += [TrialRecord(n, _params(x=n / 20), "completed", math.inf) for n in (13, 14)]

    assert SearchSpace.parse(PLAIN).contains(
        strategy("bayesian", PLAIN, sampler=sampler).suggest(15, seen)
    )


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_optuna_says_nothing_and_keeps_its_settings(
    capfd: pytest.CaptureFixture[str], sampler: str
) -> None:
    import optuna

    level = logging.getLogger("optuna").level
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        searched(strategy("bayesian", sampler=sampler), loss_of, 12)

    assert caught == []
    assert capfd.readouterr().err == ""
    assert logging.getLogger("optuna").level == level
    assert optuna.logging.get_verbosity() == level


def test_a_list_that_is_too_long_to_be_modelled_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'seed' has 5,000 values.*'random'"):
        strategy("bayesian", {"seed": {"values": list(range(5000))}})


_WITHOUT = """
import sys
from importlib.abc import MetaPathFinder
class Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
from podstack.sweeps.records import Objective
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.strategies import make_strategy
space = SearchSpace.parse({"x": {"min": 0.0, "max": 1.0}})
for name in ("grid", "random"):
    make_strategy("random", space, Objective("a", "minimize"), seed=1, options={}).suggest(1, [])
try:
    make_strategy(
        "bayesian", space, Objective("a", "minimize"), seed=1, options={"sampler": sys.argv[2]}
    )
except ImportError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("hidden", "sampler", "said"),
    [
        ("optuna", "tpe", "needs optuna. Run: pip install 'podstack[sweeps]'"),
        ("torch,scipy", "gp", "needs torch and scipy. Run: pip install torch scipy"),
    ],
)
def test_a_missing_package_is_told_when_the_strategy_is_made(
    hidden: str, sampler: str, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, hidden, sampler],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert MissingExtraError.__name__ in done.stdout
    assert said in done.stdout


def test_the_first_trials_load_neither_optuna_nor_numpy() -> None:
    script = """
import sys
from podstack.sweeps.records import Objective
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.strategies import make_strategy
space = SearchSpace.parse({"x": {"values": [1, 2]}})
for name in ("grid", "random", "bayesian"):
    make_strategy(name, space, Objective("a", "minimize"), seed=1, options={}).suggest(1, [])
print({"optuna", "numpy", "scipy"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE, check=True
    )

    assert done.stdout.strip() == "set()"
