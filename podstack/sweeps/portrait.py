"""How a sweep looks at a prompt and in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from podstack import clock
from podstack.display import STYLE, dot, duration
from podstack.names import COMPLETED, FAILED, KILLED, RUNNING, printable
from podstack.sweeps.definition import Definition
from podstack.sweeps.outlook import Entry, history, plateau, seconds_left
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.trial_table import is_waiting
from podstack.tables import cell, cut, terminal_width

if TYPE_CHECKING:
    from podstack.sweeps.sweep import Progress, Sweep

_BAR, _HTML_BAR = 30, 240  # characters, pixels
_MOST = 40  # parameters shown before "and n more"
_DOTS = 400  # trials of the small history
_COLOURS = (
    (COMPLETED, "#2e9e5b", "█"),
    (FAILED, "#d64545", "▓"),
    (KILLED, "#c98a1b", "▒"),
    (RUNNING, "#2f7fd6", "▄"),
)


class View(NamedTuple):
    """All of a sweep that is shown, read once, so that its parts agree."""

    definition: Definition
    status: str
    stop_reason: str | None
    progress: Progress
    records: Sequence[TrialRecord]
    now: float

    @classmethod
    def of(cls, sweep: Sweep) -> View:
        from podstack.sweeps.sweep import progress_of

        records, size = sweep.records(), sweep.progress.total
        progress = progress_of(sweep.definition, records, size)
        now = clock.now()
        return cls(sweep.definition, sweep.status, sweep.stop_reason, progress, records, now)

    @property
    def best(self) -> TrialRecord | None:
        return self.definition.objective.best_trial(self.records)

    @property
    def facts(self) -> str:
        objective = self.definition.objective
        parts = [
            self.status,
            f"{self.definition.strategy} search",
            f"{objective.direction} {cell(objective.metric)}",
            f"experiment {cell(self.definition.experiment)}",
            cell(self.definition.user),
            clock.readable(self.definition.created),
        ]
        return " · ".join(part for part in parts if part)

    @property
    def counts(self) -> str:
        """`17 of 30 trials: 12 completed (3 pruned), 5 failed; 2 running, about 2m 10s left`."""
        progress = self.progress
        over = progress.completed + progress.failed + progress.killed
        of = "" if progress.total is None else f" of {progress.total:,}"
        pruned = f" ({progress.pruned:,} pruned)" if progress.pruned else ""
        ended = [
            f"{count:,} {word}{pruned if word == COMPLETED else ''}"
            for word in (COMPLETED, FAILED, KILLED)
            if (count := getattr(progress, word))
        ]
        waiting = sum(map(is_waiting, self.records))
        now = [f"{progress.running:,} running"] if progress.running else []
        now += [f"{waiting:,} offered again"] if waiting else []
        left = self._left()
        now += [f"about {duration(left)} left"] if left else []
        told = f": {', '.join(ended)}" if ended else ""
        return f"{over:,}{of} trials over{told}{'; ' if now else ''}{', '.join(now)}"

    def _left(self) -> float | None:
        if self.status != RUNNING:
            return None
        return seconds_left(self.records, self.progress.total, self.now)

    @property
    def notes(self) -> list[str]:
        """Why it stopped, or that it hardly gets better."""
        if self.stop_reason:
            return [f"stopped: {cell(self.stop_reason)}"]
        flat = plateau(self.definition.objective, self.records) if self.status == RUNNING else None
        return [str(flat)] if flat else []

    @property
    def best_lines(self) -> tuple[str, list[tuple[str, str]]]:
        """What is said of the best trial, and its parameters."""
        best = self.best
        if best is None or best.value is None:
            return "no trial has a value yet", []
        told = (
            f"best {cell(self.definition.objective.metric)} {best.value:.6g} (trial {best.number})"
        )
        return told, [(cell(name), cell(value)) for name, value in best.params.items()]


def sweep_text(sweep: Sweep) -> str:
    view, width = View.of(sweep), terminal_width()
    told, params = view.best_lines
    lines = [f"Sweep {view.definition.name}  {view.definition.id}", f"  {view.facts}"]
    bar = _bar(view.progress)
    lines += [f"  {bar}"] if bar else []
    lines += [f"  {view.counts}", *(f"  {note}" for note in view.notes), f"  {told}"]
    lines += [f"    {name} = {value}" for name, value in params[:_MOST]]
    lines += [f"    … and {len(params) - _MOST} more"] if len(params) > _MOST else []
    return "\n".join(cut(printable(line), max(width, 60)) for line in lines)


def _parts(progress: Progress, width: int) -> list[int]:
    """How much of a bar each status has, in the order of `_COLOURS`; nothing without a total."""
    total = progress.total or 0
    edges, done = [0], 0
    for status, _, _ in _COLOURS:
        done += getattr(progress, status)
        edges.append(min(width, width * done // total) if total else 0)
    return [end - start for start, end in pairwise(edges)]


def _bar(progress: Progress) -> str:
    if not progress.total:
        return ""
    parts = zip(_COLOURS, _parts(progress, _BAR), strict=True)
    drawn = "".join(mark * length for (_, _, mark), length in parts)
    over = progress.completed + progress.failed + progress.killed
    return f"{drawn:░<{_BAR}} {over / progress.total:4.0%}"


# In a notebook -------------------------------------------------------------------------------


def sweep_html(sweep: Sweep) -> str:
    view = View.of(sweep)
    told, params = view.best_lines
    notes = "".join(f"<br><span class=dim>{_text(note)}</span>" for note in view.notes)
    rows = "".join(f"<tr><td>{_text(n)}</td><td>{_text(v)}</td></tr>" for n, v in params[:_MOST])
    more = len(params) - _MOST
    rows += f"<tr><td colspan=2 class=dim>and {more} more</td></tr>" if more > 0 else ""
    best = f"<table><tr><th colspan=2>{_text(told)}</th></tr>{rows}</table>"
    return (
        f"{STYLE}<div class=podstack>{dot(view.status)} <b>{_text(view.definition.name)}</b> "
        f"<span class=dim>{_text(view.definition.id)}</span><br>"
        f"<span class=dim>{_text(view.facts)}</span><br>{_svg_bar(view.progress)} "
        f"{_text(view.counts)}{notes}<div class=side>{best}{_svg_history(view)}</div></div>"
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _svg_bar(progress: Progress) -> str:
    if not progress.total:
        return ""
    drawn, x = "", 0
    for (_, colour, _), length in zip(_COLOURS, _parts(progress, _HTML_BAR), strict=True):
        drawn += f'<rect x="{x}" width="{length}" height="8" fill="{colour}"/>' if length else ""
        x += length
    return (
        f'<svg width="{_HTML_BAR}" height="8" role="img"><rect width="{_HTML_BAR}" height="8" '
        f'fill="gray" fill-opacity=".25"/>{drawn}</svg>'
    )


def _svg_history(view: View, width: int = 260, height: int = 70) -> str:
    """The values of the trials as dots, the best so far as a line."""
    entries = history(view.definition.objective, view.records)
    known = [one for one in entries if isfinite(one.value)]
    known = known[:: -(-len(known) // _DOTS) or 1]
    if len(known) < 2:
        return ""
    values = [one.value / 2 for one in known]  # halves, for the span of 1e308 and -1e308
    low, high = min(values), max(values)
    scale = (height - 8) / (high - low) if high > low else 0.0
    across = (width - 8) / (len(known) - 1)

    def at(value: float) -> float:
        return height - 4 - (value / 2 - low) * scale

    dots = "".join(
        f'<circle cx="{4 + i * across:.1f}" cy="{at(one.value):.1f}" r="1.8"/>'
        for i, one in enumerate(known)
    )
    line = _steps([(4 + i * across, one) for i, one in enumerate(known)], at)
    return (
        f'<svg width="{width}" height="{height}" role="img"><g fill="currentColor" '
        f'fill-opacity=".45">{dots}</g><polyline points="{line}" fill="none" stroke="#2e9e5b" '
        'stroke-width="1.6"/></svg>'
    )


def _steps(entries: Sequence[tuple[float, Entry]], at: Callable[[float], float]) -> str:
    points: list[tuple[float, float]] = []
    for x, one in entries:
        if isfinite(one.best):
            y = at(one.best)
            points += [(x, points[-1][1])] if points and points[-1][1] != y else []
            points.append((x, y))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
