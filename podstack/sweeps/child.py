"""A command that runs for one trial: its output is passed on, its end is waited for.

It has a process group of its own, so that all of its processes hear of an end that is asked for,
and no terminal: Ctrl-C reaches it through us.
"""

from __future__ import annotations

import os
import select
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
_GLANCE = 0.02  # seconds between two looks at output that is still to be read
_PIPE = 1 << 20  # bytes that may stand in one when the command ends
_REST = 2.0  # seconds that output is waited for which another process may hold open
_SHOWING = 60.0  # seconds that passing on may hold up what the command said before its end


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
        self._lock = threading.Lock()  # held while something is taken out of the pipe and kept
        self._taken = 0  # bytes
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """The last of it, once the stream has ended, or soon.

        Soon is not before all was read that stands in the pipe, however long this process was
        stopped meanwhile: a command's last line says what its trial is worth.
        """
        self._thread.join(_REST)
        deadline, enough = monotonic() + _SHOWING, self._taken + _PIPE
        while self._is_behind(enough) and monotonic() < deadline:
            self._thread.join(_GLANCE)
        with self._lock:
            return bytes(self._kept).decode("utf-8", "replace")

    def _is_behind(self, enough: int) -> bool:
        """Whether something stands in the pipe, and less than `enough` was taken out of it."""
        with self._lock:
            return not self._source.closed and self._taken < enough and self._has_more(0)

    def _has_more(self, timeout: float | None) -> bool:
        poll = select.poll()  # which two threads may not share
        poll.register(self._source, select.POLLIN)
        return bool(poll.poll(timeout))

    def _pass_on(self) -> None:
        while data := self._next():
            self._show(data)
        with self._lock:
            self._source.close()

    def _next(self) -> bytes:
        self._has_more(None)  # outside of the lock: it may take as long as the command
        with self._lock:
            data = os.read(self._source.fileno(), 65536)
            self._taken += len(data)
            self._kept += data
            del self._kept[:-_KEPT]
        return data

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
