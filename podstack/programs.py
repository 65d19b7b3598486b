"""Asking another program from the background: bounded in time and size, and never in the way.

Not by `subprocess`: importing it takes 3 ms that a training script need not pay, importing it on
a background thread can hang a child that is forked meanwhile, and it waits for the end of the
pipe, which such a child holds open.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from podstack.clock import monotonic

try:
    from select import POLLIN, poll
except ImportError:  # Windows
    poll = None  # type: ignore[assignment,misc]

Result = TypeVar("Result")
Waiting = Generator[None, None, Result]  # yields at least every 50 ms, and returns the result

_PAUSE = 50  # milliseconds
_CHUNK = 1 << 16


class Answer(NamedTuple):
    """What a program printed; `whole` is False where it was cut."""

    data: bytes
    whole: bool


class Deadline:
    """A moment that can come nearer, never later."""

    def __init__(self, seconds: float) -> None:
        self._moment = monotonic() + seconds

    def hurry(self, seconds: float) -> None:
        """Leave at most `seconds` from now."""
        self._moment = min(self._moment, monotonic() + seconds)

    @property
    def left(self) -> float:
        return self._moment - monotonic()


def answer(
    command: Sequence[str], environment: Mapping[str, str], deadline: Deadline, *, limit: int
) -> Waiting[Answer | None]:
    """What `command` prints, cut after `limit` bytes.

    None where it cannot be started, fails, or has not ended at the deadline; it is ended then.
    """
    if deadline.left <= 0:
        return None
    if poll is None or not hasattr(os, "posix_spawnp"):
        yield
        return _at_once(command, environment, deadline, limit)
    try:
        program = _Program(command, environment)
    except (OSError, ValueError):  # not installed, no descriptor left, a NUL in a name
        return None
    try:
        yield from program.read(deadline, limit)
    finally:
        program.end()
    return program.answer(limit)


class _Program:
    """A process whose output is read through a pipe."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._data = bytearray()
        self._is_read = False  # to the end, as far as this process wrote it
        self._status: int | None = None  # what waitpid said; 0 where the program ignores children
        self._pipe, theirs = os.pipe()
        try:
            self._id = os.posix_spawnp(
                command[0],
                list(command),
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, theirs, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setpgroup=0,  # Ctrl-C is not for it, and it is ended with all that it started
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)

    def read(self, deadline: Deadline, limit: int) -> Waiting[None]:
        os.set_blocking(self._pipe, False)
        ready = poll()
        ready.register(self._pipe, POLLIN)
        while len(self._data) <= limit and deadline.left > 0 and not self._is_read:
            has_ended = self._has_ended()  # asked before reading: then nothing more can come
            if has_ended or ready.poll(_PAUSE):
                self._read_what_is_there(limit, has_ended)
            yield

    def _read_what_is_there(self, limit: int, has_ended: bool) -> None:
        while len(self._data) <= limit:
            try:
                chunk = os.read(self._pipe, _CHUNK)
            except BlockingIOError:
                self._is_read = has_ended  # else a forked child holds the pipe open
                return
            self._data += chunk
            if not chunk:
                self._is_read = True
                return

    def _has_ended(self) -> bool:
        if self._status is None:
            self._wait(os.WNOHANG)
        return self._status is not None

    def _wait(self, options: int) -> None:
        try:
            process, status = os.waitpid(self._id, options)
        except ChildProcessError:  # the program lets the system, or another thread, collect them
            process, status = self._id, 0
        if process == self._id:
            self._status = status

    def end(self) -> None:
        """Collect it; what has not closed its output by now is killed."""
        os.close(self._pipe)
        if self._status is None and not self._is_read:
            self._kill()
        if self._status is None:
            self._wait(0)

    def _kill(self) -> None:
        try:
            os.killpg(self._id, signal.SIGKILL)
        except OSError:
            return  # it has just ended

    def answer(self, limit: int) -> Answer | None:
        if len(self._data) > limit:
            return Answer(bytes(self._data[:limit]), whole=False)
        succeeded = self._is_read and self._status == 0
        return Answer(bytes(self._data), whole=True) if succeeded else None


def _at_once(
    command: Sequence[str], environment: Mapping[str, str], deadline: Deadline, limit: int
) -> Answer | None:
    """The same where a process cannot be polled: on Windows, which does not fork either."""
    import subprocess

    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=max(0.1, deadline.left),
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Answer(done.stdout[:limit], whole=len(done.stdout) <= limit)
