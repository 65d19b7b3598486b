"""Logging to a store elsewhere: what a call of `log_metrics` costs while that is well, or is not.

A store is S3 (rclone over a folder) or a podstack server, behind a proxy in another process. Once
the run has begun it stays well, or is dead (nobody listens), a black hole (connections are taken,
nothing is answered), or throttled to 64 kB/s and 100 ms for each piece. The baseline is the same
loop into a folder. Every sample is a fresh process; the contestants take turns, a figure is the
median over the turns, a max the largest of all.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterator, Sequence

from tests.benchmarks._contestants import rows_of
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process, in_turns
from tests.benchmarks._stores import (
    KINDS,
    Proxy,
    servers,
    surroundings,
    throw,
    url_of,
)
from tests.benchmarks._tables import (
    Figure,
    Table,
    at_most,
    figures_table,
    quantity,
    ratio_at_most,
    times,
)

Measured = dict[str, list[float]]

LOCAL = "a folder"
_WARM_UP = 200  # calls that are not counted
_PACE = 0.001  # seconds from one step to the next in the loop that has other work to do
_STATES = ("well", "dead", "black hole", "throttled")
_QUICK = ("well", "dead")
_HEAD = ("", "p50", "p99", "max", "ratio of p50", "ratio of p99", "start_run", "finish")


def tables(*, quick: bool) -> Iterator[Table]:
    states, rounds = (_QUICK, 1) if quick else (_STATES, 3)
    with surroundings(patience=0.5 if quick else 5) as folder, servers(folder) as ports:
        busy = _measure(ports, states, 100 if quick else 8_000, _PACE, rounds)
        yield _table("log_metrics of 10 scalars, a busy loop of 1,000 steps/s", busy)
        yield figures_table("log_metrics elsewhere, a busy loop: targets", _targets(busy))
        flat = _measure(ports, states, 1_000 if quick else 100_000, 0.0, rounds)
        yield _table("log_metrics of 10 scalars, back to back", flat)
        yield figures_table("background: CPU of all threads", _background(flat), _CPU_NOTE)


_CPU_NOTE = "Per million points, from start_run until finish returned, with a store that is well."


def _measure(
    ports: dict[str, int], states: Sequence[str], calls: int, pace: float, rounds: int
) -> Measured:
    def measure(name: str) -> list[float]:
        kind, _, state = name.partition(", ")
        if name == LOCAL:
            return in_fresh_process(call_times, "", 0, calls, pace)
        with Proxy(ports[kind], state) as proxy:
            return in_fresh_process(call_times, url_of(kind, proxy.port), proxy.switch, calls, pace)

    names = [LOCAL, *(f"{kind}, {state}" for kind in KINDS for state in states)]
    return in_turns(measure, names, rounds=rounds, worst=[2])


def call_times(url: str, switch: int, calls: int, pace: float) -> list[float]:
    """p50, p99, max of one call; seconds of start_run and finish; CPU seconds per million points.

    Args:
        url: of the store, or empty for a new folder.
        switch: where to say that the run has begun, or 0.
        pace: seconds from one step to the next, spent in Python; 0 logs back to back.
    """
    from podstack import MLOpsClient

    os.environ["PODSTACK_QUIET"] = "1"
    rows, clock, taken = rows_of(10), time.perf_counter_ns, array("q")
    pause = int(pace * 1e9)
    with scratch() as folder:
        begin, cpu = time.perf_counter(), time.process_time()
        run = MLOpsClient(url or folder).start_run()
        started = time.perf_counter() - begin
        if switch:
            throw(switch)
        due = clock()
        for step in range(_WARM_UP + calls):
            row = rows[step & 63]
            while clock() < due:
                pass
            due += pause
            start = clock()
            run.log_metrics(row, step)
            taken.append(clock() - start)
        begin = time.perf_counter()
        run.finish()
        finished = time.perf_counter() - begin
        run.flush(0.1)
        cpu = (time.process_time() - cpu) / (len(taken) * 10) * 1e6
    counted = sorted(taken[_WARM_UP:])
    places = [int((calls - 1) * part) for part in (0.50, 0.99, 1.0)]
    return [*(counted[place] / 1e9 for place in places), started, finished, cpu]


def _table(title: str, measured: Measured) -> Table:
    local = measured[LOCAL]
    rows = [
        (
            name,
            *(quantity(value, "s") for value in values[:3]),
            times(values[0] / local[0]),
            times(values[1] / local[1]),
            *(quantity(value, "s") for value in values[3:5]),
        )
        for name, values in measured.items()
    ]
    return Table(title, _HEAD, rows)


def _targets(busy: Measured) -> Iterator[Figure]:
    local = busy[LOCAL]
    for name, values in busy.items():
        if name != LOCAL:
            yield Figure(f"p50, {name}", values[0], "s", local[0], LOCAL, ratio_at_most(1.5))
            yield Figure(f"p99, {name}", values[1], "s", local[1], LOCAL, at_most(2e-3, "s"))


def _background(flat: Measured) -> Iterator[Figure]:
    local = flat[LOCAL][5]
    for kind in KINDS:
        yield Figure(f"{kind}", flat[f"{kind}, well"][5], "s", local, LOCAL)
