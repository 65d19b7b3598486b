"""All commands together."""

from __future__ import annotations

from podstack.cli import (
    edits,
    files,
    lifecycle,
    listing,
    notifying,
    one_run,
    sending,
    serving,
    several_runs,
    sweeping,
    upkeep,
)
from podstack.cli.entry import run
from podstack.cli.frame import app

COMMANDS = (
    listing,
    one_run,
    several_runs,
    sweeping,
    files,
    edits,
    lifecycle,
    upkeep,
    sending,
    serving,
    notifying,
)  # in this order


__all__ = ["app", "run"]
