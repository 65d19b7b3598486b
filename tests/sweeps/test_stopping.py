"""The rules by which a sweep stops by itself, and the sentences that say why."""

from __future__ import annotations

import math

import pytest

from podstack.sweeps.definition import Definition, Stopping
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.stopping import reason_to_stop, trials_without_improvement


def definition(direction: str, **rules: float) -> Definition:
    return Definition(
        id="s",
        name="s",
        experiment="e",
        user="u",
        created=1000.0,
        strategy="random",
        options={},
        seed=0,
        space=SearchSpace.parse({"x": 1}),
        objective=Objective("m", direction),
        max_trials=None,
        stopping=Stopping(**rules),  # type: ignore[arg-type]
    )


def trial(
    number: int, value: float | None, status: str = "completed", **facts: bool
) -> TrialRecord:
    return TrialRecord(
        number, {}, status, value, ended=float(number), pruned=facts.get("pruned", False)
    )


def ended(*values: float) -> list[TrialRecord]:
    return [trial(number, value) for number, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("direction", "values", "reason"),
    [
        ("minimize", (0.5, 0.3), None),
        ("minimize", (0.5, 0.2), "Trial 2 reached the target: m = 0.2 <= 0.2."),
        ("minimize", (0.1, 0.2), "Trial 1 reached the target: m = 0.1 <= 0.2."),
        ("maximize", (0.1, math.nan), None),
        ("maximize", (0.1, 0.25), "Trial 2 reached the target: m = 0.25 >= 0.2."),
        ("maximize", (math.inf,), "Trial 1 reached the target: m = inf >= 0.2."),
    ],
)
def test_a_target_is_reached_by_what_is_as_good_or_better(
    direction: str, values: tuple[float, ...], reason: str | None
) -> None:
    assert reason_to_stop(definition(direction, target=0.2), ended(*values), 1000.0) == reason


def test_a_target_is_not_reached_by_failed_pruned_or_earlier_trials() -> None:
    trials = [trial(1, 0.1, "failed"), trial(2, 0.1, pruned=True), trial(0, 0.1), trial(3, None)]

    assert reason_to_stop(definition("minimize", target=0.2), trials, 1000.0) is None


@pytest.mark.parametrize(
    ("values", "stale"),
    [
        ((), 0),
        ((3.0,), 0),
        ((3.0, 2.0, 1.0), 0),
        ((1.0, 2.0, 1.0), 2),
        ((math.nan, math.nan), 2),
        ((math.nan, 5.0, math.nan), 1),
    ],
)
def test_trials_without_improvement_are_counted_from_the_best(
    values: tuple[float, ...], stale: int
) -> None:
    assert trials_without_improvement(ended(*values), Objective("m", "minimize")) == stale


def test_a_plateau_counts_trials_in_the_order_in_which_they_ended() -> None:
    """A slow trial that ends late with the best value is an improvement."""
    late = TrialRecord(1, {}, "completed", 0.1, ended=99.0)
    trials = [late, *(trial(number, 1.0) for number in (2, 3, 4))]

    assert reason_to_stop(definition("minimize", patience=2), trials[1:], 1000.0) == (
        "No improvement of m in 2 completed trials; trial 2 is the best (1)."
    )
    assert reason_to_stop(definition("minimize", patience=1), trials, 1000.0) is None


def test_failed_trials_are_no_plateau() -> None:
    trials = [trial(1, 1.0), *(trial(number, None, "failed") for number in (2, 3, 4))]

    assert reason_to_stop(definition("minimize", patience=2), trials, 1000.0) is None


def test_time_is_counted_from_the_creation() -> None:
    timed = definition("minimize", max_time=60.0)

    assert reason_to_stop(timed, [], 1059.0) is None
    assert reason_to_stop(timed, [], 1060.0) == "The 60 s that the sweep was given are over."


def test_without_rules_nothing_stops_a_sweep() -> None:
    assert reason_to_stop(definition("minimize"), ended(1.0, 2.0), 1e12) is None
