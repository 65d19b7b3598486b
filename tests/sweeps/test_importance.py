"""How much each parameter matters: known functions, odd values, and what is said when unsure."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

from podstack import MissingExtraError, UsageError
from podstack.sweeps.definition import Definition
from podstack.sweeps.importance import Importance, importance
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.testing.sweeping import drawn_params

PLAIN = {"a": {"min": 0.0, "max": 1.0}, "b": {"min": 0.0, "max": 1.0}, "c": 3}
BOTH = pytest.mark.parametrize("evaluator", ["fanova", "ped-anova"])


def definition(space: Mapping[str, Any] = PLAIN, direction: str = "minimize") -> Definition:
    return Definition(
        id="20261128-100000-abcdefgh", name="calm-otter-7", experiment="digits", user="ada",
        created=1000.0, strategy="random", options={}, seed=7, space=SearchSpace.parse(space),
        objective=Objective("loss", direction), max_trials=None,
    )  # fmt: skip


def drawn(of: Definition, count: int, value: Callable[[Any], float]) -> list[TrialRecord]:
    """Trials of random parameters, each worth what the function says."""
    chance = random.Random(3)
    found = []
    for number in range(1, count + 1):
        params = drawn_params(of.space, chance)
        found.append(TrialRecord(number, params, "completed", value(params)))
    return found


def ten_a_and_b(params: Any) -> float:
    return 10 * float(params["a"]) + float(params["b"])


# What matters --------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_what_moves_the_value_most_is_first(evaluator: str, direction: str) -> None:
    of = definition(direction=direction)
    found = importance(of, drawn(of, 40, ten_a_and_b), evaluator)

    assert list(found) == ["a", "b", "c"]
    assert found["a"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0)
    assert not found.low_confidence
    assert (found.evaluator, found.trials, found.reason) == (evaluator, 40, None)


@BOTH
def test_kinds_of_parameters_are_all_understood(evaluator: str) -> None:
    of = definition(
        {
            "lr": {"min": 1e-6, "max": 1.0, "distribution": "log_uniform"},
            "depth": {"min": 1, "max": 9},
            "width": {"min": 1, "max": 1024, "distribution": "int_log_uniform"},
            "drop": {"min": 0.0, "max": 0.5, "q": 0.1, "distribution": "q_uniform"},
            "noise": {"mu": 0.0, "sigma": 2.0, "distribution": "normal"},
            "scale": {"mu": 0.0, "sigma": 1.0, "distribution": "log_normal"},
            "kind": {"values": ["a", None, True, 1, 1.5]},
        }
    )
    found = importance(of, drawn(of, 40, lambda p: (math.log10(p["lr"]) + 3) ** 2), evaluator)

    assert set(found) == set(of.space.names)
    assert next(iter(found)) == "lr"
    assert found["lr"] > 0.5


def test_a_list_that_decides_is_first() -> None:
    of = definition({**PLAIN, "kind": {"values": ["good", "bad", True, 1]}})
    found = importance(of, drawn(of, 40, lambda p: p["a"] + 5 * (p["kind"] == "bad")), "fanova")

    assert next(iter(found)) == "kind"


@BOTH
def test_a_conditional_parameter_has_its_share(evaluator: str) -> None:
    of = definition(
        {
            "kind": {"values": ["adam", "sgd"]},
            "momentum": {"min": 0.0, "max": 1.0, "when": {"kind": "sgd"}},
            "lr": {"min": 0.0, "max": 1.0},
        }
    )
    found = importance(of, drawn(of, 80, lambda p: 10 * p.get("momentum", 0.5)), evaluator)

    assert set(found) == {"kind", "momentum", "lr"}
    assert found["momentum"] > found["lr"]


@BOTH
def test_the_same_trials_give_the_same_shares(evaluator: str) -> None:
    of = definition()
    records = drawn(of, 25, ten_a_and_b)
    first, second = (dict(importance(of, records, evaluator)) for _ in range(2))

    assert first == second
    assert list(first) == list(second)


def test_another_process_finds_the_same_shares() -> None:
    script = _TWO + "print(list(importance(six, sixes, 'ped-anova').items()))"
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(said) == 1


# What cannot matter, and what does not count ---------------------------------------------------


def test_what_never_varied_is_told_apart() -> None:
    of = definition({**PLAIN, "one": {"values": ["x"]}, "stuck": {"min": 1, "max": 9}})
    records = [
        record._replace(params={**record.params, "stuck": 4})
        for record in drawn(of, 20, ten_a_and_b)
    ]
    found = importance(of, records, "ped-anova")

    assert found.unvaried == {"c": "constant", "one": "constant", "stuck": "one value tried"}
    assert [found[name] for name in ("c", "one", "stuck")] == [0.0, 0.0, 0.0]
    assert list(found)[2:] == ["c", "one", "stuck"]


def test_trials_without_a_value_to_compare_are_left_out() -> None:
    of = definition()
    good = drawn(of, 25, ten_a_and_b)
    params = {"a": 0.0, "b": 1.0, "c": 3}
    odd = [
        TrialRecord(101, params, "completed", math.nan),
        TrialRecord(102, params, "completed", math.inf),
        TrialRecord(103, params, "failed"),
        TrialRecord(104, params, "killed"),
        TrialRecord(105, params, "completed", 1e9, pruned=True),
        TrialRecord(106, params),
    ]

    assert dict(importance(of, [*good, *odd])) == dict(importance(of, good))
    assert importance(of, [*good, *odd]).trials == 25


def test_values_at_the_end_of_float64_are_no_trouble() -> None:
    of = definition()
    records = drawn(of, 30, lambda p: 1.7e308 * (2 * p["a"] - 1))

    assert importance(of, records, "fanova")["a"] > 0.8


def test_a_value_that_the_space_cannot_have_given_is_no_trouble() -> None:
    of = definition({**PLAIN, "kind": {"values": ["x", "y"]}})
    records = drawn(of, 20, ten_a_and_b)
    records[0] = records[0]._replace(params={"a": 7.5, "b": "text", "kind": "z"})

    assert next(iter(importance(of, records, "fanova"))) == "a"


@pytest.mark.parametrize(
    ("count", "value", "reason"),
    [
        (0, 0.0, "Importance needs 2 completed trials with a finite value; there are none so far."),
        (1, 0.0, "Importance needs 2 completed trials with a finite value; there is 1 so far."),
        (5, 2.0, "All 5 trials have the same value: no parameter mattered."),
    ],
)
def test_without_enough_to_judge_by_it_says_why(count: int, value: float, reason: str) -> None:
    of = definition()
    found = importance(of, drawn(of, count, lambda _: value))

    assert found.reason == reason
    assert set(found.values()) <= {0.0}
    assert reason in repr(found)
    assert found.low_confidence


def test_where_nothing_varied_it_says_so() -> None:
    of = definition({"c": 3})
    records = [TrialRecord(n, {"c": 3}, "completed", float(n)) for n in range(1, 5)]

    assert importance(of, records).reason == "No parameter was tried with more than one value."


# Choosing an evaluator -------------------------------------------------------------------------


def test_the_default_is_the_forest_while_it_is_quick_and_nothing_is_conditional() -> None:
    of = definition()
    conditional = definition(
        {"kind": {"values": [1, 2]}, "x": {"min": 0.0, "max": 1.0, "when": {"kind": 1}}}
    )

    assert importance(of, drawn(of, 12, ten_a_and_b)).evaluator == "fanova"
    assert importance(of, drawn(of, 151, ten_a_and_b)).evaluator == "ped-anova"
    records = drawn(conditional, 12, lambda p: p.get("x", 2.0))
    assert importance(conditional, records).evaluator == "ped-anova"


def test_an_unknown_evaluator_is_refused() -> None:
    with pytest.raises(UsageError, match="evaluator is fanova or ped-anova, not 'shap'"):
        importance(definition(), [], "shap")


def without(package: str, script: str) -> str:
    """What a process prints in which a package is not installed."""
    hidden = (
        "import sys, importlib.abc, importlib.util\n"
        "class Hide(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        f"            raise ModuleNotFoundError('hidden', name={package!r})\n"
        "sys.meta_path.insert(0, Hide())\n"
        "find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name == {package!r} else find(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden + script], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


_TWO = """
from podstack.sweeps.definition import Definition
from podstack.sweeps.importance import importance
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace
def define(names):
    space = SearchSpace.parse({name: {"min": 0.0, "max": 1.0} for name in names})
    return Definition("s", "n", "e", "u", 0.0, "random", {}, 1, space,
                      Objective("loss", "minimize"), None)
of, six = define("a"), define("abcdef")
sixes = [TrialRecord(n, {name: hash((n, i)) % 97 / 97 for i, name in enumerate("abcdef")},
                     "completed", float(n)) for n in range(1, 30)]
records = [TrialRecord(n, {"a": n / 10}, "completed", float(n)) for n in range(1, 9)]
"""


def test_without_scikit_learn_the_other_evaluator_is_the_default() -> None:
    said = without("sklearn", _TWO + "print(importance(of, records).evaluator)")
    asked = without("sklearn", _TWO + "importance(of, records, 'fanova')")

    assert said == "ped-anova\n"
    assert "fanova needs scikit-learn, which is not installed" in asked
    assert MissingExtraError.__name__ in asked


def test_without_optuna_it_says_what_to_install() -> None:
    said = without("optuna", _TWO + "importance(of, records)")

    assert "optuna is not installed. Run: pip install 'podstack[sweeps]'" in said


def test_optunas_logging_and_warnings_stay_as_they_were() -> None:
    script = _TWO + (
        "import optuna, warnings\n"
        "optuna.logging.set_verbosity(optuna.logging.DEBUG)\n"
        "before = list(warnings.filters)\n"
        "importance(of, records)\n"
        "print(optuna.logging.get_verbosity(), warnings.filters == before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout == "10 True\n"
    assert done.stderr == ""


# Looking at it ---------------------------------------------------------------------------------


def shares(**changes: Any) -> Importance:
    given: dict[str, Any] = {
        "evaluator": "fanova", "metric": "loss", "trials": 50, "unvaried": {"c": "constant"},
    }  # fmt: skip
    return Importance({"a": 0.75, "b": 0.25, "c": 0.0}, **(given | changes))


def test_it_prints_as_bars() -> None:
    assert repr(shares()).splitlines() == [
        "importance for loss (fanova, 50 trials)",
        "  a  0.750 ██████████████████",
        "  b  0.250 ██████",
        "  c  0     constant",
    ]


def test_few_trials_are_said_to_be_few() -> None:
    few = shares(trials=19)

    assert few.low_confidence
    assert repr(few).splitlines()[-1] == "Low confidence: 19 trials; from 20 on it tells more."
    assert "Low confidence" in few._repr_html_()
    assert not shares(trials=20).low_confidence


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_names_are_text_everywhere() -> None:
    name = "<script>alert(1)</script>\x1b[2J\nforged"
    found = Importance(
        {name: 1.0}, evaluator="fanova", metric=name, trials=30, unvaried={name: "constant"}
    )
    page = Tags(found._repr_html_())

    assert all(line.isprintable() for line in repr(found).split("\n"))
    assert "script" not in page.names
    assert "<script>alert(1)</script>" in page.text
