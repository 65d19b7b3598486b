"""Sweeps written down in files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from podstack import MLOpsClient
from podstack.errors import MissingExtraError, UsageError
from podstack.sweeps import sweep_file
from podstack.sweeps.sweep_file import SweepFile

pytest.importorskip("yaml")

OURS = """
    name: digits
    experiment: vision
    strategy: random
    objective: {metric: val_acc, direction: maximize}
    max_trials: 20
    seed: 7
    target: 0.99
    patience: 10
    max_time: 3600
    parameters:
      lr: {min: 1e-4, max: 1E-1, distribution: log_uniform}
      optimizer:
        name: {values: [sgd, adam]}
        momentum: {min: .0, max: 0.9, when: {optimizer/name: sgd}}
      epochs: 5
    command: [python, train.py, "--lr={lr}"]
"""
WANDBS = """
    program: train.py
    name: from wandb
    description: a search
    project: cats
    entity: me
    method: random
    metric: {name: val_loss, goal: minimize, target: 0.1}
    run_cap: 12
    early_terminate: {type: hyperband, min_iter: 3, eta: 3}
    parameters:
      lr: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}
      layers: {values: [1, 2]}
      optimizer:
        parameters:
          name: {value: sgd}
    command:
      - ${env}
      - ${interpreter}
      - ${program}
      - ${args}
"""


def read(tmp_path: Path, text: str, name: str = "sweep.yaml") -> SweepFile:
    path = tmp_path / name
    path.write_text(dedent(text))
    return sweep_file.read(path)


def test_a_file_of_ours_makes_a_sweep(client: MLOpsClient, tmp_path: Path) -> None:
    said = read(tmp_path, OURS)
    sweep = said.create(client)
    stopping = sweep.definition.stopping

    assert (sweep.name, sweep.experiment_id, sweep.strategy) == ("digits", "vision", "random")
    assert sweep.objective == ("val_acc", "maximize")
    assert (sweep.max_trials, sweep.definition.seed) == (20, 7)
    assert (stopping.target, stopping.patience, stopping.max_time) == (0.99, 10, 3600)
    assert sweep.definition.space.names == ("lr", "optimizer/name", "optimizer/momentum", "epochs")
    assert sweep.parameters["lr"] == {"distribution": "log_uniform", "min": 1e-4, "max": 0.1}
    assert said.command == ("python", "train.py", "--lr={lr}")
    assert said.notes == ()


def test_json_says_the_same(tmp_path: Path) -> None:
    import yaml  # type: ignore[import-untyped]  # it ships no types

    said = yaml.safe_load(dedent(OURS).replace("1e-4", "0.0001").replace("1E-1", "0.1"))

    assert read(tmp_path, json.dumps(said), "sweep.json") == read(tmp_path, OURS)


def test_a_file_of_wandb_makes_a_sweep_and_differences_are_told(
    client: MLOpsClient, tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    said = read(tmp_path, WANDBS)
    sweep = said.create(client)

    assert (sweep.strategy, sweep.max_trials) == ("random", 12)
    assert sweep.objective == ("val_loss", "minimize")
    assert sweep.definition.stopping.target == 0.1
    assert sweep.definition.pruner == "hyperband"
    assert sweep.parameters["lr"] == {"distribution": "log_uniform", "min": 1e-4, "max": 0.1}
    assert sweep.definition.space.names == ("lr", "layers", "optimizer/name")
    assert said.command == ("${env}", "${interpreter}", "${program}", "${args}")
    assert said.program == "train.py"
    for word in ("description", "project", "entity", "should_prune", "min_iter, eta"):
        assert any(word in note for note in said.notes), said.notes


def test_bayes_is_bayesian_and_what_wandb_leaves_open_is_told(tmp_path: Path) -> None:
    said = read(tmp_path, "method: bayes\nmetric: {name: x}\nparameters: {a: {min: 0.0, max: 1.0}}")

    assert (said.strategy, said.direction, said.max_trials) == ("bayesian", "minimize", None)
    assert any("no goal" in note for note in said.notes)
    assert any("run_cap" in note for note in said.notes)


def test_a_command_of_one_text_is_split_into_words(tmp_path: Path) -> None:
    said = read(tmp_path, "parameters: {a: 1}\ncommand: python 'my train.py' {a}; rm x")

    assert said.command == ("python", "my train.py", "{a};", "rm", "x")


def test_a_program_beside_the_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")

    said = read(tmp_path, "parameters: {a: 1}\nprogram: train.py")

    assert said.program == str(tmp_path / "train.py")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parameter: {lr: 1}", r"'parameter' is none of .*Did you mean parameters\?"),
        ("method: bayes\nmetrics: {}", r"'metrics' is none of .*Did you mean metric\?"),
        ("objective: {metrik: x}\nparameters: {a: 1}", r"objective: 'metrik' is none of metric"),
        ("strategy: random", "has no parameters"),
        ("method: genetic\nparameters: {a: {value: 1}}", "method is one of grid, random, bayes"),
        ("- a\n- b", "is no sweep: it holds"),
        ("", "is no sweep: it holds None"),
        ("1: 2", "is no sweep"),
        ("parameters: [lr]", "below parameters stand names and values"),
        ("parameters: {a: 1}\ncommand: [x, {lr}]", "stands in quotes"),
        ("parameters: {a: 1}\nname: 3", "name is a text, not 3"),
        ("parameters: {a: 1, a: 2}", r"'a' stands twice below line 1"),
        ("parameters: {a: 1", "is no YAML"),
        ("parameters: !!python/object/apply:os.system ['id']", "is no YAML"),
        (
            "method: grid\nearly_terminate: {type: envelope}\nparameters: {a: {value: 1}}",
            "type is hyperband, not 'envelope'",
        ),
    ],
)
def test_what_cannot_be_meant_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read(tmp_path, text)

    assert str(tmp_path / "sweep.yaml") in str(caught.value)


def test_a_file_that_is_missing_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml cannot be read: No such file"):
        sweep_file.read(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="larger than 1,000,000 bytes"):
        read(tmp_path, "# " + "x" * 1_000_000)
    with pytest.raises(UsageError, match=r"sweep\.json is no json"):
        read(tmp_path, "{", "sweep.json")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match="is no"):
        sweep_file.read(tmp_path / "b.yaml")


def test_anchors_that_stand_for_a_billion_values_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(UsageError, match="more than 100,000 values"):
        read(tmp_path, "\n".join(lines))


def test_a_file_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no"):
        read(tmp_path, "a: " + "[" * 50_000)
    with pytest.raises(UsageError):
        read(tmp_path, "parameters: &p\n  a: *p")


def test_without_pyyaml_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'podstack\[sweeps\]'"):
        read(tmp_path, OURS)
