"""What a forked child must make anew: locks, threads, file descriptors, writer ids.

A child gets a copy of the parent's memory but only the thread that forked. A lock held by
another thread stays held for ever, and a descriptor still writes the parent's file. Whoever
owns such a thing registers here and is told in the child, before any other code runs there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
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


_forking = threading.RLock()


@contextmanager
def none_meanwhile() -> Iterator[None]:
    """Let a fork of another thread wait, for milliseconds: a background thread imports here.

    A child that is forked during an import finds its module locked for ever.
    """
    with _forking:
        yield


if hasattr(os, "register_at_fork"):  # absent on Windows, which cannot fork
    os.register_at_fork(after_in_child=_renew_all)
    os.register_at_fork(
        before=_forking.acquire,
        after_in_parent=_forking.release,
        after_in_child=_forking.release,
    )
