"""One worker process of a pool, as the pool sees it: how it is started, asked and heard.

Workers are spawned, not forked, for CUDA and the threads of torch do not survive a fork. A function
that a spawned process cannot import, because it is a lambda, lies inside another function, or was
typed into a notebook, is run in forked processes, and that is said.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Iterable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from podstack.config import Settings
from podstack.console import say
from podstack.errors import UsageError
from podstack.names import short
from podstack.processes import has_ended
from podstack.sweeps.worker import WAKE, Function, Word, work

_FORK = "fork"


class Hand:
    """A worker process, as the pool sees it."""

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self.began = False
        self.asked = False  # to take a trial, and has not answered
        self.trial: int | None = None  # which it has

    @property
    def is_free(self) -> bool:
        return self.began and not self.asked and self.trial is None

    @property
    def is_gone(self) -> bool:
        """Whether its process has ended, also where its exit code is not ours to know.

        That is so where SIGCHLD is ignored, as whoever started us may have it, or where the
        program waits for any child.
        """
        pid = self.process.pid
        return self.process.exitcode is not None or (pid is not None and has_ended(pid))

    def say(self, word: str | Function) -> None:
        try:
            self.connection.send(word)
        except (BrokenPipeError, ConnectionError, OSError):
            return  # it has died, which is seen elsewhere

    def wake(self) -> None:
        """Have its main thread see the signals that the kernel gave to another thread of it.

        That happens to SIGTERM where the terminal's SIGINT came a moment before, and no function
        that waits in C code hears of it.
        """
        if WAKE is None or self.process.pid is None:
            return
        try:
            os.kill(self.process.pid, WAKE)
        except ProcessLookupError:  # it ended since
            return

    def words(self) -> Iterable[Word]:
        """What it has said since the last look."""
        try:
            while self.connection.poll():
                yield self.connection.recv()
        except (EOFError, ConnectionError, OSError):
            return

    def why(self) -> str:
        """How its process ended."""
        code = self.process.exitcode
        if code is None:
            return "exit code unknown"
        if code >= 0:
            return f"exit code {code}"
        memory = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return f"ended by signal {-code}{memory}"


def begun(context: Any, name: str, settings: Settings, sweep_id: str, function: Function) -> Hand:
    """A worker that was started just now.

    A spawned one is told the function once it asks for it. `Process` would write it into a pipe
    whose other end stays open here, and wait for ever if the worker dies before it has read all.
    """
    ours, theirs = context.Pipe()
    known = function if context.get_start_method() == _FORK else None
    process = context.Process(target=work, args=(theirs, settings, sweep_id, known), name=name)
    _launch(process)
    theirs.close()
    return Hand(process, ours)


def _launch(process: BaseProcess) -> None:
    import warnings

    with warnings.catch_warnings():
        # Python 3.12 warns of a fork in a process with threads; ours are renewed in the child.
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
        process.start()


def context_for(function: Function) -> Any:
    """How processes are started that know the function.

    Raises:
        UsageError: they would not know it, and this system cannot fork.
    """
    why = _why_not_sent(function)
    if why is None:
        return multiprocessing.get_context("spawn")
    if _FORK not in multiprocessing.get_all_start_methods():
        raise UsageError(
            f"The function {short(function)} cannot be sent to another process: {why}. Define it "
            "at the top of a file that can be imported, or use workers=1."
        )
    say(f"workers are forked, for the function cannot be sent to others: {why}; not for CUDA")
    return multiprocessing.get_context(_FORK)


def _why_not_sent(function: Function) -> str | None:
    """Why a new process could not get it; None where it can."""
    main = sys.modules["__main__"]
    is_typed = getattr(function, "__module__", None) == "__main__" and not (
        getattr(main, "__file__", None) or getattr(main, "__spec__", None)
    )
    if is_typed:
        return "it was typed into a notebook or at a prompt"
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        return str(error)
    return None
