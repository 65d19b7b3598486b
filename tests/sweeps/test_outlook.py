"""History, the time that is left, and whether a sweep still finds anything."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from podstack.sweeps.outlook import history, improvements, parallelism, plateau, seconds_left
from podstack.sweeps.records import Objective, TrialRecord

SMALLER, LARGER = Objective("loss", "minimize"), Objective("acc", "maximize")


def ended(number: int, value: float | None = 1.0, **changes: Any) -> TrialRecord:
    made = TrialRecord(number, {"a": 1}, "completed", value, worker="w", started=10.0 * number)
    return made._replace(ended=10.0 * number + 10)._replace(**changes)


def running(number: int, started: float) -> TrialRecord:
    return TrialRecord(number, {"a": 1}, worker=f"w{number}", started=started)


# History -------------------------------------------------------------------------------------


def test_the_history_keeps_the_best_so_far() -> None:
    records = [ended(1, 3.0), ended(2, 5.0), ended(3, 2.0)]

    assert history(SMALLER, records) == [(1, 3.0, 3.0), (2, 5.0, 3.0), (3, 2.0, 2.0)]
    assert [entry.best for entry in history(LARGER, records)] == [3.0, 5.0, 5.0]


def test_the_history_is_in_the_order_in_which_trials_ended() -> None:
    records = [ended(1, 3.0, ended=99.0), ended(2, 5.0), ended(3, None, status="failed")]

    assert [entry.number for entry in history(SMALLER, records)] == [2, 1]


def test_nan_and_pruned_trials_are_never_the_best() -> None:
    records = [ended(1, math.nan), ended(2, 0.1, pruned=True), ended(3, 2.0)]
    found = history(SMALLER, records)

    assert [entry.number for entry in found] == [1, 2, 3]
    assert [math.isnan(entry.best) for entry in found] == [True, True, False]


def test_an_improvement_is_better_than_all_trials_of_smaller_numbers() -> None:
    records = [
        ended(1, math.nan),
        ended(2, 0.5, ended=99.0),
        ended(3, 0.9, pruned=True),
        ended(4, 0.4, ended=1.0),
        ended(5, 0.9),
        ended(6, 0.9),
        running(7, 1.0),
    ]

    assert improvements(LARGER, records) == [2, 5]
    assert improvements(SMALLER, records) == [2, 4]
    assert LARGER.best_trial(records) == records[4]
    assert improvements(LARGER, []) == []


# Time ----------------------------------------------------------------------------------------


def test_what_is_left_takes_as_long_as_what_was() -> None:
    records = [ended(number) for number in range(1, 6)]

    assert parallelism(records) == 1.0
    assert seconds_left(records, 10, now=60.0) == pytest.approx(50.0)


def test_workers_that_overlapped_share_what_is_left() -> None:
    records = [ended(number, started=100.0, ended=110.0) for number in range(1, 5)]

    assert parallelism(records) == 4.0
    assert seconds_left(records, 12, now=110.0) == pytest.approx(20.0)


def test_what_running_trials_have_behind_them_counts() -> None:
    records = [ended(1, started=0.0, ended=10.0), running(2, 10.0), running(3, 10.0)]

    assert parallelism(records) == 2.0
    assert seconds_left(records, 3, now=15.0) == pytest.approx(5.0)
    assert seconds_left(records, 3, now=500.0) == 0.0


def test_no_more_workers_count_than_there_are_trials_left() -> None:
    records = [ended(number, started=100.0, ended=110.0) for number in range(1, 9)]

    assert seconds_left(records, 9, now=110.0) == pytest.approx(10.0)


def test_nobody_knows_before_the_first_end_or_without_an_end() -> None:
    assert seconds_left([running(1, 0.0)], 10, now=5.0) is None
    assert seconds_left([ended(1)], None, now=5.0) is None
    assert seconds_left([ended(1)], 1, now=5.0) == 0.0


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    records = [ended(1, started=50.0, ended=10.0), running(2, 900.0)]

    assert seconds_left(records, 5, now=20.0) == 0.0


# Plateau -------------------------------------------------------------------------------------


def values(*found: float) -> list[TrialRecord]:
    return [ended(number, value) for number, value in enumerate(found, 1)]


def test_a_sweep_that_found_nothing_for_half_of_its_trials_is_on_a_plateau() -> None:
    drawn = random.Random(1)
    noise = [1.0 + drawn.random() for _ in range(60)]
    found = plateau(SMALLER, values(*noise[:10], 0.1, *noise[10:]))

    assert found is not None
    assert (found.trials, found.gain) == (30, 0.0)
    assert str(found) == ("The last 30 completed trials brought nothing: it may be time to stop.")


def test_a_gain_of_less_than_a_hundredth_is_told() -> None:
    worse = [-1.0 - 0.01 * i for i in range(30)]
    found = plateau(LARGER, values(*worse, 0.5, *worse, 0.501))

    assert found is not None
    assert found.gain == pytest.approx(0.001)
    assert "improved the best by only 0.001" in str(found)


def test_a_sweep_that_still_improves_is_on_no_plateau() -> None:
    assert plateau(SMALLER, values(*(1.0 / n for n in range(1, 60)))) is None


def test_few_trials_are_no_plateau() -> None:
    assert plateau(SMALLER, values(0.1, *[1.0] * 25)) is None
    assert plateau(SMALLER, []) is None


def test_what_has_no_value_to_compare_does_not_count() -> None:
    odd = [ended(n, math.nan) for n in range(100, 140)]
    odd += [ended(n, math.inf) for n in range(140, 180)]

    assert plateau(SMALLER, [*values(0.1, *[1.0] * 25), *odd]) is None
