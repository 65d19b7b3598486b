"""How runs and experiments look at a prompt and in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from podstack import clock, curves
from podstack.names import printable
from podstack.points import SYSTEM
from podstack.series import Series

if TYPE_CHECKING:
    from podstack.experiment import Experiment
    from podstack.stored_run import StoredRun

_CHARTS = 6  # metrics drawn in a notebook
_MOST = 40  # parameters or metrics shown before "and n more"

_COLOURS = {
    "running": "#2f7fd6",
    "completed": "#2e9e5b",
    "failed": "#d64545",
    "killed": "#c98a1b",
}

STYLE = """<style>
.podstack {font: 13px/1.6 system-ui, sans-serif; max-width: 72em}
.podstack table {font: inherit; border-collapse: collapse; margin: .2em 0}
.podstack :is(td, th) {text-align: left; padding: .05em 1.4em .05em 0; border: 0; background: none}
.podstack th {font-weight: 600; opacity: .6}
.podstack :is(td, th).n {text-align: right; font-variant-numeric: tabular-nums}
.podstack svg {vertical-align: middle}
.podstack.full {max-width: none}
.podstack .wide {overflow-x: auto; scrollbar-color: gray transparent}
.podstack .wide :is(td, th) {white-space: pre; max-width: 18em; overflow: hidden;
  text-overflow: ellipsis}
.podstack b.best {color: #2e9e5b}
.podstack .dim {opacity: .6}
.podstack .dot {display: inline-block; width: .6em; height: .6em; border-radius: 50%}
.podstack .tag {border: 1px solid; border-radius: 1em; padding: 0 .6em;
  font-size: 11px; opacity: .7}
.podstack .side {display: flex; flex-wrap: wrap; align-items: flex-start;
  gap: .4em 3em; margin-top: .5em}
</style>"""


def run_text(run: StoredRun) -> str:
    lines = [
        f"Run {run.name}  {run.id}",
        f"  {_facts(run)}",
    ]
    if run.tags:
        lines.append(f"  tags: {', '.join(run.tags)}")
    lines += _section("params", [f"{name} = {_short(value)}" for name, value in run.params.items()])
    logged, of_the_machine = _logged(run)
    lines += _section("metrics", [repr(series) for series in logged])
    lines += [f"    and {of_the_machine} below system/"] if of_the_machine else []
    lines += _section("alerts", [repr(alert) for alert in run.alerts])
    lines += _section("artifacts", [f"{a.path}  {a.size:,} bytes" for a in run.artifacts.values()])
    return "\n".join(map(printable, lines))


def run_html(run: StoredRun) -> str:
    tags = " ".join(f"<span class=tag>{escape(tag)}</span>" for tag in run.tags)
    logged, of_the_machine = _logged(run)
    parts = [
        _block("parameters", ((n, _short(value)) for n, value in run.params.items())),
        _curves(logged, of_the_machine),
        _charts(logged),
        _block("alerts", ((_short(a.condition), a.summary) for a in run.alerts)),
        _block("artifacts", ((a.path, f"{a.size:,} bytes") for a in run.artifacts.values())),
    ]
    return (
        f"{STYLE}<div class=podstack>{dot(run.status)} <b>{escape(run.name)}</b> "
        f"<span class=dim>{escape(run.id)}</span> {tags}<br>"
        f"<span class=dim>{escape(_facts(run))}</span><div class=side>{''.join(parts)}</div>"
        f"{_link(run)}</div>"
    )


def _charts(logged: list[Series]) -> str:
    drawn = (curves.curve(one.name, one.steps, one.values) for one in logged[:_CHARTS])
    charts = "".join(curves.chart(one.label, [one]) for one in drawn)
    more = len(logged) - _CHARTS
    note = f"<div class=dim>and {more} more without a chart</div>" if more > 0 else ""
    return f"<div class=side>{charts}{note}</div>" if charts else ""


def _link(run: StoredRun) -> str:
    facts = run._store.settings
    return curves.page_link(facts.uri, f"projects/{facts.project}/runs/{run.id}/metrics")


def _logged(run: StoredRun) -> tuple[list[Series], int]:
    """What the user logged, and how many metrics of the machine stand beside it."""
    metrics = run.metrics
    logged = [name for name in metrics if not name.startswith(SYSTEM)]
    return [metrics[name] for name in logged], len(metrics) - len(logged)


def dot(status: str) -> str:
    return f'<span class=dot style="background:{_COLOURS.get(status, "gray")}"></span>'


def _block(title: str, rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<tr>{_cell(name)}{_cell(value)}</tr>" for name, value in rows)
    return f"<table><tr><th colspan=2>{title}</th></tr>{cells}</table>" if cells else ""


def _curves(metrics: list[Series], of_the_machine: int) -> str:
    named = "".join(f"<th class=n>{column}</th>" for column in ("last", "min", "max"))
    head = f"<tr><th colspan=2>metrics</th>{named}</tr>"
    rows = "".join(
        f"<tr>{_cell(series.name)}<td>{_curve(series)}</td>"
        f"{_number(series.last)}{_number(series.min)}{_number(series.max)}</tr>"
        for series in metrics
    )
    note = f"and {of_the_machine} below system/" if of_the_machine else ""
    more = f"<tr><td colspan=5 class=dim>{note}</td></tr>" if note else ""
    return f"<table>{head}{rows}{more}</table>" if rows else ""


def _facts(run: StoredRun) -> str:
    started = clock.readable(run.created)
    took = duration(run.duration)
    return f"{run._status()} · {took} · experiment {run.experiment_id} · {run.user} · {started}"


def experiment_text(experiment: Experiment) -> str:
    tags = f"  tags: {', '.join(experiment.tags)}" if experiment.tags else ""
    return printable(
        f"Experiment {experiment.name!r}  id={experiment.id}  {experiment.status}{tags}"
    )


def experiment_html(experiment: Experiment) -> str:
    from podstack import query

    search = query.Search(None, query.order_of("-created"), experiment.id)
    runs = query.search(experiment._store.index, search)
    return runs.html(f"{experiment.name} · {experiment.status}")


def duration(seconds: float) -> str:
    """`1h 04m`, `3m 20s`, `8.2s`."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m {rest:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"


def _section(title: str, lines: list[str]) -> list[str]:
    shown = lines[:_MOST]
    more = [f"    … and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return [f"  {title}", *(f"    {line}" for line in shown), *more] if lines else []


def _short(value: Any) -> str:
    text = (
        value
        if isinstance(value, str)
        else f"{value:.6g}"
        if isinstance(value, float)
        else str(value)
    )
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}…"


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _number(value: float) -> str:
    return f"<td class=n>{value:.4g}</td>"


def _curve(series: Series, width: int = 120, height: int = 22) -> str:
    """An SVG line of at most 120 points, the last one marked."""
    values = list(series.values)
    every = max(1, len(values) // width)
    # Halves, for the span of 1e308 and -1e308 is no float64.
    finite = [v / 2 for v in values[::every] if abs(v) < float("inf")]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    scale = (height - 4) / (high - low) if high > low else 0.0
    across = width / (len(finite) - 1)
    dots = [(i * across, height - 2 - (v - low) * scale) for i, v in enumerate(finite)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    last_x, last_y = dots[-1]
    return (
        f'<svg width="{width + 4}" height="{height}" role="img">'
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.3"/>'
        f'<circle cx="{last_x:.1f}" cy="{last_y:.1f}" r="2" fill="currentColor"/></svg>'
    )
