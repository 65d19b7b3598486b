"""Measuring in a fresh interpreter: nobody pays for another contestant's threads or heap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

Result = TypeVar("Result")

_ROOT = Path(__file__).parents[2]
_DEADLINE = 1200.0  # seconds
_CODE = """
import importlib, json, sys
module, function, arguments = json.loads(sys.argv[1])
result = getattr(importlib.import_module(module), function)(*arguments)
print("\\n" + json.dumps(result))
"""


def environment() -> dict[str, str]:
    """No network, no chatter, no telemetry: for us and for peers."""
    return {
        **os.environ,
        "PODSTACK_QUIET": "1",
        "PODSTACK_CAPTURE": "0",  # subjects that measure it ask for it
        "PYTHONDONTWRITEBYTECODE": "",  # an import is measured with its compiled files
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def in_fresh_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """`function(*arguments)` in an interpreter of its own.

    Args:
        function: at the top level of a module. Arguments and result pass as JSON.

    Raises:
        RuntimeError: it failed; the message holds what it printed.
    """
    call = json.dumps([function.__module__, function.__qualname__, arguments])
    done = subprocess.run(
        [sys.executable, "-c", _CODE, call],
        cwd=_ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{function.__qualname__}{arguments} failed:\n{done.stderr}")
    result: Result = json.loads(done.stdout.rstrip("\n").rpartition("\n")[2])
    return result


def in_turns(
    measure: Callable[[str], list[float]],
    names: list[str],
    *,
    rounds: int,
    worst: Sequence[int] = (),
) -> dict[str, list[float]]:
    """For each name the medians over `rounds` of what `measure(name)` returned.

    The names take turns, so that a noisy moment of the machine hits all alike.

    Args:
        worst: places whose largest value counts instead: a maximum has no median.
    """
    taken: dict[str, list[list[float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            taken[name].append(measure(name))
    return {name: _combined(rows, worst) for name, rows in taken.items()}


def _combined(rows: list[list[float]], worst: Sequence[int]) -> list[float]:
    columns = enumerate(zip(*rows, strict=True))
    return [max(column) if place in worst else median(column) for place, column in columns]
