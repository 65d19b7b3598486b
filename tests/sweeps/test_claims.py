"""Claims: of all who want a trial at most one gets it, whatever the order of their requests."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from podstack import MLOpsClient, clock, keys
from podstack.backend import BlobInfo
from podstack.config import settings
from podstack.errors import BackendUnavailable
from podstack.store import Store
from podstack.sweeps import claims as claims_module
from podstack.sweeps.claims import Claims
from podstack.testing.faults import FaultyBackend

SWEEP = "s"


@pytest.fixture(params=["local", "memory"])
def uri(request: pytest.FixtureRequest, store: Path) -> str:
    return str(store) if request.param == "local" else f"memory://{store}"


def claims_of(uri: str) -> Claims:
    """The claims of one more process, as far as the store can tell."""
    return Claims(Store(settings(uri, None, None, None)), SWEEP)


def stored(uri: str) -> dict[str, int]:
    """Key below `claims/` → its bytes."""
    prefix = keys.Project("default").claims(SWEEP)
    backend = Store(settings(uri, None, None, None)).backend
    return {info.key.removeprefix(prefix): info.size for info in backend.list(prefix)}


def test_whoever_is_alone_has_the_trial(uri: str) -> None:
    mine = claims_of(uri)

    assert mine.take(1, 0)
    assert mine.all_held == [1]
    (claim,) = claims_of(uri).board(0)(1)
    assert (claim.number, claim.generation, claim.writer) == (1, 0, mine.writer)


def test_whoever_comes_second_withdraws_and_leaves_no_claim(uri: str) -> None:
    first, second = claims_of(uri), claims_of(uri)
    assert first.take(1, 0)

    assert not second.take(1, 0)
    assert second.all_held == []
    assert [claim.writer for claim in second.board(0)(1) if claim.stands] == [first.writer]


class Steps:
    """Lets two claimants take turns at every put and listing, in one given order."""

    def __init__(self, order: str) -> None:
        self._order = list(order)
        self._turn = threading.Condition()

    def wait(self, who: str) -> None:
        with self._turn:
            ready = self._turn.wait_for(lambda: not self._order or self._order[0] == who, 240)
            assert ready, f"{who} waits in vain"

    def done(self, who: str) -> None:
        with self._turn:
            if self._order and self._order[0] == who:
                self._order.pop(0)
            self._turn.notify_all()

    def leaves(self, who: str) -> None:
        with self._turn:
            self._order = [other for other in self._order if other != who]
            self._turn.notify_all()


class Stepping:
    """A store each of whose puts and listings is a step of somebody's."""

    def __init__(self, store: object, steps: Steps, who: str) -> None:
        self._store, self._steps, self._who = store, steps, who

    def put(self, key: str, data: bytes) -> None:
        self._steps.wait(self._who)
        self._store.put(key, data)  # type: ignore[attr-defined]
        self._steps.done(self._who)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        self._steps.wait(self._who)
        found = list(self._store.list(prefix, start_after=start_after))  # type: ignore[attr-defined]
        self._steps.done(self._who)
        return iter(found)


ORDERS = sorted({"".join(order) for order in itertools.permutations("aaabbb")})


@pytest.mark.parametrize("order", ORDERS)
def test_in_no_order_of_their_requests_do_two_get_one_trial(order: str, store: Path) -> None:
    """A claimant takes three steps at most: put, list, withdraw."""
    steps, won = Steps(order), {}

    def take(who: str) -> None:
        claims = claims_of(f"memory://{store}-{order}")
        claims._store.backend = Stepping(claims._store.backend, steps, who)  # type: ignore[assignment]
        won[who] = claims.take(1, 0)
        steps.leaves(who)

    threads = [threading.Thread(target=take, args=(who,)) for who in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    standing = [size for size in stored(f"memory://{store}-{order}").values() if size]

    assert sorted(won) == ["a", "b"]
    assert sum(won.values()) == len(standing) <= 1


def test_nobody_takes_a_generation_that_another_has_gone_beyond(uri: str) -> None:
    lost, heir, late = claims_of(uri), claims_of(uri), claims_of(uri)
    assert lost.take(1, 0)
    assert heir.take(1, 1, heir.board(0)(1))
    lost._put(1, 0, b"")  # it gives back what is its own no more

    assert not late.take(1, 0)


def test_a_claim_that_was_given_back_is_free_in_the_same_generation(uri: str) -> None:
    first, second = claims_of(uri), claims_of(uri)
    assert first.take(1, 0)
    first.drop(1)
    first.withdraw(1, 0)

    assert second.take(1, 0)


def test_what_was_offered_again_is_not_withdrawn(uri: str) -> None:
    lost, heir = claims_of(uri), claims_of(uri)
    assert lost.take(1, 0)
    assert heir.take(1, 1, heir.board(0)(1))
    lost.drop(1)
    lost.withdraw(1, 0)

    assert all(stored(uri).values())


def test_a_claim_whose_listing_fails_is_taken_back(store: Path) -> None:
    claims = claims_of(f"memory://{store}")
    claims._store.backend = faulty = FaultyBackend(claims._store.backend)
    faulty.fail("list", BackendUnavailable("no route"))
    with pytest.raises(BackendUnavailable):
        claims.take(1, 0)

    assert claims.all_held == []
    assert list(stored(f"memory://{store}").values()) == [0]


def test_a_process_of_this_machine_that_is_gone_has_nothing(uri: str) -> None:
    gone, other = claims_of(uri), claims_of(uri)
    gone._process = {**gone._process, "pid": 2**22 + 7}
    assert gone.take(1, 0)
    (claim,) = other.board(0)(1)

    assert not other.lives(claim)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed for this process; the processes' own clocks follow."""
    passed, began, now = [0.0], clock.monotonic(), clock.now()
    monkeypatch.setattr(claims_module, "monotonic", lambda: began + passed[0])
    monkeypatch.setattr("podstack.clock.now", lambda: now + passed[0])
    return passed


def test_a_claim_is_alive_as_long_as_it_is_put_again(uri: str, time: list[float]) -> None:
    worker, other = claims_of(uri), claims_of(uri)
    worker._process = {**worker._process, "machine": "elsewhere"}
    assert worker.take(1, 0)
    for _ in range(20):
        time[0] += 100
        worker.beat()
        (claim,) = other.board(0)(1)
        assert other.lives(claim)
    time[0] += 299
    assert other.lives(*other.board(0)(1))
    time[0] += 2
    assert not other.lives(*other.board(0)(1))
    worker.beat()
    assert other.lives(*other.board(0)(1))


def test_a_claim_that_was_silent_before_one_came_is_judged_by_its_writers_clock(
    uri: str, time: list[float]
) -> None:
    worker = claims_of(uri)
    worker._process = {**worker._process, "machine": "elsewhere"}
    assert worker.take(1, 0)
    time[0] += 301
    other = claims_of(uri)

    assert other.lives(*other.board(0)(1))  # that clock may be wrong: it is watched first
    time[0] += 121
    assert not other.lives(*other.board(0)(1))


def test_another_machines_wrong_clock_takes_nothing_from_it(uri: str, time: list[float]) -> None:
    """Once its claim was seen to change, only this process's own clock counts."""
    worker, other = claims_of(uri), claims_of(uri)
    worker._process = {**worker._process, "machine": "elsewhere"}
    assert worker.take(1, 0)
    assert other.lives(*other.board(0)(1))
    worker._put(1, 0, orjson.dumps({**worker._process, "t": 0.0, "interval": 20.0}))

    assert other.lives(*other.board(0)(1))


def test_a_damaged_claim_blocks_a_trial_only_for_a_while(uri: str, time: list[float]) -> None:
    worker, other = claims_of(uri), claims_of(uri)
    worker._put(1, 0, b"{torn")
    assert other.lives(*other.board(0)(1))
    time[0] += 301

    assert not other.lives(*other.board(0)(1))


def test_patience_may_be_set(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODSTACK_SWEEP_PATIENCE", "10")

    assert (claims_of(uri).patience, claims_of(uri).interval) == (10.0, 2.0)


def test_a_worker_of_another_millennium_is_listed_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("podstack.clock.now", lambda: 0.0)

    assert claims_module.writer_id().startswith("2-19700101")


def test_claims_of_a_stranger_are_passed_over(client: MLOpsClient, store: Path) -> None:
    client.create_experiment("made, so that the store is there")
    claims = claims_of(str(store))
    folder = store / "projects/default/sweeps" / SWEEP / "claims/000001"
    folder.mkdir(parents=True)
    (folder / "README").write_text("not a claim")

    assert claims.take(1, 0)
