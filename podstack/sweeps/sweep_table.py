"""The sweeps of a project as a list that prints as a table and becomes a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from podstack import frames
from podstack.columns import moment
from podstack.tables import (
    NOTHING,
    WHOLE,
    Column,
    cell,
    html_page,
    html_table,
    plain_lines,
    terminal_width,
    text_table,
)

if TYPE_CHECKING:
    from podstack.sweeps.sweep import Sweep

_PAGE, _HTML_PAGE = 20, 50  # sweeps shown
_FIRST = (
    "id", "name", "status", "stop_reason", "strategy", "objective", "direction", "total",
    "completed", "running", "failed", "killed", "pruned", "best_value", "best_trial", "experiment",
    "user", "created",
)  # fmt: skip


class SweepTable(list["Sweep"]):
    """Sweeps as a list that prints as a table. Every look at it reads them as they are now."""

    @overload  # type: ignore[override]
    def __getitem__(self, which: int) -> Sweep: ...
    @overload
    def __getitem__(self, which: slice) -> SweepTable: ...
    def __getitem__(self, which: int | slice) -> Sweep | SweepTable:
        if isinstance(which, slice):
            return SweepTable(super().__getitem__(which))
        return super().__getitem__(which)

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict per sweep; times are epoch seconds, `total` is None where there is no end."""
        return [facts_of(sweep) for sweep in self]

    def to_pandas(self) -> Any:
        """A DataFrame with a row per sweep; times are UTC timestamps.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        frames.pandas()
        return frames.pandas_table(frames.columns_of(self.to_dicts(), _FIRST), times=("created",))

    def to_polars(self) -> Any:
        """The same as a polars DataFrame.

        Raises:
            MissingExtraError: polars is not installed.
        """
        frames.polars()
        return frames.polars_table(frames.columns_of(self.to_dicts(), _FIRST), times=("created",))

    def text_columns(self) -> list[Column]:
        """All of them as columns of text, for whoever draws the table."""
        return _shown(self.to_dicts())

    def __repr__(self) -> str:
        if not self:
            return "no sweeps"
        width = terminal_width()
        table = text_table(_shown(self[:_PAGE].to_dicts()), width)
        more = [f"… {len(self) - _PAGE:,} more"] if len(self) > _PAGE else []
        return plain_lines([*table.lines, *more], width)

    def _repr_html_(self) -> str:
        more = [f"… {len(self) - _HTML_PAGE:,} more"] if len(self) > _HTML_PAGE else []
        title = f"{len(self):,} sweep{'' if len(self) == 1 else 's'}"
        return html_page(title, html_table(_shown(self[:_HTML_PAGE].to_dicts())), more)


def facts_of(sweep: Sweep) -> dict[str, Any]:
    """One sweep among others."""
    definition, progress, best = sweep.definition, sweep.progress, sweep.best_trial
    counts = ("total", "completed", "running", "failed", "killed", "pruned")
    return {
        "id": definition.id,
        "name": definition.name,
        "status": sweep.status,
        "stop_reason": sweep.stop_reason,
        "strategy": definition.strategy,
        "objective": definition.objective.metric,
        "direction": definition.objective.direction,
        **{name: getattr(progress, name) for name in counts},
        "best_value": None if best is None else best.value,
        "best_trial": None if best is None else best.number,
        "experiment": definition.experiment,
        "user": definition.user,
        "created": definition.created,
    }


def _shown(rows: Sequence[dict[str, Any]]) -> list[Column]:
    return [
        Column("name", [cell(row["name"]) for row in rows], rank=0, least=20),
        Column("id", [cell(row["id"]) for row in rows], rank=3, least=WHOLE),
        Column("status", [cell(row["status"]) for row in rows], rank=0, is_status=True),
        Column("trials", [_over(row) for row in rows], right=True, rank=1, least=WHOLE),
        Column("best", [_best(row) for row in rows], right=True, rank=1, least=WHOLE),
        Column(
            "objective", [f"{row['direction']} {cell(row['objective'])}" for row in rows], rank=2
        ),
        Column("strategy", [cell(row["strategy"]) for row in rows], rank=3),
        Column("experiment", [cell(row["experiment"]) for row in rows], rank=4),
        Column("created", [moment(row["created"]) for row in rows], rank=4),
    ]


def _over(row: dict[str, Any]) -> str:
    over = row["completed"] + row["failed"] + row["killed"]
    return f"{over:,}" if row["total"] is None else f"{over:,}/{row['total']:,}"


def _best(row: dict[str, Any]) -> str:
    return NOTHING if row["best_value"] is None else f"{row['best_value']:.6g}"
