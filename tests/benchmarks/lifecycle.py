"""Around the logging: import, start, finish, a whole small run, a table of runs, the install."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from podstack import MLOpsClient
from tests.benchmarks._contestants import (
    LINE,
    PODSTACK,
    TRACKIO,
    Contestant,
    bytes_in,
    has_trackio,
    open_contestant,
    rows_of,
    trackio_in,
    trackio_run,
)
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import environment, in_fresh_process, in_turns
from tests.benchmarks._tables import (
    Figure,
    Table,
    at_most,
    figures_table,
    ratio_at_most,
)

_ROOT = Path(__file__).parents[2]
_PARAMETERS = {"lr": 0.001, "optimizer": "adamw", "layers": 12, "batch": 64, "amp": True}


def tables(*, quick: bool) -> Iterator[Table]:
    yield figures_table("A run's beginning and end", _run_figures(quick))
    yield figures_table("CPU of an import, above that of `python -c pass`", _import_figures(quick))
    yield _runs_table(quick)
    if not quick:
        yield _install_table()


# A run -------------------------------------------------------------------------------------


def _run_figures(quick: bool) -> Iterator[Figure]:
    count = 3 if quick else 50
    names = [PODSTACK, LINE, *([TRACKIO] if has_trackio() else [])]
    rounds = 1 if quick else 3
    many = in_turns(
        lambda name: in_fresh_process(start_and_finish, name, count),
        names,
        rounds=rounds,
        worst=[1, 3],
    )
    first = in_turns(lambda name: in_fresh_process(small_run, name, 2), names, rounds=rounds * 3)
    steps = 1_000 if quick else 20_000
    end = in_turns(lambda name: in_fresh_process(finish_after, name, steps), names, rounds=rounds)
    limit = at_most(0.010, "s")
    yield from _beside("start, p50", many, 0)
    yield from _beside("start, max", many, 1)
    yield from _beside("finish, p50", many, 2)
    yield from _beside("finish, max", many, 3)
    yield from _beside(f"finish after {steps * 10:,} points", end, 0, limit)
    yield from _beside("small run, the first of a process and a store", first, 0, limit)
    yield from _beside("small run, the next", first, 1, limit)


def _beside(
    what: str, measured: dict[str, list[float]], place: int, target: Any = None
) -> Iterator[Figure]:
    ours = measured[PODSTACK][place]
    yield Figure(what, ours, "s", measured[LINE][place], "bare file", target)
    if TRACKIO in measured:
        yield Figure(what, ours, "s", measured[TRACKIO][place], TRACKIO)


def start_and_finish(name: str, count: int) -> list[float]:
    """p50 and max of starting, p50 and max of finishing, in seconds, of runs with one step."""
    starts, finishes = [], []
    with scratch() as folder:
        for _ in range(count):
            seconds, contestant = _timed(lambda: open_contestant(name, folder))
            contestant.log({"loss": 0.5}, 0)
            starts.append(seconds)
            finishes.append(_timed(contestant.finish)[0])
            contestant.settle()
    return [median(starts), max(starts), median(finishes), max(finishes)]


def finish_after(name: str, steps: int) -> list[float]:
    """Seconds of finish after `steps` steps of 10 scalars."""
    with scratch() as folder:
        contestant, rows = open_contestant(name, folder), rows_of(10)
        for step in range(steps):
            contestant.log(rows[step & 63], step)
        seconds, _ = _timed(contestant.finish)
        contestant.settle()
    return [seconds]


def small_run(name: str, count: int) -> list[float]:
    """Seconds of a whole run (start, 5 parameters, 1,000 points, finish), `count` times in turn.

    Modules that the package imports are imported; what it imports on use counts.
    """
    rows, taken = rows_of(10), []
    with scratch() as folder:
        if name == TRACKIO:
            trackio_in(folder)
        for _ in range(count):
            seconds, contestant = _timed(lambda: _run_small(name, folder, rows))
            taken.append(seconds)
            contestant.settle()
    return taken


def _run_small(name: str, folder: str, rows: list[dict[str, float]]) -> Contestant:
    contestant = _open_with_parameters(name, folder)
    for step in range(100):
        contestant.log(rows[step & 63], step)
    contestant.finish()
    return contestant


def _open_with_parameters(name: str, folder: str) -> Contestant:
    if name == PODSTACK:
        run = MLOpsClient(folder).start_run()
        run.log_params(_PARAMETERS)
        return Contestant(run.log_metrics, run.finish, run.flush)
    if name == TRACKIO:
        trackio = trackio_in(folder)
        trackio_run(trackio, dict(_PARAMETERS))
        return Contestant(trackio.log, trackio.finish)
    contestant = open_contestant(name, folder)
    Path(folder, "parameters").write_bytes(orjson.dumps(_PARAMETERS))
    return contestant


def _timed(act: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = act()
    return time.perf_counter() - start, result


# Import ------------------------------------------------------------------------------------


def _import_figures(quick: bool) -> Iterator[Figure]:
    codes = {"pass": "pass", "orjson": "import orjson", PODSTACK: "import podstack"}
    if has_trackio():
        codes[TRACKIO] = "import trackio"
    rounds = 3 if quick else 15
    cpu = in_turns(lambda name: [_cpu_of(codes[name])], list(codes), rounds=rounds)
    above = {name: max(0.0, values[0] - cpu["pass"][0]) for name, values in cpu.items()}
    ours, whole = above[PODSTACK], cpu[PODSTACK][0]
    yield Figure("import podstack", ours, "s", above["orjson"], "import orjson", at_most(0.05, "s"))
    yield Figure("python -c 'import podstack', all of it", whole, "s", cpu["pass"][0], "pass")
    if TRACKIO in above:
        yield Figure("import podstack", ours, "s", above[TRACKIO], TRACKIO)


def _cpu_of(code: str) -> float:
    """CPU seconds, user and system, of a fresh interpreter that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=_ROOT, env=environment(), timeout=60
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# A table of runs ---------------------------------------------------------------------------


def _runs_table(quick: bool) -> Table:
    count, steps = (10, 20) if quick else (200, 100)
    names = [PODSTACK, *([TRACKIO] if has_trackio() else [])]
    with scratch() as ours, scratch() as theirs:
        folders = {PODSTACK: ours, TRACKIO: theirs, LINE: ours}
        for name in names:
            in_fresh_process(write_runs, name, folders[name], count, steps)
        measured = in_turns(
            lambda name: in_fresh_process(table_of_runs, name, folders[name], count),
            [*names, LINE],
            rounds=1 if quick else 5,
        )
    figures = list(_runs_figures(measured))
    return figures_table(f"A table of {count} runs of {steps} steps of 10, for each run", figures)


def _runs_figures(measured: dict[str, list[float]]) -> Iterator[Figure]:
    for place, what in enumerate(("a new client", "the same client again")):
        ours, line = measured[PODSTACK][place], measured[LINE][place]
        yield Figure(what, ours, "s", line, "orjson.loads of all lines")
        if TRACKIO in measured:
            target = ratio_at_most(1 / 40) if place else None
            yield Figure(what, ours, "s", measured[TRACKIO][place], TRACKIO, target)


def write_runs(name: str, folder: str, count: int, steps: int) -> None:
    rows = rows_of(10)
    for _ in range(count):
        contestant = _open_with_parameters(name, folder)
        for step in range(steps):
            contestant.log(rows[step & 63], step)
        contestant.finish()
        contestant.settle()


def table_of_runs(name: str, folder: str, count: int) -> list[float]:
    """Seconds for each run: parameters and last metrics of all, and the same once more.

    Raises:
        RuntimeError: some runs are missing, so that the time means nothing.
    """
    reading = {PODSTACK: _podstack_table, TRACKIO: _trackio_table, LINE: _lines_table}[name](folder)
    taken = []
    for _ in range(2):
        seconds, rows = _timed(reading)
        if len(rows) != count:
            raise RuntimeError(f"{name} read {len(rows)} of {count} runs")
        taken.append(seconds / count)
    return taken


def _podstack_table(folder: str) -> Callable[[], list[Any]]:
    client = MLOpsClient(folder)
    return lambda: [
        (run.params, {name: series.last for name, series in run.metrics.items()})
        for run in client.list_runs()
    ]


def _trackio_table(folder: str) -> Callable[[], list[Any]]:
    trackio = trackio_in(folder)
    storage = trackio.SQLiteStorage
    return lambda: [
        (run.config, storage.get_logs("benchmark", run.name, run_id=run.id)[-1])
        for run in trackio.Api().runs("benchmark")
    ]


def _lines_table(folder: str) -> Callable[[], list[Any]]:
    runs = Path(folder, "projects", "default", "runs")

    def reading() -> list[Any]:
        return [
            [orjson.loads(line) for log in run.rglob("*.jsonl") for line in log.open("rb")]
            for run in runs.iterdir()
        ]

    return reading


# The install -------------------------------------------------------------------------------


def _install_table() -> Table:
    title = "The core, installed alone"
    with scratch() as top:
        try:
            packages, size = _install(Path(top))
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or "").strip().splitlines()[-1:] or [str(error)]
            return Table(
                title, ("figure", "ratio"), [("not measured: pip failed", "–")], (*reason,)
            )
    parts = {name: _installed_size(name) for name in ("orjson", "fsspec")}
    both = float(sum(parts.values()))
    figures = [
        Figure("size", size, "bytes", both, "orjson and fsspec", at_most(15_000_000, "bytes")),
        Figure("packages", packages, "", len(parts) + 1, "at least", at_most(5, "packages")),
    ]
    if has_trackio():
        closure = _closure("trackio")
        whole = float(sum(map(_installed_size, closure)))
        figures.append(Figure("size", size, "bytes", whole, TRACKIO))
        figures.append(Figure("packages", packages, "", len(closure), TRACKIO))
    return figures_table(title, figures)


def _install(top: Path) -> tuple[int, int]:
    """Packages and bytes that installing a copy of this checkout adds to an empty environment."""
    source, home = top / "source", top / "environment"
    wanted = ("pyproject.toml", "README.md", "LICENSE", "podstack", "backends", "integrations")
    source.mkdir()
    for name in wanted:
        copy = shutil.copytree if (_ROOT / name).is_dir() else shutil.copyfile
        copy(_ROOT / name, source / name)
    _run([sys.executable, "-m", "venv", str(home)])
    _run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", str(source)])
    (packages,) = home.glob("lib/python*/site-packages")  # lib64 is a link to it
    bare = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    kept = [path for path in packages.iterdir() if path.name.partition("-")[0] not in bare]
    found = [path for path in kept if path.name.endswith(".dist-info")]
    return len(found), sum(bytes_in(str(path)) for path in kept if path.is_dir())


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)


def _closure(package: str) -> set[str]:
    """A package and all it requires, as installed here; extras are left out."""
    found: set[str] = set()
    waiting = [package]
    while waiting:
        name = waiting.pop()
        if name in found or not _is_installed(name):
            continue
        found.add(name)
        needs = metadata.requires(name) or []
        waiting += [_bare_name(need) for need in needs if "extra ==" not in need]
    return found


def _bare_name(requirement: str) -> str:
    end = next((i for i, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), None)
    return requirement[:end].lower().replace("_", "-")


def _is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _installed_size(package: str) -> int:
    files = metadata.files(package) or []
    paths = [Path(str(file.locate())) for file in files]
    return sum(os.stat(path).st_size for path in paths if path.is_file())
