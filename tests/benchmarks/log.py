"""Logging: what a call of `log_metrics` costs the training loop, and what a point costs in all.

Every sample is a fresh process that logs steps back to back; the contestants take turns, and a
figure is the median over the turns, a max the largest of all. The baseline is the least that
keeps what was acknowledged through a kill -9: one line of JSON handed to the operating system for
every step.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator

from tests.benchmarks._contestants import (
    LINE,
    PODSTACK,
    TENSORBOARDX,
    TRACKIO,
    bytes_in,
    has_trackio,
    installed,
    open_contestant,
    rows_of,
)
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process, in_turns
from tests.benchmarks._tables import (
    Figure,
    Table,
    at_most,
    figures_table,
    quantity,
    ratio_at_least,
    ratio_at_most,
    times,
)

Measured = dict[str, list[float]]  # contestant -> its figures

_CALLS = {1: 20_000, 10: 20_000, 100: 4_000}  # scalars a step -> steps a turn
_WARM_UP = 200  # calls that are not counted: files are opened, names checked, threads started
_PACE = 0.001  # seconds from one step to the next where the loop has other work to do
_PACED_CALLS = 3_000
_NOTES = (f"{TENSORBOARDX} is given a tenth of the steps.",)


def tables(*, quick: bool) -> Iterator[Table]:
    latencies = {scalars: _measure_calls(scalars, quick) for scalars in _CALLS}
    for scalars, measured in latencies.items():
        title = f"log_metrics of {scalars} scalars, back to back: one call"
        yield _calls_table(title, measured, *_NOTES)
    yield figures_table("log_metrics: targets", _call_figures(latencies))
    yield _calls_table(
        "log_metrics of 10 scalars, a busy loop of 1,000 steps/s: one call", _measure_paced(quick)
    )
    totals = _measure_totals(quick)
    yield _totals_table(totals)
    yield figures_table("points: targets", _total_figures(totals))


# A call ------------------------------------------------------------------------------------


def call_times(name: str, scalars: int, calls: int, pace: float) -> list[float]:
    """p50, p95, p99 and max of one call, in seconds, on the calling thread.

    Args:
        pace: seconds from one step to the next, spent in Python, as a loop does that never rests;
            0 logs back to back.
    """
    rows = rows_of(scalars)
    clock = time.perf_counter_ns
    pause, due = int(pace * 1e9), clock()
    taken = array("q")
    with scratch() as folder:
        contestant = open_contestant(name, folder)
        log = contestant.log
        for step in range(_WARM_UP + calls):
            row = rows[step & 63]
            while clock() < due:
                pass
            due += pause
            start = clock()
            log(row, step)
            taken.append(clock() - start)
        contestant.finish()
        contestant.settle()
    counted = sorted(taken[_WARM_UP:])
    places = [int((calls - 1) * part) for part in (0.50, 0.95, 0.99, 1.0)]
    return [counted[place] / 1e9 for place in places]


def _measure_calls(scalars: int, quick: bool) -> Measured:
    calls = _CALLS[scalars] // (20 if quick else 1)
    return in_turns(
        lambda name: in_fresh_process(call_times, name, scalars, _fewer(name, calls), 0.0),
        installed(),
        rounds=1 if quick else 7,
        worst=[3],
    )


def _measure_paced(quick: bool) -> Measured:
    calls = 100 if quick else _PACED_CALLS
    return in_turns(
        lambda name: in_fresh_process(call_times, name, 10, calls, _PACE),
        installed(),
        rounds=1 if quick else 3,
        worst=[3],
    )


def _fewer(name: str, calls: int) -> int:
    return calls // 10 if name == TENSORBOARDX else calls  # a hundred times as slow as the others


def _calls_table(title: str, measured: Measured, *notes: str) -> Table:
    head = ("", "p50", "p95", "p99", "max", f"ratio of p50 to {LINE}")
    rows = [
        (name, *(quantity(value, "s") for value in values), times(values[0] / measured[LINE][0]))
        for name, values in measured.items()
    ]
    return Table(title, head, rows, notes)


def _call_figures(latencies: dict[int, Measured]) -> Iterator[Figure]:
    for scalars, measured in latencies.items():
        ours, line = measured[PODSTACK], measured[LINE]
        yield Figure(f"p50, {scalars} scalars", ours[0], "s", line[0], "line", ratio_at_most(2))
        if TRACKIO in measured:
            peer = measured[TRACKIO]
            yield Figure(
                f"p50, {scalars} scalars", ours[0], "s", peer[0], TRACKIO, ratio_at_most(1 / 5)
            )
            yield Figure(
                f"p99, {scalars} scalars", ours[2], "s", peer[2], TRACKIO, ratio_at_most(1 / 3)
            )
        yield Figure(f"p99, {scalars} scalars", ours[2], "s", line[2], "line")
        yield Figure(f"max, {scalars} scalars", ours[3], "s", line[3], "line")


# A point, in all ---------------------------------------------------------------------------


def whole_run(name: str, steps: int) -> list[float]:
    """Points a second until finish returned, CPU seconds per million points, bytes per point.

    The CPU is that of all threads, until nothing is left to do. What the first run of a process
    pays once, imports above all, is not counted: see `lifecycle`.
    """
    rows, points = rows_of(10), steps * 10
    with scratch() as folder:
        _log_all(name, folder, rows, 1)
        size = bytes_in(folder)
        seconds, cpu = _log_all(name, folder, rows, steps)
        return [points / seconds, cpu / points * 1e6, (bytes_in(folder) - size) / points]


def _log_all(
    name: str, folder: str, rows: list[dict[str, float]], steps: int
) -> tuple[float, float]:
    """Open, log, finish and settle: the seconds until finish returned, and the CPU of it all."""
    start, cpu = time.perf_counter(), time.process_time()
    contestant = open_contestant(name, folder)
    log = contestant.log
    for step in range(steps):
        log(rows[step & 63], step)
    contestant.finish()
    seconds = time.perf_counter() - start
    contestant.settle()
    return seconds, time.process_time() - cpu


def _measure_totals(quick: bool) -> Measured:
    steps = 1_000 if quick else 20_000
    return in_turns(
        lambda name: in_fresh_process(whole_run, name, _fewer(name, steps)),
        installed(),
        rounds=1 if quick else 5,
    )


def _totals_table(measured: Measured) -> Table:
    head = ("", "points/s", "CPU s per M points", "bytes/point", f"ratio of CPU to {LINE}")
    rows: list[tuple[str, ...]] = [
        (
            name,
            f"{rate:,.0f}",
            f"{cpu:.2f}",
            f"{size:.0f}" if size else "–",
            times(cpu / measured[LINE][1]),
        )
        for name, (rate, cpu, size) in measured.items()
    ]
    title = "10 scalars a step, from start to finish, background threads included"
    return Table(title, head, rows, _NOTES)


def _total_figures(measured: Measured) -> Iterator[Figure]:
    (rate, cpu, size), line = measured[PODSTACK], measured[LINE]
    yield Figure("points/s", rate, "/s", line[0], "line")
    yield Figure("CPU per M points", cpu, "s", line[1], "line")
    yield Figure("bytes/point", size, "bytes", line[2], "line", at_most(43, "bytes"))
    if has_trackio():
        peer = measured[TRACKIO]
        yield Figure("points/s", rate, "/s", peer[0], TRACKIO, ratio_at_least(10))
        yield Figure("CPU per M points", cpu, "s", peer[1], TRACKIO, ratio_at_most(1 / 10))
        yield Figure("bytes/point", size, "bytes", peer[2], TRACKIO)
