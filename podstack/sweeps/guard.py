"""Ends what an agent runs once the agent is gone, also where `kill -9` ended it.

The command has a session of its own, so nothing tells it. A shell of a few lines, in a session of
its own, reads which process group runs now from a pipe that only the agent holds open: the pipe's
end is the agent's, on every system with a POSIX shell and whichever thread started what. Linux's
PR_SET_PDEATHSIG is sent when a thread ends, and reaches the command, but nothing it started.
Where there is no shell, what a killed agent ran runs on.
"""

from __future__ import annotations

import math
import subprocess
from types import TracebackType

# Reads "<group>" when one begins and "" when it is over. $1: seconds until what is left is killed.
_SCRIPT = """
group=
while read -r line; do group=$line; done
[ -n "$group" ] || exit 0
kill -s TERM -- "-$group" && sleep "$1" && kill -s KILL -- "-$group"
"""


class Guard:
    """A `with` block at whose end, of whatever kind, the group that was named last is ended.

    Args:
        grace: seconds that the group has to end itself, rounded up.
    """

    def __init__(self, grace: float) -> None:
        self._grace = max(1, math.ceil(grace))
        self._shell: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Guard:
        words = ["/bin/sh", "-c", _SCRIPT, "podstack-guard", str(self._grace)]
        try:
            self._shell = subprocess.Popen(
                words,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        except OSError:  # no shell, or no process more: what there is runs all the same
            self._shell = None
        return self

    def watch(self, group: int) -> None:
        """This process group is what runs now."""
        self._tell(str(group))

    def forget(self) -> None:
        """It is over."""
        self._tell("")

    def _tell(self, line: str) -> None:
        if self._shell is None or self._shell.stdin is None:
            return
        try:
            self._shell.stdin.write(f"{line}\n".encode())
        except OSError:  # somebody ended the shell: what there is runs all the same
            return

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.close()
            self._shell.wait()
