"""Alerts: what they add to a call of `log_metrics`, and what a firing costs.

All variants take turns in one process, a block of calls each, and a figure is the median over
the blocks: between two processes lies more than an alert costs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from tests.benchmarks._contestants import LINE, Metrics, open_contestant, rows_of
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._tables import Figure, Table, at_most, figures_table, ratio_at_most

_NONE, _THREE, _PLATEAU, _HUNDRED = "no alert", "three alerts", "three, one plateau", "100 alerts"
_NO_IMPROVEMENT = "no improvement in train/metric_0 for 1000000000"
_ALERTS: dict[str, list[str]] = {
    _NONE: [],
    _THREE: ["train/metric_0 > 2.0", "train/metric_0 is nan", "val/loss > 2.0"],
    _PLATEAU: ["train/metric_0 > 2.0", _NO_IMPROVEMENT, "val/loss > 2.0"],
    _HUNDRED: [f"train/metric_0 > {limit}" for limit in range(2, 102)],
}


def tables(*, quick: bool) -> Iterator[Table]:
    blocks = 3 if quick else 101
    for scalars in (1, 10, 100):
        costs = in_fresh_process(call_costs, scalars, blocks)
        yield figures_table(f"log_metrics of {scalars} scalars: one call", _call_figures(costs))
    yield figures_table("alerts: a firing", _firing_figures(in_fresh_process(firing_costs, blocks)))


def call_costs(scalars: int, blocks: int) -> dict[str, float]:
    """Seconds of one call, by variant."""
    rows = rows_of(scalars)
    with scratch() as folder:
        line = open_contestant(LINE, folder)
        runs = {name: _run_with(folder, conditions) for name, conditions in _ALERTS.items()}
        logs: dict[str, Callable[[Metrics, int], object]] = {
            LINE: line.log,
            **{name: run.log_metrics for name, run in runs.items()},
        }
        taken: dict[str, list[float]] = {name: [] for name in logs}
        for _ in range(blocks):
            for name, log in logs.items():
                taken[name].append(_block(log, rows))
        line.finish()
        for run in runs.values():
            run.finish()
            run.flush()
    return {name: median(blocks) for name, blocks in taken.items()}


def firing_costs(blocks: int) -> dict[str, float]:
    """Seconds of a call that fires, and of one that does not."""
    logging.getLogger("podstack").disabled = True
    with scratch() as folder:
        run = _run_with(folder, [])
        run.create_alert("x > 1", cooldown=0)
        calls: dict[str, list[float]] = {"fires": [], "does not": []}
        for step in range(blocks * 20):
            for name, value in (("does not", 0.0), ("fires", 2.0)):
                start = time.perf_counter()
                run.log_metrics({"x": value}, step=step)
                calls[name].append(time.perf_counter() - start)
        run.finish()
        run.flush()
    return {name: median(times) for name, times in calls.items()}


def _run_with(folder: str, conditions: list[str]) -> Any:
    from podstack import MLOpsClient

    run = MLOpsClient(f"{folder}/store").start_run(capture=False)
    for condition in conditions:
        run.create_alert(condition)
    return run


def _block(log: Callable[[Metrics, int], object], rows: list[Metrics]) -> float:
    start = time.perf_counter()
    for step, row in enumerate(rows):
        log(row, step)
    return (time.perf_counter() - start) / len(rows)


def _call_figures(costs: dict[str, float]) -> Iterator[Figure]:
    bare = costs[_NONE]
    yield Figure(_NONE, bare, "s", costs[LINE], "line", ratio_at_most(2))
    for name in (_THREE, _PLATEAU):
        added = costs[name] - bare
        yield Figure(f"{name}, more", added, "s", bare, "no alert", at_most(2e-6, "s"))
    yield Figure(f"{_HUNDRED}, more", costs[_HUNDRED] - bare, "s", bare, "no alert")


def _firing_figures(costs: dict[str, float]) -> Iterator[Figure]:
    yield Figure("a call that fires", costs["fires"], "s", costs["does not"], "one that does not")
