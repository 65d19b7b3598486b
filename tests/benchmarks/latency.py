"""From `log_metrics` to a reader in another process that polls `run.metrics` and `search_runs`.

The writer logs 20 steps a second, each with the time at which it was logged; a reader looks every
20 ms or as often as it can. A step is visible with the first look that shows it or a later one.
The baseline is a line in a file, read by the same loop. Elsewhere, logs are shipped at once and
then every 2 s or 2 % of the run's age, which is what the figures show.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

from podstack import names
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._stores import KINDS, servers, surroundings, url_of
from tests.benchmarks._tables import Table, quantity, times

Look = tuple[float, float]  # when it ended, and the newest time that it showed

FILE, LOCAL = "a line in a file", "a folder"
_PACE = 0.05  # seconds from one step to the next
_POLL = 0.02  # seconds from one look to the next
_HEAD = ("", "p50", "p99", "max", "looks/s", "ratio of p50", "ratio of p99")


def tables(*, quick: bool) -> Iterator[Table]:
    seconds = 3.0 if quick else 40.0
    with surroundings() as folder, servers(folder) as ports:
        urls = {FILE: "", LOCAL: str(folder / "store")}
        urls |= {kind: url_of(kind, ports[kind]) for kind in KINDS}
        rows = [row for name, url in urls.items() for row in _measure(name, url, seconds, folder)]
    base = rows[0][1]
    yield Table(
        "From log_metrics to a reader in another process",
        _HEAD,
        [
            (
                name,
                *(quantity(value, "s") for value in values[:3]),
                f"{values[3]:.0f}",
                times(values[0] / base[0]),
                times(values[1] / base[1]),
            )
            for name, values in rows
        ],
    )


def _measure(
    name: str, url: str, seconds: float, folder: Path
) -> Iterator[tuple[str, list[float]]]:
    run = names.new_run_id()
    file = str(folder / "lines")
    with ThreadPoolExecutor(2) as both:
        if name == FILE:
            writing = both.submit(in_fresh_process, write_lines, file, seconds)
            reading = both.submit(in_fresh_process, read_lines, file, seconds)
        else:
            writing = both.submit(in_fresh_process, write_run, url, run, seconds)
            reading = both.submit(in_fresh_process, read_run, url, run, seconds)
        logged, seen = writing.result(), reading.result()
    for how, looks in seen.items():
        yield f"{name}{how}", _delays(logged, looks)


def _delays(logged: list[float], looks: list[Look]) -> list[float]:
    """p50, p99, max of the delays of what was seen at all, and looks a second."""
    delays, place = [], 0
    for when in logged:
        while place < len(looks) and looks[place][1] < when:
            place += 1
        if place < len(looks):
            delays.append(looks[place][0] - when)
    if len(delays) < len(logged) / 2:
        raise RuntimeError(f"only {len(delays)} of {len(logged)} steps were seen")
    counted = sorted(delays)
    places = [int((len(counted) - 1) * part) for part in (0.50, 0.99, 1.0)]
    rate = len(looks) / (looks[-1][0] - looks[0][0])
    return [*(counted[place] for place in places), rate]


# The two processes -------------------------------------------------------------------------


def write_run(url: str, run_id: str, seconds: float) -> list[float]:
    from podstack import MLOpsClient

    run = MLOpsClient(url).start_run(run_id=run_id, name="timed")
    logged = _paced(lambda when, step: run.log_metrics({"when": when}, step), seconds)
    run.finish()
    return logged


def write_lines(path: str, seconds: float) -> list[float]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    logged = _paced(lambda when, step: os.write(file, orjson.dumps([step, when]) + b"\n"), seconds)
    os.close(file)
    return logged


def _paced(log: Callable[[float, int], object], seconds: float) -> list[float]:
    logged: list[float] = []
    end = time.time() + seconds
    while (now := time.time()) < end:
        log(now, len(logged))
        logged.append(now)
        time.sleep(_PACE)
    return logged


def read_run(url: str, run_id: str, seconds: float) -> dict[str, list[Look]]:
    """Looks by `run.metrics` and by `search_runs`, in turns, until the run is over."""
    from podstack import MLOpsClient
    from podstack.errors import NotFoundError

    client = MLOpsClient(url)
    found: dict[str, list[Look]] = {", run.metrics": [], ", search_runs": []}

    def by_metrics() -> float:
        try:
            return max(client.get_run(run_id).metrics["when"].values, default=0.0)
        except (NotFoundError, KeyError):
            return 0.0

    def by_search() -> float:
        for row in client.search_runs("metrics.when > 0", limit=5):
            if row.id == run_id:
                return float(row.metrics["when"].last)
        return 0.0

    end = time.time() + seconds + 4
    while time.time() < end:
        for ask, looks in zip((by_metrics, by_search), found.values(), strict=True):
            looks += _looks(ask, 1)
    return found


def read_lines(path: str, seconds: float) -> dict[str, list[Look]]:
    def newest() -> float:
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            return 0.0
        lines = data.splitlines()
        return float(orjson.loads(lines[-1])[1]) if lines else 0.0

    return {"": _looks(newest, int((seconds + 1) / _POLL))}


def _looks(ask: Callable[[], Any], count: int) -> list[Look]:
    looks = []
    for _ in range(count):
        newest = ask()
        looks.append((time.time(), newest))
        time.sleep(_POLL)
    return looks
