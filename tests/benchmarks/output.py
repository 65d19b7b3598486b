"""What is captured beside a run: the cost of a print, and of a sample of the machine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from statistics import median

from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process, in_turns
from tests.benchmarks._tables import Figure, Table, at_most, figures_table

_WITH, _WITHOUT = "console", "nothing"
_LINE = "epoch 3 step 120 loss=0.2512 acc=0.9127"
_BAR = "\r 42%|####2     | 420/1000 [00:04<00:05, 101.20it/s, loss=0.251]"


def tables(*, quick: bool) -> Iterator[Table]:
    count, rounds = (2_000, 1) if quick else (100_000, 5)
    yield _prints(count, rounds)
    yield _samples(20 if quick else 300)


def _prints(count: int, rounds: int) -> Table:
    def measure(captured: str) -> list[float]:
        return in_fresh_process(seconds_of_prints, captured, count)

    taken = in_turns(measure, [_WITH, _WITHOUT], rounds=rounds)
    kinds = ("print of a short line", "the same, p99", "write of a progress bar", "the same, p99")
    targets = (at_most(8e-6, "s"), None, at_most(8e-6, "s"), None)
    figures = [
        Figure(kind, new, "s", old, "without capture", target)
        for kind, target, new, old in zip(
            kinds, targets, taken[_WITH], taken[_WITHOUT], strict=True
        )
    ]
    return figures_table(f"{count:,} prints to a file", figures)


def seconds_of_prints(captured: str, count: int) -> list[float]:
    """p50 and p99 of a line, and of a bar; to a file, as on a cluster."""
    from podstack import MLOpsClient

    with scratch() as folder, open(os.path.join(folder, "out"), "w") as out:
        stdout, sys.stdout = sys.stdout, out
        run = MLOpsClient(folder).start_run(capture=captured == _WITH and ["console"])
        lines = _timed(lambda: print(_LINE), count)
        bars = _timed(lambda: out.write(_BAR), count)
        run.finish()
        run.flush()
        sys.stdout = stdout
    return [*lines, *bars]


def _timed(call: object, count: int) -> tuple[float, float]:
    assert callable(call)
    clock, taken = time.perf_counter, []
    for _ in range(count):
        started = clock()
        call()
        taken.append(clock() - started)
    taken.sort()
    return taken[count // 2], taken[count * 99 // 100]


def _samples(count: int) -> Table:
    cpu, wall, bare = in_fresh_process(seconds_of_samples, count)
    figures = [
        Figure("a sample, CPU", cpu, "s", bare, "cpu_percent() alone", at_most(3e-3, "s")),
        Figure("a sample, wall", wall, "s", bare, "cpu_percent() alone"),
    ]
    return figures_table("A sample of the machine, on its own thread", figures)


def seconds_of_samples(count: int) -> list[float]:
    """Mean CPU and median wall of a sample, and CPU of psutil's cheapest question."""
    import psutil

    from podstack.system import Machine

    machine = Machine()
    walls, started = [], time.process_time()
    for _ in range(count):
        began = time.perf_counter()
        machine.sample()
        machine.disk_of("/")
        walls.append(time.perf_counter() - began)
    cpu, started = (time.process_time() - started) / count, time.process_time()
    for _ in range(count):
        psutil.cpu_percent()
    return [cpu, median(walls), (time.process_time() - started) / count]
