"""The best parameters to copy: what is pasted is what the trial had, exactly."""

from __future__ import annotations

import ast
import math
import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from podstack import MLOpsClient, UsageError
from podstack.sweeps.best import as_command, as_python, as_yaml

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
NESTED = st.recursive(
    st.dictionaries(NAMES, SCALARS, max_size=4),
    lambda below: st.dictionaries(NAMES, st.one_of(SCALARS, below), max_size=3),
    max_leaves=8,
)
ODD: dict[str, Any] = {
    "lr": 1e-05,
    "large": 1e22,
    "whole": 3.0,
    "exact": 0.1 + 0.2,
    "layers": 3,
    "bias": True,
    "seed": None,
    "yes": "no",
    "version": "1.10",
    "octal": "010",
    "time": "12:30:45",
    "empty": "",
    "it's": 'a "quoted" \\ text',
    "lines": "first\nsecond\r\n\ttab\x85\u2028",
    "emoji": "😀 日本",
    "steering": "\x1b[2J\u202egnp",
    "shell": "$(touch /tmp/x); `id` && rm -rf * # !",
    "optimizer": {"name": "adam", "betas": {"1": 0.9, "~": 0.999}},
    "- item": "key: value # no comment",
    "null": "null",
    "n" * 1_000: {"<<": "=", "&a": "*b"},
}


def same(one: Any, other: Any) -> bool:
    """Equal, in the same order, and of the same types all the way down."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    return type(one) is type(other) and one == other


def test_python_gives_back_the_same_dict() -> None:
    assert same(ast.literal_eval(as_python(ODD)), ODD)


def test_yaml_gives_back_the_same_dict() -> None:
    assert same(yaml.safe_load(as_yaml(ODD)), ODD)


@given(NESTED)
def test_python_and_yaml_give_back_whatever_there_is(nested: dict[str, Any]) -> None:
    assert same(ast.literal_eval(as_python(nested)), nested)
    assert same(yaml.safe_load(as_yaml(nested)), nested)


def test_values_that_are_not_finite_survive() -> None:
    odd = {"up": math.inf, "down": -math.inf}

    assert same(ast.literal_eval(as_python(odd)), odd)
    assert same(yaml.safe_load(as_yaml(odd)), odd)
    assert math.isnan(yaml.safe_load(as_yaml({"x": math.nan}))["x"])


def test_python_and_yaml_never_steer_a_terminal() -> None:
    for text in (as_python(ODD), as_yaml(ODD)):
        assert all(line.isprintable() for line in text.split("\n"))


def test_python_and_yaml_read_well() -> None:
    nested = {"lr": 0.01, "optimizer": {"name": "adam", "amsgrad": False}, "epochs": 5}

    assert as_python(nested) == (
        "{\n    'lr': 0.01,\n    'optimizer': {\n        'name': 'adam',\n"
        "        'amsgrad': False,\n    },\n    'epochs': 5,\n}"
    )
    assert as_yaml(nested) == "lr: 0.01\noptimizer:\n  name: adam\n  amsgrad: false\nepochs: 5"


def test_no_parameters_are_an_empty_dict() -> None:
    assert as_python({}) == "{}"
    assert as_yaml({}) == "{}"
    assert as_command({}) == ""


def test_a_command_names_nested_parameters_with_dots() -> None:
    flat = {"lr": 0.01, "optimizer/name": "adam", "nesterov": True, "clip": None, "eps": 1e-08}

    assert as_command(flat) == (
        "--lr=0.01 --optimizer.name=adam --nesterov=True --clip=None --eps=1e-08"
    )


@given(st.dictionaries(NAMES, st.one_of(SCALARS), max_size=5))
def test_a_command_splits_into_one_argument_for_each_parameter(flat: dict[str, Any]) -> None:
    without_nul = {
        name: value for name, value in flat.items() if "\0" not in name and "\0" not in str(value)
    }

    assert shlex.split(as_command(without_nul)) == [
        f"--{name.replace('/', '.')}={value}" for name, value in without_nul.items()
    ]


def test_a_shell_hands_on_the_exact_texts() -> None:
    flat = {name: value for name, value in ODD.items() if isinstance(value, str)}
    script = f"exec {shlex.quote(sys.executable)} -c 'import sys; print(ascii(sys.argv[1:]))' "

    said = subprocess.run(
        ["/bin/sh", "-c", script + as_command(flat)], capture_output=True, text=True, check=True
    ).stdout

    assert ast.literal_eval(said) == [f"--{name}={value}" for name, value in flat.items()]


@pytest.mark.parametrize("flat", [{"a": "x\0y"}, {"a\0": 1}])
def test_a_nul_fits_in_no_command(flat: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="holds a NUL, which no command line can"):
        as_command(flat)


def test_a_sweep_gives_its_best_in_each_form(client: MLOpsClient) -> None:
    client.create_experiment("digits")
    space = {"lr": {"values": [0.1, 0.01]}, "model": {"act": {"value": "relu"}}}
    sweep = client.create_sweep("digits", "grid", space, "loss", direction="minimize")
    while trial := sweep.suggest():
        sweep.complete(trial.id, {"loss": trial["lr"]})

    assert sweep.best_params == {"lr": 0.01, "model": {"act": "relu"}}
    assert ast.literal_eval(sweep.best_as("python")) == sweep.best_params
    assert yaml.safe_load(sweep.best_as("yaml")) == sweep.best_params
    assert sweep.best_as("command") == "--lr=0.01 --model.act=relu"


def test_a_form_that_there_is_not_is_refused(client: MLOpsClient) -> None:
    client.create_experiment("digits")
    sweep = client.create_sweep("digits", "grid", {"a": {"values": [1, 2]}}, "loss")

    with pytest.raises(UsageError, match="come as python, yaml, command, not 'toml'"):
        sweep.best_as("toml")
    with pytest.raises(UsageError, match="no completed trial with a value yet, so none is best"):
        sweep.best_as("yaml")
