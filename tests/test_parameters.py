"""Parameters become typed JSON under flat names, whatever they were; secrets do not."""

from __future__ import annotations

import argparse
import functools
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from podstack.errors import UsageError, WrongTypeError
from podstack.parameters import MASK, MAX_DEPTH, MAX_VALUE, flat_parameters, is_secret

relaxed = settings(deadline=None, max_examples=150)


class Colour(Enum):
    RED = "red"
    DEEP = (1, 2)


class Level(IntEnum):
    LOW = 1


@dataclass
class Optimizer:
    name: str = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    extra: dict[str, Any] = field(default_factory=dict)


class Plain:
    pass


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class RudeMapping(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no")


def one(value: Any) -> Any:
    return flat_parameters({"x": value})["x"]


def test_nested_parameters_flatten_with_a_slash() -> None:
    nested = {"a": {"b": {"c": 1}, "d": [1, {"e": 2}]}, "f": {}, "g": {"h": {}}}

    assert flat_parameters(nested) == {"a/b/c": 1, "a/d": [1, {"e": 2}], "f": {}, "g/h": {}}


@pytest.mark.parametrize(
    "values",
    [
        argparse.Namespace(lr=0.1, opt=argparse.Namespace(name="sgd")),
        SimpleNamespace(lr=0.1, opt=SimpleNamespace(name="sgd")),
        OrderedDict(lr=0.1, opt=MappingProxyType({"name": "sgd"})),
        {"lr": 0.1, "opt": {"name": "sgd"}},
    ],
    ids=lambda values: type(values).__name__,
)
def test_mappings_and_namespaces_are_the_same_parameters(values: object) -> None:
    assert flat_parameters(values) == {"lr": 0.1, "opt/name": "sgd"}


def test_a_configuration_of_omegaconf_is_recorded_with_what_it_refers_to() -> None:
    config = OmegaConf.create(
        {"a": 2, "b": "${a}", "missing": "???", "list": ["${b}", {"x": None}], "empty": {}}
    )

    assert flat_parameters(config) == {
        "a": 2, "b": 2, "missing": "???", "list": [2, {"x": None}], "empty": {},
    }  # fmt: skip
    assert flat_parameters({"cfg": config, "some": [config.list]}) == {
        "cfg/a": 2, "cfg/b": 2, "cfg/missing": "???", "cfg/list": [2, {"x": None}],
        "cfg/empty": {}, "some": [[2, {"x": None}]],
    }  # fmt: skip


def test_a_configuration_that_refers_to_what_is_missing_stays_as_it_is_written() -> None:
    config = OmegaConf.create({"missing": "???", "same": "${missing}", "lr": 0.1})

    assert flat_parameters(config) == {"missing": "???", "same": "${missing}", "lr": 0.1}


def test_a_dataclass_flattens_by_its_fields() -> None:
    assert flat_parameters(Optimizer()) == {"name": "adamw", "betas": [0.9, 0.999], "extra": {}}
    assert flat_parameters({"opt": Optimizer(extra={"k": 1})})["opt/extra/k"] == 1
    assert one([Optimizer()]) == [{"name": "adamw", "betas": [0.9, 0.999], "extra": {}}]


def test_numbers_as_names_are_their_text() -> None:
    assert flat_parameters({"labels": {0: "cat", 1: "dog"}}) == {
        "labels/0": "cat",
        "labels/1": "dog",
    }


@pytest.mark.parametrize("value", [None, True, False, 0, -1, 2**63, 0.1, -0.0, "", "ü🎉", "a\0b"])
def test_plain_values_keep_their_type(value: Any) -> None:
    found = one(value)

    assert type(found) is type(value)
    assert found == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (10**400, str(10**400)),
        ((1, (2, None)), [1, [2, None]]),
        ({3, 1, 2}, [1, 2, 3]),
        pytest.param(frozenset(["b", "a"]), ["a", "b"], id="a frozenset of texts"),
        pytest.param({1, "a", None}, [None, 1, "a"], id="a set of three types"),
        (Colour.RED, "red"),
        (Colour.DEEP, [1, 2]),
        (Level.LOW, 1),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(math.nan), "NaN"),
        (np.zeros((1001,)), "<ndarray of shape (1001,)>"),
        (torch.tensor([1.0, 2.0], requires_grad=True), [1.0, 2.0]),
        (torch.zeros(3, 1000), "<Tensor of shape (3, 1000)>"),
        (torch.Size([2, 3]), [2, 3]),
        (torch.float32, "torch.float32"),
        (PurePosixPath("/data/x"), "/data/x"),
        (Decimal("0.10"), "Decimal('0.10')"),
        (1 + 2j, "(1+2j)"),
        (b"ab", "b'ab'"),
        (range(3), "range(0, 3)"),
        (Optimizer, f"{__name__}.Optimizer"),
        (dict, "builtins.dict"),
        (torch.nn.ReLU, "torch.nn.modules.activation.ReLU"),
        (math.sqrt, "math.sqrt"),
        ("\ud800x", "\\ud800x"),
        (["\udfff"], ["\\udfff"]),
    ],
    ids=lambda value: repr(value)[:30].encode("ascii", "backslashreplace").decode(),
)
def test_other_values_have_one_form_in_json(value: Any, expected: Any) -> None:
    found = one(value)

    assert found == expected
    assert orjson.loads(orjson.dumps(found)) == expected


def test_a_repr_keeps_no_memory_address() -> None:
    shown = one(Plain())

    assert shown.endswith("Plain object>")
    assert one(Plain()) == shown
    assert "0x" not in one(functools.partial(test_a_repr_keeps_no_memory_address))


def test_a_repr_that_raises_leaves_the_type() -> None:
    assert one(Rude()) == f"<{__name__}.Rude>"


def test_a_long_repr_is_cut_with_a_mark() -> None:
    shown = one(bytes(5000))

    assert len(shown) < 2100
    assert shown.endswith("characters)")


# Limits -------------------------------------------------------------------------------------


def test_a_value_of_a_megabyte_is_kept_and_a_larger_one_refused_by_name() -> None:
    assert len(one("x" * (MAX_VALUE - 2))) == MAX_VALUE - 2
    for large in ("x" * MAX_VALUE, "x" * 10**8, [1.5] * 300_000, [0] * 10**7, "ü" * 600_000):
        with pytest.raises(UsageError, match=r"'big' takes .* 1,000,000 are kept.*log_artifact"):
            flat_parameters({"big": large})


def cyclic_dict() -> dict[str, Any]:
    inner: dict[str, Any] = {}
    inner["again"] = inner
    return inner


def cyclic_list() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


def deep(levels: int) -> dict[str, Any]:
    nested: dict[str, Any] = {"x": 1}
    for _ in range(levels):
        nested = {"d": nested}
    return nested


@pytest.mark.parametrize(
    "values",
    [
        cyclic_dict(),
        {"a": cyclic_list()},
        {"a": [cyclic_dict()]},
        deep(MAX_DEPTH),
        deep(3000),
        {"a": [deep(3000)]},
    ],
    ids=["dict in itself", "list in itself", "dict in a list", "65", "3000", "3000 in a list"],
)
def test_what_holds_itself_or_nests_without_end_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="nest") as caught:
        flat_parameters(values)

    assert len(str(caught.value)) < 2000


def test_what_nests_just_within_the_limit_is_kept() -> None:
    (name,) = flat_parameters(deep(MAX_DEPTH - 1))

    assert name == "d/" * (MAX_DEPTH - 1) + "x"


@pytest.mark.parametrize("values", [None, 7, "lr", ["lr"], [("lr", 0.1)], Plain(), {1, 2}])
def test_what_is_no_mapping_is_refused(values: object) -> None:
    with pytest.raises(WrongTypeError, match="log_params takes a dict"):
        flat_parameters(values)


@pytest.mark.parametrize("name", ["", "x" * 1001, "a\0b", "\ud800"])
def test_a_name_that_cannot_be_stored_is_refused(name: str) -> None:
    for values in ({name: 1}, {"a": {name: 1}}):
        with pytest.raises(UsageError, match="parameter name"):
            flat_parameters(values)


@pytest.mark.parametrize("name", [None, ("a",), b"a", Plain()])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(WrongTypeError, match="parameter name must be a string"):
        flat_parameters({name: 1})


def test_names_whose_parts_fit_but_not_their_whole_are_refused() -> None:
    with pytest.raises(UsageError, match="1 to 1000 characters"):
        flat_parameters({"a" * 600: {"b" * 600: 1}})


@relaxed
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
            | st.tuples(inner)
        ),
        max_leaves=8,
    )
)
def test_any_value_becomes_json_that_comes_back_as_it_is(value: Any) -> None:
    try:
        found = flat_parameters({"x": [value]})
    except UsageError:  # a name that is refused inside
        return
    assert orjson.loads(orjson.dumps(found)) == found


# Secrets ------------------------------------------------------------------------------------

SECRETS = [
    *("token", "hf_token", "HF_TOKEN", "access-token", "auth.token", "my_token_2", "bearerToken"),
    *("api_key", "apikey", "API_KEY", "openai_api_key", "wandb.api_key", "password", "db_passwd"),
    *("passphrase", "secret", "client_secret", "aws_secret_access_key", "credentials"),
    *("private_key", "privatekey"),
]
NO_SECRETS = [
    *("max_tokens", "tokens", "num_tokens", "tokenizer", "tokenizer_name", "tokenization"),
    *("token_type", "token_count", "token_limit", "token_id", "token_len", "token_num", "lr"),
    *("key", "monkey", "keys", "passes", "bypass", "path"),
]


@pytest.mark.parametrize("name", SECRETS)
def test_a_text_with_the_name_of_a_secret_is_masked(name: str) -> None:
    assert is_secret(name, "hunter2")
    assert flat_parameters({name: "hunter2"}) == {name: MASK}
    assert flat_parameters({"outer": {name: "hunter2"}}) == {f"outer/{name}": MASK}


@pytest.mark.parametrize("name", NO_SECRETS)
def test_a_text_with_another_name_is_not_masked(name: str) -> None:
    assert flat_parameters({name: "hunter2"}) == {name: "hunter2"}


@pytest.mark.parametrize("value", [7, 0.5, True, None, "", [1, 2]])
def test_what_is_no_text_is_never_masked(value: Any) -> None:
    assert flat_parameters({"token": value}) == {"token": value}


@pytest.mark.parametrize(
    "values",
    [
        {"servers": [{"host": "h", "api_key": "hunter2"}]},
        {"api_keys": ["hunter2", "hunter2"]},
        {"api_key": ("hunter2",)},
        {"password": {"main": "hunter2", "others": [{"x": "hunter2"}]}},
        {"all": [[{"deep": {"hf_token": "hunter2"}}]]},
        {"clients": [SimpleNamespace(secret="hunter2")]},
        {"token": Enum("Token", {"A": "hunter2"}).A},  # type: ignore[attr-defined]
        {"token": np.array(["hunter2"])},
    ],
    ids=repr,
)
def test_a_secret_inside_a_list_or_a_dict_is_masked_too(values: dict[str, Any]) -> None:
    written = orjson.dumps(flat_parameters(values)).decode()

    assert "hunter2" not in written
    assert MASK in written
