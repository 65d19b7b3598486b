"""Which of several servers does a thing that is to be done once, over a store without locks.

A claim is an empty object under the name of the thing and of the claimant. Who finds a claim of
anybody's does nothing. Who finds none writes their own, waits, and looks again: the lowest
claimant has won. The wait is twice as long as anybody may take from the first look to the end of
their write; so whoever could have missed the other's claim at first sees it at the second look.

Who took longer, and who has lost, takes the claim back and looks once more, in this order: where
nobody's claim stands then, it begins anew. So of two of whom each made way for the other, the one
who looks last finds that nobody is left, and a thing is never passed over because somebody was
slow. The winner's claim stays, also over restarts: a thing is done at most once, and not at all
where its winner dies before it is done.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Sequence
from itertools import groupby

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
        self._undecided: set[str] = set()  # what is claimed and had no second look yet
        self._pause = threading.Event()  # never set: only waited for

    def won(self, things: Sequence[str]) -> set[str]:
        """Those of `things` that are this process's to do; takes a second where there are any.

        Args:
            things: keys without an ending, in folders that hold nothing but claims.
        """
        left, found, slow = list(things), set[str](), 0
        while left and slow < _SLOW_ROUNDS:
            mine, passed = self._claimed(left)
            won, lost = self._decided(mine)
            found |= won
            done = won | lost | passed
            slow = 0 if done else slow + 1
            left = [thing for thing in left if thing not in done]
        if left:
            warn(f"{len(left)} notices are not sent: the store is too slow to tell who sends them")
        return found

    def _claimed(self, things: Sequence[str]) -> tuple[set[str], set[str]]:
        """What could be claimed in one round, and what others have claimed."""
        mine, passed = set[str](), set[str]()
        stop = monotonic() + SETTLE / 2
        for thing in self._undecided.intersection(things):
            self._take_back(thing)  # of an earlier call, which the store did not answer
        for folder, its in groupby(sorted(things), _folder_of):
            begin = monotonic()
            if begin > stop:
                break
            taken = self._claimants([folder])
            for thing in its:
                if thing in taken:
                    passed.add(thing)
                elif self._claim(thing, begin + SETTLE / 2):
                    mine.add(thing)
                else:
                    break
        return mine, passed

    def _decided(self, mine: set[str]) -> tuple[set[str], set[str]]:
        """What is won of what was claimed, and what others have; nobody has the rest."""
        if not mine:
            return set(), set()
        self._pause.wait(SETTLE)
        now = self._claimants(mine)
        won = {thing for thing in mine if now.get(thing) == self._me}
        self._undecided -= won
        rest = mine - won
        for thing in rest:
            self._take_back(thing)
        return won, rest.intersection(self._claimants(rest))

    def _claim(self, thing: str, deadline: float) -> bool:
        """Write a claim; False where that took too long, and it is taken back."""
        self._undecided.add(thing)
        put_private(self._backend, f"{thing}.{self._me}", b"")
        if monotonic() <= deadline:
            return True
        self._take_back(thing)
        return False

    def _take_back(self, thing: str) -> None:
        self._backend.delete(f"{thing}.{self._me}")
        self._undecided.discard(thing)

    def _claimants(self, things: Iterable[str]) -> dict[str, str]:
        """The lowest claimant of each thing in the folders of some."""
        found: dict[str, str] = {}
        for folder in sorted(set(map(_folder_of, things))):
            for info in self._backend.list(folder):  # sorted: the first one is the lowest
                thing, _, claimant = info.key.rpartition(".")
                found.setdefault(thing, claimant)
        return found


def _folder_of(thing: str) -> str:
    return thing[: thing.rfind("/") + 1]
