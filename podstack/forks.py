"""What a forked child must make anew: locks, threads, file descriptors, writer ids.

A child gets a copy of the parent's memory but only the thread that forked. A lock held by
another thread stays held for ever, and a descriptor still writes the parent's file. Whoever
owns such a thing registers here and is told in the child, before any other code runs there.

A signal that podstack handles here has its default action in the child, as it would have without
podstack, and none is missed: `multiprocessing.Pool` ends workers that it forked just now.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple, Protocol
from weakref import WeakSet


class Renewable(Protocol):
    def renew_in_child(self) -> None:
        """In the child: replace what must not be shared with the parent. No I/O but close."""


_renewables: WeakSet[Renewable] = WeakSet()


def renew_in_child(owner: Renewable) -> None:
    """Call `owner.renew_in_child()` in every child forked from now on, while `owner` lives."""
    _renewables.add(owner)


def _renew_all() -> None:
    for owner in list(_renewables):
        owner.renew_in_child()


_forking = threading.RLock()  # held during a fork; guards _held


@contextmanager
def none_meanwhile() -> Iterator[None]:
    """Let a fork of another thread wait, for milliseconds: a background thread imports here.

    A child that is forked during an import finds its module locked for ever.
    """
    with _forking:
        yield


Handler = Callable[[int, FrameType | None], None]


class _Held(NamedTuple):
    """Signals that podstack handles, and those of them that wait for the end of this fork."""

    handled: list[int]
    waiting: set[int]  # not those that the forking thread does not take anyway


_handlers: dict[int, Handler] = {}
_held: list[_Held] = []  # the innermost fork is the last: a signal handler may fork during one


def default_in_child(number: int, handler: Handler) -> None:
    """Give a signal its default action in children forked while `handler` is set for it.

    Python forgets what reaches a child before its first line, for it only notes the signals of
    Python handlers, and a handler that ran before `renew_in_child` would see what is the parent's.
    So these signals are held up during a fork.
    """
    _handlers[number] = handler


def _hold_signals() -> None:
    handled = [n for n, handler in _handlers.items() if signal.getsignal(n) == handler]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if handled else set()
    _held.append(_Held(handled, set(handled) - blocked))
    if handled:
        signal.pthread_sigmask(signal.SIG_BLOCK, handled)


def _release_signals() -> None:
    if not _held:  # an exception from another signal's handler cut `_hold_signals` short
        return
    try:
        if _held[-1].waiting:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _held[-1].waiting)
    finally:
        _held.pop()


def _release_in_child() -> None:
    for number in _held[-1].handled if _held else ():
        signal.signal(number, signal.SIG_DFL)
    _release_signals()


if hasattr(os, "register_at_fork"):  # absent on Windows, which cannot fork
    os.register_at_fork(after_in_child=_renew_all)
    os.register_at_fork(
        before=_hold_signals,
        after_in_parent=_release_signals,
        after_in_child=_release_in_child,
    )
    os.register_at_fork(  # the last: hooks run in the opposite order before a fork
        before=_forking.acquire,
        after_in_parent=_forking.release,
        after_in_child=_forking.release,
    )
