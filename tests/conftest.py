"""What every test starts from: an environment without podstack's variables, and a store."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from podstack import MLOpsClient, Run
from podstack.clock import hybrid_clock
from podstack.keeper import keeper
from podstack.testing.stage import DEADLINE, Stage

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever runs the tests in the background ignores Ctrl-C, and so would every process that they
    # start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("podstack", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("podstack")


_SLOW = 900  # seconds


def pytest_itemcollected(item: pytest.Item) -> None:
    """Two processes can share the tests among them only where both call them the same."""
    if " at 0x" in item.nodeid:
        raise pytest.UsageError(f"{item.nodeid} has an address in its name; give it `ids`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A limit ends a hang. What takes minutes anyway may take many where the machine is busy."""
    for item in items:
        limit = item.get_closest_marker("timeout")
        if item.get_closest_marker("slow") and (limit is None or limit.args[0] < _SLOW):
            item.add_marker(pytest.mark.timeout(_SLOW), append=False)


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or writes what belongs to the person who runs it."""
    for name in list(os.environ):
        if name.startswith("PODSTACK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PODSTACK_QUIET", "1")
    monkeypatch.setenv("PODSTACK_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("PODSTACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PODSTACK_CAPTURE", "0")  # tests that are about it ask for it


@pytest.fixture(autouse=True)
def _own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stamp from the future that one test read does not reach the next."""
    monkeypatch.setattr(hybrid_clock, "_last", 0)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of a store that does not exist yet."""
    return tmp_path / "store"


@pytest.fixture
def client(store: Path) -> MLOpsClient:
    return MLOpsClient(store)


@pytest.fixture
def run(client: MLOpsClient) -> Iterator[Run]:
    """A run that is being recorded; it is finished after the test."""
    run = client.start_run()
    yield run
    run.finish()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Scripts in processes of their own, on the store of `client`."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def held_keeper() -> Iterator[threading.Event]:
    """While this event is not set, the background does nothing."""
    release = threading.Event()

    def hold() -> Iterator[None]:
        release.wait(DEADLINE)
        yield

    keeper.submit(hold())
    yield release
    release.set()
