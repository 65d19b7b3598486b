"""A run followed until it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from podstack import clock
from podstack.cli import portrait
from podstack.cli.paper import Paper, number
from podstack.display import duration
from podstack.names import RUNNING, printable
from podstack.points import SYSTEM
from podstack.tables import cell

if TYPE_CHECKING:
    from podstack.metrics import Metrics
    from podstack.run import Run

_FIRST = 10  # steps that were logged before one looks
_ALL = 1 << 62


def watch(paper: Paper, run: Run, every: float) -> None:
    """Return when the run has ended."""
    if paper.is_terminal:
        _on_screen(paper, run, every)
    else:
        _line_by_line(paper, run, every)


def _looks(run: Run, every: float) -> Iterator[bool]:
    """One for each look, and whether the run still records; the last one after its end."""
    pause = threading.Event()
    while run.status == RUNNING:
        yield True
        pause.wait(every)
    yield False


# On a terminal ---------------------------------------------------------------------------------


def _on_screen(paper: Paper, run: Run, every: float) -> None:
    from rich.live import Live

    with Live(console=paper.console, auto_refresh=False, vertical_overflow="crop") as live:
        for _ in _looks(run, every):
            live.update(_picture(paper, run), refresh=True)


def _picture(paper: Paper, run: Run) -> Any:
    from rich.console import Group
    from rich.text import Text

    metrics = run.metrics
    names = [name for name in metrics if not name.startswith(SYSTEM)]
    steps = max((metrics[name].summary.last_step for name in names), default=None)
    title = Text(f"{printable(run.name)}  {run.id}", style="bold")
    facts = Text(
        f"{run._status()} · {duration(run.duration)}"
        + (f" · step {steps:,}" if steps is not None else " · no points yet")
        + f" · {clock.readable(clock.now())[11:]}",
        style=portrait.status_style(run.status),
    )
    return Group(title, facts, Text(), paper.drawn(portrait.metric_columns(metrics, names)))


# In a pipe or a file ---------------------------------------------------------------------------


def _line_by_line(paper: Paper, run: Run, every: float) -> None:
    seen: dict[str, float] = {}
    most = _FIRST
    for _ in _looks(run, every):
        for line in _new_lines(run.metrics, seen)[-most:]:
            paper.line(line)
        paper.flush()
        most = _ALL
    paper.line(f"{run._status()} after {duration(run.duration)}")


def _new_lines(metrics: Metrics, seen: dict[str, float]) -> list[str]:
    """A line for each step that has points later than those seen, which they are from then on."""
    by_step: dict[int, list[str]] = {}
    for name in (name for name in metrics if not name.startswith(SYSTEM)):
        series = metrics[name]
        last = seen.get(name, float("-inf"))
        for step, value, time in zip(series.steps, series.values, series.times, strict=True):
            if time > last:
                by_step.setdefault(int(step), []).append(f"{cell(name)} {number(float(value))}")
        seen[name] = max(last, *map(float, series.times))
    return [f"step {step}  {'  '.join(by_step[step])}" for step in sorted(by_step)]
