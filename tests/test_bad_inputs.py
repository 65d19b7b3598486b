"""Wrong and odd inputs: each is refused by name with nothing stored, or kept exactly.

After every call, refused or not, the run takes a canary point that another client reads back.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import pickle
import shutil
import struct
import sys
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from podstack import BackendError, MLOpsClient, Run, RunClosedError, UsageError, intake
from podstack.testing.stage import DEADLINE, Stage
from podstack.testing.store_files import stored, stored_points

torch = pytest.importorskip("torch")

_canaries = count()

Refused = Callable[..., str]


@pytest.fixture
def refused(run: Run, store: Path) -> Refused:
    """Make a call that must be refused, and look at all that a refusal promises."""
    sing(run, store)

    def refused(call: Callable[[], object], kind: type[Exception], *mentions: str) -> str:
        before = stored(store)
        with pytest.raises(UsageError) as caught:
            call()

        text = str(caught.value)
        assert stored(store) == before
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, TypeError) == (kind is TypeError)
        assert len(text.encode()) < 2_000
        assert text.isprintable()
        for mention in mentions:
            assert mention in text
        sing(run, store)
        return text

    return refused


def sing(run: Run, store: Path) -> None:
    """A canary point, read back by another client."""
    note = next(_canaries)
    run.log_metrics({"canary": note}, step=note)
    series = MLOpsClient(store).get_run(run.id).metrics["canary"]

    assert (series.steps[-1], series.values[-1]) == (note, note)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def read_back(store: Path, run: Run) -> Run:
    return MLOpsClient(store).get_run(run.id)


class Raising:
    """Whatever one asks of it, it raises `error`."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __float__(self) -> float:
        raise self._error

    def __index__(self) -> int:
        raise self._error

    def __repr__(self) -> str:
        raise self._error

    __str__ = __repr__


class Loud:
    """Its repr is long, spans lines and steers terminals."""

    def __repr__(self) -> str:
        return "line\n\x1b[2J\r" * 1_000_000


class Index:
    """A whole number that is nothing else: it cannot even be compared."""

    def __index__(self) -> int:
        return 7


# Values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, np.float16("nan"), np.float32("inf"), torch.tensor(math.nan)],
)
def test_nan_and_infinities_come_back_as_what_they_were(run: Run, store: Path, value: Any) -> None:
    run.log_metrics({"odd": value, "even": 1.0}, step=3)

    expected = float(value)
    got = read_back(store, run).metrics["odd"].values[0]
    assert math.isnan(got) if math.isnan(expected) else got == expected
    sing(run, store)


def test_nan_and_infinities_are_valid_json_in_the_store(run: Run, store: Path) -> None:
    run.log_metrics({"a": math.nan, "b": math.inf, "c": -math.inf})

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    lines = [line for key, data in stored(store).items() if "/metrics/" in key
             for line in data.splitlines()]  # fmt: skip
    assert [json.loads(line, parse_constant=refuse)["v"] for line in lines] == [
        {"a": "NaN", "b": "Infinity", "c": "-Infinity"}
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5e-324, 5e-324),
        (sys.float_info.max, sys.float_info.max),
        (-0.0, -0.0),
        (0.1, 0.1),
        (2**63, 2.0**63),
        (2**64, 2.0**64),
        (-(2**63), -(2.0**63)),
        (10**308, 1e308),
        (np.float32(0.1), 0.10000000149011612),
        (np.float64(0.1), 0.1),
        (np.float16(0.1), 0.0999755859375),
        (np.int64(2**53), 2.0**53),
        (np.uint8(255), 255.0),
        (np.array(0.1), 0.1),
        (np.longdouble("0.5"), 0.5),
        (torch.tensor(0.1), 0.10000000149011612),
        (torch.tensor(0.1, dtype=torch.float64, requires_grad=True), 0.1),
        (torch.tensor(3), 3.0),
        (torch.tensor(1.5, dtype=torch.bfloat16), 1.5),
        (True, 1.0),
        (np.bool_(False), 0.0),
        (torch.tensor(True), 1.0),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 3), 1 / 3),
    ],
    ids=repr,
)
def test_any_scalar_is_kept_as_the_exact_float64(
    run: Run, store: Path, value: Any, expected: float
) -> None:
    run.log_metrics({"x": value})

    assert bits(read_back(store, run).metrics["x"].values[0]) == bits(expected)
    sing(run, store)


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "1.0",
        "",
        b"1",
        bytearray(b"1"),
        None,
        1j,
        [1.0],
        (1.0, 2.0),
        {1.0},
        array("d", [1.0]),
        np.array([1.0, 2.0]),
        np.array([]),
        np.array("1.0"),
        np.str_("1.0"),
        np.complex64(1),
        np.array([object(), object()]),
        torch.tensor([1.0, 2.0]),
        torch.tensor(1j),
        threading.Lock(),
        lambda: 1.0,
        float,
        object(),
        iter([1.0]),
        datetime.date(2026, 1, 1),
        Raising(RuntimeError("no")),
        Raising(KeyError("no")),
        Raising(RecursionError()),
        Decimal("sNaN"),
        Loud(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_no_number_is_refused_by_name_with_its_whole_call(
    run: Run, refused: Refused, value: Any
) -> None:
    refused(lambda: run.log_metrics({"good": 1.0, "bad_one": value}), TypeError, "bad_one")
    refused(lambda: run.log_metrics({"bad_one": value, "good": 1.0}, 5), TypeError, "bad_one")
    refused(lambda: run.log_metrics({"in": {"bad_one": value}}), TypeError, "in/bad_one")


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**5000], ids=["+", "-", "huge"])
def test_a_number_beyond_float64_is_refused_by_name(run: Run, refused: Refused, value: int) -> None:
    refused(lambda: run.log_metrics({"good": 1.0, "huge_one": value}), ValueError, "huge_one")
    refused(lambda: run.log_metrics({"good": 1.0, "huge_one": value}, 5), ValueError, "huge_one")


def test_two_large_numbers_whose_sum_overflows_are_kept(run: Run, store: Path) -> None:
    run.log_metrics({"a": 1e308, "b": 1e308})
    run.log_metrics({"a": 1e308, "b": 1e308})

    assert list(read_back(store, run).metrics["b"].values) == [1e308, 1e308]


# Metrics as a whole ------------------------------------------------------------------------


def test_nested_dicts_flatten_with_a_slash(run: Run, store: Path) -> None:
    run.log_metrics({"val": {"loss": 0.5, "by": {"class": 1}}, "x": 2})

    assert read_back(store, run).metrics.to_dict() == {
        "val/loss": [(0, 0.5)],
        "val/by/class": [(0, 1.0)],
        "x": [(0, 2.0)],
    }


def test_any_mapping_serves_as_a_dict_of_metrics(run: Run, store: Path) -> None:
    run.log_metrics(MappingProxyType({"x": 1.0}))

    assert read_back(store, run).metrics["x"].last == 1.0


def cyclic() -> dict[str, Any]:
    values: dict[str, Any] = {"good": 1.0}
    values["around"] = values
    return values


def deep(levels: int) -> dict[str, Any]:
    values: dict[str, Any] = {"bottom": 1.0}
    for _ in range(levels):
        values = {"down": values}
    return values


def test_a_dict_that_holds_itself_is_refused_by_name(run: Run, refused: Refused) -> None:
    refused(lambda: run.log_metrics(cyclic()), ValueError, "around")
    refused(lambda: run.log_params(cyclic()), ValueError, "around")


def test_a_dict_3000_deep_is_refused_by_name(run: Run, refused: Refused) -> None:
    refused(lambda: run.log_metrics(deep(3_000)), ValueError, "down")
    refused(lambda: run.log_params(deep(3_000)), ValueError, "down")


@pytest.mark.parametrize("empty", [{}, {"nested": {}}, MappingProxyType({})], ids=str)
def test_an_empty_dict_stores_nothing_and_uses_no_step(
    run: Run, store: Path, empty: Mapping[str, Any]
) -> None:
    run.log_metrics(empty)
    run.log_metrics(empty, step=99)

    assert stored_points(store) == []
    run.log_metrics({"x": 1.0})
    assert list(run.metrics["x"].steps) == [0]


@pytest.mark.parametrize(
    "metrics",
    [[("x", 1.0)], None, "x", b"x", 5, {"x"}, np.array([1.0, 2.0]), iter(()), ["x"], Loud()],
    ids=lambda value: type(value).__name__,
)
def test_metrics_that_are_no_dict_are_refused(run: Run, refused: Refused, metrics: Any) -> None:
    run.log_metrics({"x": 0.0})

    refused(lambda: run.log_metrics(metrics), TypeError, "log_metrics", "dict")
    refused(lambda: run.log_metrics(metrics, step=1), TypeError, "log_metrics", "dict")


# Keys --------------------------------------------------------------------------------------

BAD_NAMES = [
    ("", ValueError),
    (None, TypeError),
    (("a", "b"), TypeError),
    (b"loss", TypeError),
    ("k" * 5_000, ValueError),
    ("k" * 1_000_000, ValueError),
    ("a\0b", ValueError),
    ("half \ud800 pair", ValueError),
]
_ids = ["empty", "None", "tuple", "bytes", "5 kB", "1 MB", "NUL", "surrogate"]


@pytest.mark.parametrize(("name", "kind"), [*BAD_NAMES, (5, TypeError)], ids=[*_ids, "int"])
def test_a_metric_name_that_is_no_text_is_refused(
    run: Run, refused: Refused, name: Any, kind: type[Exception]
) -> None:
    refused(
        lambda: run.log_metrics({"good": 1.0, name: 1.0}), kind, "metric name", ascii(name)[:30]
    )
    refused(lambda: run.log_metrics({"in": {name: 1.0}}, step=1), kind, "metric name")


@pytest.mark.parametrize(("name", "kind"), BAD_NAMES, ids=_ids)
def test_a_parameter_name_that_is_no_text_is_refused(
    run: Run, refused: Refused, name: Any, kind: type[Exception]
) -> None:
    refused(lambda: run.log_params({"good": 1, name: 1}), kind, "parameter name", ascii(name)[:30])
    refused(lambda: run.log_params({"in": {name: 1}}), kind, "parameter name")


@pytest.mark.parametrize(("name", "kind"), [*BAD_NAMES[:2], *BAD_NAMES[3:]])
def test_a_name_of_anything_else_that_is_no_text_is_refused(
    run: Run, client: MLOpsClient, refused: Refused, name: Any, kind: type[Exception]
) -> None:
    refused(lambda: run.add_tags("good", name), kind, "ag")
    refused(lambda: client.start_run(tags=["good", name]), kind, "tag")
    refused(lambda: run.set_name(name), kind, "run name")
    refused(lambda: run.log_dataset(name, "data.csv"), kind, "dataset name")
    refused(lambda: client.create_experiment(name), kind, "experiment name")
    if name is not None:
        refused(lambda: client.start_run(name=name), kind, "run name")


def test_names_that_nest_to_more_than_1000_characters_are_refused(
    run: Run, refused: Refused
) -> None:
    refused(lambda: run.log_metrics({"a" * 600: {"b" * 600: 1.0}}), ValueError, "metric name")
    refused(lambda: run.log_params({"a" * 600: {"b" * 600: 1.0}}), ValueError, "parameter name")


@pytest.mark.parametrize("name", ["\U000e0001" * 1_000, "\x1b" * 1_000, "\n" * 1_000])
def test_an_error_stays_short_and_printable_whatever_the_name(
    run: Run, refused: Refused, name: str
) -> None:
    refused(lambda: run.log_metrics({name: "text"}), TypeError)
    refused(lambda: run.log_metrics({name: 10**400}), ValueError)
    refused(lambda: run.log_params({name: "x" * 2_000_000}), ValueError)
    refused(lambda: run.log_params({name: Raising(ValueError(name))} | {"": 1}), ValueError)


ODD_NAMES = [
    "a/b",
    "a//b",
    "/a",
    "a/",
    ".",
    "..",
    "../../x",
    "C:\\x",
    "a:b",
    "con",
    "nul.txt",
    "~",
    "$HOME",
    "*",
    "a?b#c",
    "%2e%2e",
    "__proto__",
    "constructor",
    "Loss",
    "loss",
    "LOSS",
    "caf\u00e9",
    "cafe\u0301",
    "损失",
    "🦦",
    "\u202egnp.exe",
    " loss",
    "loss ",
    "val loss",
    "\t",
    "a\nb",
    "a\u2028b",
    '"',
    "\\",
    "\\n",
    "<script>alert(1)</script>",
    "'; DROP TABLE runs; --",
    "k" * 1_000,
    "\U0001f9a6" * 1_000,
    "0",
    "NaN",
    "null",
    "$none",
]


def test_odd_names_are_kept_apart_and_come_back_byte_for_byte(run: Run, store: Path) -> None:
    run.log_metrics({name: float(i) for i, name in enumerate(ODD_NAMES)})
    run.log_params({name: i for i, name in enumerate(ODD_NAMES)})
    run.add_tags(*ODD_NAMES)

    other = read_back(store, run)
    assert {name: series.last for name, series in other.metrics.items()} == {
        name: float(i) for i, name in enumerate(ODD_NAMES)
    }
    assert other.params == {name: i for i, name in enumerate(ODD_NAMES)}
    assert other.tags == sorted(ODD_NAMES)
    sing(run, store)


def test_odd_names_make_no_files(run: Run, store: Path, tmp_path: Path) -> None:
    sing(run, store)
    before = {path for path in tmp_path.rglob("*") if "live" not in path.parts}
    for i, name in enumerate(ODD_NAMES):
        run.log_metrics({name: i}, step=i)
        run.log_params({name: i})
        run.log_dataset(name, "https://example.org/data")
        run.add_tags(name)
        run.set_name(name)

    assert {path for path in tmp_path.rglob("*") if "live" not in path.parts} == before


def test_odd_experiment_names_are_experiments_of_their_own(
    client: MLOpsClient, tmp_path: Path, store: Path
) -> None:
    made = [client.create_experiment(name) for name in ODD_NAMES]

    assert [experiment.name for experiment in made] == ODD_NAMES
    assert len({experiment.id for experiment in made}) == len(ODD_NAMES)
    assert [client.get_experiment(name).id for name in ODD_NAMES] == [e.id for e in made]
    assert list(tmp_path.iterdir()) == [store]
    assert {key.split("/")[3] for key in stored(store) if "/experiments/" in key} == {
        experiment.id for experiment in made
    }


def test_a_name_that_is_a_kind_of_string_is_that_string(run: Run, store: Path) -> None:
    class Name(str, Enum):
        LOSS = "loss"

    run.log_metrics({Name.LOSS: 1.0, np.str_("acc"): 2.0})
    run.log_metrics({Name.LOSS: 1.0, np.str_("acc"): 2.0})
    run.log_params({Name.LOSS: 1, np.str_("acc"): 2})

    assert list(read_back(store, run).metrics) == ["loss", "acc"]
    assert read_back(store, run).params == {"loss": 1, "acc": 2}


def test_5000_names_in_a_call_and_10000_parameters_are_fine(run: Run, store: Path) -> None:
    run.log_metrics({f"m/{i}": float(i) for i in range(5_000)})
    run.log_params({f"p/{i}": i for i in range(10_000)})

    other = read_back(store, run)
    assert {name: series.last for name, series in other.metrics.items()} == {
        f"m/{i}": float(i) for i in range(5_000)
    }
    assert other.params == {f"p/{i}": i for i in range(10_000)}
    sing(run, store)


@pytest.mark.slow
def test_a_million_steps_are_fine(run: Run, store: Path) -> None:
    for step in range(1_000_000):
        run.log_metrics({"x": step / 2}, step=step)

    series = read_back(store, run).metrics["x"]
    assert len(series) == 1_000_000
    assert (series.values == np.arange(1_000_000) / 2).all()
    sing(run, store)


# Steps -------------------------------------------------------------------------------------


def test_steps_may_be_negative_far_apart_and_go_back_and_the_last_of_a_step_wins(
    run: Run, store: Path
) -> None:
    steps = [5, -1, 10**9 + 5, 3, 5, 2**63 - 1, -(2**63), 3]
    for i, step in enumerate(steps):
        run.log_metrics({"x": i}, step=step)

    series = read_back(store, run).metrics["x"]
    assert list(zip(series.steps, series.values, strict=True)) == [
        (-(2**63), 6), (-1, 1), (3, 7), (5, 4), (10**9 + 5, 2), (2**63 - 1, 5)
    ]  # fmt: skip
    assert [(point.step, point.value) for point in series.raw] == sorted(
        (step, float(i)) for i, step in enumerate(steps)
    )


@pytest.mark.parametrize(
    "step",
    [2.0, np.int32(2), np.uint64(2), np.float32(2.0), np.array(2), torch.tensor(2), Fraction(4, 2),
     torch.tensor(2.0), Decimal(2)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_step_may_be_any_whole_number(run: Run, store: Path, step: Any) -> None:
    run.log_metrics({"x": 1.0}, step=step)
    run.log_metrics({"x": 2.0})

    assert list(read_back(store, run).metrics["x"].steps) == [2, 3]


def test_a_step_that_is_a_whole_number_and_nothing_else_is_taken(run: Run, store: Path) -> None:
    run.log_metrics({"x": 1.0}, step=Index())  # type: ignore[arg-type]

    assert list(read_back(store, run).metrics["x"].steps) == [7]


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (1.5, TypeError),
        (math.nan, TypeError),
        (math.inf, TypeError),
        ("1", TypeError),
        (b"1", TypeError),
        (1j, TypeError),
        ([1], TypeError),
        ({}, TypeError),
        (np.array([1, 2]), TypeError),
        (np.float32(1.5), TypeError),
        (torch.tensor(1.5), TypeError),
        (torch.tensor([1, 2]), TypeError),
        (object(), TypeError),
        (Raising(KeyError("no")), TypeError),
        (Raising(RuntimeError("no")), TypeError),
        (2**63, ValueError),
        (-(2**63) - 1, ValueError),
        (2**70, ValueError),
        (1e300, ValueError),
        (10**5000, ValueError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_step_that_is_no_whole_number_of_64_bits_is_refused(
    run: Run, refused: Refused, step: Any, kind: type[Exception]
) -> None:
    refused(lambda: run.log_metrics({"good": 1.0}, step=step), kind, "step")
    refused(lambda: run.log_metrics({}, step=step), kind, "step")


def test_without_a_step_each_call_takes_the_one_after_the_largest(run: Run) -> None:
    run.log_metrics({"x": 0})
    run.log_metrics({"x": 1}, step=10)
    run.log_metrics({"y": 2}, step=4)
    run.log_metrics({"x": 3})

    assert list(run.metrics["x"].steps) == [0, 10, 11]


# Parameters --------------------------------------------------------------------------------


@dataclass
class Optimizer:
    lr: float
    betas: tuple[float, float]


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {"p": None}),
        (True, {"p": True}),
        (1, {"p": 1}),
        (2**64, {"p": str(2**64)}),
        (0.1, {"p": 0.1}),
        (math.nan, {"p": "NaN"}),
        (-math.inf, {"p": "-Infinity"}),
        ("", {"p": ""}),
        ("损失", {"p": "损失"}),
        ([1, [2.5, None]], {"p": [1, [2.5, None]]}),
        ((1, "a"), {"p": [1, "a"]}),
        ({3, 1, 2}, {"p": [1, 2, 3]}),
        ({}, {"p": {}}),
        ([{"a": 1}], {"p": [{"a": 1}]}),
        ({"a": {"b": 1}, "c": None}, {"p/a/b": 1, "p/c": None}),
        ({0: "cat", 1: "dog"}, {"p/0": "cat", "p/1": "dog"}),
        (argparse.Namespace(lr=1, deep=SimpleNamespace(x=2)), {"p/lr": 1, "p/deep/x": 2}),
        (Optimizer(0.1, (0.9, 0.99)), {"p/lr": 0.1, "p/betas": [0.9, 0.99]}),
        (Colour.RED, {"p": "red"}),
        (Path("data") / "x", {"p": "data/x"}),
        (np.float32(0.5), {"p": 0.5}),
        (np.int64(7), {"p": 7}),
        (np.array([[1, 2], [3, 4]]), {"p": [[1, 2], [3, 4]]}),
        (np.zeros((1000, 1000)), {"p": "<ndarray of shape (1000, 1000)>"}),
        (torch.tensor([1.0, 2.0]), {"p": [1.0, 2.0]}),
        (torch.float32, {"p": "torch.float32"}),
        (torch.nn.ReLU, {"p": "torch.nn.modules.activation.ReLU"}),
        (torch.nn.functional.relu, {"p": "torch.nn.functional.relu"}),
        (b"bytes", {"p": "b'bytes'"}),
        (1j, {"p": "1j"}),
        (datetime.date(2026, 1, 2), {"p": "datetime.date(2026, 1, 2)"}),
        (object(), {"p": "<object object>"}),
        ("half \ud800 pair", {"p": "half \\ud800 pair"}),
        ("a\0b", {"p": "a\0b"}),
        ("<script>", {"p": "<script>"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_parameter_of_any_kind_is_kept_as_json_or_as_its_repr(
    run: Run, store: Path, value: Any, expected: dict[str, Any]
) -> None:
    run.log_params({"p": value})

    params = read_back(store, run).params
    assert params == expected
    assert list(map(type, params.values())) == list(map(type, expected.values()))
    sing(run, store)


def test_a_parameter_whose_repr_raises_is_kept_as_its_type(run: Run, store: Path) -> None:
    run.log_params({"p": Raising(RuntimeError("no"))})

    assert str(read_back(store, run).params["p"]).endswith(".Raising>")


def test_a_parameter_with_an_endless_repr_is_cut(run: Run, store: Path) -> None:
    run.log_params({"p": Loud()})

    text = read_back(store, run).params["p"]
    assert len(text) < 2_100
    assert text.endswith("characters)")


def test_a_parameter_of_a_megabyte_is_kept(run: Run, store: Path) -> None:
    text = "x" * 999_998  # and two quotes
    run.log_params({"p": text})

    assert read_back(store, run).params == {"p": text}
    sing(run, store)


def bad_list() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


@pytest.mark.parametrize(
    "value",
    [
        "x" * 999_999,
        "x" * 100_000_000,
        "é" * 600_000,
        [0] * 20_000_000,
        set(range(1_000_000)),
        [["x" * 1_000] * 10] * 200,
        bad_list(),
        [cyclic()],
        10**5000,
        [{Raising(KeyError("no")): 1}],
    ],
    ids=["1 MB", "100 MB", "accents", "list", "set", "nested", "cycle", "dicts", "int", "raise"],
)  # fmt: skip
def test_a_parameter_too_large_or_without_end_is_refused_by_name(
    run: Run, refused: Refused, value: Any
) -> None:
    refused(lambda: run.log_params({"good": 1, "bad_one": value}), ValueError, "bad_one")


@pytest.mark.parametrize("params", [[("lr", 1)], None, "lr", 5, {"lr"}, np.array([1])])
def test_parameters_that_are_no_dict_are_refused(run: Run, refused: Refused, params: Any) -> None:
    refused(lambda: run.log_params(params), TypeError, "log_params", "dict")


@pytest.mark.parametrize("params", [[("lr", 1)], "lr", 5, [], ""])
def test_a_run_does_not_start_with_parameters_that_are_no_dict(
    client: MLOpsClient, refused: Refused, params: Any
) -> None:
    refused(lambda: client.start_run(params=params), TypeError, "dict")


def test_a_parameter_logged_again_is_replaced_and_its_history_stays(run: Run, store: Path) -> None:
    for value in (1, None, 1, "1", 1.0):
        run.log_params({"p": value})

    other = read_back(store, run)
    assert other.params == {"p": 1.0}
    assert [repr(change.value) for change in other.history("params/p")] == [
        "1", "None", "1", "'1'", "1.0"
    ]  # fmt: skip


# Tags --------------------------------------------------------------------------------------


def test_a_string_is_one_tag_and_ten_thousand_tags_are_fine(
    client: MLOpsClient, run: Run, store: Path
) -> None:
    many = [f"t{i:05}" for i in range(10_000)]
    run.add_tags("baseline", *many)
    with client.start_run(tags="baseline") as other:
        assert other.tags == ["baseline"]
    with client.start_run(tags=many) as other:
        assert other.tags == many

    assert read_back(store, run).tags == ["baseline", *many]
    sing(run, store)


@pytest.mark.parametrize("tags", [None, 5, {"a": 1}, b"a", [["a"]]])
def test_tags_that_are_no_list_of_strings_are_refused(
    client: MLOpsClient, run: Run, refused: Refused, tags: Any
) -> None:
    refused(lambda: client.start_run(tags=tags), TypeError, "ag")
    refused(lambda: client.create_experiment("e", tags=tags), TypeError, "ag")
    if tags != [["a"]]:
        refused(lambda: run.add_tags("good", tags), TypeError, "ag")
        refused(lambda: run.remove_tags("good", tags), TypeError, "ag")


# Texts and ids -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [(None, TypeError), (5, TypeError), (b"x", TypeError), ("x" * 1_000_001, ValueError),
     ("a\0", ValueError), ("\udfff", ValueError)],
    ids=["None", "int", "bytes", "1 MB", "NUL", "surrogate"],
)  # fmt: skip
def test_notes_and_descriptions_that_are_no_text_are_refused(
    client: MLOpsClient, run: Run, refused: Refused, text: Any, kind: type[Exception]
) -> None:
    experiment = client.create_experiment("e")

    refused(lambda: run.set_notes(text), kind, "Notes")
    refused(lambda: run.log_dataset("d", "data.csv", text), kind, "description")
    refused(lambda: client.create_experiment("other", text), kind, "description")
    if text is not None:
        refused(lambda: experiment.update(name="new", description=text), kind, "description")


@pytest.mark.parametrize(
    ("run_id", "kind"),
    [("", ValueError), ("../x", ValueError), ("A", ValueError), ("-a", ValueError),
     ("a..b", ValueError), ("a/b", ValueError), ("a\n", ValueError), ("x" * 65, ValueError),
     ("é", ValueError), ("x" * 1_000_000, ValueError), (5, TypeError), (b"a", TypeError)],
)  # fmt: skip
def test_a_run_id_of_ones_own_that_is_no_id_is_refused(
    client: MLOpsClient, refused: Refused, run_id: Any, kind: type[Exception]
) -> None:
    refused(lambda: client.start_run(run_id=run_id), kind, "run_id")


@pytest.mark.parametrize("status", ["running", "done", "", None, 5])
def test_a_run_does_not_end_as_anything_but_completed_failed_or_killed(
    run: Run, refused: Refused, status: Any
) -> None:
    refused(lambda: run.finish(status), ValueError, "completed")


# Artifacts ---------------------------------------------------------------------------------


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_what_is_no_plain_file_is_refused_as_an_artifact(
    run: Run, refused: Refused, tmp_path: Path, pipe: Path
) -> None:
    refused(lambda: run.log_artifact(tmp_path / "missing.pt"), ValueError, "missing.pt")
    refused(lambda: run.log_artifact(tmp_path), ValueError, "log_artifacts")
    refused(lambda: run.log_artifact("/dev/zero"), ValueError, "/dev/zero")
    refused(lambda: run.log_artifact(pipe), ValueError, "pipe")
    refused(lambda: run.log_artifact("a\0b"), ValueError, "null byte")
    refused(lambda: run.log_artifact(""), ValueError, "Cannot log")
    refused(lambda: run.log_artifacts(tmp_path / "missing"), ValueError, "missing")
    refused(lambda: run.log_artifacts(pipe), ValueError, "pipe")


@pytest.mark.parametrize(
    "path", [None, 5, ["a"], 1.5, object()], ids=["None", "5", "list", "1.5", "object"]
)
def test_what_is_no_path_is_refused_as_an_artifact(run: Run, refused: Refused, path: Any) -> None:
    refused(lambda: run.log_artifact(path), TypeError, "path")
    refused(lambda: run.log_artifacts(path), TypeError, "path")
    refused(lambda: run.log_dataset("d", path), TypeError, "path")


@pytest.mark.parametrize(
    "folder",
    ["..", "../..", "a/../b", "/etc", "/", "a//b", ".", "a/.", "a\\b", "a\0b", "a\nb", "\ud800",
     "x" * 256, "/".join(["x" * 100] * 10)],
)  # fmt: skip
def test_an_artifact_path_that_climbs_or_cannot_be_stored_is_refused(
    run: Run, refused: Refused, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")

    refused(lambda: run.log_artifact(tmp_path / "model.pt", folder), ValueError, "artifact")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.pt").write_bytes(b"weights")
    refused(lambda: run.log_artifacts(tmp_path / "out", folder), ValueError, "artifact")


def test_an_artifact_path_that_is_no_string_is_refused(
    run: Run, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")

    call = lambda: run.log_artifact(tmp_path / "model.pt", 5)  # type: ignore[arg-type]  # noqa: E731
    refused(call, TypeError, "artifact_path")


@pytest.mark.parametrize("name", ["a\\b", "a\nb", os.fsdecode(b"\xff.bin")])
def test_a_file_whose_name_cannot_be_stored_is_refused_with_all_of_its_folder(
    run: Run, refused: Refused, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "good.txt").write_text("good")
    (folder / name).write_text("bad")

    refused(lambda: run.log_artifact(folder / name), ValueError)
    refused(lambda: run.log_artifacts(folder), ValueError)
    assert list(run.artifacts) == []


def test_a_file_that_may_not_be_read_is_refused(stage: Stage, run: Run, store: Path) -> None:
    with tempfile.TemporaryDirectory() as open_folder:  # pytest's own is closed to other users
        os.chmod(open_folder, 0o777)
        secret = Path(open_folder) / "secret"
        secret.write_bytes(b"secret")
        secret.chmod(0)
        ended = stage.play(f"""
            run = client.start_run(run_id="r")
            run.log_metrics({{"x": 0}})
            if os.geteuid() == 0:
                os.setuid(65534)
            from podstack import UsageError
            try:
                run.log_artifact({str(secret)!r})
            except UsageError as error:
                print(error)
            run.log_metrics({{"x": 1}})
            run.finish()
        """)

    other = stage.run()
    assert "secret' is not readable" in ended.out, ended.err
    assert list(other.artifacts) == []
    assert list(other.metrics["x"].values) == [0, 1]


def test_an_empty_file_is_an_artifact(run: Run, store: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    run.log_artifact(tmp_path / "empty")
    run.flush()

    artifact = read_back(store, run).artifacts["empty"]
    assert artifact.size == 0
    assert artifact.read_bytes() == b""
    sing(run, store)


def test_a_file_that_grows_while_it_is_copied_is_stored_as_it_was_at_one_moment(
    run: Run, store: Path, tmp_path: Path
) -> None:
    path = tmp_path / "train.log"
    done = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            for number in count():
                file.write(b"%09d\n" % number)
                if done.is_set() and number > 1_000:
                    return

    writer = threading.Thread(target=grow)
    path.touch()
    writer.start()
    refusals = []
    for i in range(20):
        try:
            run.log_artifact(path, str(i))
        except UsageError as error:
            refusals.append(str(error))
    done.set()
    writer.join(DEADLINE)
    run.flush()

    whole = path.read_bytes()
    copies = list(read_back(store, run).artifacts.values())
    assert len(copies) + len(refusals) == 20
    assert all("changes while it is copied" in refusal for refusal in refusals)
    assert all(whole.startswith(copy.read_bytes()) for copy in copies)
    sing(run, store)


def test_a_file_that_keeps_changing_is_refused(
    run: Run, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "busy.bin"
    path.touch()
    os.truncate(path, 64 << 20)
    copy, moments = intake._copy, count(1)

    def copy_beside_a_writer(*arguments: Any) -> None:
        """A writer of its own may stand still for as long as a copy takes."""
        copy(*arguments)
        moment = next(moments)
        os.utime(path, ns=(moment, moment))

    monkeypatch.setattr(intake, "_copy", copy_beside_a_writer)
    refused(lambda: run.log_artifact(path), ValueError, "busy.bin", "changes while it is copied")
    assert next(moments) == 4  # it was tried three times


def test_a_file_larger_than_the_disk_is_told_and_nothing_of_it_is_stored(
    run: Run, store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sparse = tmp_path / "sparse.bin"
    sparse.touch()
    os.truncate(sparse, shutil.disk_usage(tmp_path).free + 10**12)
    sing(run, store)
    before = stored(store)
    run.log_artifact(sparse)

    assert stored(store) == before
    assert "artifact not stored" in caplog.text
    assert list(run.artifacts) == []
    sing(run, store)


# After the end, elsewhere ------------------------------------------------------------------


def every_way_to_log(run: Run, file: Path) -> Iterator[Callable[[], object]]:
    yield lambda: run.log_metrics({"x": 1.0})
    yield lambda: run.log_metrics({"x": 1.0}, step=1)
    yield lambda: run.log_metrics({})
    yield lambda: run.log_params({"lr": 1})
    yield lambda: run.log_artifact(file)
    yield lambda: run.log_artifacts(file.parent)
    yield lambda: run.log_dataset("d", file)


def test_logging_after_the_end_is_an_error_that_says_how_to_go_on(
    client: MLOpsClient, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    file = tmp_path / "files" / "a.txt"
    file.write_text("a")
    with client.start_run() as run:
        run.log_metrics({"x": 0.0})
    run.flush()
    before = stored(store)

    for call in every_way_to_log(run, file):
        with pytest.raises(RunClosedError, match=f"start_run.run_id='{run.id}'"):
            call()
    assert stored(store) == before


def test_logging_to_a_run_that_was_opened_to_be_read_is_an_error(
    client: MLOpsClient, run: Run, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")
    before = stored(store)

    for call in every_way_to_log(client.get_run(run.id), tmp_path / "a.txt"):
        with pytest.raises(RunClosedError, match="opened to be read"):
            call()
    assert stored(store) == before


def test_finishing_twice_is_a_no_op(client: MLOpsClient, store: Path) -> None:
    run = client.start_run()
    run.finish("failed", error="first")
    run.flush()
    before = stored(store)
    run.finish("completed")
    run.flush()

    assert stored(store) == before
    assert (run.status, run.error) == ("failed", "first")


def test_a_forked_child_logs_beside_its_parent_and_never_ends_the_run(
    stage: Stage, store: Path
) -> None:
    ended = stage.play("""
        run = client.start_run(run_id="r")
        run.log_metrics({"parent": 1})
        child = os.fork()
        if child == 0:
            run.log_metrics({"child": 2})
            run.finish("failed")
            os._exit(0)
        os.waitpid(child, 0)
        print(client.get_run("r").status)
        run.log_metrics({"parent": 3})
        run.finish()
    """)

    other = stage.run()
    assert ended.out == "running\n", ended.err
    assert other.status == "completed"
    assert list(other.metrics["parent"].values) == [1, 3]
    assert list(other.metrics["child"].values) == [2]


def test_a_pickled_run_logs_from_where_it_arrives_and_never_ends_the_run(
    run: Run, store: Path
) -> None:
    copy = pickle.loads(pickle.dumps(run))
    copy.log_metrics({"x": 1.0}, step=5)
    copy.log_params({"from": "copy"})
    copy.finish("failed")

    other = read_back(store, run)
    assert other.status == "running"
    assert other.params == {"from": "copy"}
    assert list(other.metrics["x"].steps) == [5]
    sing(run, store)


# Stores ------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_written_is_told_at_start_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    client = MLOpsClient(tmp_path / "file" / "store")

    with pytest.raises(BackendError, match=r"Cannot write to the store .*PODSTACK_URI"):
        client.start_run()
    with pytest.raises(BackendError, match=r"Cannot write to the store .*PODSTACK_URI"):
        client.create_experiment("e")
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.parametrize("uri", ["gopher://host/x", "nope:x", "S4://bucket"])
def test_an_unknown_scheme_is_told_at_once_with_those_that_are_known(uri: str) -> None:
    with pytest.raises(UsageError, match=r"No backend serves .*installed: .*file"):
        MLOpsClient(uri)


@pytest.mark.parametrize("uri", ["file:", "file://", "a\0b"])
def test_a_url_that_names_no_folder_is_told_at_once(uri: str) -> None:
    with pytest.raises(UsageError, match="names no folder"):
        MLOpsClient(uri)


@pytest.mark.parametrize("project", ["../x", "A", "", "a/b", "x" * 65, "..", "a..b"])
def test_a_project_that_is_no_id_is_told_at_once(store: Path, project: str) -> None:
    if project:
        with pytest.raises(UsageError, match=r"project .* is not an id"):
            MLOpsClient(store, project=project)
    else:
        assert "project='default'" in repr(MLOpsClient(store, project=project))
