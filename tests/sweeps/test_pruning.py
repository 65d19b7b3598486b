"""The rules that end trials early. Optuna's own are the measure where it has the same."""

from __future__ import annotations

import math
import random

import optuna
import pytest

from podstack import UsageError
from podstack.sweeps.definition import Definition
from podstack.sweeps.pruning import check_pruner, should_prune
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace


def definition(pruner: str, direction: str) -> Definition:
    space, objective = SearchSpace.parse({"x": 1}), Objective("m", direction)
    return Definition(
        "s", "s", "e", "u", 0.0, "random", {}, 0, space, objective, None, pruner=pruner
    )


def curve(chance: random.Random, steps: int) -> dict[int, float]:
    return {step: round(chance.gauss(0, 1), 2) for step in range(1, steps + 1)}


def optunas_verdict(pruner: str, direction: str, trials: list[TrialRecord]) -> bool:
    """What Optuna says of the last of them, which runs."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rules = {
        "median": optuna.pruners.MedianPruner(),
        "percentile": optuna.pruners.PercentilePruner(25.0),
    }
    study = optuna.create_study(direction=direction, pruner=rules[pruner])
    states = optuna.trial.TrialState
    for trial in trials:
        is_last = trial is trials[-1]
        study.add_trial(
            optuna.trial.create_trial(
                state=states.RUNNING if is_last else states.COMPLETE,
                value=None if is_last else trial.value,
                intermediate_values=dict(trial.reports),
            )
        )
    return study.pruner.prune(study, study.trials[-1])


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("pruner", ["median", "percentile"])
def test_the_first_two_rules_are_optunas(pruner: str, direction: str) -> None:
    chance = random.Random(5)
    verdicts = []
    for _ in range(40):
        trials = [
            TrialRecord(number, {}, "completed", 0.0, reports=curve(chance, chance.randint(1, 6)))
            for number in range(1, chance.randint(2, 12))
        ]
        trials.append(TrialRecord(99, {}, "running", reports=curve(chance, chance.randint(1, 5))))
        expected = optunas_verdict(pruner, direction, trials)
        verdicts.append(expected)

        assert should_prune(definition(pruner, direction), trials, 99) == expected
    assert {True, False} == set(verdicts)


def test_of_sixteen_that_come_to_a_rung_the_best_four_go_on() -> None:
    trials = [TrialRecord(n, {}, "running", reports={1: float(n)}) for n in range(1, 17)]
    rule = definition("successive_halving", "minimize")
    going_on = [t.number for t in trials if not should_prune(rule, trials, t.number)]

    assert going_on == [1, 2, 3, 4]
    up = definition("successive_halving", "maximize")
    assert [t.number for t in trials if not should_prune(up, trials, t.number)] == [13, 14, 15, 16]


def test_a_trial_is_measured_where_it_came_to_a_rung_and_not_between_them() -> None:
    leader = TrialRecord(1, {}, "completed", 0.1, reports={1: 0.1, 4: 0.1, 16: 0.1})
    later = TrialRecord(2, {}, "running", reports={1: 0.05, 2: 9.0, 3: 9.0})
    rule = definition("successive_halving", "minimize")

    assert not should_prune(rule, [leader, later], 2)
    assert should_prune(rule, [leader, later._replace(reports={**later.reports, 5: 9.0})], 2)


@pytest.mark.parametrize("pruner", ["median", "percentile", "successive_halving", "hyperband"])
def test_nan_is_worse_than_any_number(pruner: str) -> None:
    others = [TrialRecord(n, {}, "completed", 1.0, reports={1: 1e9, 81: 1e9}) for n in range(1, 30)]
    lost = TrialRecord(30, {}, "running", reports={81: math.nan})

    for direction in ("minimize", "maximize"):
        assert should_prune(definition(pruner, direction), [*others, lost], 30)


@pytest.mark.parametrize("pruner", ["median", "percentile", "successive_halving", "hyperband"])
def test_a_lone_trial_and_one_that_reported_nothing_go_on(pruner: str) -> None:
    rule = definition(pruner, "minimize")
    silent, alone = TrialRecord(1, {}, "running"), TrialRecord(2, {}, "running", reports={1: 1.0})

    assert not should_prune(rule, [silent, alone], 1)
    assert not should_prune(rule, [silent, alone], 2)
    assert not should_prune(rule, [silent, alone], 3)


def test_hyperband_gives_slow_starters_time_in_some_brackets() -> None:
    """All are behind at the first steps; some brackets do not look there yet."""
    leaders = [
        TrialRecord(n, {}, "completed", 0.0, reports=dict.fromkeys(range(1, 82), 0.0))
        for n in range(1, 60)
    ]
    rule = definition("hyperband", "minimize")
    verdicts = set()
    for number in range(60, 100):
        slow = TrialRecord(number, {}, "running", reports={1: 5.0})
        verdicts.add(should_prune(rule, [*leaders, slow], number))

    assert verdicts == {True, False}


def test_an_unknown_pruner_is_refused() -> None:
    with pytest.raises(UsageError, match="one of median, percentile, successive_halving, hyperb"):
        check_pruner("asha")
