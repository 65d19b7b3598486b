"""What a search found: runs as a table that prints, pages and becomes a data frame.

A table knows how many there are and loads a run's facts when they are asked for: to
print ten thousand runs reads as many as are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from podstack import columns as cols
from podstack import frames, names
from podstack.columns import Field
from podstack.directions import MAXIMIZE, direction_of
from podstack.errors import NotFoundError, UsageError, WrongTypeError
from podstack.expressions import ATTRIBUTE, TAGS, Expression, Name, Order, parse, parse_order
from podstack.expressions.tree import Compare, Contains, Junction, Node
from podstack.names import short
from podstack.tables import (
    STAR,
    Column,
    html_page,
    html_table,
    plain_lines,
    terminal_width,
    text_table,
    wrapped,
)

if TYPE_CHECKING:
    from podstack.index import RunRow
    from podstack.index.remote import AnyIndex
    from podstack.run import Run

PAGE = 20  # runs in a page of text
_HTML_PAGE = 50
_HTML_COLUMNS = 40
MOST = 1_000_000  # runs of one search

Fetch = Callable[[int, int], "list[RunRow]"]


class RunTable(Sequence["RunRow"]):
    """The runs that a search found, in its order.

    Iterate it, index it, slice it (a slice is a table too), print it. `total` is how many runs
    match, whatever the limit; `run(0)` opens the first of these to read all of it.
    """

    def __init__(
        self,
        fetch: Fetch,
        total: int,
        window: range,
        *,
        fields: Sequence[Field] = (),
        asked: Iterable[Name] = (),
        open_run: Callable[[str], Run] | None = None,
    ) -> None:
        self.total = total
        self._fetch = fetch
        self._window = window
        self._fields = list(fields)
        self._asked = tuple(asked)
        self._open_run = open_run
        self._rows: list[RunRow] | None = None

    @classmethod
    def of(cls, rows: Sequence[RunRow]) -> RunTable:
        """A table of rows that are at hand."""
        known = list(rows)
        return cls(lambda limit, offset: known[offset:][:limit], len(known), range(len(known)))

    # As a sequence -------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._window) if self._rows is None else len(self._rows)

    def __iter__(self) -> Iterator[RunRow]:
        return iter(self._all())

    @overload
    def __getitem__(self, which: int) -> RunRow: ...
    @overload
    def __getitem__(self, which: slice) -> RunTable: ...
    def __getitem__(self, which: int | slice) -> RunRow | RunTable:
        if not isinstance(which, slice):
            return self._all()[which]
        part = self._window[which]
        if part.step == 1 and self._rows is None:
            return self._like(part)
        table = self._like(range(part.start, part.start + len(part)))
        table._rows = self._all()[which]
        return table

    def _like(self, window: range) -> RunTable:
        return RunTable(
            self._fetch,
            self.total,
            window,
            fields=self._fields,
            asked=self._asked,
            open_run=self._open_run,
        )

    def _all(self) -> list[RunRow]:
        if self._rows is None:
            self._rows = self._fetch(len(self._window), self._window.start) if self._window else []
        return self._rows

    def _head(self, count: int) -> list[RunRow]:
        if self._rows is not None or count >= len(self._window):
            return self._all()[:count]
        return self._fetch(count, self._window.start)

    # Going on ------------------------------------------------------------------------------

    def page(self, number: int, size: int = PAGE) -> RunTable:
        """The runs of one page; the first is 1.

        Raises:
            UsageError: there is no such page, or a page cannot have that size.
        """
        size = check_count("size", size, least=1, most=1000)
        pages = max(1, -(-len(self) // size))
        number = check_count("number", number, least=1, most=pages)
        return self[(number - 1) * size : number * size]

    def run(self, which: int | str) -> Run:
        """One of these runs, by its position, its id or its name, opened to read all of it.

        Raises:
            NotFoundError: no run of this table is called that.
        """
        if self._open_run is None:
            raise UsageError("This table was made of rows alone: use client.get_run(row.id).")
        if isinstance(which, int):
            return self._open_run(self[which].id)
        matching = [row.id for row in self if which in (row.id, row.name)]
        if len(matching) > 1 and which not in matching:
            raise UsageError(f"{len(matching)} of these runs are called {short(which)}: use an id.")
        if not matching:
            raise NotFoundError.among("run", which, [text for r in self for text in (r.id, r.name)])
        return self._open_run(which if which in matching else matching[0])

    def with_columns(self, columns: Sequence[str]) -> RunTable:
        """The same runs with other columns, named as in a filter: `params.lr`, `metrics.acc.max`.

        Raises:
            UsageError: one of them is no such name.
        """
        table = self._like(self._window)
        table._rows, table._fields = self._rows, cols.fields_named(columns)
        return table

    @property
    def columns(self) -> list[str]:
        """The names of the columns of `to_dicts`, `to_pandas` and `to_polars`."""
        return list(frames.columns_of(self.to_dicts(), self._first_names()))

    # As data -------------------------------------------------------------------------------

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict per run. What a run does not have is not in its dict; times are epoch seconds."""
        make = self._chosen_facts if self._fields else _all_facts
        return [make(row) for row in self]

    def to_pandas(self) -> Any:
        """A DataFrame with a row per run and typed columns; times are UTC timestamps.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        frames.pandas()
        columns = frames.columns_of(self.to_dicts(), self._first_names())
        return frames.pandas_table(columns, times=_TIMES)

    def to_polars(self) -> Any:
        """The same as a polars DataFrame; a column of several kinds of values is text.

        Raises:
            MissingExtraError: polars is not installed.
        """
        frames.polars()
        columns = frames.columns_of(self.to_dicts(), self._first_names())
        return frames.polars_table(columns, times=_TIMES)

    def _first_names(self) -> list[str]:
        return ["id", *(f.key for f in self._fields)] if self._fields else list(_FACTS)

    def _chosen_facts(self, row: RunRow) -> dict[str, Any]:
        facts = {"id": row.id} | {field.key: field.of(row) for field in self._fields}
        return {name: value for name, value in facts.items() if value is not frames.ABSENT}

    # As something to look at ---------------------------------------------------------------

    def text_columns(self) -> list[Column]:
        """All its runs as columns of text, for whoever draws the table."""
        return self._shown(self._all())

    def _shown(self, rows: Sequence[RunRow]) -> list[Column]:
        fields = self._fields or cols.default_fields(rows, self._asked)
        return [cols.shown(field, rows) for field in fields]

    def _more(self, shown: int) -> list[str]:
        """How many there are beside those shown, and how to see them."""
        if len(self) > shown:
            return [f"… {len(self) - shown:,} more of {self.total:,}: .page(2)"]
        return [f"{shown:,} of {self.total:,} that match"] if shown < self.total else []

    def __repr__(self) -> str:
        rows, width = self._head(PAGE), terminal_width()
        if not rows:
            return "no runs" if not self.total else f"no runs here; {self.total:,} match"
        shown = self._shown(rows)
        table = text_table(shown, width)
        lines = [*table.lines, *self._more(len(rows))]
        lines += _legend([column for column in shown if column.head not in table.hidden], width)
        if table.hidden:
            lines.append(wrapped("not shown (.with_columns): ", table.hidden, width))
        return plain_lines(lines, width)

    def _repr_html_(self) -> str:
        return self.html(f"{len(self):,} run{'' if len(self) == 1 else 's'}")

    def html(self, title: str) -> str:
        """The first fifty under a title, for a notebook."""
        rows = self._head(_HTML_PAGE)
        shown = self._shown(rows)
        notes = self._more(len(rows)) + _legend(shown, 1000)
        if len(shown) > _HTML_COLUMNS:
            notes.append(f"{len(shown) - _HTML_COLUMNS} more columns: .with_columns([…])")
        return html_page(title, html_table(shown[:_HTML_COLUMNS]), notes)


def _legend(shown: Iterable[Column], width: int) -> list[str]:
    """Which way is better, said aloud, for it was only taken from a metric's name."""
    ways = [
        f"{column.head} {'highest' if direction_of(column.head) == MAXIMIZE else 'lowest'}"
        for column in shown
        if column.best
    ]
    return [wrapped(f"{STAR}best by its name: ", ways, width)] if ways else []


# Data --------------------------------------------------------------------------------------

_FACTS = (
    "id",
    "name",
    "status",
    "lost_since",
    "experiment",
    "experiment_id",
    "user",
    "created",
    "ended",
    "duration",
    "parent",
    "tags",
    "notes",
    "error",
)
_TIMES = ("created", "ended", "lost_since", "last_activity")


def _all_facts(row: RunRow) -> dict[str, Any]:
    facts = {name: getattr(row, name) for name in _FACTS}
    facts |= {f"params.{name}": value for name, value in row.params.items()}
    for name, summary in row.metrics.items():
        facts[f"metrics.{name}"] = float(summary.last)
        facts[f"metrics.{name}.min"] = float(summary.min)
        facts[f"metrics.{name}.max"] = float(summary.max)
    return facts


# Searching ---------------------------------------------------------------------------------


class Search(NamedTuple):
    """What is searched for: the first arguments of `Index.runs`."""

    where: Expression | None
    order: Order
    experiment: str | None = None
    deleted: bool = False

    @property
    def names(self) -> list[Name]:
        """What the filter and the order speak of, the order first."""
        filtered = self.where.names if self.where is not None else ()
        return [*(key.name for key in self.order.keys), *filtered]


def condition(filter: str, status: str | None, tags: object) -> Expression | None:
    """A filter, a status and tags as one condition; None where nothing is asked.

    Raises:
        ExpressionError: the filter is none.
        UsageError: the status or the tags are none.
    """
    if not isinstance(filter, str):
        raise WrongTypeError(f"A filter is a text such as 'loss < 0.5', not {short(filter)}.")
    parts: list[Node] = [parse(filter).tree] if filter.strip() else []
    if status is not None:
        if status not in names.STATUSES:
            raise UsageError(f"status is one of {', '.join(names.STATUSES)}, not {short(status)}.")
        parts.append(Compare(Name(ATTRIBUTE, "status"), "=", status))
    parts += [Contains(Name(ATTRIBUTE, TAGS), tag) for tag in names.check_tags(tags)]
    if not parts:
        return None
    return Expression(filter, parts[0] if len(parts) == 1 else Junction("and", tuple(parts)))


def order_of(order_by: object) -> Order:
    """The order that a text or a list of texts is.

    Raises:
        ExpressionError: it is none.
    """
    texts = [order_by] if isinstance(order_by, str) else order_by
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise WrongTypeError(
            f"order_by is a name such as '-metrics.val_acc', or a list of them, "
            f"not {short(order_by)}."
        )
    return parse_order(texts)


def search(
    index: AnyIndex,
    wanted: Search,
    *,
    limit: int | None = None,
    offset: int = 0,
    columns: Sequence[str] | None = None,
    open_run: Callable[[str], Run] | None = None,
) -> RunTable:
    """The runs of an index that a search is about, after a look at what is new in the store."""
    most = MOST if limit is None else check_count("limit", limit, least=1, most=MOST)
    start = check_count("offset", offset, least=0, most=MOST)
    fields = cols.fields_named(columns) if columns is not None else []
    index.refresh()
    total = index.count(wanted.where, wanted.experiment, wanted.deleted)

    def fetch(limit: int, offset: int) -> list[RunRow]:
        return index.runs(*wanted, limit, offset)

    window = range(start, max(start, min(total, start + most)))
    return RunTable(fetch, total, window, fields=fields, asked=wanted.names, open_run=open_run)


# Checks ------------------------------------------------------------------------------------


def check_count(kind: str, value: object, *, least: int, most: int) -> int:
    """`value`, if it is a whole number in that range.

    Raises:
        WrongTypeError: it is no whole number.
        UsageError: it is out of range; the message says what is allowed.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise WrongTypeError(
            f"{kind} is a whole number from {least:,} to {most:,}, not {short(value)}."
        )
    number = int(value.__index__())
    if not least <= number <= most:
        raise UsageError(f"{kind} is from {least:,} to {most:,}, not {short(number)}.")
    return number
