"""Commands that put away and bring back: `archive`, `restore`, `delete`, `purge`.

Runs are named as arguments, an experiment with `--experiment`; only experiments are archived.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from podstack.cli.completion import experiments, runs
from podstack.cli.frame import OfExperiment, command
from podstack.cli.session import Session
from podstack.console import readable_bytes
from podstack.errors import UsageError
from podstack.names import RUNNING

if TYPE_CHECKING:
    from podstack.experiment import Experiment
    from podstack.run import Run

_LISTED = 20  # runs that are named before a purge

_Runs = Annotated[list[str] | None, typer.Argument(metavar="RUN", autocompletion=runs)]


@command("archive")
def archive(
    session: Session,
    experiment: Annotated[
        list[str], typer.Argument(metavar="EXPERIMENT", autocompletion=experiments)
    ],
) -> None:
    """Put experiments away.

    Their runs stay; `restore --experiment` brings one back.
    """
    for found in [session.experiment(name) for name in experiment]:
        found.archive()
        session.paper.line(f"archived experiment {found.name}")


@command("restore")
def restore(session: Session, run: _Runs = None, experiment: OfExperiment = None) -> None:
    """Bring back what was deleted or archived."""
    runs, whole = _targets(session, run, experiment, hidden=True)
    for one in runs:
        one.restore()
    for found in whole:
        found.restore()
    _say(session, "restored", runs, whole)


@command("delete")
def delete(session: Session, run: _Runs = None, experiment: OfExperiment = None) -> None:
    """Hide runs, or an experiment and its runs.

    `restore` brings them back.
    """
    runs, whole = _targets(session, run, experiment)
    for one in runs:
        one.delete()
    for found in whole:
        found.delete()
    _say(session, "deleted", runs, whole)


@command("purge")
def purge(
    session: Session,
    run: _Runs = None,
    experiment: OfExperiment = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove runs and their files for good.

    Runs by name, or all of an experiment. Asks first, and says what goes.
    """
    runs, whole = _targets(session, run, experiment)
    doomed = [*runs, *(one for found in whole for one in _runs_of(session, found))]
    if not yes:
        _ask(session, doomed, whole)
    for one in runs:
        one.purge()
    for found in whole:
        found.purge()
    _say(session, "purged", doomed, whole)


def _targets(
    session: Session, runs: list[str] | None, experiment: str | None, *, hidden: bool = False
) -> tuple[list[Run], list[Experiment]]:
    """
    Raises:
        UsageError: neither runs nor an experiment were named, or both.
    """
    if bool(runs) == bool(experiment):
        raise UsageError("Name runs, or an experiment with --experiment: one of the two.")
    whole = [session.experiment(experiment)] if experiment else []
    return session.runs(runs or [], hidden=hidden), whole


def _runs_of(session: Session, experiment: Experiment) -> list[Run]:
    """All its runs, hidden ones too: what a purge removes."""
    found = [session.client.get_run(run) for run in session.store.reader.run_ids()]
    return [run for run in found if run.experiment_id == experiment.id]


def _say(session: Session, done: str, runs: list[Run], whole: list[Experiment]) -> None:
    for run in runs:
        session.paper.line(f"{done} run {run.id}")
    for experiment in whole:
        session.paper.line(f"{done} experiment {experiment.name}")


def _ask(session: Session, runs: list[Run], whole: list[Experiment]) -> None:
    """
    Raises:
        UsageError: nobody is there to answer.
        typer.Exit: the answer is no.
    """
    for line in _doomed(session, runs, whole):
        session.paper.line(line)
    if not sys.stdin.isatty():
        raise UsageError("Nothing was removed: add --yes where nobody is there to ask.")
    if not typer.confirm("Remove them for good?"):
        raise typer.Exit(1)


def _doomed(session: Session, runs: list[Run], whole: list[Experiment]) -> list[str]:
    lines = [f"experiment {experiment.name} and its {len(runs)} runs:" for experiment in whole]
    for run in runs[:_LISTED]:
        infos = list(session.store.backend.list(session.store.keys.run(run.id)))
        size = readable_bytes(sum(info.size for info in infos))
        still = "  STILL RUNNING" if run.status == RUNNING else ""
        lines.append(f"  {run.id}  {run.name}  {len(infos)} objects, {size}{still}")
    if len(runs) > _LISTED:
        lines.append(f"  … and {len(runs) - _LISTED} more runs")
    return lines
