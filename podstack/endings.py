"""How a run ends when nobody calls `finish`: handled here once, for every integration too.

- falling off the end of the script, `sys.exit(0)`: completed
- `sys.exit` with any other code, an uncaught exception: failed, with the traceback kept
- Ctrl-C, SIGTERM, SIGHUP: killed
- a forked child: never ends its parent's run, and dies of a signal as it would without podstack
  until it opens a run of its own or sends lines elsewhere
- a second Ctrl-C, while something is waited for: nothing more is
- SIGKILL, `os._exit`, power loss: nothing can run; a reader finds the run lost

Hooks are set with the first run and call whatever was there before. A signal that the program
handles itself, or ignores, is left alone.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, NoReturn, Protocol

from podstack import config
from podstack.clock import monotonic
from podstack.console import tell_of_failure, warn
from podstack.forks import default_in_child, renew_in_child
from podstack.keeper import keeper
from podstack.names import COMPLETED, FAILED, KILLED

AT_ONCE = 5.0  # seconds that a signal which ends the process is held up at most
_SIGNALS = ("SIGTERM", "SIGHUP")
_MAX_TRACEBACK = 100_000  # characters


class Endable(Protocol):
    @property
    def progress(self) -> int:
        """Grows with everything that is logged."""

    def finish(
        self, status: str = ..., *, error: str | None = ..., timeout: float | None = ...
    ) -> None: ...

    def finish_at_once(self, status: str, timeout: float) -> None:
        """From a signal handler: record the status, write what waits, and sync.

        A store elsewhere may hold it up for `timeout` seconds, and nobody else does.
        """


class Sender(Protocol):
    def send_at_once(self, timeout: float) -> None:
        """From a signal handler: send what is left, within `timeout` seconds."""

    def send_rest(self, timeout: float) -> None:
        """Wait for what is still on its way to a store elsewhere; say what does not arrive."""


class Endings:
    """The runs that are open in this process, and what is known of its end so far."""

    def __init__(self) -> None:
        self._open: list[Endable] = []
        self._senders: list[Sender] = []
        self.in_haste = False  # Ctrl-C was pressed while something was waited for
        self._hooked = False
        self._verdict: tuple[str, str | None] | None = (
            None  # what an uncaught exception or sys.exit said
        )
        self._progress_then: list[tuple[Endable, int]] = []
        self._is_final = False  # nothing catches an exception any more
        self._is_interrupted = False  # and it is that of a Ctrl-C
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._open = []
        self._senders = []
        self.in_haste = False

    def opened(self, run: Endable) -> None:
        self.in_haste = False  # that Ctrl-C was caught, and the program goes on
        self._open.append(run)
        self._hook()

    def sends(self, sender: Sender) -> None:
        """Something is on its way elsewhere, and has to be waited for at the end."""
        if sender not in self._senders:
            self._senders.append(sender)
        self._hook()

    def closed(self, run: Endable) -> None:
        if run in self._open:
            self._open.remove(run)

    def _hook(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for name in _SIGNALS:
                self._hook_signal(getattr(signal, name, None))
        if self._hooked:
            return
        self._hooked = True
        atexit.register(self._at_exit)
        self._hook_exceptions()
        self._hook_sys_exit()

    def _hook_signal(self, number: signal.Signals | None) -> None:
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            default_in_child(number, self._on_signal)
            signal.signal(number, self._on_signal)

    def leave_sigterm(self) -> None:
        """Give SIGTERM back to a framework that is about to handle it, and tells its callbacks.

        One that finds a handler calls it too, and ours ends the process there and then.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) == self._on_signal:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        deadline = monotonic() + AT_ONCE  # for all of them together
        for run in list(self._open):
            run.finish_at_once(KILLED, max(0.0, deadline - monotonic()))
        for sender in list(self._senders):
            sender.send_at_once(max(0.0, deadline - monotonic()))
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # so that whoever waits for us sees the signal
        os._exit(128 + number)  # process 1 of a container is still here: no signal ends it

    def _hook_exceptions(self) -> None:
        before = sys.excepthook

        def excepthook(
            kind: type[BaseException], error: BaseException, trace: TracebackType | None
        ) -> None:
            self._note(*verdict_of(error))
            self._is_final = not (hasattr(sys, "ps1") or sys.flags.interactive)
            self._is_interrupted = self._is_final and isinstance(error, KeyboardInterrupt)
            before(kind, error, trace)

        sys.excepthook = excepthook

    def _hook_sys_exit(self) -> None:
        """The exit code cannot be seen from an atexit handler, so it is noted where it is given."""
        before = sys.exit

        def exit(status: Any = None, /) -> NoReturn:
            if threading.current_thread() is threading.main_thread():
                self._note(*verdict_of(SystemExit(status)))
            before(status)

        sys.exit = exit

    def _note(self, status: str, error: str | None) -> None:
        self._verdict = (status, error)
        self._progress_then = self._progress()

    def _progress(self) -> list[tuple[Endable, int]]:
        return [(run, run.progress) for run in self._open]

    def _at_exit(self) -> None:
        """End what is still open, then let the background finish its work."""
        status, error = self._verdict or (COMPLETED, None)
        if not self._is_final and any(one not in self._progress_then for one in self._progress()):
            status, error = COMPLETED, None  # that exit was caught, and training went on
        patience = config.finish_timeout()
        deadline = monotonic() + patience
        for run in list(self._open):
            self._finish(run, status, error, deadline)
        self._sync(deadline, patience)
        for sender in self._senders:
            self._end(sender, deadline)
        if self._is_interrupted:
            _end_by_sigint()

    def _finish(self, run: Endable, status: str, error: str | None, deadline: float) -> None:
        """End one run. Whatever keeps it from that keeps no other from its end."""
        try:
            run.finish(status, error=error, timeout=self._left(deadline))
        except KeyboardInterrupt:
            self.in_haste = True
        except Exception as failure:  # noqa: BLE001  # the outermost frame: told, and the next run ends
            tell_of_failure("a run could not be ended", failure)

    def _sync(self, deadline: float, patience: float) -> None:
        if self.in_haste:
            return
        try:
            if not keeper.wait(max(0.1, deadline - monotonic())):
                warn(
                    f"the disk did not sync all within {patience:.0f} s; what is logged is written"
                )
        except KeyboardInterrupt:
            self.in_haste = True

    def _left(self, deadline: float) -> float:
        return 0.1 if self.in_haste else max(0.1, deadline - monotonic())

    def _end(self, sender: Sender, deadline: float) -> None:
        try:
            sender.send_rest(0.0 if self.in_haste else max(0.1, deadline - monotonic()))
        except KeyboardInterrupt:
            self.in_haste = True
            sender.send_rest(0.0)  # which says what is left


def _end_by_sigint() -> None:
    """Have Python end by SIGINT after an uncaught Ctrl-C, as whoever waits for it expects.

    It remembers that one was uncaught only until any thread runs code given as a text, as the
    import of a module with a dataclass or a named tuple does, and would then exit with 1.
    """
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        pass


def verdict_of(error: BaseException | None) -> tuple[str, str | None]:
    """The status that an exception stands for, and its traceback where it is a failure."""
    if error is None:
        return COMPLETED, None
    if isinstance(error, SystemExit):
        clean = error.code is None or error.code == 0
        return (COMPLETED, None) if clean else (FAILED, f"SystemExit: {error.code}")
    if isinstance(error, KeyboardInterrupt):
        return KILLED, None  # and load nothing: that can turn Python's exit by SIGINT into a 1
    if isinstance(error, GeneratorExit):
        return COMPLETED, None
    return FAILED, traceback_text(error)


def traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it, its end kept where it is very long."""
    try:
        import traceback  # only where something went wrong
    except OSError:  # no file descriptor is left to load it with
        return f"{type(error).__name__}: {error}"[-_MAX_TRACEBACK:]
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return text.encode("utf-8", "backslashreplace").decode()[-_MAX_TRACEBACK:]


endings = Endings()
