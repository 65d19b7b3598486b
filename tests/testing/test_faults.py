"""The wrappers fail when they are told to, and keep the contract otherwise."""

from __future__ import annotations

import os
import threading
import time
from itertools import count
from pathlib import Path

import pytest

from podstack.backend import Backend, LocalStore, open_backend
from podstack.errors import BackendUnavailable, BlobMissing, UsageError
from podstack.testing.backend_suite import BackendSuite, Peek, in_threads
from podstack.testing.faults import (
    LOCAL_OPERATIONS,
    OPERATIONS,
    FaultyBackend,
    FaultyLocalStore,
    SlowBackend,
    SlowLocalStore,
)

_names = count()
_outage = BackendUnavailable("no route to host", url="memory://", key="a")


@pytest.fixture
def memory() -> Backend:
    return open_backend(f"memory://faults-{next(_names)}")


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    backend = open_backend(str(tmp_path / "store"))
    assert isinstance(backend, LocalStore)
    return backend


class TestFaultyBackendWithoutFaults(BackendSuite):
    @pytest.fixture
    def backend(self, memory: Backend) -> Backend:
        return FaultyBackend(memory)

    @pytest.fixture
    def peek(self, memory: Backend) -> Peek:
        return lambda key: stored(memory, key)


def stored(backend: Backend, key: str) -> bytes | None:
    try:
        return backend.get(key)
    except BlobMissing:
        return None


def call_all(backend: Backend) -> None:
    """Each operation once."""
    backend.put("a/b", b"x")
    backend.get("a/b")
    list(backend.list())
    list(backend.list_dirs())
    backend.delete("a/b")
    backend.close()
    if isinstance(backend, LocalStore):
        os.close(backend.open_append("log"))
        backend.put_hint("hint", b"x")
        backend.sync_folders("log")
        backend.path("log")


def test_the_call_that_was_named_fails_and_the_next_ones_work(memory: Backend) -> None:
    faulty = FaultyBackend(memory)
    faulty.put("a", b"1")
    faulty.fail("put", _outage, call=2, times=2)

    faulty.put("a", b"2")
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="no route") as caught:
            faulty.put("a", b"lost")
        assert caught.value is _outage
    assert memory.get("a") == faulty.get("a") == b"2"
    faulty.put("a", b"3")
    assert memory.get("a") == b"3"
    assert faulty.calls == {"put": 5, "get": 1}


def test_an_endless_fault_lasts_until_it_is_healed(memory: Backend) -> None:
    faulty = FaultyBackend(memory)
    faulty.fail("get", _outage, times=None)
    faulty.put("a", b"1")

    for _ in range(20):
        with pytest.raises(BackendUnavailable):
            faulty.get("a")
    faulty.heal()
    assert faulty.get("a") == b"1"


def test_several_faults_hold_side_by_side(memory: Backend) -> None:
    faulty = FaultyBackend(memory)
    faulty.fail("put", _outage)
    faulty.fail("put", OSError("another"), call=2)
    faulty.fail("delete", TimeoutError("slow"))

    with pytest.raises(BackendUnavailable):
        faulty.put("a", b"1")
    with pytest.raises(OSError, match="another"):
        faulty.put("a", b"1")
    with pytest.raises(TimeoutError):
        faulty.delete("a")
    call_all(faulty)


@pytest.mark.parametrize("operation", sorted(LOCAL_OPERATIONS))
def test_every_operation_can_fail_and_is_counted(local: LocalStore, operation: str) -> None:
    faulty = FaultyLocalStore(local)
    faulty.fail(operation, _outage)

    with pytest.raises(BackendUnavailable):
        call_all(faulty)
    assert faulty.calls[operation] == 1

    faulty.calls.clear()
    call_all(faulty)

    assert faulty.calls == dict.fromkeys(LOCAL_OPERATIONS, 1)


def test_a_fault_counts_from_when_it_is_ordered_also_with_many_threads(memory: Backend) -> None:
    faulty = FaultyBackend(memory)
    faulty.fail("put", _outage, call=31, times=10)

    def put_twenty() -> int:
        failed = 0
        for _ in range(20):
            try:
                faulty.put(f"a/{threading.get_ident()}", b"x")
            except BackendUnavailable:
                failed += 1
        return failed

    assert sum(in_threads(*[put_twenty] * 8)) == 10
    assert faulty.calls["put"] == 160


@pytest.mark.parametrize("operation", ["append", "Put", "", "open_append"])
def test_an_operation_that_does_not_exist_is_refused(memory: Backend, operation: str) -> None:
    with pytest.raises(UsageError, match=r"FaultyBackend has .*delete, get, list, list_dirs, put"):
        FaultyBackend(memory).fail(operation, _outage)
    with pytest.raises(UsageError, match="SlowBackend has"):
        SlowBackend(memory, 0.0, [operation])


@pytest.mark.parametrize(("call", "times"), [(0, 1), (-1, 1), (1, 0)])
def test_calls_count_from_one(memory: Backend, call: int, times: int) -> None:
    with pytest.raises(UsageError, match="count from 1"):
        FaultyBackend(memory).fail("put", _outage, call=call, times=times)


def test_a_slow_store_takes_its_time_and_then_does_the_work(memory: Backend) -> None:
    slow = SlowBackend(memory, 0.05)
    start = time.monotonic()

    call_all(slow)

    assert time.monotonic() - start >= 0.05 * len(OPERATIONS)
    assert [info.key for info in memory.list()] == []


def test_only_the_named_operations_are_slow(local: LocalStore) -> None:
    """A delay longer than the test may take shows that the others are not delayed."""
    slow = SlowLocalStore(local, 3600, ["put_hint"])

    slow.put("a", b"x")

    assert slow.get("a") == b"x"
    assert slow.path("a") == local.path("a")


def test_a_wrapped_local_store_hands_on_all_four_powers_of_a_folder(local: LocalStore) -> None:
    for name, wrapper in (("f", FaultyLocalStore(local)), ("s", SlowLocalStore(local, 0))):
        wrapper.put_hint(f"{name}/hint", b"hint")
        with os.fdopen(wrapper.open_append(f"{name}/log"), "wb") as log:
            log.write(b"line")
        wrapper.sync_folders(f"{name}/log")

        assert local.get(f"{name}/hint") == b"hint"
        assert local.get(f"{name}/log") == b"line"
        assert wrapper.path(f"{name}/log") == local.path(f"{name}/log")
        with pytest.raises(UsageError, match="is not a key"):
            wrapper.sync_folders("..")


def test_wrappers_of_local_stores_are_local_stores_and_the_others_are_not(
    memory: Backend, local: LocalStore
) -> None:
    for wrapper in (FaultyLocalStore(local), SlowLocalStore(local, 0)):
        assert isinstance(wrapper, LocalStore)
        assert wrapper.url == local.url
    for plain in (FaultyBackend(memory), SlowBackend(memory, 0)):
        assert not isinstance(plain, LocalStore)
