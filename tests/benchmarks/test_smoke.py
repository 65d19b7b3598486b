"""The benchmarks run, and no table comes without a ratio. Nothing is said of their values."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_SUBJECTS = (
    "log",
    "read",
    "lifecycle",
    "index",
    "memory",
    "artifacts",
    "compact",
    "capture",
    "alerts",
    "output",
    "cli",
    "s3",
    "lightning",
    "suggestions",
)
_SLOW = (
    *("remote", "latency", "shipping", "server", "sweeps"),  # they wait for stores
    *("keras", "transformers", "accelerate"),  # they load a framework and train, as lightning does
)
_UI_PARTS = ("metrics", "table", "tabs")  # of the subject `ui`, which needs a browser


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def tables_in(output: str) -> list[str]:
    """The tables: each begins with its underlined title and ends with an empty line."""
    return [block for block in output.split("\n\n") if re.match(r".+\n=+\n", block)]


@pytest.mark.timeout(700)
@pytest.mark.parametrize(
    "subject",
    [
        *_SUBJECTS,
        *(pytest.param(name, marks=pytest.mark.slow) for name in _SLOW),
        *(pytest.param(f"ui:{part}", marks=pytest.mark.ui) for part in _UI_PARTS),
    ],
)
def test_every_table_of_a_subject_has_a_ratio_in_every_row(subject: str) -> None:
    done = benchmarks(subject, "--quick")

    assert done.returncode == 0, done.stderr
    tables = tables_in(done.stdout)
    assert tables
    for table in tables:
        head, _, *rows = table.splitlines()[2:]
        assert "ratio" in head
        assert any(re.search(r"\d×", row) for row in rows), table
        unmeasured = [row for row in rows if "×" not in row and "  " in row.strip()]
        assert unmeasured == [], table


def test_a_subject_that_is_none_is_refused_with_those_that_are() -> None:
    done = benchmarks("lgo")

    assert done.returncode == 2
    for subject in (*_SUBJECTS, *_SLOW, "ui"):
        assert subject in done.stderr


@pytest.mark.ui
def test_a_part_that_is_none_is_refused_with_those_that_are() -> None:
    done = benchmarks("ui:strat")

    assert done.returncode == 2
    for part in _UI_PARTS:
        assert part in done.stderr
