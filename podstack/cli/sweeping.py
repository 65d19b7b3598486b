"""Commands of sweeps: `sweep create`, `agent`, `status`, `best`, `list`, `stop`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from podstack.cli.frame import OfExperiment, app, command
from podstack.cli.session import Session
from podstack.errors import UsageError
from podstack.names import RUNNING

if TYPE_CHECKING:
    from podstack.sweeps.sweep import Sweep
    from podstack.sweeps.sweep_file import SweepFile

_FILES = (".yaml", ".yml", ".json")

sweep_group = typer.Typer(
    name="sweep",
    help="Search for the best parameters: make a sweep, work on it, look at it.",
    no_args_is_help=True,
)
app.add_typer(sweep_group)

SweepName = Annotated[str, typer.Argument(metavar="SWEEP", help="Its id, its name, or `latest`.")]


@command("create", group=sweep_group)
def create(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON; W&B's too.")],
    experiment: OfExperiment = None,
) -> None:
    """Make a sweep from a file, and print its id.

    Differences to what W&B does with the same file are told on stderr.
    """
    sweep = _created(session, _read(session, file), experiment)
    session.paper.line(sweep.id)
    session.paper.note(f"work on it: podstack sweep agent {sweep.id} -- COMMAND")


@command("agent", group=sweep_group)
def agent(
    session: Session,
    sweep: Annotated[
        str, typer.Argument(metavar="SWEEP|FILE", help="A sweep, or a file to make or join one.")
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND …]", help="Default: that of the file."),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="Trials at most; default: all.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Whose command is run for the sweep.")
    ] = None,
    experiment: OfExperiment = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that the command has to end after Ctrl-C.")
    ] = 10.0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until the sweep is over, for trials left behind.")
    ] = False,
) -> None:
    """Run a command for each trial.

    {lr} in the command is the trial's lr; without any {…}, --lr=0.01 and so on are appended. The
    trial is worth what the command logs with podstack, or prints as its last line: a number, or
    JSON such as {"val_acc": 0.93}. Any number of agents on any hosts may share a sweep.
    """
    from podstack.sweeps.agent import Agent
    from podstack.sweeps.telling import say_best

    is_file = sweep.endswith(_FILES)
    said = _read(session, file or Path(sweep)) if is_file or file is not None else None
    found = _joined(session, said, experiment) if is_file and said else _sweep(session, sweep)
    line, program = tuple(words or ()), None
    if not line and said is not None:
        line, program = said.command, said.program
    worker = Agent(session.client, found, line, program=program, grace=grace, waits=wait)
    worker.run(count)
    say_best(found.refresh())


@command("status", reads=True, group=sweep_group)
def status(
    session: Session,
    sweep: SweepName,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Until it is over.")] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.1, max=3600, help="Seconds between two looks.")
    ] = 2.0,
) -> None:
    """Show how far a sweep is: trials, the best so far, who works on it, the time left."""
    from podstack.cli import sweep_status

    found = _sweep(session, sweep)
    if session.is_json:
        session.paper.json(sweep_status.facts_of(found))
    elif watch:
        sweep_status.watch(session.paper, found, every)
    else:
        sweep_status.draw(session.paper, found)


@command("best", reads=True, group=sweep_group)
def best(
    session: Session,
    sweep: SweepName,
    form: Annotated[
        str | None, typer.Option("--as", metavar="python|yaml|command", help="To copy.")
    ] = None,
) -> None:
    """Show the best trial, or its parameters as Python, YAML or a command line."""
    from podstack.cli import sweep_status
    from podstack.sweeps.telling import best_line

    found = _sweep(session, sweep)
    if form is not None:
        _tell(session, form, found.best_as(form))
        return
    trial = found.best_trial
    if trial is None:
        raise UsageError(f"Sweep {found.name} has no completed trial yet, so none is best.")
    if session.is_json:
        session.paper.json(sweep_status.best_facts(found, trial))
    else:
        session.paper.line(best_line(found, trial))


@command("list", reads=True, group=sweep_group)
def list_sweeps(session: Session, experiment: OfExperiment = None) -> None:
    """List the sweeps, newest first."""
    from podstack.sweeps.sweep_table import SweepTable

    of = None if experiment is None else session.experiment(experiment).id
    found = SweepTable(reversed(session.client.list_sweeps(of)))
    if session.is_json:
        session.paper.json(found.to_dicts())
    else:
        session.paper.table(found.text_columns())


@command("stop", group=sweep_group)
def stop(
    session: Session,
    sweep: SweepName,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the sweep.")] = "",
) -> None:
    """Give out no further trials; those that run may end."""
    found = _sweep(session, sweep)
    found.stop(reason)
    session.paper.line(f"stopped sweep {found.name}")


def _tell(session: Session, what: str, text: str) -> None:
    if session.is_json:
        session.paper.json({what: text})
    else:
        session.paper.text(text)


# What they share -------------------------------------------------------------------------------


def _sweep(session: Session, text: str) -> Sweep:
    """
    Raises:
        NotFoundError: there is none.
    """
    if text == "latest":
        known = session.client.list_sweeps()
        if not known:
            raise UsageError("There is no sweep yet: podstack sweep create FILE makes one.")
        return max(known, key=lambda sweep: sweep.definition.created)
    return session.client.get_sweep(text)


def _read(session: Session, file: Path) -> SweepFile:
    from podstack.sweeps import sweep_file

    said = sweep_file.read(file)
    for note in said.notes:
        session.paper.note(f"podstack: {note}")
    return said


def _created(session: Session, said: SweepFile, experiment: str | None) -> Sweep:
    return said.create(session.unchecked_client, experiment=experiment)


def _joined(session: Session, said: SweepFile, experiment: str | None) -> Sweep:
    """The sweep of the file's name that still runs; else a new one."""
    if said.name is not None and session.unchecked_client._store.is_there():
        known = [
            sweep
            for sweep in session.unchecked_client.list_sweeps()
            if sweep.name == said.name and sweep.status == RUNNING
        ]
        if known:
            return max(known, key=lambda sweep: sweep.definition.created)
    made = _created(session, said, experiment)
    session.paper.note(f"podstack: made sweep {made.id}")
    return made
