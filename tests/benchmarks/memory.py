"""Memory: what ten million points leave in the process that logged them. Needs /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tests.benchmarks._contestants import LINE, PODSTACK, Contestant, open_contestant, rows_of
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._tables import Figure, Table, figures_table, growth_at_most

_WARM_UP = 20_000  # steps
_LOOK_EVERY = 1_000  # steps


def tables(*, quick: bool) -> Iterator[Table]:
    steps = 20_000 if quick else 1_000_000
    title = f"The process after {steps * 10:,} points, 10 scalars a step"
    if not os.path.exists("/proc/self/statm"):
        yield Table(title, ("figure", "ratio"), [("not measured: no /proc here", "–")])
        return
    figures = [
        figure
        for name in (PODSTACK, LINE)
        for figure in _figures(name, in_fresh_process(growth, name, steps))
    ]
    yield figures_table(title, figures, "'before' is after a warm-up of 200,000 points.")


def _figures(name: str, looks: dict[str, list[int]]) -> Iterator[Figure]:
    target = growth_at_most(8_000_000, "bytes") if name == PODSTACK else None
    for place, what in enumerate(("RSS", "threads", "descriptors")):
        before, peak, end = (looks[when][place] for when in ("before", "peak", "end"))
        unit = "bytes" if what == "RSS" else ""
        limit = target if what == "RSS" else None
        yield Figure(f"{name}: {what} at the end", end, unit, before, "before", limit)
        yield Figure(f"{name}: {what}, peak", peak, unit, before, "before", limit)


def growth(name: str, steps: int) -> dict[str, list[int]]:
    """RSS, threads and descriptors: before, the most seen while logging, and at the end."""
    with scratch() as folder:
        contestant, rows = open_contestant(name, folder), rows_of(10)
        _log(contestant, rows, range(_WARM_UP))
        contestant.settle()
        before = peak = _now()
        for first in range(_WARM_UP, _WARM_UP + steps, _LOOK_EVERY):
            _log(contestant, rows, range(first, first + _LOOK_EVERY))
            peak = [max(pair) for pair in zip(peak, _now(), strict=True)]
        contestant.settle()
        end = _now()
        contestant.finish()
        contestant.settle()
    return {"before": before, "peak": peak, "end": end}


def _log(contestant: Contestant, rows: list[dict[str, float]], steps: range) -> None:
    for step in steps:
        contestant.log(rows[step & 63], step)


def _now() -> list[int]:
    """RSS in bytes, threads, descriptors."""
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[1])
    page = os.sysconf("SC_PAGE_SIZE")
    return [pages * page, len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))]
