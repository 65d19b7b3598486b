"""The claims themselves, through every order in which the store may hear of them.

Workers run the real code, each in a thread that stops before every request; a scheduler lets one
of them go on at a time, and tries all orders there are. The store is strongly consistent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from podstack import keys
from podstack.backend import BlobInfo
from podstack.errors import BackendUnavailable
from podstack.sweeps.claims import Claim, Claims
from podstack.sweeps.dealing import Dealing
from podstack.testing.faults import FaultyBackend

SWEEP, NUMBER = "s", 1


class Steps:
    """Lets one thread at a time go on to its next request."""

    def __init__(self) -> None:
        self.go, self.arrived = threading.Semaphore(0), threading.Semaphore(0)
        self.is_done = False

    def wait(self) -> None:
        self.arrived.release()
        self.go.acquire()

    def next(self) -> None:
        self.go.release()
        self.arrived.acquire()


class Shelf:
    """What a strongly consistent store is: a table. Thousands of them are made."""

    url = "shelf"

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self._objects[key] = data

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        return self._objects[key][start:stop]

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        found = [key for key in self._objects if key.startswith(prefix) and key > start_after]
        return iter([BlobInfo(key, len(self._objects[key]), "") for key in sorted(found)])


def new_store() -> Any:
    return Shelf()


class Stepped(FaultyBackend):
    """A store that asks the scheduler before each request of one worker."""

    steps: Steps | None = None

    def _before(self, operation: str) -> None:
        super()._before(operation)
        if self.steps is not None:
            self.steps.wait()


class Worker:
    """One process's claims, over a store that all share. judges: whose claims it takes for dead."""

    def __init__(self, shared: Any, *, believes_dead: tuple[str, ...] = ()) -> None:
        self.backend = Stepped(shared)
        store: Any = SimpleNamespace(
            backend=self.backend,
            keys=keys.Project("p"),
            delivery=None,
            disabled=False,
            settings=SimpleNamespace(uri="memory://shelf"),
        )
        self.claims = Claims(store, SWEEP)
        self._dead = believes_dead
        self.claims.lives = self._lives  # type: ignore[method-assign]  # what it believes is given
        register: Any = SimpleNamespace(
            store=store, record=lambda _: None, was_released=lambda *_: False
        )
        self._dealing = Dealing(register, self.claims, lambda: None, lambda *_: None)

    def _lives(self, claim: Claim) -> bool:
        return claim.stands and claim.writer not in self._dead

    def try_once(self) -> bool:
        """Look, and claim the trial if it seems free."""
        claims = list(self.claims.board(NUMBER - 1)(NUMBER))
        offer = self._dealing._offer(NUMBER, claims)
        return offer is not None and self.claims.take(*offer)

    def try_twice(self) -> None:
        if not self.has_it:
            self.try_once()
        if not self.has_it:
            self.try_once()

    def give_back(self) -> None:
        held = self.claims.drop(NUMBER)
        assert held is not None
        self.claims.withdraw(NUMBER, held.generation)

    @property
    def has_it(self) -> bool:
        return self.claims.held(NUMBER) is not None


Play = tuple[list[Worker], list[tuple[Worker, Callable[[], object]]]]


def played(play: Play, order: list[int]) -> list[int]:
    """Run the parts of a play in an order; where that ends, the first part that can goes on.

    Returns how many could have gone on at each step.
    """
    parts = [(worker, part, Steps()) for worker, part in play[1]]
    for worker, part, steps in parts:
        worker.backend.steps = steps
        threading.Thread(target=_run, args=(part, steps), daemon=True).start()
        steps.arrived.acquire()
    options = []
    while able := [steps for _, _, steps in parts if not steps.is_done]:
        chosen = order[len(options)] if len(options) < len(order) else 0
        options.append(len(able))
        able[chosen].next()
    for worker, _, _ in parts:
        worker.backend.steps = None
    return options


def _run(part: Callable[[], object], steps: Steps) -> None:
    try:
        part()
    finally:
        steps.is_done = True
        steps.arrived.release()


def every_order(make: Callable[[], Play], *, fixed: int = 0) -> Iterator[list[Worker]]:
    """The workers after each order of their requests that there is.

    Args:
        fixed: how many of the first steps are the first worker's: 1 where all are alike.
    """
    order: list[int] = []
    while True:
        play = make()
        options = played(play, order)
        order += [0] * (len(options) - len(order))
        yield play[0]
        while len(order) > fixed and order[-1] + 1 == options[len(order) - 1]:
            order.pop()
        if len(order) <= fixed:
            return
        order[-1] += 1


def owners(workers: list[Worker]) -> int:
    return sum(worker.has_it for worker in workers)


@pytest.mark.parametrize(("count", "least"), [(2, 7), (3, 70)])
def test_no_order_gives_a_trial_to_two_workers(count: int, least: int) -> None:
    def make() -> Play:
        shared = new_store()
        workers = [Worker(shared) for _ in range(count)]
        return workers, [(worker, lambda w=worker: w.claims.take(NUMBER, 0)) for worker in workers]

    tried = 0
    for workers in every_order(make, fixed=1):
        tried += 1
        assert owners(workers) <= 1
        if not owners(workers):
            assert workers[0].try_once(), "nobody has it, and it cannot be taken either"
    assert tried >= least


def test_no_order_of_looking_and_trying_again_gives_it_to_two() -> None:
    def make() -> Play:
        shared = new_store()
        workers = [Worker(shared) for _ in range(2)]
        return workers, [(worker, worker.try_twice) for worker in workers]

    tried = 0
    for workers in every_order(make, fixed=1):
        tried += 1
        assert owners(workers) <= 1
        assert owners(workers) or workers[0].try_once()
    assert tried > 50


def test_one_who_is_given_up_and_gives_back_leaves_it_to_one_only() -> None:
    """One worker holds it for dead, one for alive, and meanwhile it gives the trial back."""

    def make() -> Play:
        shared = new_store()
        first = Worker(shared)
        assert first.try_once()
        hasty = Worker(shared, believes_dead=(first.claims.writer,))
        patient = Worker(shared)
        parts = [(first, first.give_back), (hasty, hasty.try_once), (patient, patient.try_once)]
        return [hasty, patient], parts

    tried = 0
    for workers in every_order(make):
        tried += 1
        assert owners(workers) <= 1
    assert tried > 50


def test_a_trial_is_offered_to_nobody_while_one_has_it_in_an_earlier_generation() -> None:
    shared = new_store()
    first, second, third = (Worker(shared) for _ in range(3))
    assert second.try_once()
    assert not first.claims.take(NUMBER, 1)  # from a view in which that claim was another's
    assert not third.try_once()
    assert owners([first, second, third]) == 1


def test_a_withdrawal_that_arrives_late_takes_nothing_from_who_claimed_again() -> None:
    """The store did not answer it in time, the worker claims once more, and then it arrives."""
    shared = new_store()
    worker, other = Worker(shared), Worker(shared)
    assert worker.try_once()
    late = worker.claims._key(NUMBER, 0)
    worker.backend.fail("put", BackendUnavailable("timed out"))
    held = worker.claims.drop(NUMBER)
    assert held is not None
    with pytest.raises(BackendUnavailable):
        worker.claims.withdraw(NUMBER, 0)
    assert worker.claims.take(NUMBER, 0)

    shared.put(late, b"")

    assert not other.try_once()
    assert owners([worker, other]) == 1
