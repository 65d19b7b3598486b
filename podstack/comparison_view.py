"""How a comparison looks in a notebook: its table, and the curves of its runs over one another.

Bounded whatever it compares; what found no room is told. All names are text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from podstack import curves, plotted
from podstack.curves import Curve, Look
from podstack.display import STYLE
from podstack.errors import BackendError, NotFoundError, UsageError
from podstack.names import RUNNING, printable
from podstack.overlaid import Read, Source, overlaid
from podstack.tables import STAR, Column, html_table
from podstack.watching import Frame, Watch, watch

if TYPE_CHECKING:
    from podstack.compare import Comparison
    from podstack.index import RunRow

CHARTS = 6  # metrics that are drawn
RUNS = 10  # runs in one chart
_ROWS, _COLUMNS = 50, 30  # of the table where each run is a row
_LINKED = 100  # runs that an address names


def html(comparison: Comparison) -> str:
    """The comparison as HTML of some 100 KB at most, with no script and nothing from elsewhere."""
    columns, notes = _fitted(comparison.text_columns(), comparison)
    below = "<br>".join(
        escape(printable(note.removeprefix(STAR))) for note in [*comparison._notes(1000), *notes]
    )
    return (
        f"{STYLE}<div class='podstack full'><b>{escape(printable(comparison._title()))}</b>"
        f"<div class=wide>{html_table(columns)}</div><div class=dim>{below}</div>"
        f"{_overlay(comparison)}{curves.link(_address(comparison), 'Open the Compare page')}</div>"
    )


def _fitted(columns: list[Column], comparison: Comparison) -> tuple[list[Column], list[str]]:
    """At most so many rows and columns, and what was left out."""
    notes = []
    if len(columns) > _COLUMNS:
        notes.append(f"{len(columns) - _COLUMNS:,} more columns: .to_pandas()")
    over = len(comparison.runs) - _ROWS
    if over > 0:
        notes.append(f"{over:,} more runs: .to_pandas()")
        columns = [column._replace(cells=column.cells[:_ROWS]) for column in columns]
    return columns[:_COLUMNS], notes


def _overlay(comparison: Comparison) -> str:
    """A legend and a chart for each metric that has a curve."""
    runs = drawn_runs(comparison)
    looks = curves.looks(row.id for row in runs)
    names = drawn_names(comparison)
    read, trouble = _read(comparison._source, [row.id for row in runs], names)
    charts = [_chart(name, runs, looks, read) for name in names]
    if not any(charts):
        return f"<div class=dim>{escape(printable(trouble))}</div>" if trouble else ""
    legend = curves.legend((_label(comparison, row), looks[row.id]) for row in runs)
    return (
        f"{legend}<div class=side>{''.join(charts)}</div>"
        f"<div class=dim>{escape(_left_out(comparison))}</div>"
    )


def _read(source: Source | None, ids: Sequence[str], names: Sequence[str]) -> tuple[Read, str]:
    """What there is to draw, and what is to be told where it cannot be read."""
    if source is None:
        return {}, ""
    try:
        return overlaid(source.store, [source.open_run(run) for run in ids], names), ""
    except (BackendError, NotFoundError) as error:
        return {}, f"No curves: {error}"


def plotted_figure(comparison: Comparison, metrics: object, x: object, smooth: object) -> Any:
    """See `Comparison.plot`."""
    want, source = plotted.wanted(metrics, x, smooth), _source(comparison)
    plotted.pictures()
    runs = drawn_runs(comparison)
    more = len(comparison.runs) - len(runs)
    return plotted.drawn(
        plotted.of_runs(
            source.store,
            {row.id: _label(comparison, row) for row in runs},
            {row.id: source.open_run(row.id) for row in runs},
            _curved(comparison),
            list(dict.fromkeys(name for row in comparison.runs for name in row.metrics)),
            want,
            [f"{more:,} more run{'s'[: more != 1]} without a curve"] if more > 0 else [],
        )
    )


def _source(comparison: Comparison) -> Source:
    if comparison._source is None:
        raise UsageError("This comparison was made of rows alone: use client.compare_runs.")
    return comparison._source


def drawn_runs(comparison: Comparison) -> list[RunRow]:
    """The baseline and the first others, in the order of the comparison."""
    base = comparison.baseline
    others = [row for row in comparison.runs if row.id != base.id][: RUNS - 1]
    kept = {base.id, *(row.id for row in others)}
    return [row for row in comparison.runs if row.id in kept]


def drawn_names(comparison: Comparison) -> list[str]:
    """The first metrics of those that have a curve."""
    return _curved(comparison)[:CHARTS]


def _curved(comparison: Comparison) -> list[str]:
    """The metrics that some run logged at more than one step: a point is no curve."""
    return [
        name
        for name in comparison.metrics
        if any(name in row.metrics and row.metrics[name].steps > 1 for row in comparison.runs)
    ]


def _chart(name: str, runs: Sequence[RunRow], looks: Mapping[str, Look], read: Read) -> str:
    lines = [
        Curve(row.name, found[name], looks[row.id], end=row.metrics[name].last_step)
        for row in runs
        if name in (found := read.get(row.id, {})) and name in row.metrics
    ]
    return curves.chart(name, lines)


def _label(comparison: Comparison, row: RunRow) -> str:
    repeated = f" {row.id}" if comparison._names_repeat else ""
    return f"{row.name}{repeated}{' (baseline)' if row.id == comparison.baseline.id else ''}"


def _left_out(comparison: Comparison) -> str:
    runs, metrics = len(comparison.runs) - RUNS, len(comparison.metrics) - CHARTS
    parts = [f"{runs:,} more run{'s'[: runs != 1]}"] if runs > 0 else []
    parts += [f"{metrics:,} more metric{'s'[: metrics != 1]}"] if metrics > 0 else []
    return f"{' and '.join(parts)} without a chart: compare_runs([…], metrics=[…])" if parts else ""


def _address(comparison: Comparison) -> str | None:
    source = comparison._source
    page = None if source is None else source.store.page("compare")
    ids = [row.id for row in comparison.runs]
    if page is None or len(ids) > _LINKED:
        return None
    view = {"runs": orjson.dumps(ids).decode()}
    if comparison.baseline.id != ids[0]:
        view["base"] = comparison.baseline.id
    return f"{page}?{urlencode(view)}"


# Watching ----------------------------------------------------------------------------------


def watched(comparison: Comparison, seconds: float) -> Watch:
    """See `Comparison.watch`."""
    source = _source(comparison)
    return watch(
        f"The comparison of {len(comparison.runs)} runs",
        lambda: _frame(comparison._now(source)),
        seconds,
        key=(source.store.url, *(row.id for row in comparison.runs)),
        elsewhere=f"Its page shows the same: {_address(comparison) or 'podstack ui'}",
    )


def _frame(now: Comparison) -> Frame:
    return Frame(
        html(now),
        repr(now),
        moved=[[summary.steps for summary in row.metrics.values()] for row in now.runs],
        is_over=all(row.status != RUNNING for row in now.runs),
    )
