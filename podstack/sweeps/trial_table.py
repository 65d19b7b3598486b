"""The trials of a sweep as a table that prints, shows in a notebook and becomes a data frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from podstack import clock, frames
from podstack.columns import plain_column, same
from podstack.display import duration
from podstack.frames import ABSENT
from podstack.names import RUNNING
from podstack.query import check_count
from podstack.sweeps.definition import Definition
from podstack.sweeps.distributions import Constant
from podstack.sweeps.records import TrialRecord
from podstack.tables import (
    NOTHING,
    STAR,
    WHOLE,
    Column,
    cell,
    html_page,
    html_table,
    numbers,
    plain_lines,
    terminal_width,
    text_table,
    wrapped,
)

PAGE = 20  # trials in a page of text
_HTML_PAGE = 50
_HTML_COLUMNS = 40
_TIMES = ("started", "ended")
_FIRST = ("number", "status", "value", "pruned")
_LAST = ("run", "error", "worker", "host", "generation", "started", "ended", "duration", "label")


class TrialTable(Sequence[TrialRecord]):
    """Trials, by number. Iterate it, index it, slice it (a slice is a table too), print it.

    The best is that of the whole sweep, whatever part of it the table holds.
    """

    def __init__(
        self,
        definition: Definition,
        records: Sequence[TrialRecord],
        *,
        best: TrialRecord | None = None,
        now: float | None = None,
    ) -> None:
        self._definition = definition
        self._records = list(records)
        self._best = best or definition.objective.best_trial(records)
        self._now = clock.now() if now is None else now

    # As a sequence -------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[TrialRecord]:
        return iter(self._records)

    @overload
    def __getitem__(self, which: int) -> TrialRecord: ...
    @overload
    def __getitem__(self, which: slice) -> TrialTable: ...
    def __getitem__(self, which: int | slice) -> TrialRecord | TrialTable:
        found = self._records[which]
        return self._of(found) if isinstance(found, list) else found

    def _of(self, records: Sequence[TrialRecord]) -> TrialTable:
        return TrialTable(self._definition, records, best=self._best, now=self._now)

    def page(self, number: int, size: int = PAGE) -> TrialTable:
        """The trials of one page; the first is 1.

        Raises:
            UsageError: there is no such page, or a page cannot have that size.
        """
        size = check_count("size", size, least=1, most=1000)
        pages = max(1, -(-len(self) // size))
        number = check_count("number", number, least=1, most=pages)
        return self[(number - 1) * size : number * size]

    def top(self, count: int = 10) -> TrialTable:
        """The best trials, the best first; those without a value to compare are left out.

        Raises:
            UsageError: the count is no whole number of at least 1.
        """
        count = check_count("count", count, least=1, most=1_000_000)
        way = 1.0 if self._definition.objective.direction == "minimize" else -1.0
        counted = [record for record in self if record.counts]
        return self._of(sorted(counted, key=lambda one: way * (one.value or 0.0))[:count])

    # As data -------------------------------------------------------------------------------

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict per trial: its facts, `params.lr` and `metrics.loss`; times are epoch seconds.

        What a trial does not have, such as a conditional parameter, is not in its dict. The
        intermediate values are in the records: `table[0].reports`.
        """
        return [self._facts(record) for record in self]

    def to_pandas(self) -> Any:
        """A DataFrame with a row per trial and typed columns; times are UTC timestamps.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        frames.pandas()
        return frames.pandas_table(self._columns(), times=_TIMES)

    def to_polars(self) -> Any:
        """The same as a polars DataFrame; a column of several kinds of values is text.

        Raises:
            MissingExtraError: polars is not installed.
        """
        frames.polars()
        return frames.polars_table(self._columns(), times=_TIMES)

    def _columns(self) -> dict[str, list[Any]]:
        params = [f"params.{name}" for name in self._definition.space.names]
        known = {name for record in self for name in record.params}
        shown = [name for name in params if name.removeprefix("params.") in known]
        return frames.columns_of(self.to_dicts(), [*_FIRST, *shown])

    def _facts(self, record: TrialRecord) -> dict[str, Any]:
        facts: dict[str, Any] = {name: getattr(record, name) for name in _FIRST}
        facts |= {f"params.{name}": value for name, value in record.params.items()}
        facts |= {f"metrics.{name}": value for name, value in record.metrics.items()}
        facts |= {name: getattr(record, name) for name in _LAST if name != "duration"}
        return facts | {"duration": took(record, self._now)}

    # As something to look at ---------------------------------------------------------------

    def text_columns(self) -> list[Column]:
        """All of them as columns of text, for whoever draws the table."""
        return self._shown(self._records)

    def _shown(self, rows: Sequence[TrialRecord]) -> list[Column]:
        times = [took(record, self._now) for record in rows]
        errors = [" ".join((record.error or "").split()) for record in rows]
        runs = [cell(record.run or NOTHING) for record in rows]
        found = [
            Column("trial", [str(record.number) for record in rows], right=True, rank=0),
            Column("status", [status_of(record) for record in rows], rank=0, is_status=True),
            self._values(rows),
            *(self._param(name, rows, place) for place, name in enumerate(self._varying())),
            Column("run", runs, rank=4, least=WHOLE),
            Column("duration", [_time(time) for time in times], right=True, rank=3),
        ]
        return found + ([Column("error", list(map(cell, errors)), rank=5)] if any(errors) else [])

    def _values(self, rows: Sequence[TrialRecord]) -> Column:
        best = self._best.number if self._best else None
        marked = frozenset(i for i, record in enumerate(rows) if record.number == best)
        texts = numbers([record.value for record in rows])
        return Column(self._metric, texts, True, 0, marked, least=WHOLE)

    def _param(self, name: str, rows: Sequence[TrialRecord], place: int) -> Column:
        values = [record.params.get(name, ABSENT) for record in rows]
        return plain_column(name, values, rank=1 if place < 3 else 2)

    def _varying(self) -> list[str]:
        """The parameters that tell the trials of this table apart, in the order of the space."""
        decided = [record for record in self if record.params]
        return [name for name in self._definition.space.names if self._varies(name, decided)]

    def _varies(self, name: str, decided: Sequence[TrialRecord]) -> bool:
        if isinstance(self._definition.space.distributions[name], Constant):
            return False
        values = [record.params.get(name, ABSENT) for record in decided]
        return len(values) == 1 or any(not same(value, values[0]) for value in values[1:])

    @property
    def _metric(self) -> str:
        return cell(self._definition.objective.metric)

    def _legend(self, width: int) -> list[str]:
        if self._best is None:
            return []
        way = "lowest" if self._definition.objective.direction == "minimize" else "highest"
        return [wrapped(f"{STAR}best: ", [f"{way} {self._metric}"], width)]

    def _more(self, shown: int) -> list[str]:
        rest = len(self) - shown
        return [f"… {rest:,} more of {len(self):,}: .page(2), .top(10)"] if rest else []

    def __repr__(self) -> str:
        if not self._records:
            return "no trials yet"
        rows, width = self._records[:PAGE], terminal_width()
        table = text_table(self._shown(rows), width)
        lines = [*table.lines, *self._more(len(rows))]
        lines += self._legend(width) if any(row is self._best for row in rows) else []
        if table.hidden:
            lines.append(wrapped("not shown (.to_dicts): ", table.hidden, width))
        return plain_lines(lines, width)

    def _repr_html_(self) -> str:
        return self.html(f"{len(self):,} trial{'' if len(self) == 1 else 's'}")

    def html(self, title: str) -> str:
        """The first fifty under a title, for a notebook."""
        rows = self._records[:_HTML_PAGE]
        shown = self._shown(rows)
        notes = self._more(len(rows)) + self._legend(1000)
        if len(shown) > _HTML_COLUMNS:
            notes.append(f"{len(shown) - _HTML_COLUMNS} more columns: .to_dicts()")
        return html_page(title, html_table(shown[:_HTML_COLUMNS]), notes)


def took(record: TrialRecord, now: float) -> float | None:
    """Seconds from its start to its end, or to now; None where it waits for a worker."""
    if record.started is None or (record.ended is None and is_waiting(record)):
        return None
    until = record.ended if record.ended is not None else now
    return max(0.0, until - record.started)


def is_waiting(record: TrialRecord) -> bool:
    """Whether it was begun, and is now offered to the next worker that asks."""
    return record.status == RUNNING and not record.worker


def status_of(record: TrialRecord) -> str:
    """The status; a trial that was pruned, and one that waits for a worker, are told apart."""
    note = " (pruned)" if record.pruned else " (offered again)" if is_waiting(record) else ""
    return f"{cell(record.status)}{note}"


def _time(seconds: float | None) -> str:
    return NOTHING if seconds is None else duration(seconds)
