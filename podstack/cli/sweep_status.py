"""How a sweep stands: on paper, as facts for JSON, and followed until it is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from podstack import clock
from podstack.cli.paper import Paper
from podstack.columns import moment
from podstack.display import duration
from podstack.names import RUNNING, printable
from podstack.sweeps.sweep_table import facts_of as sweep_facts
from podstack.sweeps.telling import (
    bar_of,
    best_line,
    counted,
    ended_of,
    params_line,
    time_left,
)
from podstack.tables import WHOLE, Column

if TYPE_CHECKING:
    from podstack.sweeps.records import TrialRecord
    from podstack.sweeps.sweep import Sweep

_MOST = 20  # trials of one table
_WIDTH = 40  # of the bar


# On paper --------------------------------------------------------------------------------------


def draw(paper: Paper, sweep: Sweep) -> None:
    """All of `sweep status`."""
    for text, style in _lines(sweep):
        paper.line(text, style)
    records = sweep.records()
    at_work = [record for record in records if record.status == RUNNING]
    if at_work:
        paper.line()
        paper.table(_at_work(at_work[:_MOST]), indent=2)
    if len(at_work) > _MOST:
        paper.line(f"  … and {len(at_work) - _MOST} more")
    failed = [record for record in records if record.error]
    if failed:
        paper.line()
        paper.line(f"  last failure: trial {failed[-1].number}: {_last_line(failed[-1])}", "red")


def _lines(sweep: Sweep) -> Iterator[tuple[str, str]]:
    """The lines above the tables, and their styles."""
    progress, best = sweep.progress, sweep.best_trial
    reason = f": {sweep.stop_reason}" if sweep.stop_reason else ""
    way = f"{sweep.strategy}, {sweep.objective.direction} {sweep.objective.metric}"
    yield printable(f"{sweep.name}  {sweep.id}  {sweep.status}{reason}"), "bold"
    yield f"  {way} · experiment {sweep.experiment_id} · {moment(sweep.definition.created)}", "dim"
    if progress.total:
        share = ended_of(progress) / progress.total
        yield f"  {bar_of(progress, _WIDTH):░<{_WIDTH}} {share:4.0%}", ""
    left = time_left(sweep)
    more = f", about {duration(left)} left" if left else ""
    yield f"  {counted(progress)} · {duration(progress.elapsed)}{more}", ""
    if best is not None:
        yield f"  best {best_line(sweep, best)}", "green"


def _at_work(records: Sequence[TrialRecord]) -> list[Column]:
    """The trials that run, and those that wait for another worker."""
    now = clock.now()
    return [
        Column("trial", [str(record.number) for record in records], right=True),
        Column("host", [record.host if record.worker else "offered again" for record in records]),
        Column(
            "for",
            [duration(now - record.started) if record.started else "" for record in records],
            right=True,
        ),
        Column("run", [record.run or "" for record in records], least=WHOLE),
        Column("parameters", [params_line(dict(record.params)) for record in records], rank=1),
    ]


def _last_line(record: TrialRecord) -> str:
    from podstack.sweeps.failures import last_line

    return last_line(record.error or "")


# As facts --------------------------------------------------------------------------------------


def facts_of(sweep: Sweep) -> dict[str, Any]:
    """All of `sweep status --json`."""
    best = sweep.best_trial
    return {
        **sweep_facts(sweep),
        "parameters": sweep.parameters,
        "elapsed": sweep.progress.elapsed,
        "time_left": time_left(sweep),
        "best": None if best is None else best_facts(sweep, best),
        "trials": [_facts(record) for record in sweep.records()],
    }


def best_facts(sweep: Sweep, best: TrialRecord) -> dict[str, Any]:
    """All of `sweep best --json`: the parameters nested as in the space."""
    return {**_facts(best), "params": sweep.best_params, "objective": sweep.objective.metric}


def _facts(record: TrialRecord) -> dict[str, Any]:
    facts = {**record._asdict(), "params": dict(record.params), "metrics": dict(record.metrics)}
    facts["reports"] = {str(step): value for step, value in record.reports.items()}
    return facts


# Followed --------------------------------------------------------------------------------------


def watch(paper: Paper, sweep: Sweep, every: float) -> None:
    """Return when it is over: the picture again and again on a terminal, else a line for each end.

    A sweep that was stopped is over once the trials that ran are.
    """
    if paper.is_terminal:
        _on_screen(paper, sweep, every)
    else:
        _line_by_line(paper, sweep, every)


def _looks(sweep: Sweep, every: float) -> Iterator[None]:
    pause = threading.Event()
    while sweep.status == RUNNING or sweep.progress.running:
        yield
        pause.wait(every)
    yield


def _on_screen(paper: Paper, sweep: Sweep, every: float) -> None:
    from rich.live import Live

    with Live(console=paper.console, auto_refresh=False, vertical_overflow="crop") as live:
        for _ in _looks(sweep, every):
            live.update(_picture(paper, sweep), refresh=True)


def _picture(paper: Paper, sweep: Sweep) -> Any:
    from rich.console import Group
    from rich.text import Text

    at_work = [record for record in sweep.records() if record.status == RUNNING][:_MOST]
    rows: list[Any] = [Text(printable(text), style=style) for text, style in _lines(sweep)]
    return Group(*rows, Text(), paper.drawn(_at_work(at_work))) if at_work else Group(*rows)


def _line_by_line(paper: Paper, sweep: Sweep, every: float) -> None:
    from podstack.sweeps.telling import trial_line

    told: set[int] = set()
    for _ in _looks(sweep, every):
        for record in sweep.records():
            if record.is_over and record.number not in told:
                told.add(record.number)
                reason = _last_line(record) if record.error else None
                paper.line(trial_line(sweep, record.number, record.status, record.value, reason))
        paper.flush()
    for text, style in _lines(sweep):
        paper.line(text, style)
