"""A command that runs for one trial: its output is passed on, its end is waited for.

It has a process group of its own, so that all of its processes hear of an end that is asked for,
and no terminal: Ctrl-C reaches it through us.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NamedTuple

from podstack.clock import monotonic
from podstack.errors import UsageError
from podstack.names import short
from podstack.sweeps.interruption import Interruption

_KEPT = 64_000  # bytes of each stream
_LOOK = 0.2  # seconds between two looks at a command that runs
_REST = 2.0  # seconds that output is waited for which another process may hold open


class Outcome(NamedTuple):
    """How a command ended.

    code: its exit code; negative where a signal ended it.
    out, err: the last of what it printed.
    interrupted: whether we ended it.
    """

    code: int
    out: str
    err: str
    interrupted: bool

    @property
    def reason(self) -> str:
        """Why it failed, with the last lines of its stderr."""
        if self.code >= 0:
            how = f"exit code {self.code}"
        else:
            how = f"ended by signal {-self.code} ({_signal_name(-self.code)})"
        said = self.err.strip().splitlines()[-30:]
        return "\n".join([*said, how])


class Child:
    """A command, running.

    Args:
        began: called with its process group as soon as there is one, before output is passed on.

    Raises:
        UsageError: there is no such program, or it may not be run.
    """

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], began: Callable[[int], None]
    ) -> None:
        try:
            self._process = subprocess.Popen(
                list(words),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"The command {short(words[0])} cannot be run: {why}.") from error
        self.pid = self._process.pid
        began(self.pid)
        self._out = _Tail(self._process.stdout, sys.stdout)
        self._err = _Tail(self._process.stderr, sys.stderr)

    def wait(self, interruption: Interruption, grace: float) -> Outcome:
        """Wait for its end.

        An interruption is passed on to its process group; what is still there `grace` seconds
        later, or when Ctrl-C is pressed again, is killed.
        """
        signalled: float | None = None
        while (code := self._code()) is None:
            if signalled is None and interruption.is_asked():
                signalled = monotonic()
                self._signal(interruption.signal or signal.SIGTERM)
            elif signalled is not None and (
                interruption.at_once or monotonic() > signalled + grace
            ):
                self._signal(signal.SIGKILL)
        if signalled is not None:
            self._signal(signal.SIGKILL)  # what it started and left behind
        return Outcome(code, self._out.text(), self._err.text(), signalled is not None)

    def _code(self) -> int | None:
        try:
            return self._process.wait(_LOOK)
        except subprocess.TimeoutExpired:
            return None

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # all of them have ended
            return


class _Tail:
    """Passes a stream on, on a thread of its own, and keeps the last of it."""

    def __init__(self, source: IO[bytes] | None, target: IO[str] | None) -> None:
        assert source is not None, "the command's output is a pipe"
        self._source = source
        self._target = getattr(target, "buffer", None)
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """The last of it, once the stream has ended, or soon."""
        self._thread.join(_REST)
        return bytes(self._kept).decode("utf-8", "replace")

    def _pass_on(self) -> None:
        with self._source:
            while data := os.read(self._source.fileno(), 65536):
                self._kept += data
                del self._kept[:-_KEPT]
                self._show(data)

    def _show(self, data: bytes) -> None:
        try:
            if self._target is not None:
                self._target.write(data)
                self._target.flush()
        except (OSError, ValueError):  # nobody reads it any more; the command goes on
            self._target = None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
