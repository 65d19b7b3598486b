"""How runs and experiments look at a prompt and in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from podstack import clock, curves, overlaid
from podstack.curves import Bucket
from podstack.errors import BackendError
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
.podstack b.best {color: inherit; color: color-mix(in srgb, currentColor 40%, #2e9e5b)}
.podstack .dim {opacity: .7}
.podstack .dot {display: inline-block; width: .6em; height: .6em; border-radius: 50%}
.podstack .tag {border: 1px solid; border-radius: 1em; padding: 0 .6em;
  font-size: 11px; opacity: .7}
.podstack figure {margin: .3em 0; max-width: 262px}
.podstack figcaption {overflow: hidden; text-overflow: ellipsis; white-space: nowrap}
.podstack .legend {display: flex; flex-wrap: wrap; gap: .1em 1.4em; margin-top: .5em}
.podstack .who {max-width: 22em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap}
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
    drawn = _drawn(run, logged[:_MOST])
    parts = [
        _block("parameters", ((n, _short(value)) for n, value in run.params.items())),
        _curves(logged, of_the_machine, drawn),
        _charts(logged, drawn),
        _block("alerts", ((_short(a.condition), a.summary) for a in run.alerts)),
        _block("artifacts", ((a.path, f"{a.size:,} bytes") for a in run.artifacts.values())),
    ]
    page = run.page and f"{run.page}/metrics"
    return (
        f"{STYLE}<div class=podstack>{dot(run.status)} <b>{escape(printable(run.name))}</b> "
        f"<span class=dim>{escape(run.id)}</span> {tags}<br>"
        f"<span class=dim>{escape(_facts(run))}</span><div class=side>{''.join(parts)}</div>"
        f"{curves.link(page, 'Open its page')}</div>"
    )


def _drawn(run: StoredRun, logged: Sequence[Series]) -> dict[str, list[Bucket]]:
    """The curves of those metrics; none where they cannot be read: the rest is worth showing."""
    try:
        return overlaid.overlaid(run._store, [run], [one.name for one in logged])[run.id]
    except BackendError:
        return {}


def _charts(logged: Sequence[Series], drawn: dict[str, list[Bucket]]) -> str:
    some = [curves.chart(one.name, [_curve(one, drawn)]) for one in logged[:_CHARTS]]
    more = len(logged) - _CHARTS
    note = f"<div class=dim>and {more:,} more without a chart</div>" if more > 0 else ""
    return f"<div class=side>{''.join(some)}{note}</div>" if any(some) else ""


def _curve(one: Series, drawn: dict[str, list[Bucket]]) -> curves.Curve:
    return curves.Curve(one.name, drawn.get(one.name, ()), end=one.summary.last_step)


def _logged(run: StoredRun) -> tuple[list[Series], int]:
    """What the user logged, and how many metrics of the machine stand beside it."""
    metrics = run.metrics
    logged = [name for name in metrics if not name.startswith(SYSTEM)]
    return [metrics[name] for name in logged], len(metrics) - len(logged)


def dot(status: str) -> str:
    return f'<span class=dot style="background:{_COLOURS.get(status, "gray")}"></span>'


def _block(title: str, rows: Iterable[tuple[str, str]]) -> str:
    known = list(rows)
    cells = "".join(f"<tr>{_cell(name)}{_cell(value)}</tr>" for name, value in known[:_MOST])
    head = f"<tr><th colspan=2>{title}</th></tr>"
    return f"<table>{head}{cells}{_more(len(known), 2)}</table>" if cells else ""


def _more(count: int, across: int, note: str = "") -> str:
    """A last row that says what found no room."""
    notes = [f"… and {count - _MOST:,} more"] if count > _MOST else []
    told = " · ".join([*notes, *([note] if note else [])])
    return f"<tr><td colspan={across} class=dim>{told}</td></tr>" if told else ""


def _curves(metrics: Sequence[Series], of_the_machine: int, drawn: dict[str, list[Bucket]]) -> str:
    named = "".join(f"<th class=n>{column}</th>" for column in ("last", "min", "max"))
    head = f"<tr><th colspan=2>metrics</th>{named}</tr>"
    rows = "".join(
        f"<tr>{_cell(one.name)}<td>{curves.spark(drawn.get(one.name, ()))}</td>"
        f"{_number(one.last)}{_number(one.min)}{_number(one.max)}</tr>"
        for one in metrics[:_MOST]
    )
    note = f"and {of_the_machine} below system/" if of_the_machine else ""
    return f"<table>{head}{rows}{_more(len(metrics), 5, note)}</table>" if rows else ""


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
    return f"<td>{escape(printable(text))}</td>"


def _number(value: float) -> str:
    return f"<td class=n>{value:.4g}</td>"
