"""The way into the command line: what stands before every command, and the exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from podstack.cli.exits import BUG, FINE
from podstack.cli.frame import NoColor, ProjectOption, Quiet, StoreOption, app
from podstack.cli.session import Options


def _version(wanted: bool) -> None:
    if wanted:
        from podstack import __version__

        print(f"podstack {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def podstack(
    ctx: typer.Context,
    store: StoreOption = None,
    project: ProjectOption = None,
    no_color: NoColor = False,
    quiet: Quiet = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and leave.")
    ] = False,
) -> None:
    """Ask a store of experiments, and keep it.

    RUN is a run's id, the beginning of one, its name, or `latest`, `latest~1` for the one before.

    Exit codes: 0 fine, 1 a problem was found, 2 wrong usage or no such thing, 3 no store or no
    answer from it, 70 a bug of podstack, 130 Ctrl-C, 141 nobody reads the output any more.
    """
    del version
    ctx.obj = Options(store, project, no_color=no_color, quiet=quiet)
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def run() -> int:
    """Run the command line of this process; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a narrow encoding costs letters, no traceback
    try:
        app(prog_name="podstack")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FINE
    except Exception:  # noqa: BLE001  # nobody may take the 1 of a traceback for an answer
        import traceback

        traceback.print_exc()
        return BUG
    return FINE
