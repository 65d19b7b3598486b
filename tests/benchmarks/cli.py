"""Every command of `podstack`, as a shell would call it, on a store of ten thousand runs.

The wall time of a whole process, its output read to the end by a pipe, once the index is there.
Baselines of the same run: an interpreter that does nothing, and `git log` of as many lines as
`podstack runs` prints, of a repository with a commit for each of a thousand runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import median

from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import environment, in_fresh_process
from tests.benchmarks._tables import Figure, Table, Target, at_most, figures_table
from tests.benchmarks.index import make_store

_PROGRAM = "import sys; from podstack.cli import main; sys.exit(main())"
_COMMITS = 1000
_ONE, _OTHER = "20231114-221320-00000007", "20231114-221320-00000008"
_COMMANDS: dict[str, tuple[list[str], Target | None]] = {
    "--help": (["--help"], at_most(0.2, "s")),
    "--version": (["--version"], None),
    "experiments": (["experiments"], None),
    "runs": (["runs"], at_most(0.5, "s")),
    "runs --filter --order": (
        ["runs", "-f", "val_acc > 0.9 and optimizer = adam", "-o", "-val_acc"],
        at_most(0.5, "s"),
    ),
    "runs --json": (["runs", "--json"], None),
    "runs --limit 0": (["runs", "-n", "0"], None),
    "show, by id": (["show", _ONE], None),
    "show, by name": (["show", "run 7"], None),
    "show latest": (["show", "latest"], None),
    "watch, of an ended run": (["watch", _ONE], None),
    "compare": (["compare", _ONE, _OTHER], None),
    "diff": (["diff", _ONE, _OTHER], None),
    "artifacts ls": (["artifacts", "ls", _ONE], None),
    "notes": (["notes", _ONE], None),
    "verify, one run": (["verify", _ONE], None),
    "doctor": (["doctor"], None),
    "verify": (["verify"], None),
}
_FEW = ("--help", "runs", "show, by id")


def tables(*, quick: bool) -> Iterator[Table]:
    runs, rounds = (50, 1) if quick else (10_000, 5)
    with scratch() as folder:
        in_fresh_process(make_store, f"{folder}/store", runs)
        cache = {"PODSTACK_CACHE": f"{folder}/cache", "PODSTACK_URI": f"{folder}/store"}
        cold = _seconds(_called(["runs"]), cache, 1)
        bare = _seconds([sys.executable, "-c", "pass"], cache, 2 * rounds)
        figures = [Figure("runs, which builds the index", cold, "s", bare, "python -c pass")]
        chosen = _FEW if quick else tuple(_COMMANDS)
        for name in chosen:
            words, target = _COMMANDS[name]
            taken = _seconds(_called(words), cache, 1 if name == "verify" else rounds)
            wanted = None if quick else target
            figures.append(Figure(name, taken, "s", bare, "python -c pass", wanted))
        if shutil.which("git"):
            listed = next(figure.value for figure in figures if figure.what == "runs")
            log = _git_log(folder, rounds)
            figures.append(Figure("runs", listed, "s", log, "git log --oneline -50"))
        yield figures_table(f"Commands on a store of {runs:,} runs", figures)


def _called(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", _PROGRAM, *words]


def _seconds(command: Sequence[str], variables: dict[str, str], rounds: int) -> float:
    """Of the whole process.

    Raises:
        RuntimeError: it failed.
    """
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        done = subprocess.run(
            command, env={**environment(), **variables}, capture_output=True, timeout=600
        )
        taken.append(time.perf_counter() - start)
        if done.returncode:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr.decode()}")
    return median(taken)


def _git_log(folder: str, rounds: int) -> float:
    """Seconds for the last 50 of a thousand commits."""
    repository = f"{folder}/repository"
    subprocess.run(["git", "init", "--quiet", repository], check=True)
    lines = b"".join(
        b"commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata 3\none\n" % (1_700_000_000 + n)
        for n in range(_COMMITS)
    )
    subprocess.run(
        ["git", "-C", repository, "fast-import", "--quiet"], input=lines, check=True, env=os.environ
    )
    return _seconds(["git", "-C", repository, "log", "--oneline", "-50", "main"], {}, rounds)
