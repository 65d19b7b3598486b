"""A real server whose first look at its store stops at one run: what pages show meanwhile."""

from __future__ import annotations

from pathlib import Path

from podstack.testing.podstack_server import RunningServer

_HELD = """
import os, time
import podstack.index as index
from podstack.errors import BackendError
from podstack.index.runs import RunReader

index._HOLD = index._FIRST_HOLD = 0.0  # what was looked at is committed at once
look = RunReader.look

def held(self, run, *rest):
    while run == {run!r} and not os.path.exists({go!r}):
        if os.path.exists({fail!r}):
            raise BackendError("the disk is gone")
        time.sleep(0.01)
    return look(self, run, *rest)

RunReader.look = held
"""


class HeldServer(RunningServer):
    """`RunningServer` over a folder; it looks no further than at `run` until `go` was called.

    Runs are looked at from the latest id to the oldest. Its cache and what holds it up lie beside
    the store.
    """

    def __init__(self, store: Path, run: str) -> None:
        self._go, self._fail = Path(f"{store}-go"), Path(f"{store}-fail")
        held = _HELD.format(run=run, go=str(self._go), fail=str(self._fail))
        super().__init__(store, environment={"PODSTACK_CACHE": f"{store}-cache"}, first=held)

    def fail(self) -> None:
        """Let every look end there with an error, until `go`."""
        self._fail.touch()

    def go(self) -> None:
        """Let it go on."""
        self._go.touch()
