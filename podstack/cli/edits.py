"""Commands that change what is said of a run: `notes` and `tag`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from podstack.cli.frame import RunName, RunNames, command
from podstack.cli.session import Session
from podstack.errors import UsageError


@command("notes", reads=True)
def notes(
    session: Session,
    run: RunName,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The new notes; `-` reads stdin.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Take them from a file.")] = None,
    append: Annotated[bool, typer.Option("--append", help="Keep what is there before.")] = False,
) -> None:
    """Print or replace the notes of a run.

    Earlier versions stay in the store.
    """
    found = session.run(run)
    old = found.notes
    new = _new_notes(text, file)
    if new is None:
        _print(session, old)
    elif (whole := _joined(old, new) if append else new) != old:
        found.set_notes(whole)


def _print(session: Session, text: str) -> None:
    if session.is_json:
        session.paper.json({"notes": text})
    else:
        session.paper.text(text)


def _new_notes(text: str | None, file: Path | None) -> str | None:
    """What they are to be; None to leave them.

    Raises:
        UsageError: more than one source was named.
    """
    if text is not None and file is not None:
        raise UsageError("Give the notes as TEXT or with --file, not both.")
    if file is not None:
        return file.read_text(encoding="utf-8")
    return sys.stdin.read() if text == "-" else text


def _joined(old: str, new: str) -> str:
    return f"{old.rstrip()}\n\n{new}" if old.strip() else new


@command("tag")
def tag(
    session: Session,
    runs: RunNames,
    add: Annotated[list[str] | None, typer.Option("--add", "-a", metavar="TAG")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", "-r", metavar="TAG")] = None,
) -> None:
    """Add and remove tags of runs.

    Prints what each has then.
    """
    if not add and not remove:
        raise UsageError("Say which: --add TAG or --remove TAG, each as often as needed.")
    found = session.runs(runs)
    for run in found:
        if remove:
            run.remove_tags(*remove)
        if add:
            run.add_tags(*add)
    for run in found:
        session.paper.line(f"{run.id}  {', '.join(run.tags)}".rstrip())
