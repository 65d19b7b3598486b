"""Which of several servers does a thing that is to be done once, over a store without locks.

A claim is an empty object under the name of the thing and of the claimant. Who finds a claim of
anybody's does nothing. Who finds none writes their own, waits, and looks again: the lowest
claimant has won. The wait is twice as long as anybody may take from the first look to the end of
their write, and who took longer takes the claim back; so whoever could have missed the other's
claim at first sees it at the second look. Claims stay, also over restarts: a thing is done at most
once, and not at all where its winner dies before it is done.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence

from podstack.backend import Backend
from podstack.clock import monotonic
from podstack.console import warn
from podstack.server.private import put_private

SETTLE = 1.0  # seconds between writing a claim and looking who else did
_SLOW_ROUNDS = 5  # in which the store took no claim in time, until it is given up


class Claims:
    """The claims of one process."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._me = secrets.token_hex(8)
        self._undecided: set[str] = set()  # keys of claims before their second look
        self._pause = threading.Event()  # never set: only waited for

    def won(self, folder: str, things: Sequence[str]) -> set[str]:
        """Those of `things` that are this process's to do; takes a second where there are any.

        Args:
            folder: where the claims lie, with a slash at its end.
            things: names without dots and slashes.
        """
        left, found, slow = list(things), set[str](), 0
        while left and slow < _SLOW_ROUNDS:
            begin = monotonic()
            taken = self._claimants(folder)
            left = [t for t in left if t not in taken or self._key(folder, t) in self._undecided]
            mine = self._claimed(folder, left, begin + SETTLE / 2)
            slow = 0 if mine or not left else slow + 1
            if mine:
                self._pause.wait(SETTLE)
                now = self._claimants(folder)
                found |= {thing for thing in mine if now.get(thing) == self._me}
                self._undecided -= {self._key(folder, thing) for thing in mine}
                left = left[len(mine) :]
        if left:
            warn(f"{len(left)} notices are not sent: the store is too slow to tell who sends them")
        return found

    def _claimed(self, folder: str, things: Sequence[str], deadline: float) -> list[str]:
        """The first of `things`, as many as could be claimed in time."""
        mine: list[str] = []
        for thing in things:
            key = self._key(folder, thing)
            self._undecided.add(key)
            put_private(self._backend, key, b"")
            if monotonic() > deadline:
                self._backend.delete(key)
                self._undecided.discard(key)
                break
            mine.append(thing)
        return mine

    def _key(self, folder: str, thing: str) -> str:
        return f"{folder}{thing}.{self._me}"

    def _claimants(self, folder: str) -> dict[str, str]:
        """The lowest claimant of each thing."""
        found: dict[str, str] = {}
        for info in self._backend.list(folder):  # sorted: the first one is the lowest
            thing, _, claimant = info.key[len(folder) :].partition(".")
            found.setdefault(thing, claimant)
        return found
