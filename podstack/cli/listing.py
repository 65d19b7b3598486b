"""Commands that list: `experiments` and `runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from podstack.cli.frame import ExperimentName, command
from podstack.cli.session import Session

if TYPE_CHECKING:
    from podstack.index import RunRow
    from podstack.query import RunTable

_PAGE = 50


@command("experiments", reads=True)
def experiments(
    session: Session,
    status: Annotated[
        str, typer.Option("--status", help="active, completed, archived or all.")
    ] = "all",
    search: Annotated[str, typer.Option("--search", help="Text in name or description.")] = "",
    tag: Annotated[list[str] | None, typer.Option("--tag", help="One it must have.")] = None,
    sort: Annotated[
        str, typer.Option("--sort", help="last_activity, created, name or runs; - for descending.")
    ] = "-last_activity",
) -> None:
    """List experiments."""
    found = session.client.list_experiments(search, status=status, tags=tag or (), sort=sort)
    if session.is_json:
        session.paper.json(found.to_dicts())
    elif found:
        session.paper.table(found.text_columns())
    else:
        session.paper.note(f"no experiments{found.note}")


@command("runs", reads=True)
def runs(
    session: Session,
    experiment: ExperimentName = None,
    where: Annotated[
        str,
        typer.Option(
            "--filter", "-f", help="Such as 'metrics.val_acc > 0.9 and status != failed'."
        ),
    ] = "",
    order: Annotated[
        str, typer.Option("--order", "-o", help="Such as -metrics.val_acc, the largest first.")
    ] = "-created",
    columns: Annotated[
        str, typer.Option("--columns", "-c", help="Such as name,params.lr,metrics.val_acc.max.")
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="At most so many; 0: all.")
    ] = _PAGE,
    deleted: Annotated[bool, typer.Option("--deleted", help="With those that are hidden.")] = False,
) -> None:
    """List runs: filter, order, choose columns.

    Newest first; shown are the parameters that differ and the last values of the metrics.
    """
    found = session.client.search_runs(
        where,
        experiment=experiment,
        order_by=split_names(order),
        limit=limit or None,
        columns=split_names(columns) or None,
        include_deleted=deleted,
    )
    if session.is_json:
        session.paper.json(found.to_dicts() if columns else [row_facts(row) for row in found])
    elif found:
        _draw(session, found)
    if len(found) < found.total:
        session.paper.note(f"{len(found):,} of {found.total:,} runs; --limit 0 lists all")
    elif not found:
        session.paper.note("no runs")


def _draw(session: Session, found: RunTable) -> None:
    session.paper.table(found.text_columns(), "not shown (--columns): ")


def row_facts(row: RunRow) -> dict[str, Any]:
    """A run as JSON, with the keys of `podstack show --json` as far as a list has them."""
    facts = row._asdict()
    facts["metrics"] = {name: summary._asdict() for name, summary in row.metrics.items()}
    return facts


def split_names(text: str) -> list[str]:
    """Names between commas; one in backticks may hold commas of its own."""
    parts, quoted = [""], False
    for letter in text:
        quoted ^= letter == "`"
        if letter == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]
