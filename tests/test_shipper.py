"""The way from the spool to a store elsewhere, in this process, over stores that fail."""

from __future__ import annotations

import gzip
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from podstack import MLOpsClient, Run, journal, shipper
from podstack.backend import Backend, BlobInfo, open_backend
from podstack.delivery import Delivery
from podstack.endings import endings
from podstack.errors import AccessDeniedError, BackendError, BackendUnavailable
from podstack.keeper import keeper
from podstack.keys import Project
from podstack.retry import Backoff
from podstack.sweeps.sweep import Sweep
from podstack.testing.faults import FaultyBackend
from podstack.testing.stage import DEADLINE

_numbers = count()


class Setup:
    """A client whose store is another process's memory, so to speak, behind a wrapper."""

    def __init__(self, wrapper: Callable[[Backend], FaultyBackend] = FaultyBackend) -> None:
        self.plain = open_backend(f"memory://shipper-{next(_numbers)}")
        self.faulty = wrapper(self.plain)
        self.client = MLOpsClient(self.plain.url)
        store = self.client._store
        store.delivery = Delivery(store.settings.uri, self.faulty, store.keys)
        self.delivery = store.delivery
        store.backend.store = self.faulty  # type: ignore[attr-defined]
        store.backend._spool = self.delivery.spool  # type: ignore[attr-defined]

    def start(self) -> Run:
        return self.client.start_run(run_id="r", capture=False)

    def logs(self) -> dict[str, bytes]:
        return {
            info.key.removesuffix(".gz"): gzip.decompress(self.plain.get(info.key))
            for info in self.plain.list("projects/default/runs/r/")
            if info.key.endswith(".gz")
        }

    def points(self) -> list[float]:
        client = MLOpsClient(self.plain.url)
        return list(client.get_run("r").metrics["x"].values)

    def spooled(self) -> list[str]:
        return [info.key for info in self.delivery.spool.list()]


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "Backoff", lambda: Backoff(0.01, 0.05))
    monkeypatch.setattr(shipper, "SHORTEST", 0.05)
    monkeypatch.setenv("PODSTACK_FINISH_TIMEOUT", str(DEADLINE))


@pytest.fixture
def setup() -> Setup:
    return Setup()


def log(run: Run, steps: range) -> None:
    for step in steps:
        run.log_metrics({"x": step / 2}, step=step)


def flush_until_it_succeeds(run: Run) -> None:
    for _ in range(200):
        if run.flush(DEADLINE):
            return
        time.sleep(0.02)
    pytest.fail("it never succeeds")


HALVES = [step / 2 for step in range(300)]


def test_logs_arrive_packed_and_the_spool_is_empty_after_the_end(setup: Setup) -> None:
    with setup.start() as run:
        log(run, range(300))
        assert run.flush(DEADLINE)
        there = setup.logs()
        assert any("/metrics/" in key for key in setup.spooled())

    assert [key for key in there if "/metrics/" in key and key.endswith(".jsonl")]
    assert setup.points() == HALVES
    assert setup.spooled() == []


def test_a_run_whose_end_is_slow_to_be_sealed_stays_in_the_spool_until_it_is(
    setup: Setup, held_keeper: threading.Event
) -> None:
    run = setup.start()
    log(run, range(300))
    run.finish(timeout=1.0)
    there = setup.logs()
    waiting = setup.spooled()
    held_keeper.set()
    assert keeper.wait(DEADLINE)
    assert setup.delivery.flush(DEADLINE)

    assert {key for key in waiting if "/runs/" in key} == set(there)  # sent, and seen to be there
    assert any(b"seals/" in log for key, log in setup.logs().items() if "/meta/" in key)
    assert setup.spooled() == []


def test_the_end_of_one_handle_of_a_run_takes_nothing_from_another(setup: Setup) -> None:
    first, second = setup.start(), setup.start()
    log(first, range(100))
    log(second, range(100, 200))
    first.finish()
    assert second.flush(DEADLINE)  # all that was logged is in the store, and the run goes on
    log(second, range(200, 300))
    second.finish()

    assert sorted(setup.points()) == HALVES
    assert setup.spooled() == []


class Away(FaultyBackend):
    """While it is, it takes nothing of runs."""

    is_away = False

    def put(self, key: str, data: bytes | Path) -> None:
        if self.is_away and "/runs/" in key:
            raise BackendUnavailable("no answer")
        super().put(key, data)


def test_a_run_that_goes_on_before_its_end_could_be_sent_loses_nothing() -> None:
    setup = Setup(Away)
    run = setup.start()
    log(run, range(100))
    setup.faulty.is_away = True  # type: ignore[attr-defined]
    run.finish(timeout=0.1)
    run = setup.start()
    log(run, range(100, 200))
    setup.faulty.is_away = False  # type: ignore[attr-defined]
    flush_until_it_succeeds(run)
    log(run, range(200, 300))
    run.finish()

    assert sorted(setup.points()) == HALVES
    assert setup.spooled() == []


def test_a_run_that_goes_on_while_its_copy_here_is_removed_goes_on_where_it_was() -> None:
    class Listing(FaultyBackend):
        """Does something between a listing of facts and whatever is read by it."""

        act: Callable[[], object] | None = None

        def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
            found = list(super().list(prefix, start_after=start_after))
            if self.act is not None and prefix.endswith("/meta/"):
                act, self.act = self.act, None
                act()
            return iter(found)

    setup = Setup(Listing)
    run = setup.start()
    log(run, range(150))
    setup.faulty.fail("put", BackendUnavailable("no answer"), times=None)
    run.finish(timeout=0.1)
    assert keeper.wait(DEADLINE)
    left: list[list[str]] = []

    def send() -> None:
        setup.faulty.heal()
        for _ in range(200):
            if setup.delivery.flush(DEADLINE) and not setup.spooled():
                break
        left.append(setup.spooled())

    setup.faulty.act = send  # type: ignore[attr-defined]
    with setup.start() as run:
        for number in range(150, 300):
            run.log_metrics({"x": number / 2})  # at the next step

    assert left == [[]]
    assert setup.points() == HALVES


def test_a_run_that_begins_after_a_ctrl_c_was_caught_is_waited_for(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "in_haste", True)  # as it is left by one while a run ended
    with setup.start() as run:
        log(run, range(300))

    assert setup.points() == HALVES
    assert setup.spooled() == []


@pytest.mark.parametrize("is_known", [True, False])
def test_a_run_goes_on_after_what_another_client_has_yet_to_send(is_known: bool) -> None:
    first = Setup(Away)
    first.faulty.is_away = not is_known  # type: ignore[attr-defined]
    run = first.start()
    assert run.flush(DEADLINE) is is_known
    first.faulty.is_away = True  # type: ignore[attr-defined]
    for number in range(100):
        run.log_metrics({"x": number / 2})
    run.finish(timeout=0.1)
    assert keeper.wait(DEADLINE)
    there = list(first.plain.list("projects/default/runs/"))
    with MLOpsClient(first.plain.url).start_run(run_id="r", capture=False) as run:
        for number in range(100, 300):
            run.log_metrics({"x": number / 2})  # at the next step
    first.faulty.is_away = False  # type: ignore[attr-defined]
    first.delivery.send_rest(DEADLINE)

    assert bool(there) is is_known
    assert first.points() == HALVES
    assert first.spooled() == []


def test_a_file_leaves_the_spool_as_soon_as_it_is_there(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"content" * 1000)
    with setup.start() as run:
        run.log_artifact(tmp_path / "model.bin")
        assert run.flush(DEADLINE)

        assert [key for key in setup.spooled() if "/artifacts/" in key] == []
        assert setup.faulty.calls["put"] > 0

    assert MLOpsClient(setup.plain.url).get_run("r").artifacts["model.bin"].read_bytes() == (
        b"content" * 1000
    )


def test_a_file_that_an_outage_kept_from_going_goes_after_it_while_the_run_goes_on(
    setup: Setup, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"content")
    run = setup.start()
    setup.faulty.fail("put", BackendUnavailable("no answer"), times=None)
    run.log_artifact(tmp_path / "model.bin")
    assert keeper.wait(DEADLINE)
    assert setup.delivery._porter.wait(DEADLINE)
    setup.faulty.heal()

    deadline = time.monotonic() + DEADLINE
    while not any("/model.bin" in info.key for info in setup.plain.list()):
        assert time.monotonic() < deadline, "it is not tried again"
        time.sleep(0.02)
    run.finish()


def test_flush_says_that_a_file_waits_which_the_disk_did_not_let_have_its_place(
    setup: Setup, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"content")
    run = setup.start()
    assert run.flush(DEADLINE)
    place = f"projects/default/runs/r/artifacts/{sha256(b'content').hexdigest()[:12]}"
    setup.delivery.spool.put(place, b"a file where its folder goes")
    run.log_artifact(tmp_path / "model.bin")
    flushed = run.flush(DEADLINE)
    there = any("/model.bin" in info.key for info in setup.plain.list())
    run.finish()

    waiting = setup.spooled()
    for key in waiting:
        setup.delivery.spool.delete(key)  # the end of this process would wait for it

    assert (flushed, there) == (False, False)
    assert any("/model.bin" in key for key in waiting)


def test_a_quiet_run_asks_for_little_as_it_grows_old(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two percent of its age: what is due at 100 s is due 2 s later, and at an hour 60 s later."""
    made = setup.delivery._shipper
    made._began = 5000.0
    ages = {}
    for age in (0, 100, 1000, 10_000):
        monkeypatch.setattr(shipper, "monotonic", lambda age=age: 5000.0 + age)
        ages[age] = made.interval
    monkeypatch.undo()

    assert ages == {0: 0.05, 100: pytest.approx(2), 1000: pytest.approx(20), 10_000: 60}


def test_nothing_new_is_nothing_sent(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "HEARTBEAT", 1000.0)
    run = setup.start()
    log(run, range(10))
    assert run.flush(DEADLINE)
    before = setup.faulty.calls["put"]
    for _ in range(5):
        assert run.flush(DEADLINE)

    assert setup.faulty.calls["put"] - before <= 1, "the hint of what was logged, at most"
    run.finish()


def test_hints_come_after_what_they_tell_of() -> None:
    order: list[str] = []

    class Noting(FaultyBackend):
        def put(self, key: str, data: bytes | Path) -> None:
            order.append(key)
            super().put(key, data)

    setup = Setup(Noting)
    with setup.start() as run:
        log(run, range(10))
        assert run.flush(DEADLINE)

    assert any("/metrics/" in key for key in order)
    assert "/live/" in order[-1]  # that it has ended, after all that it wrote


def test_a_fifth_of_all_requests_may_fail() -> None:
    dice = random.Random(5)

    class Unreliable(FaultyBackend):
        def _before(self, operation: str) -> None:
            super()._before(operation)
            if threading.current_thread().name.startswith("podstack") and dice.random() < 0.2:
                raise BackendUnavailable("the line is bad")

    setup = Setup(Unreliable)
    with setup.start() as run:
        for start in range(0, 300, 30):
            log(run, range(start, start + 30))
            run.flush(DEADLINE)
        flush_until_it_succeeds(run)

    assert setup.points() == HALVES


def test_a_put_that_succeeded_and_timed_out_is_sent_again_to_no_harm() -> None:
    class Forgetful(FaultyBackend):
        lost = 0

        def put(self, key: str, data: bytes | Path) -> None:
            super().put(key, data)
            if "/runs/" in key and self.lost < 5:
                self.lost += 1
                raise BackendUnavailable("no answer in time")

    setup = Setup(Forgetful)
    with setup.start() as run:
        log(run, range(300))
        flush_until_it_succeeds(run)

    assert setup.points() == HALVES
    assert setup.spooled() == []


def test_a_listing_that_fails_keeps_the_spool_until_it_does_not(setup: Setup) -> None:
    run = setup.start()
    log(run, range(300))
    setup.faulty.fail("list", BackendUnavailable("no listings today"), times=None)
    run.finish(timeout=2)
    assert setup.spooled() != []

    setup.faulty.heal()
    setup.delivery.send_rest(DEADLINE)
    setup.delivery._wait(time.monotonic() + DEADLINE, insist=True)

    assert setup.points() == HALVES
    assert setup.spooled() == []


def test_an_older_put_that_lands_after_a_newer_one_is_noticed_at_the_end(setup: Setup) -> None:
    """A request that was given up may still arrive: the last listing shows it, and all is sent."""
    run = setup.start()
    log(run, range(100))
    assert run.flush(DEADLINE)
    (segment,) = [info.key for info in setup.plain.list("projects/default/runs/r/metrics/")]
    old = setup.plain.get(segment)
    landed: list[bool] = []

    class Late(FaultyBackend):
        def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
            if "/metrics/" in prefix and not landed:
                landed.append(True)
                self.store.put(segment, old)
            return super().list(prefix, start_after=start_after)

    setup.delivery._shipper._remote = Late(setup.plain)
    log(run, range(100, 300))
    run.finish()

    assert landed == [True]
    assert setup.points() == HALVES
    assert setup.spooled() == []


def test_expired_credentials_are_told_of_once_and_sending_goes_on_with_new_ones(
    setup: Setup, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper, "DENIED_FOR", 0.1)
    run = setup.start()
    log(run, range(150))
    assert run.flush(DEADLINE)
    setup.faulty.fail("put", AccessDeniedError("the token expired"), times=None)
    log(run, range(150, 300))
    with caplog.at_level(logging.WARNING, "podstack"):
        for _ in range(5):
            assert not run.flush(DEADLINE)
            time.sleep(0.05)
        setup.faulty.heal()
        flush_until_it_succeeds(run)
        run.finish()

    said = [record.getMessage() for record in caplog.records]
    assert len([text for text in said if " refuses (" in text]) == 1
    assert len([text for text in said if "takes what is sent again" in text]) == 1
    assert setup.points() == HALVES


def test_an_object_that_is_refused_keeps_no_other_from_going(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Picky(FaultyBackend):
        picky: Callable[[str], bool] = staticmethod(lambda key: "/metrics/" in key)

        def put(self, key: str, data: bytes | Path) -> None:
            if self.picky(key):
                raise BackendError("413: too large for us")
            super().put(key, data)

    setup = Setup(Picky)
    picky = setup.faulty
    assert isinstance(picky, Picky)
    run = setup.start()
    log(run, range(10))
    with caplog.at_level(logging.WARNING, "podstack"):
        assert not run.flush(DEADLINE)

    assert "does not take" in caplog.text
    assert MLOpsClient(setup.plain.url).get_run("r").name
    picky.picky = staticmethod(lambda key: False)
    log(run, range(10, 300))
    setup.delivery._shipper._refused.clear()  # as a minute later
    run.finish()
    assert setup.points() == HALVES


def test_a_hint_that_is_refused_keeps_no_log_from_going() -> None:
    class NoHints(FaultyBackend):
        def put(self, key: str, data: bytes | Path) -> None:
            if key.startswith(Project("default").live):
                raise BackendError("400: no such thing here")
            super().put(key, data)

    setup = Setup(NoHints)
    with setup.start() as run:
        log(run, range(300))

    assert setup.points() == HALVES
    assert setup.spooled() == []


def test_an_outage_does_not_reach_the_loop_and_is_told_of_once(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    run = setup.start()
    setup.faulty.fail("put", BackendUnavailable("no route to host"), times=None)
    with caplog.at_level(logging.WARNING, "podstack"):
        log(run, range(300))
        for _ in range(5):
            assert not run.flush(DEADLINE)

    assert caplog.text.count("does not answer") == 1
    assert "Training goes on" in caplog.text
    setup.faulty.heal()
    run.finish()
    assert setup.points() == HALVES


def test_an_outage_in_which_nothing_waits_is_not_told_with_0_bytes(
    setup: Setup, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_FINISH_TIMEOUT", "0.5")
    sweep = a_sweep(setup)
    assert setup.delivery.flush(DEADLINE)
    setup.faulty.fail("list", BackendUnavailable("no route to host"), times=None)
    with caplog.at_level(logging.WARNING, "podstack"):
        sweep._ledger.finish()
        assert not setup.delivery.flush(1.0)
    setup.faulty.heal()

    assert "all that was logged has been sent" in caplog.text
    assert "0 B" not in caplog.text


# Logs of no run -------------------------------------------------------------------------------


def a_sweep(setup: Setup) -> Sweep:
    """One of whose trials this process has ended."""
    space = {"x": {"min": 0.0, "max": 1.0}}
    sweep = setup.client.create_sweep(None, "random", space, "loss", 3)
    trial = sweep.suggest()
    assert trial is not None
    trial.complete(value=1.0)
    return sweep


def test_a_sweeps_log_is_sent_at_once_and_leaves_the_spool_at_the_end(setup: Setup) -> None:
    sweep = a_sweep(setup)
    assert setup.delivery.flush(DEADLINE)
    assert [key.partition("/sweeps/")[1] for key in setup.spooled()] == ["/sweeps/"]
    assert MLOpsClient(setup.plain.url).get_sweep(sweep.id).progress.completed == 1

    sweep._ledger.finish()

    assert setup.spooled() == []
    assert MLOpsClient(setup.plain.url).get_sweep(sweep.id).progress.completed == 1


def test_a_sweeps_log_that_the_store_lost_is_sent_again_before_it_is_removed(setup: Setup) -> None:
    sweep = a_sweep(setup)
    assert setup.delivery.flush(DEADLINE)
    (key,) = setup.spooled()
    setup.plain.delete(f"{key}.gz")
    sweep._ledger.finish()
    assert setup.delivery.flush(DEADLINE)

    assert MLOpsClient(setup.plain.url).get_sweep(sweep.id).progress.completed == 1
    assert setup.spooled() in ([], [key])


class Interrupting(FaultyBackend):
    """Does something in the middle of the next put of a log."""

    def __init__(self, store: Backend) -> None:
        super().__init__(store)
        self.act: Callable[[], None] | None = None

    def put(self, key: str, data: bytes | Path) -> None:
        super().put(key, data)
        act, self.act = self.act, None
        if act is not None:
            act()


def test_a_last_line_that_comes_while_its_log_is_sent_is_sent_too() -> None:
    """As a signal does that ends the process during a request."""
    setup = Setup(Interrupting)
    sweep = a_sweep(setup)
    assert setup.delivery.flush(DEADLINE)
    ended = threading.Event()

    def end() -> None:
        sweep._ledger.report(1, 0.5, 1)
        sweep._ledger._register.book.end_at_once()
        ended.set()

    setup.faulty.act = end  # type: ignore[attr-defined]
    sweep._ledger.report(1, 0.7, 2)
    assert ended.wait(DEADLINE)
    assert setup.delivery.flush(DEADLINE)
    (record,) = MLOpsClient(setup.plain.url).get_sweep(sweep.id).records()

    assert dict(record.reports) == {1: 0.5, 2: 0.7}
    assert setup.spooled() == []


def test_a_sweeps_log_stays_while_the_store_does_not_answer(setup: Setup) -> None:
    sweep = a_sweep(setup)
    setup.faulty.fail("put", BackendUnavailable("no route"), times=None)
    sweep._ledger.report(1, 0.5, 1)
    sweep._ledger.finish(timeout=0.1)

    assert len(setup.spooled()) == 1
    setup.faulty.heal()
    for _ in range(200):
        if setup.delivery.flush(DEADLINE):
            break
    (record,) = MLOpsClient(setup.plain.url).get_sweep(sweep.id).records()
    assert dict(record.reports) == {1: 0.5}


def test_a_log_that_is_closed_in_the_middle_of_a_pass_keeps_its_last_line(setup: Setup) -> None:
    """The pass knows an older listing; what was written after that goes with the next one."""
    spool, way = setup.delivery.spool, setup.delivery._shipper
    key = "projects/default/sweeps/s/20261123-221530-001-k3x9q2ma.jsonl"
    for log_key in (key, key.replace("/s/", "/t/")):
        spool.put(log_key, b'{"h":"1","set":{}}\n')
    passing = way.ship(lambda _: None)
    next(passing)
    next(passing)  # it has sent the first one, and goes on to the second
    spool.put(key, b'{"h":"1","set":{}}\n{"h":"2","set":{}}\n')
    way.closed_log(key)
    for _ in passing:
        pass
    for _ in way.ship(lambda _: None):
        pass

    assert gzip.decompress(setup.plain.get(f"{key}.gz")).count(b"\n") == 2
    assert key not in setup.spooled()
