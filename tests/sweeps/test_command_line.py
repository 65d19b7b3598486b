"""How parameters become a command."""

from __future__ import annotations

import json
import sys

import pytest

from podstack.errors import UsageError
from podstack.sweeps.command_line import Command, shown

NAMES = ("lr", "layers", "fast", "optimizer/name", "optimizer/momentum")
NESTED = {"lr": 0.001, "layers": 2, "fast": True, "optimizer": {"name": "sgd", "momentum": 0.9}}
FLAT = {
    "lr": 0.001,
    "layers": 2,
    "fast": True,
    "optimizer/name": "sgd",
    "optimizer/momentum": 0.9,
}
ALL = [
    "--lr=0.001",
    "--layers=2",
    "--fast=True",
    "--optimizer.name=sgd",
    "--optimizer.momentum=0.9",
]


def filled(*words: str, program: str | None = None) -> list[str]:
    return Command.of(words, NAMES, program=program).fill(FLAT, NESTED)


def test_without_a_placeholder_all_parameters_are_appended() -> None:
    assert filled("python", "train.py") == ["python", "train.py", *ALL]


def test_placeholders_are_filled_anywhere_in_a_word() -> None:
    words = filled("x", "--lr={lr}", "{layers}x{layers}", "{optimizer.name}/{optimizer/momentum}")

    assert words == ["x", "--lr=0.001", "2x2", "sgd/0.9"]


def test_a_value_is_one_argument_whatever_it_holds() -> None:
    evil = "a b; rm -rf $HOME `id` '\" {lr}\n"
    command = Command.of(["x", "{name}"], ["name", "lr"])

    assert command.fill({"name": evil, "lr": 1}, {}) == ["x", evil]


@pytest.mark.parametrize("word", ["{print}", "${HOME}x", '{"json": 1}', "{}", "{0}", "a{", "{{b}}"])
def test_other_braces_stay_as_they_are(word: str) -> None:
    assert filled("awk", word, "{lr}") == ["awk", word, "0.001"]


def test_a_misspelt_parameter_is_told_with_the_right_one() -> None:
    with pytest.raises(UsageError, match=r"\{layer\} in the command .*Did you mean \{layers\}"):
        filled("python", "--layers={layer}")


def test_the_macros_of_wandb_are_understood() -> None:
    words = filled("${env}", "${interpreter}", "${program}", "${args}", program="train.py")

    assert words == ["/usr/bin/env", sys.executable, "train.py", *ALL]
    assert filled("x", "${args_no_hyphens}") == ["x", *(word[2:] for word in ALL)]
    assert json.loads(filled("x", "${args_json}")[1]) == NESTED


def test_boolean_flags_are_there_or_not() -> None:
    command = Command.of(["x", "${args_no_boolean_flags}"], ["fast", "slow", "lr"])

    assert command.fill({"fast": True, "slow": False, "lr": 1}, {}) == ["x", "--fast", "--lr=1"]


def test_a_variable_of_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/data")

    assert filled("x", "${envvar:DATA}", "${envvar:NOT_SET}", "{lr}") == ["x", "/data", "", "0.001"]


def test_a_program_alone_is_run_as_wandb_does() -> None:
    words = Command.of([], ["lr"], program="train.py").fill({"lr": 1}, {"lr": 1})

    assert words == ["/usr/bin/env", sys.executable, "train.py", "--lr=1"]


def test_a_conditional_parameter_that_a_trial_lacks_leaves_no_trace() -> None:
    command = Command.of(["x", "--m={m}", "--n", "{m}", "--lr", "{lr}"], ["lr", "m"])

    assert command.fill({"lr": 1}, {}) == ["x", "--lr", "1"]
    assert command.fill({"lr": 1, "m": 2}, {}) == ["x", "--m=2", "--n", "2", "--lr", "1"]


def test_a_name_with_a_dot_is_found() -> None:
    assert Command.of(["{a.b}"], ["a.b"]).fill({"a.b": 1}, {}) == ["1"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "The agent needs a command"),
        (["${program}"], r"needs `program:`"),
        (["${HOME}"], r"\$\{HOME\} in the command is none of .*\$\{envvar:NAME\}"),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Command.of(words, NAMES)


def test_parameters_without_a_place_are_named() -> None:
    assert Command.of(["x", "{lr}"], ["lr", "b", "c"]).unused == ["b", "c"]
    assert Command.of(["x", "${args_json}"], ["lr"]).unused == []
    assert Command.of(["x"], ["lr"]).unused == []


def test_a_shown_command_is_one_harmless_line() -> None:
    assert shown(["echo", "a b\x1b[31m\n"]) == "echo 'a b�[31m�'"
    assert len(shown(["x" * 1000])) == 201
