"""Commands about several runs: `compare`, `diff` and `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from podstack.cli.exits import PROBLEM
from podstack.cli.frame import OfExperiment, RunName, RunNames, SomeRuns, command
from podstack.cli.paper import Counter
from podstack.cli.session import Session
from podstack.errors import UsageError

if TYPE_CHECKING:
    from podstack.export import Exported


@command("compare", reads=True)
def compare(
    session: Session,
    runs: RunNames,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help="Only this; may be repeated.")
    ] = None,
) -> None:
    """Compare runs with the first of them.

    The parameters that differ, and the metrics, each with its change against the first run.
    """
    ids = [session.run_id(run) for run in runs]
    found = session.client.compare_runs(ids, metrics=metric or None)
    if session.is_json:
        session.paper.json(found.to_dicts())
        return
    session.paper.table(found.text_columns(), "not shown: ")
    session.paper.note(f"{len(found.equal_params)} parameters are equal in all")


@command("diff", reads=True)
def diff(
    session: Session,
    old: RunName,
    new: RunName,
    patch: Annotated[
        bool, typer.Option("--patch", "-p", help="With the uncommitted changes of both.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 if anything differs.")
    ] = False,
) -> None:
    """Say what made two runs different.

    Their parameters, code, packages and surroundings.
    """
    from podstack.cli import difference

    found = difference.between(session.run(old), session.run(new), patch=patch)
    if session.is_json:
        session.paper.json(found)
    else:
        difference.draw(session.paper, found)
    if exit_code and difference.is_any(found):
        raise typer.Exit(PROBLEM)


@command("export")
def export(
    session: Session,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write.")],
    runs: SomeRuns = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="csv, json or parquet; default: the ending of FILE."),
    ] = None,
    where: Annotated[
        str, typer.Option("--filter", "-f", help="Runs that this is true of; see `runs`.")
    ] = "",
    experiment: OfExperiment = None,
    table: Annotated[
        bool, typer.Option("--table", help="A row for each run instead of each point.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write points or a table of runs to a file.

    As CSV, JSON or Parquet: a row for each step of each metric, or with --table for each run.
    """
    from podstack import export as exporting

    ids = _chosen(session, runs or [], where, experiment)
    counter = Counter(session.paper)
    try:
        done = exporting.export_runs(
            session.store,
            ids,
            format_ or out.suffix[1:].lower(),
            out,
            what=exporting.RUNS if table else exporting.POINTS,
            replace=force,
            progress=lambda so_far: counter.show(_how_far(so_far)),
        )
    finally:
        counter.close()
    session.paper.line(f"{out}: {done.rows:,} rows of {done.runs:,} runs")


def _how_far(so_far: Exported) -> str:
    return f"exporting: {so_far.runs:,} of {so_far.of:,} runs, {so_far.rows:,} rows"


def _chosen(session: Session, runs: list[str], where: str, experiment: str | None) -> list[str]:
    """The ids of the runs that are named, or of those that a filter is true of.

    Raises:
        UsageError: both were given.
    """
    if runs and (where or experiment):
        raise UsageError("Name runs, or choose them with --filter and --experiment, not both.")
    if runs:
        return [session.run_id(run) for run in runs]
    return [row.id for row in session.client.search_runs(where, experiment=experiment)]
