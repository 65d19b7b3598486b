"""Search spaces of W&B, read as ours, with what differs said."""

from __future__ import annotations

import math
from typing import Any

import pytest

from podstack.errors import UsageError, WrongTypeError
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.spellings import from_wandb


def translated(written: dict[str, Any]) -> dict[str, Any]:
    """One parameter in our canonical spelling."""
    ours, _ = from_wandb({"x": written})
    return dict(SearchSpace.parse(ours).as_json()["x"])


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ({"value": 3}, {"distribution": "constant", "value": 3}),
        ({"values": ["a", 1]}, {"distribution": "categorical", "values": ["a", 1]}),
        (
            {"values": ["a", "b"], "probabilities": [0.25, 0.75]},
            {"distribution": "categorical", "values": ["a", "b"], "probabilities": [0.25, 0.75]},
        ),
        ({"min": 1, "max": 5}, {"distribution": "int", "min": 1, "max": 5}),
        ({"min": 0, "max": 0.5}, {"distribution": "uniform", "min": 0.0, "max": 0.5}),
        (
            {"distribution": "int_uniform", "min": 1, "max": 5},
            {"distribution": "int", "min": 1, "max": 5},
        ),
        (
            {"distribution": "log_uniform", "min": math.log(1e-4), "max": 0},
            {"distribution": "log_uniform", "min": pytest.approx(1e-4), "max": 1.0},
        ),
        (
            {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1},
            {"distribution": "log_uniform", "min": 1e-4, "max": 0.1},
        ),
        (
            {"distribution": "inv_log_uniform", "min": 0, "max": math.log(100)},
            {"distribution": "log_uniform", "min": pytest.approx(0.01), "max": 1.0},
        ),
        (
            {"distribution": "inv_log_uniform_values", "min": 1e-4, "max": 0.1},
            {"distribution": "log_uniform", "min": 1e-4, "max": 0.1},
        ),
        (
            {"distribution": "q_uniform", "min": 0.05, "max": 1, "q": 0.1},
            {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.1},
        ),
        (
            {"distribution": "q_uniform", "min": 16, "max": 64, "q": 16},
            {"distribution": "q_uniform", "min": 16, "max": 64, "q": 16},
        ),
        (
            {"distribution": "q_log_uniform_values", "min": 32, "max": 256, "q": 8},
            {"distribution": "log_uniform", "min": 32.0, "max": 256.0, "q": 8},
        ),
        (
            {"distribution": "normal", "mu": 1, "sigma": 2},
            {"distribution": "normal", "mu": 1.0, "sigma": 2.0},
        ),
        (
            {"distribution": "q_normal", "mu": 100, "sigma": 10},
            {"distribution": "normal", "mu": 100.0, "sigma": 10.0, "q": 1},
        ),
        (
            {"distribution": "log_normal", "mu": 0, "sigma": 1},
            {"distribution": "log_normal", "mu": 0.0, "sigma": 1.0},
        ),
        (
            {"distribution": "q_log_normal", "mu": 0, "sigma": 1, "q": 0.5},
            {"distribution": "log_normal", "mu": 0.0, "sigma": 1.0, "q": 0.5},
        ),
    ],
)
def test_a_distribution_of_wandb_is_one_of_ours(
    written: dict[str, Any], ours: dict[str, Any]
) -> None:
    assert translated(written) == ours


def test_multiples_are_drawn_as_whole_numbers_where_q_is_one() -> None:
    written = {"distribution": "q_log_uniform", "min": math.log(32), "max": math.log(256), "q": 8}
    batch = SearchSpace.parse(from_wandb({"x": written})[0]).distributions["x"]
    drawn = {batch.at((index + 0.5) / 1000) for index in range(1000)}

    assert drawn == set(range(32, 257, 8))
    assert all(type(value) is int for value in drawn)


def test_nested_parameters_become_a_group() -> None:
    ours, differences = from_wandb(
        {"optimizer": {"parameters": {"lr": {"value": 0.1}, "m": {"values": [1, 2]}}}}
    )

    assert SearchSpace.parse(ours).names == ("optimizer/lr", "optimizer/m")
    assert differences == []


def test_what_is_drawn_differently_is_said_by_name() -> None:
    _, differences = from_wandb(
        {
            "a": {"parameters": {"b": {"distribution": "q_uniform", "min": 0, "max": 4, "q": 2}}},
            "c": {"distribution": "q_log_uniform_values", "min": 10, "max": 99, "q": 7},
            "d": {"min": 0.0, "max": 1.0},
        }
    )

    assert [line.split(":")[0] for line in differences] == ["a/b", "c"]
    assert "half" in differences[0]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"distribution": "beta", "a": 1}, "'beta' has no equal here. Use 'uniform'"),
        ({"distribution": "q_beta"}, "Use 'q_uniform'"),
        ({"distribution": "unifrom"}, "Did you mean 'uniform'"),
        ({"distribution": ["uniform"]}, "the distribution is a name"),
        ({"distribution": "log_uniform", "min": 1e-4, "max": 1000}, "exponents here"),
        ({"distribution": "log_uniform", "min": 1, "max": 0}, "min 1 is not below max 0"),
        ({"distribution": "log_uniform", "min": "a", "max": 0}, "min is 'a', not a number"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "does not fit"),
        ({"min": 0, "max": 1, "mu": 3}, "'mu' means nothing"),
        (3, "In a W&B sweep it is a dict"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(written: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        from_wandb({"x": written})

    assert "Parameter 'x'" in str(caught.value)


def test_parameters_that_are_no_dict_are_refused() -> None:
    with pytest.raises(WrongTypeError, match="Write a dict of parameters"):
        from_wandb([1])  # type: ignore[arg-type]
