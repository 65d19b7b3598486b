"""Commands that look after a store: `compact`, `verify` and `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from podstack.cli.exits import PROBLEM
from podstack.cli.frame import SomeRuns, command
from podstack.cli.paper import Counter
from podstack.cli.session import Session
from podstack.console import readable_bytes
from podstack.verify import DAMAGED, INFO

if TYPE_CHECKING:
    from podstack.compact import Compacted


@command("compact")
def compact(session: Session, runs: SomeRuns = None) -> None:
    """Turn points into Parquet, an eighth as large.

    Safe at any time, also while runs record. Needs pip install 'podstack[parquet]'.
    """
    from podstack.compact import compact

    counter = Counter(session.paper)
    ids = [session.run_id(run) for run in runs] if runs else None
    try:
        report = compact(session.store, ids, lambda so_far: counter.show(_how_far(so_far)))
    finally:
        counter.close()
    for line in str(report).splitlines():
        session.paper.line(line)


def _how_far(so_far: Compacted) -> str:
    done = readable_bytes(so_far.bytes)
    return f"compacting: {so_far.runs:,} of {so_far.of:,} runs, {done} replaced"


@command("verify", reads=True)
def verify(
    session: Session,
    runs: SomeRuns = None,
    all_: Annotated[
        bool, typer.Option("--all", "-a", help="Also what is merely worth knowing.")
    ] = False,
) -> None:
    """Read every line and every hash.

    Names what is damaged, and ends with 1 if anything is. Looks at all projects unless runs or a
    project are named.
    """
    from podstack.cli import inspection

    findings, checked = inspection.inspect(session, runs or [])
    shown = [f for f in findings if all_ or f.severity != INFO]
    if session.is_json:
        session.paper.json({"findings": findings, "checked": checked._asdict()})
    else:
        inspection.draw(session.paper, shown, checked)
    if any(finding.severity == DAMAGED for finding in findings):
        raise typer.Exit(PROBLEM)


@command("doctor", reads=True)
def doctor(session: Session) -> None:
    """Check this installation and the store.

    Versions, settings, rights, free space, clock, index, leftovers. Ends with 1 if one is bad.
    """
    from podstack.cli import checkup

    found = checkup.examine(session)
    if session.is_json:
        session.paper.json(found)
    else:
        checkup.draw(session.paper, found)
    if checkup.is_ill(found):
        raise typer.Exit(PROBLEM)
