"""Compaction: what it costs, what it saves, and reading a run before and after it.

The values are float32 noise, as losses are, so that nothing but their form makes them smaller.
Reading is measured as in `read`: fresh processes with all modules imported, in turns.
"""

from __future__ import annotations

import random
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process, in_turns
from tests.benchmarks._tables import (
    Figure,
    Table,
    at_most,
    figures_table,
    quantity,
    ratio_at_most,
)

_ALL, _ONE, _SUMMARY = "all metrics, arrays", "one metric", "summary of all"
_WAYS = (_ALL, _ONE, _SUMMARY)
_SCALARS = 10


def tables(*, quick: bool) -> Iterator[Table]:
    for steps in (1_000,) if quick else (20_000, 1_000_000):
        with scratch() as before, scratch() as after:
            in_fresh_process(write, before, steps)
            shutil.copytree(before, after, dirs_exist_ok=True)
            yield _cost(steps, before, after)
            yield _reading(steps, before, after, rounds=1 if quick else 3)


def _cost(steps: int, before: str, after: str) -> Table:
    points = steps * _SCALARS
    lines = in_fresh_process(parse, before)
    cpu, wall = in_fresh_process(compact, after)
    before_size, after_size = (
        sum(path.stat().st_size for path in _points(folder)) / points for folder in (before, after)
    )
    limit = at_most(5, "bytes")
    return figures_table(
        f"Compacting {points:,} points",
        [
            Figure("CPU per point", cpu / points, "s", lines / points, "orjson.loads"),
            Figure("bytes per point", after_size, "bytes", before_size, "in lines", limit),
        ],
        f"Once, {quantity(wall, 's')} in all, of which loading pyarrow is a part.",
    )


def _reading(steps: int, before: str, after: str, rounds: int) -> Table:
    folders = {"in lines": before, "compacted": after}
    names = [f"{way}, {form}" for way in _WAYS for form in folders]
    measured = in_turns(
        lambda name: [
            in_fresh_process(
                read, name.rpartition(", ")[0], folders[name.rpartition(", ")[2]], steps
            )
        ],
        names,
        rounds=rounds,
    )
    (one_file,) = in_turns(
        lambda _: [in_fresh_process(bare, after, steps)], ["pyarrow"], rounds=rounds
    )["pyarrow"]
    seconds = {name: values[0] for name, values in measured.items()}
    figures = [
        Figure(
            way, seconds[f"{way}, compacted"], "s", seconds[f"{way}, in lines"], "in lines", limit
        )
        for way, limit in ((_ALL, None), (_ONE, at_most(0.15, "s")), (_SUMMARY, None))
    ]
    one = seconds[f"{_ONE}, compacted"]
    figures.append(Figure(_ONE, one, "s", one_file, "pyarrow alone", ratio_at_most(2)))
    return figures_table(f"Reading {steps * _SCALARS:,} points, compacted", figures)


def write(folder: str, steps: int) -> None:
    """Record a run of 10 scalars a step."""
    from podstack import MLOpsClient

    chance, run = random.Random(7), MLOpsClient(folder).start_run(capture=False)
    names = [f"train/metric_{i}" for i in range(_SCALARS)]
    for step in range(steps):
        noise = struct.unpack(
            f"{_SCALARS}f", struct.pack(f"{_SCALARS}f", *[2 + chance.random() for _ in names])
        )
        run.log_metrics(dict(zip(names, noise, strict=True)), step)
    run.finish()
    run.flush()


def compact(folder: str) -> tuple[float, float]:
    """CPU and wall seconds of compacting the store.

    Raises:
        RuntimeError: something was left as it was.
    """
    from podstack import MLOpsClient
    from podstack.compact import compact as compact_runs

    cpu, wall = time.process_time(), time.perf_counter()
    report = compact_runs(MLOpsClient(folder)._store)
    if report.left or not report.points:
        raise RuntimeError(str(report))
    return time.process_time() - cpu, time.perf_counter() - wall


def parse(folder: str) -> float:
    """CPU seconds of parsing every line and keeping nothing."""
    start = time.process_time()
    for path in _points(folder):
        with path.open("rb") as file:
            for line in file:
                orjson.loads(line)
    return time.process_time() - start


def read(way: str, folder: str, steps: int) -> float:
    """Seconds that one way of reading takes.

    Raises:
        RuntimeError: some steps are missing, so that the time means nothing.
    """
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401

    from podstack import MLOpsClient

    client = MLOpsClient(folder)
    with scratch() as warm_up:  # imports
        with MLOpsClient(warm_up).start_run(capture=False) as run:
            run.log_metrics({"loss": 0.0})
        run.metrics["loss"].values  # noqa: B018
        run.flush()
    start = time.perf_counter()
    (run,) = client.list_runs()
    found = _READERS[way](run)
    seconds = time.perf_counter() - start
    if found != steps:
        raise RuntimeError(f"{way} read {found} of {steps} steps")
    return seconds


def _all(run: object) -> int:
    metrics = run.metrics  # type: ignore[attr-defined]
    return min(
        len(columns[0]) for columns in [(s.steps, s.values, s.times) for s in metrics.values()]
    )


def _one(run: object) -> int:
    series = next(iter(run.metrics.values()))  # type: ignore[attr-defined]
    return len((series.steps, series.values, series.times)[0])


def _summary(run: object) -> int:
    return int(min(summary.steps for summary in run.summary.values()))  # type: ignore[attr-defined]


_READERS: dict[str, Callable[[object], int]] = {_ALL: _all, _ONE: _one, _SUMMARY: _summary}


def bare(folder: str, steps: int) -> float:
    """Seconds that pyarrow alone takes for one metric: statistics, filter, three columns."""
    import pyarrow.dataset  # noqa: F401
    import pyarrow.parquet as parquet

    (path,) = _points(folder)
    start = time.perf_counter()
    table = parquet.read_table(
        path,
        columns=["step", "time", "value"],
        filters=[("key", "=", "train/metric_0")],
    )
    columns = [table[name].to_numpy() for name in table.column_names]
    seconds = time.perf_counter() - start
    if len(columns[0]) != steps:
        raise RuntimeError(f"pyarrow read {len(columns[0])} of {steps} steps")
    return seconds


def _points(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("projects/*/runs/*/metrics/*/*"))
