"""What the README tells a reader to type, typed: the commands, and the lines of Python."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient, gathering
from podstack.expressions import parse, parse_condition, parse_order
from podstack.testing.stage import DEADLINE

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


FRAMEWORKS = ("lightning", "transformers", "accelerate", "keras")


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(text: str, language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def trained(client: MLOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MLOpsClient:
    """Two trainings that differ in one parameter, with a checkpoint each."""
    monkeypatch.setattr(gathering, "PATIENCE", DEADLINE)
    monkeypatch.setattr(gathering, "AT_EXIT", DEADLINE)
    weights = tmp_path / "model.pt"
    for name, lr in (("second", 0.1), ("best", 0.001)):
        experiment = client.create_experiment("digits", tags=["baseline"])
        with client.start_run(
            experiment.id, name, params={"lr": lr, "optimizer": {"name": "adamw"}}, capture="code"
        ) as run:
            for step in range(10):
                run.log_metrics({"loss": lr / (step + 1), "val_acc": 0.99 - lr / 2}, step=step)
            weights.write_bytes(name.encode())
            run.log_artifact(weights, "checkpoints")
        assert run.flush(timeout=DEADLINE)
    return client


def typed(line: str, client: MLOpsClient, folder: Path) -> str:
    """What a command prints; it must end well."""
    program, *arguments = shlex.split(line.partition(" # ")[0])
    assert program == "podstack"
    ended = subprocess.run(
        [sys.executable, "-m", "podstack", "--store", client.uri, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_user_finds_all_of_it_from_the_terminal_alone(
    trained: MLOpsClient, tmp_path: Path
) -> None:
    (block,) = blocks(section("Ask from the terminal"))
    commands = [
        line.replace("SECOND", "second").replace("BEST", "best") for line in block.splitlines()
    ]
    printed = [typed(line, trained, tmp_path) for line in commands]
    ranking, difference, reproduction, fetched, verified = printed

    assert ranking.splitlines()[1].startswith("best")
    assert re.search(r"lr +0\.1 +0\.001", difference)
    assert "python" in reproduction
    assert (tmp_path / "out/checkpoints/model.pt").read_bytes() == b"best"
    assert fetched == "" or "model.pt" in fetched
    assert "no damage" in verified


def test_the_lines_of_python_work_as_they_stand(
    trained: MLOpsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = blocks(section("Ask from Python"), "python")
    best = trained.search_runs(order_by="-metrics.val_acc")[0]
    code = code.replace("20261123-221530-k3x9q2ma", best.id).replace(
        "model.pt", "checkpoints/model.pt"
    )
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"client": trained}
    exec(compile(code, "README.md", "exec"), names)  # our own document

    assert [row.name for row in names["table"]] == ["best", "second"]
    assert (tmp_path / "out/checkpoints/model.pt").read_bytes() == b"best"


def test_every_filter_and_order_of_the_readme_is_one() -> None:
    rows = section("Ask from Python").partition("### Filters")[2].splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("| `")]
    filters = [
        text.strip()
        for cell in cells
        for text in re.findall(r"``(.+?)``|`(.+?)`", cell)
        for text in text
        if text
    ]
    terminal = re.findall(r"--order=(\S+)", section("Ask from the terminal"))

    assert len(filters) > 10
    for text in filters:
        if text not in ("a and not (b or c)",):
            parse(text)
    for text in terminal:
        parse_order(text)


def test_every_cell_of_the_frameworks_table_is_a_test() -> None:
    table = section("Frameworks").partition("### What holds in which framework")[2]
    _, _, *rows = [line for line in table.splitlines() if line.startswith("|")]
    folder = Path(__file__).parent / "integrations"

    assert len(rows) > 15
    for row in rows:
        for framework, cell in zip(FRAMEWORKS, row.split("|")[2:-1], strict=True):
            source = "".join(p.read_text("utf-8") for p in folder.glob(f"test_{framework}*.py"))
            for name in re.findall(r"`(\w+)`", cell):
                assert f"def test_{name}(" in source, f"{framework}: {name}"


def test_every_alert_of_the_readme_is_a_condition() -> None:
    conditions = re.findall(r'(?:create|test)_alert\("([^"]+)"', README)

    assert len(conditions) >= 5
    for text in conditions:
        parse_condition(text)
