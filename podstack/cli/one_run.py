"""Commands about one run: `show` and `watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from podstack.cli.frame import RunName, command
from podstack.cli.session import Session

if TYPE_CHECKING:
    from podstack.run import Run


@command("show", reads=True)
def show(
    session: Session,
    run: RunName,
    console: Annotated[
        int | None,
        typer.Option(
            "--console", "-c", metavar="N", min=0, help="The last N lines it printed; 0: all."
        ),
    ] = None,
    reproduce: Annotated[
        bool,
        typer.Option("--reproduce", help="The commands that bring its code and packages back."),
    ] = False,
    system: Annotated[
        bool, typer.Option("--system", help="With the metrics of the machine.")
    ] = False,
) -> None:
    """Show all of a run.

    Its facts, parameters, metrics with their curves, files, alerts, environment and notes.
    """
    found = session.run(run)
    if console is not None:
        _tell(session, "console", found.console(tail=console or None))
    elif reproduce:
        _tell(session, "reproduce", str(found.reproduce()))
    else:
        _portrait(session, found, system=system)


def _tell(session: Session, what: str, text: str) -> None:
    if session.is_json:
        session.paper.json({what: text})
    else:
        session.paper.text(text)


def _portrait(session: Session, run: Run, *, system: bool) -> None:
    from podstack.cli import portrait

    facts = portrait.facts_of(run)
    if session.is_json:
        session.paper.json(facts)
    else:
        portrait.draw(session.paper, run, facts, run.metrics, system=system)


@command("watch")
def watch(
    session: Session,
    run: RunName,
    every: Annotated[
        float, typer.Option("--every", min=0.1, max=3600, help="Seconds between two looks.")
    ] = 2.0,
) -> None:
    """Watch a run until it ends.

    Its curves on a terminal, else a line for each new step.
    """
    from podstack.cli import watching

    watching.watch(session.paper, session.run(run), every)
