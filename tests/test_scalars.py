"""A metric is one real number, kept as the float64 it stands for; all else is refused by name."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from podstack.errors import UsageError, WrongTypeError
from podstack.scalars import MAX_DEPTH, flat_scalars, scalar, whole_step


class Rude:
    def __float__(self) -> float:
        raise RuntimeError("no")


class RudeIndex:
    def __index__(self) -> int:
        raise RuntimeError("no")


class Tensorlike:
    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"Tensorlike({self._value!r})"

    def item(self) -> Any:
        return self._value


def id_of(value: Any) -> str:
    """The same in every process, as several that share the tests among them need it."""
    return repr(value).split(" at 0x")[0][:30]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((0.1, 0.1), (1, 1.0), (True, 1.0), (False, 0.0), (2**63, 2.0**63), (10**300, 1e300)),
        *((Decimal("0.1"), 0.1), (Fraction(1, 4), 0.25), (5e-324, 5e-324), (1.7e308, 1.7e308)),
        *((np.float16(0.1), float(np.float16(0.1))), (np.float32(0.1), float(np.float32(0.1)))),
        *((np.int64(-3), -3.0), (np.uint8(255), 255.0), (np.bool_(True), 1.0)),
        *((np.array(1.5), 1.5), (np.array([[2.5]]), 2.5), (torch.tensor(3.5), 3.5)),
        *((torch.tensor([4.5]), 4.5), (torch.tensor(1.5, requires_grad=True), 1.5)),
        *((torch.tensor(7, dtype=torch.int32), 7.0), (torch.tensor(True), 1.0)),
        *((Tensorlike(2), 2.0), (math.inf, math.inf), (torch.tensor(-math.inf), -math.inf)),
    ],
    ids=repr,
)
def test_one_number_is_its_float64(value: Any, expected: float) -> None:
    found = scalar("x", value)

    assert type(found) is float
    assert found == expected


@pytest.mark.parametrize("value", [math.nan, np.float16("nan"), torch.tensor(math.nan)])
def test_nan_is_a_value(value: Any) -> None:
    assert math.isnan(scalar("x", value))


def test_a_negative_zero_keeps_its_sign() -> None:
    assert math.copysign(1, scalar("x", np.float32(-0.0))) == -1


@pytest.mark.parametrize(
    "value",
    [
        *(None, "1.0", "", b"1", bytearray(b"1"), 1j, np.complex64(1), [], [1.0], (1,), {1}),
        *(np.array([1.0, 2.0]), np.array([]), np.array("1.0"), np.str_("1"), torch.zeros(2)),
        *(torch.zeros(0), torch.tensor(1j), object(), threading.Lock(), lambda: 1.0, int, Rude()),
        *(Tensorlike("1.0"), Tensorlike(None), Tensorlike([1])),
    ],
    ids=id_of,
)
def test_what_is_not_one_real_number_is_refused_by_name(value: Any) -> None:
    with pytest.raises(WrongTypeError, match=r"Metric 'loss/a b' is .*not a number") as caught:
        scalar("loss/a b", value)

    assert isinstance(caught.value, TypeError)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("value", [10**400, -(10**400), Fraction(10**400)])
def test_a_number_beyond_float64_is_refused_by_name(value: Any) -> None:
    with pytest.raises(UsageError, match=r"'loss'.* float64 cannot hold"):
        scalar("loss", value)


def test_nested_dicts_flatten_with_a_slash() -> None:
    nested = {"train": {"loss": 1, "by": OrderedDict(a=np.float32(2))}, "acc": True, "none": {}}

    assert flat_scalars(nested) == {"train/loss": 1.0, "train/by/a": 2.0, "acc": 1.0}


def test_no_metrics_are_none() -> None:
    assert flat_scalars({}) == {}


@pytest.mark.parametrize("values", [None, "x", [("a", 1)], 7, {1.0}, np.zeros(2)])
def test_what_is_no_mapping_is_refused(values: object) -> None:
    with pytest.raises(WrongTypeError, match="log_metrics takes a dict"):
        flat_scalars(values)


def test_a_dict_in_itself_is_refused() -> None:
    inner: dict[str, Any] = {}
    inner["again"] = inner
    with pytest.raises(UsageError, match=f"more than {MAX_DEPTH} deep"):
        flat_scalars(inner)


@pytest.mark.parametrize("name", ["", "x" * 1001, "a\0", "\udc00", None, 7, ("a",)])
def test_a_name_that_cannot_be_stored_is_refused(name: Any) -> None:
    for values in ({name: 1}, {"a": {name: 1}}):
        with pytest.raises(UsageError, match="metric name"):
            flat_scalars(values)


def test_names_whose_parts_fit_but_not_their_whole_are_refused() -> None:
    with pytest.raises(UsageError, match="1 to 1000 characters"):
        flat_scalars({"a" * 600: {"b" * 600: 1}})


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_int64_is_a_step(step: int) -> None:
    assert whole_step(step) == step
    assert whole_step(np.int64(step)) == step


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        *((2.0, 2), (np.int32(3), 3), (np.float64(4), 4), (torch.tensor(5), 5), (True, 1)),
        *((np.array(6), 6), (torch.tensor(7.0), 7), (Decimal(8), 8), (-1, -1), (-0.0, 0)),
    ],
    ids=repr,
)
def test_a_whole_number_of_any_kind_is_a_step(step: Any, expected: int) -> None:
    found = whole_step(step)

    assert type(found) is int
    assert found == expected


@pytest.mark.parametrize(
    "step",
    [None, "1", b"1", 1.5, math.nan, math.inf, 1j, [1], np.zeros(2), object(), Rude(), RudeIndex()],
    ids=id_of,
)
def test_what_is_no_whole_number_is_no_step(step: Any) -> None:
    with pytest.raises(WrongTypeError, match="step must be a whole number"):
        whole_step(step)


@pytest.mark.parametrize("step", [2**63, -(2**63) - 1, 2**70, 1e30])
def test_a_step_beyond_int64_is_refused(step: Any) -> None:
    with pytest.raises(UsageError, match="beyond int64"):
        whole_step(step)
