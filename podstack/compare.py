"""Two or more runs side by side: what differs in their parameters, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from podstack import columns as cols
from podstack import frames, tables
from podstack.directions import MAXIMIZE, MINIMIZE, direction_of
from podstack.display import duration
from podstack.errors import NotFoundError, UsageError, WrongTypeError
from podstack.frames import ABSENT
from podstack.measured import Measured, measure
from podstack.names import short
from podstack.tables import (
    NOTHING,
    STAR,
    WHOLE,
    Column,
    cell,
    numbers,
    plain_lines,
    terminal_width,
    text_table,
    wrapped,
)

if TYPE_CHECKING:
    from podstack.index import RunRow
    from podstack.index.remote import AnyIndex
    from podstack.overlaid import Source
    from podstack.watching import Watch

MOST = 1000  # runs of one comparison
_SIDE_BY_SIDE = 6  # runs that are shown as columns; more are shown as rows
_CHANGE = "±"  # heads the columns of what changed against the baseline
_MOST_ROWS = 60  # parameters, or metrics, of a comparison in text


class Comparison:
    """Runs beside a baseline, as they were when compared. Prints as a table; shows its curves too.

    params: `{name: {run id: value}}` of the parameters that are not equal in all runs; a run
    that lacks one is not in its dict, which is not the same as None.
    equal_params: `{name: value}` of those that are.
    metrics: `{name: {run id: Measured}}`.
    """

    def __init__(
        self,
        runs: Sequence[RunRow],
        baseline: RunRow,
        metrics: Sequence[str] | None = None,
        source: Source | None = None,
    ) -> None:
        self.runs = list(runs)
        self.baseline = baseline
        self._asked, self._source = metrics, source
        self.params: dict[str, dict[str, Any]] = {}
        self.equal_params: dict[str, Any] = {}
        for name in dict.fromkeys(name for row in runs for name in row.params):
            if cols.are_equal(name, runs):
                self.equal_params[name] = runs[0].params[name]
            else:
                self.params[name] = {r.id: r.params[name] for r in runs if name in r.params}
        chosen = _chosen_metrics(runs, metrics)
        self.metrics = {name: measure(name, runs, baseline) for name in chosen}

    def __len__(self) -> int:
        return len(self.runs)

    # As data -------------------------------------------------------------------------------

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict per run: who it is, the parameters that differ, and all of `Measured`."""
        return [self._facts(row) for row in self.runs]

    def _facts(self, row: RunRow) -> dict[str, Any]:
        names = ("id", "name", "status", "experiment", "user", "created", "duration")
        facts = {name: getattr(row, name) for name in names}
        facts["baseline"] = row.id == self.baseline.id
        facts |= {f"params.{n}": by[row.id] for n, by in self.params.items() if row.id in by}
        for name, found in self.metrics.items():
            if row.id in found:
                parts = found[row.id]._asdict().items()
                facts |= {f"metrics.{name}.{part}": value for part, value in parts}
        return facts

    def to_pandas(self) -> Any:
        """A DataFrame with a row per run.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        frames.pandas()
        return frames.pandas_table(frames.columns_of(self.to_dicts()), times=("created",))

    def to_polars(self) -> Any:
        """The same as a polars DataFrame.

        Raises:
            MissingExtraError: polars is not installed.
        """
        frames.polars()
        return frames.polars_table(frames.columns_of(self.to_dicts()), times=("created",))

    # As something to look at ---------------------------------------------------------------

    def __repr__(self) -> str:
        width = terminal_width()
        lines = [self._title(), ""]
        table = text_table(self._side_by_side(), width) if self._has_few else None
        if table is None or table.hidden:
            table = text_table(self._one_below_another(), width)
        if table.hidden:
            table = text_table(self._one_below_another(deltas=False), width)
        lines += table.lines
        hidden = [head for head in table.hidden if not head.startswith(_CHANGE)]
        if hidden:
            lines.append(wrapped("not shown: ", hidden, width))
        return plain_lines([*lines, *self._notes(width)], width)

    def _repr_html_(self) -> str:
        from podstack import comparison_view

        return comparison_view.html(self)

    def plot(
        self, metrics: str | Sequence[str] | None = None, x: str = "step", smooth: float = 0.0
    ) -> Any:
        """A matplotlib figure of the runs' curves over one another, in the colours of the pages.

        Each curve is at most 300 buckets, the same as on the Compare page: the mean as a line, and
        behind it the range from the lowest to the highest value.

        Args:
            metrics: a name or several; 12 are drawn at most. Default: those of the comparison that
                some run logged at more than one step. Of the runs ten are drawn, the baseline among
                them; the figure says what is left out.
            x: `step`; `relative`, seconds since each run was started; or `wall`, the time of day.
            smooth: weight of an exponential mean, 0 (none) to below 1; the raw one stays behind it.

        Raises:
            NotFoundError: no run has such a metric; the nearest are named.
            UsageError, WrongTypeError: `x` or `smooth` is out of range, or metrics are no names; or
                the comparison was made of rows alone.
            MissingExtraError: matplotlib is not installed: `pip install 'podstack[plot]'`.
            BackendError: the store does not answer.
        """
        from podstack import comparison_view

        return comparison_view.plotted_figure(self, metrics, x, smooth)

    def watch(self, *, seconds: float = 2.0) -> Watch:
        """Show the comparison in this notebook and keep it up to date while one of its runs runs.

        The cell returns at once. In a terminal it says what to do instead.

        Args:
            seconds: between two pictures while something is logged; up to 15 while nothing is.

        Raises:
            UsageError: `seconds` is out of range; or the comparison was made of rows alone.
        """
        from podstack import comparison_view

        return comparison_view.watched(self, seconds)

    def _now(self, source: Source) -> Comparison:
        """The same runs compared anew; metrics that were not chosen may have come."""
        ids = [row.id for row in self.runs]
        return compare(source.store.index, ids, self.baseline.id, self._asked, source)

    def text_columns(self) -> list[Column]:
        """Few runs beside one another, many below one another, for whoever draws the table."""
        return self._side_by_side() if self._has_few else self._one_below_another()

    @property
    def _has_few(self) -> bool:
        return len(self.runs) <= _SIDE_BY_SIDE

    @property
    def _names_repeat(self) -> bool:
        return len({row.name for row in self.runs}) < len(self.runs)

    def _title(self) -> str:
        repeated = f" ({self.baseline.id})" if self._names_repeat else ""
        return f"{len(self.runs)} runs, changes against {self.baseline.name}{repeated}"

    def _notes(self, width: int) -> list[str]:
        equal = len(self.equal_params)
        notes = [f"{equal:,} equal parameter{'' if equal == 1 else 's'}: .equal_params"]
        notes = notes if equal else []
        for kind in ("params", "metrics"):
            over = len(getattr(self, kind)) - _MOST_ROWS
            notes += [f"{over} more {kind}: .{kind}"] if over > 0 and self._has_few else []
        ways = {MINIMIZE: "lowest", MAXIMIZE: "highest"}
        rated = [name for name in self.metrics if self._best_runs(name)]
        known = [f"{name} {ways[direction_of(name) or MAXIMIZE]}" for name in rated]
        return notes + ([wrapped(f"{STAR}best by its name: ", known, width)] if known else [])

    # Few runs: a column for each

    def _side_by_side(self) -> list[Column]:
        heads, body = self._labels(), [self._column(row) for row in self.runs]
        best = [self._best_lines(row) for row in self.runs]
        labels = Column("", heads, rank=0, least=24)
        return [labels] + [
            Column(cell(row.name), cells, right=True, rank=0, best=stars, least=17)
            for row, cells, stars in zip(self.runs, body, best, strict=True)
        ]

    def _labels(self) -> list[str]:
        labels = ["status", "duration", "user", *(["id"] if self._names_repeat else [])]
        labels += [cell(name) for name in self._param_names()]
        return labels + [text for name in self._metric_names() for text in _metric_labels(name)]

    def _param_names(self) -> list[str]:
        return list(self.params)[:_MOST_ROWS]

    def _metric_names(self) -> list[str]:
        return list(self.metrics)[:_MOST_ROWS]

    def _column(self, row: RunRow) -> list[str]:
        cells = [cols.status_of(row), duration(row.duration), cell(row.user)]
        cells += [row.id] if self._names_repeat else []
        cells += [self._param_cells(name)[row.id] for name in self._param_names()]
        for name in self._metric_names():
            cells += self._metric_cells(name, row)
        return cells

    def _param_cells(self, name: str) -> dict[str, str]:
        values = [self.params[name].get(row.id, ABSENT) for row in self.runs]
        return dict(zip([row.id for row in self.runs], tables.cells(values), strict=True))

    def _metric_cells(self, name: str, row: RunRow) -> list[str]:
        """One line per label of the metric, for this run."""
        at = self.runs.index(row)
        measured = [self.metrics[name].get(r.id) for r in self.runs]
        parts = [None if m is None else getattr(m, p) for p in _parts(name) for m in measured]
        cells = numbers(parts)[at :: len(measured)]
        return [*cells, _change(measured[at]) if row.id != self.baseline.id else ""]

    def _best_lines(self, row: RunRow) -> frozenset[int]:
        """The lines of this run's column that hold the best value of a metric."""
        line, found = 3 + self._names_repeat + len(self._param_names()), set()
        for name in self._metric_names():
            if self.runs.index(row) in self._best_runs(name):
                found.add(line)
            line += len(_metric_labels(name))
        return frozenset(found)

    def _best_runs(self, name: str) -> frozenset[int]:
        measured = [self.metrics[name].get(row.id) for row in self.runs]
        values = [None if m is None else m.value for m in measured]
        return cols.best_of(values, direction_of(name))

    # Many runs: a row for each

    def _one_below_another(self, *, deltas: bool = True) -> list[Column]:
        rows = self.runs
        statuses = [cols.status_of(row) for row in rows]
        columns = [
            Column("run", [cell(row.name) for row in rows], rank=0),
            Column("status", statuses, rank=0, is_status=True, least=WHOLE),
            Column("duration", [duration(r.duration) for r in rows], True, rank=4, least=WHOLE),
        ]
        if self._names_repeat:
            columns.insert(1, Column("id", [row.id for row in rows], rank=0, least=WHOLE))
        for name, by in self.params.items():
            values = [by.get(row.id, ABSENT) for row in rows]
            columns.append(cols.plain_column(name, values, rank=2))
        for name in self.metrics:
            columns += self._metric_columns(name)[: 3 if deltas else 2]
        return columns

    def _metric_columns(self, name: str) -> list[Column]:
        measured = [self.metrics[name].get(row.id) for row in self.runs]
        values = [None if m is None else m.value for m in measured]
        rank = 1 if direction_of(name) else 4
        percents, deltas = [], []
        for row, found in zip(self.runs, measured, strict=True):
            is_base = row.id == self.baseline.id
            percents.append("" if is_base else _percent_of(found))
            deltas.append("" if is_base else _delta_of(found))
        best = self._best_runs(name)
        return [
            Column(cell(name), numbers(values), True, rank, best, least=WHOLE),
            Column(f"{_CHANGE} %", percents, True, rank, least=WHOLE),
            Column(_CHANGE, deltas, True, rank, least=WHOLE),
        ]


# Finding -----------------------------------------------------------------------------------


def compare(
    index: AnyIndex,
    wanted: object,
    baseline: object = None,
    metrics: Sequence[str] | None = None,
    source: Source | None = None,
) -> Comparison:
    """The runs of an index side by side, each given by its id, its name, or as a run.

    Args:
        source: what their curves are read from. Default: none are drawn.

    Raises:
        UsageError: fewer than two are given, one twice, or one name stands for several runs.
        NotFoundError: one does not exist; the nearest are named.
    """
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        raise WrongTypeError(f"Runs to compare are a list of run ids, not {short(wanted)}.")
    texts = [_id_of(run) for run in islice(wanted, MOST + 1)]
    if not 2 <= len(texts) <= MOST:
        many = f"more than {MOST:,}" if len(texts) > MOST else str(len(texts))
        raise UsageError(f"A comparison takes 2 to {MOST:,} runs, not {many}.")
    index.refresh()
    rows = _rows(index, texts)
    ids = [row.id for row in rows]
    for row in rows:
        if ids.count(row.id) > 1:
            raise UsageError(f"Run {row.id} ({short(row.name)}) is given twice; name it once.")
    if baseline is None:
        return Comparison(rows, rows[0], metrics, source)
    (base,) = _rows(index, [_id_of(baseline)])
    if base.id not in ids:
        raise UsageError(f"The baseline {base.id} is none of the runs compared; add it to them.")
    return Comparison(rows, base, metrics, source)


def _id_of(run: object) -> str:
    run_id = run if isinstance(run, str) else getattr(run, "id", None)
    if not isinstance(run_id, str):
        raise WrongTypeError(f"A run to compare is a run id or a run, not {short(run)}.")
    return run_id


def _rows(index: AnyIndex, texts: Sequence[str]) -> list[RunRow]:
    known = {row.id: row for row in index.rows(texts)}
    meant = [text if text in known else _meant(index, text) for text in texts]
    known |= {row.id: row for row in index.rows([m for m in meant if m not in known])}
    return [known[run_id] for run_id in meant]


def _meant(index: AnyIndex, text: str) -> str:
    """The one run that goes by this name, or whose id starts so."""
    matching = index.matching(text)
    if len(matching) > 1:
        listed = ", ".join(matching[:3]) + (" …" if len(matching) > 3 else "")
        raise UsageError(f"{short(text)} stands for {len(matching)} runs ({listed}). Give an id.")
    if not matching:
        names = [name for row in index.runs() for name in (row.id, row.name)]
        raise NotFoundError.among("run", text, names)
    return matching[0]


# Choosing ----------------------------------------------------------------------------------


def _chosen_metrics(runs: Sequence[RunRow], wanted: Sequence[str] | None) -> list[str]:
    if wanted is None:
        return cols.metric_names(runs)
    if isinstance(wanted, str) or not isinstance(wanted, (list, tuple)):
        raise WrongTypeError(f"metrics is a list of names such as ['loss'], not {short(wanted)}.")
    known = {name for row in runs for name in row.metrics}
    for name in wanted:
        if name not in known:
            raise NotFoundError.among("metric", name, known)
    return list(dict.fromkeys(wanted))


# Reading -----------------------------------------------------------------------------------


def _parts(name: str) -> tuple[str, ...]:
    """What is shown of a metric, the value that is compared first."""
    return ("best", "last") if direction_of(name) else ("last", "min", "max")


def _metric_labels(name: str) -> list[str]:
    first, *others = _parts(name)
    way = {MINIMIZE: "lowest", MAXIMIZE: "highest"}.get(direction_of(name) or "", first)
    return [f"{cell(name)} {way}", *(f"  {part}" for part in others), "  change"]


def _change(measured: Measured | None) -> str:
    """`+0.0089 (+1.0 %)`; a dash where the difference says nothing."""
    if measured is None or measured.delta is None:
        return NOTHING
    if measured.percent is None or not measured.delta:
        return _delta_of(measured)
    return f"{_delta_of(measured)} ({_percent(measured.percent)})"


def _delta_of(measured: Measured | None) -> str:
    if measured is None or measured.delta is None:
        return NOTHING
    return f"{measured.delta:+.3g}" if measured.delta else "="


def _percent_of(measured: Measured | None) -> str:
    if measured is None or measured.percent is None:
        return NOTHING
    return _percent(measured.percent) if measured.percent else "="


def _percent(percent: float) -> str:
    size = abs(percent)
    if size >= 9999.5:
        return f"{percent:+.1e} %"
    return f"{percent:+.0f} %" if size >= 99.95 else f"{percent:+.{1 if size >= 0.995 else 2}f} %"
