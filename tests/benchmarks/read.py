"""Reading back: a finished run, by a client that has not seen it before.

Every sample is a fresh process with all modules imported; the contestants take turns. The
baseline parses every line of the same log with orjson and keeps nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from tests.benchmarks._contestants import (
    PODSTACK,
    TRACKIO,
    has_trackio,
    open_contestant,
    rows_of,
    trackio_in,
    trackio_run,
)
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process, in_turns
from tests.benchmarks._tables import Figure, Table, at_most, figures_table, ratio_at_most

_ARRAYS, _LISTS, _ONE, _LINES = "all, arrays", "all, lists", "one metric", "orjson.loads"


def tables(*, quick: bool) -> Iterator[Table]:
    steps = 1_000 if quick else 20_000
    with scratch() as ours, scratch() as theirs:
        in_fresh_process(write, PODSTACK, ours, steps)
        if has_trackio():
            in_fresh_process(write, TRACKIO, theirs, steps)
        folders = {name: theirs if name == TRACKIO else ours for name in _readers()}
        measured = in_turns(
            lambda name: [in_fresh_process(read, name, folders[name], steps)],
            _readers(),
            rounds=1 if quick else 7,
        )
        seconds = {name: values[0] for name, values in measured.items()}
        yield figures_table(f"Reading {steps * 10:,} points", _figures(seconds))
    if not quick:
        yield from _large()


def _readers() -> list[str]:
    return [_LISTS, _ARRAYS, _ONE, _LINES, *([TRACKIO] if has_trackio() else [])]


def _figures(seconds: dict[str, float]) -> Iterator[Figure]:
    limits = {_LISTS: ratio_at_most(1 / 3), _ARRAYS: ratio_at_most(1 / 6), _ONE: None}
    for name, limit in limits.items():
        yield Figure(name, seconds[name], "s", seconds[_LINES], "orjson.loads")
        if TRACKIO in seconds:
            yield Figure(name, seconds[name], "s", seconds[TRACKIO], TRACKIO, limit)


def _large() -> Iterator[Table]:
    steps = 1_000_000
    with scratch() as folder:
        in_fresh_process(write, PODSTACK, folder, steps)
        measured = in_turns(
            lambda name: [in_fresh_process(read, name, folder, steps)],
            [_ARRAYS, _ONE, _LINES],
            rounds=2,
        )
    (arrays,), (one,), (lines,) = (measured[name] for name in (_ARRAYS, _ONE, _LINES))
    yield figures_table(
        f"Reading a run of {steps * 10:,} points",
        [
            Figure(_ARRAYS, arrays, "s", lines, "orjson.loads"),
            Figure(_ONE, one, "s", lines, "orjson.loads", at_most(0.15, "s")),
        ],
        "The target of one metric is that of a compacted run.",
    )


def write(name: str, folder: str, steps: int) -> None:
    """Record a run of 10 scalars a step."""
    contestant, rows = open_contestant(name, folder), rows_of(10)
    for step in range(steps):
        contestant.log(rows[step & 63], step)
    contestant.finish()
    contestant.settle()
    if name == TRACKIO:  # what `_trackio` warms up with
        trackio = trackio_in(folder)
        trackio_run(trackio, project="warm-up")
        trackio.log({"loss": 0.0}, 0)
        trackio.finish()


def read(name: str, folder: str, steps: int) -> float:
    """Seconds that one way of reading takes; all of them check that they saw every step.

    Raises:
        RuntimeError: some steps are missing, so that the time means nothing.
    """
    prepare = {TRACKIO: _trackio, _LINES: _lines}.get(name, lambda f: _podstack(name, f))
    reading = prepare(folder)
    start = time.perf_counter()
    found = reading()
    seconds = time.perf_counter() - start
    if found != steps:
        raise RuntimeError(f"{name} read {found} of {steps} steps")
    return seconds


def _podstack(name: str, folder: str) -> Callable[[], int]:
    from podstack import MLOpsClient

    with scratch() as warm_up:  # imports
        with MLOpsClient(warm_up).start_run() as run:
            run.log_metrics({"loss": 0.0})
        run.metrics["loss"].values  # noqa: B018
        run.flush()

    def reading() -> int:
        (run,) = MLOpsClient(folder).list_runs()
        metrics = run.metrics
        names = list(metrics)[:1] if name == _ONE else list(metrics)
        columns = [(metrics[n].steps, metrics[n].values, metrics[n].times) for n in names]
        if name == _LISTS:
            columns = [tuple(column.tolist() for column in three) for three in columns]
        return len(columns[0][0])

    return reading


def _lines(folder: str) -> Callable[[], int]:
    logs = sorted(Path(folder).glob("projects/*/runs/*/metrics/*/*.jsonl"))

    def reading() -> int:
        count = 0
        for log in logs:
            with open(log, "rb") as file:
                for line in file:
                    orjson.loads(line)
                    count += 1
        return count

    return reading


def _trackio(folder: str) -> Callable[[], int]:
    trackio_in(folder)
    from trackio.sqlite_storage import SQLiteStorage  # type: ignore[import-not-found, unused-ignore]

    (warm_up,) = SQLiteStorage.get_runs("warm-up")  # imports, as in `_podstack`
    SQLiteStorage.get_logs("warm-up", warm_up)

    def reading() -> int:
        (run,) = SQLiteStorage.get_runs("benchmark")
        return len(SQLiteStorage.get_logs("benchmark", run))

    return reading
