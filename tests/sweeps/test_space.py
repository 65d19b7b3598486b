"""The search space: what may be written, what is refused and how, and the points of its grid."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack.errors import UsageError, WrongTypeError
from podstack.sweeps.distributions import Distribution, LogNormal, Normal
from podstack.sweeps.space import SearchSpace

# Distributions for properties ------------------------------------------------------------------

_NUMBERS = st.floats(-1e6, 1e6)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), _NUMBERS, _TEXTS)
_COUNTS = st.integers(2, 6)


def _ranges(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)


def _range(kind: str, numbers: st.SearchStrategy[Any], **more: Any) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda ends, extra: {"distribution": kind, "min": ends[0], "max": ends[1], **extra},
        _ranges(numbers),
        st.fixed_dictionaries(more),
    )


def _distinct(values: list[Any]) -> list[Any]:
    return list({(type(value), value): value for value in values}.values())


_WRITTEN = st.one_of(
    _range("uniform", st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), count=_COUNTS),
    _range("log_uniform", st.floats(1e-3, 1e6).map(lambda x: round(x, 3)), count=_COUNTS),
    _range("int", st.integers(-50, 50)),
    _range("int_log_uniform", st.integers(1, 60)),
    _range("q_uniform", st.integers(-20, 20), q=st.sampled_from([0.25, 0.1, 1, 0.5])),
    st.fixed_dictionaries(
        {
            "distribution": st.sampled_from(["normal", "log_normal"]),
            "mu": st.floats(-5, 5),
            "sigma": st.floats(0.1, 5),
            "count": _COUNTS,
        }
    ),
    st.fixed_dictionaries({"values": st.lists(_SCALARS, min_size=1, max_size=5).map(_distinct)}),
    st.fixed_dictionaries({"value": _SCALARS}),
)
_NAMES = st.sampled_from(["lr", "depth", "model", "a b", "é", "min", "type"])
_GROUPS = st.dictionaries(_NAMES, _WRITTEN, min_size=1, max_size=3)
_SPACES = st.dictionaries(_NAMES, st.one_of(_WRITTEN, _GROUPS), min_size=1, max_size=4)


def only(written: object) -> Distribution:
    """The distribution of a space's one parameter."""
    return SearchSpace.parse({"x": written}).distributions["x"]


def kind(written: object) -> str:
    return only(written).kind


# What may be written ---------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(_SPACES)
def test_a_space_read_back_from_its_json_is_the_same_space(written: dict[str, Any]) -> None:
    space = SearchSpace.parse(written)
    again = SearchSpace.parse(orjson.loads(orjson.dumps(space.as_json())))

    assert again == space
    assert again.as_json() == space.as_json()
    assert again.names == space.names


@settings(deadline=None, max_examples=80)
@given(_WRITTEN, st.floats(0, 1, exclude_max=True))
def test_what_is_drawn_is_contained(written: dict[str, Any], unit: float) -> None:
    distribution = only(written)

    assert distribution.contains(distribution.at(unit))
    assert distribution.contains(distribution.at(0.0))
    assert distribution.contains(distribution.at(1 - 2**-53))


@settings(deadline=None, max_examples=80)
@given(_WRITTEN)
def test_each_point_of_a_grid_is_contained_and_different(written: dict[str, Any]) -> None:
    distribution = only(written)
    points = [distribution.point(index) for index in range(distribution.points or 0)]

    assert points
    assert all(distribution.contains(point) for point in points)
    assert len({(type(point), point) for point in points}) == len(points)


@settings(deadline=None, max_examples=60)
@given(_WRITTEN, st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=2).map(sorted))
def test_larger_shares_never_give_smaller_numbers(
    written: dict[str, Any], units: list[float]
) -> None:
    distribution = only(written)
    low, high = (distribution.at(unit) for unit in units)

    if "values" not in written and "value" not in written:
        assert low <= high


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"min": 0.0, "max": 1}, "uniform"),
        ({"min": 1, "max": 8}, "int"),
        ({"min": 1.0, "max": 8.0}, "uniform"),
        ({"min": 0, "max": 8, "q": 2}, "q_uniform"),
        ({"distribution": "int", "min": 1.0, "max": 8.0}, "int"),
        ({"type": "uniform", "min": 1, "max": 8}, "uniform"),
        ({"type": "loguniform", "min": 1e-4, "max": 1e-1}, "log_uniform"),
        ({"type": "int", "min": 1, "max": 3}, "int"),
        ({"type": "choice", "values": [16, 32]}, "categorical"),
        ({"distribution": "int_log_uniform", "min": 1, "max": 512}, "int_log_uniform"),
        ({"distribution": "normal", "mu": 0, "sigma": 1}, "normal"),
        ({"distribution": "log_normal", "mu": 0, "sigma": 1}, "log_normal"),
        ({"values": ["a"]}, "categorical"),
        ({"values": range(3)}, "categorical"),
        ({"value": None}, "constant"),
        (0.9, "constant"),
        ("adam", "constant"),
        (None, "constant"),
    ],
)
def test_each_spelling_means_its_distribution(written: object, expected: str) -> None:
    assert kind(written) == expected


def test_numbers_of_numpy_become_those_of_python() -> None:
    space = SearchSpace.parse(
        {
            "x": {"min": np.float32(0.5), "max": np.float64(2)},
            "n": {"min": np.int64(1), "max": np.int32(4)},
            "c": {"values": np.array([1, 2, 3])},
            "b": np.bool_(True),
        }
    )

    assert space.distributions["n"].kind == "int"
    assert orjson.loads(orjson.dumps(space.as_json())) == space.as_json()
    assert space.distributions["b"].at(0.5) is True


def test_true_one_and_one_point_zero_are_three_values() -> None:
    choice = only({"values": [True, 1, 1.0, "1", None]})

    assert choice.points == 5
    assert [choice.contains(value) for value in (True, 1, 1.0, "1", None)] == [True] * 5
    assert not choice.contains(False)
    assert not choice.contains(0)
    assert not choice.contains([1])


def test_steps_are_exact_decimals() -> None:
    steps = only({"min": 0.1, "max": 0.9, "q": 0.1})

    assert [steps.point(index) for index in range(9)] == [
        0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9
    ]  # fmt: skip
    whole = only({"min": 16, "max": 100, "q": 16})
    assert [whole.point(i) for i in range(whole.points or 0)] == [16, 32, 48, 64, 80, 96]
    assert all(type(whole.point(i)) is int for i in range(6))


def test_probabilities_are_the_shares_of_draws() -> None:
    choice = only({"values": ["a", "b", "c"], "probabilities": [0.5, 0.25, 0.25]})
    drawn = [choice.at((index + 0.5) / 1000) for index in range(1000)]

    assert [drawn.count(value) for value in "abc"] == [500, 250, 250]


def test_logarithms_are_drawn_evenly() -> None:
    rate = only({"distribution": "log_uniform", "min": 1e-4, "max": 1.0})
    drawn = [rate.at((index + 0.5) / 400) for index in range(400)]

    assert [sum(10.0**-e <= x < 10.0 ** (1 - e) for x in drawn) for e in (4, 3, 2, 1)] == [100] * 4


@pytest.mark.parametrize("kind", ["normal", "log_normal"])
def test_bells_have_their_quantiles_and_go_back(kind: str) -> None:
    bell = only({"distribution": kind, "mu": 2.0, "sigma": 0.5})
    assert isinstance(bell, (Normal, LogNormal))
    middle = 2.0 if kind == "normal" else math.exp(2.0)

    assert bell.at(0.5) == pytest.approx(middle)
    assert math.isfinite(bell.at(0.0))
    for unit in (0.001, 0.3, 0.9):
        assert bell.unit_of(bell.at(unit)) == pytest.approx(unit)


def test_nested_groups_are_flat_inside_and_as_written_outside() -> None:
    space = SearchSpace.parse(
        {"optimizer": {"lr": {"min": 0.1, "max": 1.0}, "type": {"value": "adam"}}, "flat/name": 3}
    )
    flat = {"optimizer/lr": 0.5, "optimizer/type": "adam", "flat/name": 3}

    assert space.names == ("optimizer/lr", "optimizer/type", "flat/name")
    assert space.nested(flat) == {"optimizer": {"lr": 0.5, "type": "adam"}, "flat/name": 3}
    assert space.contains(flat)


def test_a_list_of_200_000_values_is_read_and_counted_at_once() -> None:
    start = time.perf_counter()
    space = SearchSpace.parse({"x": {"values": list(range(200_000))}, "y": {"min": 0, "max": 9}})
    point = space.grid_point(1_999_999)
    taken = time.perf_counter() - start

    assert space.size == 2_000_000
    assert point == {"x": 199_999, "y": 9}
    assert taken < 240  # about 0.2 s; a quadratic search for duplicates takes hours


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"min": 2, "max": 1}, "min 2 is not below max 1"),
        ({"min": 0.5, "max": 0.5}, r"write \{'value': 0.5\}"),
        ({"min": 0, "max": 1, "distribution": "log_uniform"}, "min 0.0 has no logarithm"),
        ({"min": 0, "max": 9, "distribution": "int_log_uniform"}, "min 0 has no logarithm"),
        ({"min": float("nan"), "max": 1}, "min is nan"),
        ({"min": 0.0, "max": float("inf")}, "max is inf"),
        ({"min": -1e308, "max": 1e308}, "beyond float64"),
        ({"min": 0, "max": 2**60}, "64 bits|2\\*\\*53"),
        ({"min": 0, "max": 10**400}, "beyond 64 bits"),
        ({"min": 0.0}, "max is missing"),
        ({"min": "0", "max": 1}, "min is '0', not a number"),
        ({"min": True, "max": 3}, "min is True, not a number"),
        ({"min": 0.0, "max": 1.0, "count": 1}, "at least 2 points"),
        ({"min": 0.0, "max": 1.0, "count": 2.5}, "not a whole number"),
        ({"min": 1, "max": 3, "count": 4}, "only 3 values"),
        ({"min": 1.0, "max": 1.0000000000000002, "count": 5}, "closer together"),
        ({"min": 1.0, "max": 2.0, "q": 3}, "q 3 is larger"),
        ({"min": 1.0, "max": 2.0, "q": -0.1}, "a number above 0"),
        ({"distribution": "int", "min": 0.5, "max": 3}, "min is 0.5, not a whole number"),
        ({"distribution": "normal", "mu": 0, "sigma": 0}, "sigma is 0.0"),
        ({"distribution": "normal", "mu": 0}, "sigma is missing"),
        ({"distribution": "log_normal", "mu": 1000, "sigma": 1}, "those of the logarithm"),
        ({"mu": 0, "sigma": 1}, "'normal' or 'log_normal'"),
        ({"values": []}, "values is empty"),
        ({"values": [1, 2, 1]}, "holds 1 twice"),
        ({"values": "adam"}, "Write a list"),
        ({"values": [1, float("nan")]}, "is nan, which is no JSON"),
        ({"values": [[1, 2]]}, "write a list or an object as a text"),
        ({"values": ["a", "b"], "probabilities": [1.0]}, "2 values and 1 probabilities"),
        ({"values": ["a", "b"], "probabilities": [0.5, 0.6]}, "add up to 1.1"),
        ({"values": ["a", "b"], "probabilities": [0.0, 1.0]}, "leave out the value"),
        ({"values": ["a", "b"], "probabilities": [float("nan"), 1.0]}, "a probability is nan"),
        ({"values": ["\ud800"]}, "surrogate"),
        ({"valeus": [1]}, "Parameter 'x/valeus'"),
        ({"min": 0.0, "mx": 1.0}, "Did you mean 'max'"),
        ({"values": [1], "min": 0}, "'min' means nothing for 'categorical'"),
        ({"distribution": "unifrom", "min": 0, "max": 1}, "Did you mean 'uniform'"),
        ({"distribution": "uniform", "type": "int", "min": 0, "max": 1}, "both"),
        ({"distribution": max, "min": 0, "max": 1}, "the distribution is a name"),
        ([1, 2], "write a list or an object as a text"),
        (max, "A parameter is a text, a number, a bool or None"),
        (object(), "A parameter is a text"),
        ({}, "is an empty dict"),
        ({"min": 0.0, "max": 1.0, "when": "sgd"}, "Write {'when'"),
        ({"min": 0.0, "max": 1.0, "when": {"x": 1}}, "no list of values"),
        ({"min": 0.0, "max": 1.0, "when": {"opt": 1}}, "which is no parameter"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_with_the_fix(written: object, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        SearchSpace.parse({"x": written})

    assert "'x" in str(caught.value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, "has no parameters"),
        ({"": 1}, "1 to 1000 characters"),
        ({3: 1}, "must be a string"),
        ({"a": 1, "a/b": 2}, "parameters below it"),
        ({"a": {"b": 1}, "a/b": 2}, "there twice"),
    ],
)
def test_names_that_clash_or_are_none_are_refused(written: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SearchSpace.parse(written)


def test_a_space_that_is_no_dict_or_holds_itself_is_refused() -> None:
    ring: dict[str, Any] = {}
    ring["a"] = ring

    with pytest.raises(WrongTypeError, match="Write a dict"):
        SearchSpace.parse([1])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="does one hold itself"):
        SearchSpace.parse(ring)


def test_a_grid_over_a_continuous_range_names_it_and_says_count() -> None:
    space = SearchSpace.parse({"n": {"min": 1, "max": 3}, "lr": {"min": 0.1, "max": 1.0}})

    assert space.size is None
    with pytest.raises(UsageError, match=r"'lr' is a continuous range.*'count': 5"):
        space.grid_point(0)


# Grids -------------------------------------------------------------------------------------------


def test_the_last_name_runs_fastest() -> None:
    space = SearchSpace.parse({"a": {"values": ["x", "y"]}, "b": {"min": 1, "max": 3}})

    assert [tuple(space.grid_point(i).values()) for i in range(6)] == [
        ("x", 1), ("x", 2), ("x", 3), ("y", 1), ("y", 2), ("y", 3)
    ]  # fmt: skip


def test_a_count_spaces_points_evenly_and_both_ends_belong_to_them() -> None:
    space = SearchSpace.parse(
        {
            "a": {"min": 0.0, "max": 1.0, "count": 5},
            "b": {"distribution": "log_uniform", "min": 1e-3, "max": 1.0, "count": 4},
            "c": {"min": 0, "max": 100, "count": 3},
            "d": {"distribution": "int_log_uniform", "min": 1, "max": 4, "count": 4},
        }
    )
    a, b, c, d = (
        [each.point(i) for i in range(each.points or 0)] for each in space.distributions.values()
    )

    assert a == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert b == pytest.approx([1e-3, 1e-2, 1e-1, 1.0])
    assert (b[0], b[-1]) == (1e-3, 1.0)
    assert c == [0, 50, 100]
    assert d == [1, 2, 3, 4] or d == [1, 2, 4]


def test_a_grid_of_2_to_the_300_points_answers_at_once() -> None:
    space = SearchSpace.parse({f"p{i}": {"values": [False, True]} for i in range(300)})
    last = space.grid_point(2**300 - 1)

    assert space.size == 2**300
    assert set(last.values()) == {True}
    assert space.grid_point(1) == {**{f"p{i}": False for i in range(299)}, "p299": True}
    with pytest.raises(UsageError, match="no point"):
        space.grid_point(2**300)


_TREE = {
    "lr": {"values": [0.1, 0.01]},
    "optimizer": {"values": ["adam", "sgd", "lbfgs"]},
    "momentum": {"min": 0.0, "max": 0.9, "count": 3, "when": {"optimizer": "sgd"}},
    "nesterov": {"values": [True, False], "when": {"optimizer": "sgd"}},
    "damping": {"min": 1, "max": 4, "when": {"nesterov": False}},
    "betas": {"when": {"optimizer": ["adam", "sgd"]}, "first": {"values": [0.9, 0.8]}},
    "depth": {"min": 1, "max": 2},
}


def test_conditions_leave_parameters_out_and_the_grid_has_each_distinct_point_once() -> None:
    space = SearchSpace.parse(_TREE)
    points = [space.grid_point(index) for index in range(space.size or 0)]

    # adam: 2 betas; sgd: 3 momenta × (1 + 4 dampings) × 2 betas; lbfgs: 1
    assert space.size == 2 * (2 + 3 * 5 * 2 + 1) * 2
    assert len({tuple(sorted(point.items())) for point in points}) == space.size
    assert all(space.contains(point) for point in points)
    assert all(("momentum" in p) == (p["optimizer"] == "sgd") for p in points)
    assert all(("damping" in p) == (p.get("nesterov") is False) for p in points)
    assert SearchSpace.parse(space.as_json()) == space


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_forest_of_conditions_is_covered_exactly_once(data: st.DataObject) -> None:
    written: dict[str, Any] = {}
    for place in range(data.draw(st.integers(1, 6))):
        values = list(range(data.draw(st.integers(1, 3))))
        written[f"p{place}"] = {"values": values}
        if place and data.draw(st.booleans()):
            parent = f"p{data.draw(st.integers(0, place - 1))}"
            above = written[parent]["values"]
            chosen = data.draw(st.lists(st.sampled_from(above), min_size=1, unique=True))
            written[f"p{place}"]["when"] = {parent: chosen}
    space = SearchSpace.parse(written)
    size = space.size or 0
    points = {tuple(space.grid_point(index).items()) for index in range(size)}

    assert len(points) == size == _counted(space)
    assert all(space.contains(dict(point)) for point in points)


def _counted(space: SearchSpace) -> int:
    """How many trials are possible, by listing every one of them."""
    found: list[dict[str, Any]] = [{}]
    for name in space.drawing_order:
        each = space.distributions[name]
        found = [
            {**point, **choice}
            for point in found
            for choice in (
                [{name: each.point(i)} for i in range(each.points or 0)]
                if space.is_active(name, point)
                else [{}]
            )
        ]
    return len(found)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"a": {"values": [1], "when": {"b": 1}}, "b": {"values": [1], "when": {"a": 1}}},
         "in a circle"),
        ({"a": {"values": [1], "when": {"a": 1}}}, "in a circle"),
        ({"o": {"values": ["x"]}, "a": {"value": 1, "when": {"o": "y"}}}, "'o' is never 'y'"),
        ({"optimizer": {"values": ["x"]}, "a": {"value": 1, "when": {"optimiser": "x"}}},
         "nearest: 'optimizer'"),
        ({"o": {"values": [1]}, "p": {"values": [1]}, "a": {"value": 1, "when": {"o": 1, "p": 1}}},
         "Name one"),
        ({"o": {"values": [1]}, "g": {"when": {"o": 1}, "a": {"value": 1, "when": {"o": 1}}}},
         "so has a group around it"),
        ({"o": {"values": [1]}, "a": {"value": 1, "when": {"o": []}}}, "lists no value"),
    ],
)  # fmt: skip
def test_conditions_that_make_no_sense_are_refused(written: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SearchSpace.parse(written)


def test_only_all_parameters_that_are_there_make_a_trial() -> None:
    space = SearchSpace.parse(_TREE)
    lbfgs = {"lr": 0.1, "optimizer": "lbfgs", "depth": 2}

    assert space.contains(lbfgs)
    assert not space.contains({**lbfgs, "momentum": 0.0})
    assert not space.contains({**lbfgs, "unknown": 1})
    assert not space.contains({**lbfgs, "depth": 2.0})
    assert not space.contains({"lr": 0.1, "optimizer": "lbfgs"})
    assert not space.contains({})
