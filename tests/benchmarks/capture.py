"""What recording the surroundings costs: to a start, to a whole small run, and to a process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from podstack import MLOpsClient
from podstack.testing.repository import Repository
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import environment, in_fresh_process, in_turns
from tests.benchmarks._tables import Figure, Table, figures_table

_NOTHING = "none"
_PARTS = {_NOTHING: "none", "code, packages, host": "code,packages,host"}
_NOTE = "The script stands in a git repository of 200 files, two of them changed, 2,000 lines each."
_SCRIPT = """\
import sys
from podstack import MLOpsClient
with MLOpsClient(sys.argv[1]).start_run(capture=sys.argv[2]) as run:
    for step in range(100):
        run.log_metrics({"loss": 0.5}, step=step)
"""


def tables(*, quick: bool) -> Iterator[Table]:
    with scratch() as folder:
        _fill(Repository(Path(folder, "code")), files=20 if quick else 200)
        yield figures_table("Recording the surroundings", _figures(folder, quick), _NOTE)


def _fill(repository: Repository, *, files: int) -> None:
    text = "an ordinary line of code\n" * 2_000
    repository.commit({f"part{i % 10}/file{i}.py": text for i in range(files)})
    repository.write({f"part{i}/file{i}.py": text.replace("ordinary", "new") for i in range(2)})
    repository.write({"train.py": _SCRIPT})


def _figures(folder: str, quick: bool) -> Iterator[Figure]:
    rounds, count = (1, 5) if quick else (9, 50)
    names = list(_PARTS)
    runs = in_turns(
        lambda name: in_fresh_process(runs_of_a_process, folder, _PARTS[name], count),
        names,
        rounds=rounds,
    )
    whole = in_turns(lambda name: process(folder, _PARTS[name]), names, rounds=rounds * 2)
    places = {
        "start_run, the first of a process": (runs, 0),
        "start_run, the next": (runs, 1),
        "a run of 1,000 points, the first": (runs, 2),
        "a run of 1,000 points, the next": (runs, 3),
        "a process with one run, wall time": (whole, 0),
        "a process with one run, CPU": (whole, 1),
    }
    for what, (measured, place) in places.items():
        for name in names[1:]:
            value, baseline = measured[name][place], measured[_NOTHING][place]
            yield Figure(f"{what}: {name}", value, "s", baseline, "without")


def runs_of_a_process(folder: str, parts: str, count: int) -> list[float]:
    """Seconds of start_run, first and p50, and of a whole run without the end of its process."""
    os.chdir(f"{folder}/code")
    starts, wholes = [], []
    with scratch() as store:
        client = MLOpsClient(store)
        for _ in range(count):
            begun = time.perf_counter()
            run = client.start_run(capture=parts)
            starts.append(time.perf_counter() - begun)
            for step in range(1_000):
                run.log_metrics({"loss": 0.5}, step=step)
            run.finish()
            wholes.append(time.perf_counter() - begun)
            run.flush()
    return [starts[0], median(starts[1:]), wholes[0], median(wholes[1:])]


def process(folder: str, parts: str) -> list[float]:
    """Wall and CPU seconds of a script with one run, from its start until it is gone."""
    with scratch() as store:
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, "train.py", store, parts],
            cwd=f"{folder}/code",
            env=environment(),
            timeout=120,
            check=True,
        )
        wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return [wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime]
