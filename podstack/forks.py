"""What a forked child must make anew: locks, threads, file descriptors, writer ids.

A child gets a copy of the parent's memory but only the thread that forked. A lock held by
another thread stays held for ever, and a descriptor still writes the parent's file. Whoever
owns such a thing registers here and is told in the child, before any other code runs there.
"""

from __future__ import annotations

import os
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


if hasattr(os, "register_at_fork"):  # absent on Windows, which cannot fork
    os.register_at_fork(after_in_child=_renew_all)
