"""Ctrl-C, SIGTERM and SIGHUP while trials run: noted, so that what runs can be ended in order.

The first one asks for an orderly end, and Ctrl-C a second time for one at once. What was noted is
delivered again afterwards, so that whoever waits for this process sees how it ended.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_askers: list[Callable[[], bool]] = []


def heed(is_asked: Callable[[], bool]) -> None:
    """Have whatever waits for long in this process ask this, too, whether to go on."""
    _askers.append(is_asked)


def end_is_asked() -> bool:
    """Whether a signal asked this process for an end that has not come yet."""
    return any(is_asked() for is_asked in list(_askers))


class Interruption:
    """A `with` block inside which such a signal is noted and does nothing else.

    In another thread than the main one no handler can be set: Ctrl-C then reaches the main thread
    as usual.
    """

    def __init__(self) -> None:
        self.signal: int | None = None  # the first one
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def is_asked(self) -> bool:
        """Whether an end was asked for."""
        return self.count > 0

    @property
    def at_once(self) -> bool:
        """Whether nobody wants to wait any more."""
        return self.count > 1

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name, None) for name in _SIGNALS):
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
        heed(self.is_asked)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        # SIGHUP and SIGTERM come in pairs, and Slurm sends SIGTERM to each process of a step.
        self.count += 1 if not self.count or number == signal.SIGINT else 0

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _askers.remove(self.is_asked)
        self._restore()
        if error is None or isinstance(error, Exception):  # which somebody may catch, and go on
            self._deliver()

    def _restore(self) -> None:
        """Put all handlers back, SIGINT's last, also where one that is back raises meanwhile."""
        try:
            while self._before:
                number = next(reversed(self._before))
                signal.signal(number, self._before[number])
                del self._before[number]
        finally:
            if self._before:
                self._restore()

    def _deliver(self) -> None:
        """
        Raises:
            KeyboardInterrupt: it was Ctrl-C.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            signal.raise_signal(self.signal)
