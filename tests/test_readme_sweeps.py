"""What the README tells a reader to type about sweeps, typed."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient
from podstack.sweeps.space import SearchSpace
from podstack.testing.stage import DEADLINE

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## Search for the best parameters\n")[2].partition("\n## ")[0]

TRAIN = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--hidden", type=int)
arguments = parser.parse_args()
print({"epochs": 3})
print(1 / (1 + arguments.lr) + arguments.hidden / 1000)
"""


def blocks(part: str, language: str = "") -> list[str]:
    text = SECTION.partition(part)[2].partition("\n### ")[0]
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def train(lr: float, optimizer: str, epoch: int, momentum: float = 0.0) -> float:
    return (lr - 0.01) ** 2 + (0.1 if optimizer == "adam" else momentum / 10) + 1 / (epoch + 1)


def played(code: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(code, "README.md", "exec"), names)  # our own document
    return names


@pytest.fixture
def searched(client: MLOpsClient) -> dict[str, Any]:
    """The loop as it stands, played to its end."""
    code = SECTION.partition("```python\n")[2].partition("```")[0]
    experiment = client.create_experiment("digits")
    return played(code, {"client": client, "experiment": experiment, "train": train})


def test_the_loop_ends_with_a_run_for_each_trial(
    client: MLOpsClient, searched: dict[str, Any]
) -> None:
    sweep = searched["sweep"]
    values = [run.metrics["val_loss"].last for run in client.list_runs("digits")]

    assert len(values) == 12
    assert sweep.best_value == min(values)
    assert set(sweep.best_params) >= {"lr", "optimizer"}


def test_what_explains_a_sweep_works_as_it_stands(
    searched: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("### Understand it", "python")
    played(code, {"client": searched["client"], "sweep": searched["sweep"]})
    printed = capsys.readouterr().out

    assert (tmp_path / "lr.png").read_bytes().startswith(b"\x89PNG")
    assert "--lr=" in printed
    assert "optimizer" in printed


def test_every_row_of_the_search_space_is_a_parameter() -> None:
    rows = SECTION.partition("### The search space")[2].partition("The published SDK")[0]
    cells = re.findall(r"^\| `(\{.+?\})` \|", rows, re.MULTILINE)

    assert len(cells) == 9
    for cell in cells:
        space = SearchSpace.parse(
            {"optimizer": {"values": ["sgd", "adam"]}, "x": ast.literal_eval(cell)}
        )
        assert space.names[-1] == "x"


def test_agents_take_the_trials_of_the_file(client: MLOpsClient, tmp_path: Path) -> None:
    (file,) = blocks("### Any program", "yaml")
    commands = blocks("### Any program")[0].splitlines()
    (tmp_path / "sweep.yaml").write_text(file)
    (tmp_path / "train.py").write_text(TRAIN)
    typed(client, tmp_path, "podstack sweep create sweep.yaml")
    (sweep,) = client.list_sweeps()
    typed(client, tmp_path, commands[2].replace("ID", sweep.id).replace("python", sys.executable))
    first = client.get_sweep(sweep.id).progress
    typed(client, tmp_path, f"podstack sweep agent {sweep.id} -- {sys.executable} train.py")
    for line in commands[3:5]:
        said = typed(client, tmp_path, line.replace("ID", sweep.id))
    listed = json.loads(typed(client, tmp_path, f"{commands[5]} --json"))
    typed(client, tmp_path, commands[6].replace("ID", sweep.id))

    assert (first.completed, first.failed) == (2, 0)
    assert client.get_sweep(sweep.id).progress.completed == 8
    assert re.fullmatch(r"--lr=\S+ --hidden=\d+\s*", said)
    assert sweep.id in json.dumps(listed)


def typed(client: MLOpsClient, folder: Path, line: str) -> str:
    """What a command prints; it must end well."""
    program, *arguments = shlex.split(line.partition(" # ")[0])
    assert program == "podstack"
    ended = subprocess.run(
        [sys.executable, "-m", "podstack", "--store", client.uri, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
