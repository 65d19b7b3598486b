"""The background: who waits for it is told the truth, and in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from podstack import keeper as background
from podstack.keeper import Keeper
from podstack.testing.stage import DEADLINE


def test_a_wait_whose_time_is_over_between_two_looks_at_the_clock_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it is where the machine stands still for a moment."""
    release, main = threading.Event(), threading.current_thread()
    times = iter([0.0, 0.5])  # the second is the last before the deadline

    def clock() -> float:
        return next(times, 9.0) if threading.current_thread() is main else time.monotonic()

    def hold() -> Iterator[None]:
        release.wait(DEADLINE)
        yield

    keeper = Keeper("held")
    keeper.submit(hold())
    monkeypatch.setattr(background, "monotonic", clock)
    try:
        done = keeper.wait(1.0)
    finally:
        monkeypatch.undo()
        release.set()

    assert done is False
    assert keeper.wait(DEADLINE)


def test_the_background_may_wait_for_itself() -> None:
    """As a handler of logs does that flushes, when the background warns of something."""
    keeper, done = Keeper("own"), threading.Event()
    told: list[object] = []

    def note() -> Iterator[None]:
        yield
        told.append("done")

    def wait() -> Iterator[None]:
        yield
        keeper.submit(note())
        told.append(keeper.wait(DEADLINE))
        done.set()

    keeper.submit(wait())

    assert done.wait(DEADLINE / 2)
    assert told == ["done", True]
