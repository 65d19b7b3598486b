"""The experiments of a project as a list that prints as a table and becomes a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from podstack import frames
from podstack.columns import moment
from podstack.errors import UsageError
from podstack.names import short
from podstack.tables import (
    Column,
    cell,
    html_page,
    html_table,
    plain_lines,
    terminal_width,
    text_table,
)

if TYPE_CHECKING:
    from podstack.index import ExperimentRow

_PAGE, _HTML_PAGE = 20, 50  # experiments shown
_TIMES = ("created", "last_activity")
T = TypeVar("T")


class ExperimentTable(list[T], Generic[T]):
    """Experiments as a list that prints as a table."""

    def __init__(
        self,
        experiments: Iterable[T] = (),
        rows: Iterable[ExperimentRow] = (),
        *,
        of_another_status: int = 0,
    ) -> None:
        super().__init__(experiments)
        self._rows = {row.id: row for row in rows}
        self._of_another_status = of_another_status

    @overload  # type: ignore[override]
    def __getitem__(self, which: int) -> T: ...
    @overload
    def __getitem__(self, which: slice) -> ExperimentTable[T]: ...
    def __getitem__(self, which: int | slice) -> T | ExperimentTable[T]:
        if isinstance(which, slice):
            return ExperimentTable(super().__getitem__(which), self._rows.values())
        return super().__getitem__(which)

    def _known(self) -> list[ExperimentRow]:
        return [self._rows[id_] for e in self if (id_ := getattr(e, "id", "")) in self._rows]

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict per experiment; times are epoch seconds."""
        return [row._asdict() for row in self._known()]

    def to_pandas(self) -> Any:
        """A DataFrame with a row per experiment; times are UTC timestamps.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        frames.pandas()
        return frames.pandas_table(self._columns(), times=_TIMES)

    def to_polars(self) -> Any:
        """The same as a polars DataFrame.

        Raises:
            MissingExtraError: polars is not installed.
        """
        frames.polars()
        return frames.polars_table(self._columns(), times=_TIMES)

    def _columns(self) -> dict[str, list[Any]]:
        return frames.columns_of(self.to_dicts(), ("id", "name"))

    def text_columns(self) -> list[Column]:
        """All of them as columns of text, for whoever draws the table."""
        return self._shown(self._known())

    def _shown(self, rows: Sequence[ExperimentRow]) -> list[Column]:
        return [
            Column("name", [cell(row.name) for row in rows], rank=0),
            Column("id", [cell(row.id) for row in rows], rank=3),
            Column("status", [cell(row.status) for row in rows], rank=0),
            Column("runs", [f"{row.runs:,}" for row in rows], right=True, rank=1),
            Column("running", [f"{row.running:,}" for row in rows], right=True, rank=1),
            Column("last activity", [moment(row.last_activity) for row in rows], rank=2),
            Column("tags", [cell(", ".join(row.tags)) for row in rows], rank=2),
        ]

    @property
    def note(self) -> str:
        """What an empty list is silent about."""
        others = self._of_another_status
        return f" ({others:,} of another status: ask for status all)" if others else ""

    def __repr__(self) -> str:
        rows = self._known()
        if not rows:
            return f"no experiments{self.note}"
        width = terminal_width()
        table = text_table(self._shown(rows[:_PAGE]), width)
        more = [f"… {len(rows) - _PAGE:,} more"] if len(rows) > _PAGE else []
        return plain_lines([*table.lines, *more], width)

    def _repr_html_(self) -> str:
        rows = self._known()
        more = [f"… {len(rows) - _HTML_PAGE:,} more"] if len(rows) > _HTML_PAGE else []
        title = f"{len(rows):,} experiment{'' if len(rows) == 1 else 's'}"
        return html_page(title, html_table(self._shown(rows[:_HTML_PAGE])), more)


EXPERIMENT_ORDERS = ("last_activity", "runs", "name", "created")


def check_sort(sort: object) -> str:
    """The column that `sort` names, with or without `-` before it.

    Raises:
        UsageError: there is no such order.
    """
    field = sort.removeprefix("-") if isinstance(sort, str) else ""
    if field not in EXPERIMENT_ORDERS:
        known = f"{', '.join(EXPERIMENT_ORDERS[:-1])} or {EXPERIMENT_ORDERS[-1]}"
        raise UsageError(f"sort is {known}, with - before it for descending, not {short(sort)}.")
    return field


def sorted_experiments(rows: Iterable[ExperimentRow], sort: str) -> list[ExperimentRow]:
    """The rows in the order that `sort` names; equal ones by name."""
    field = check_sort(sort)
    by_name = sorted(rows, key=lambda row: row.name)
    return sorted(by_name, key=lambda row: getattr(row, field) or 0, reverse=sort.startswith("-"))
