"""Stamps only rise, whatever the wall clock does."""

from __future__ import annotations

import threading
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack import clock
from podstack.clock import HybridClock, stamp_time, stamp_value
from podstack.testing.stage import DEADLINE

DAY = 24 * 3600.0
NOW = 1_795_000_000.0


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The wall clock, to be set by hand: no test can set the machine's."""
    hand = [NOW]
    monkeypatch.setattr(clock, "now", lambda: hand[0])
    return hand


def stamp_at(seconds: float, count: int = 0) -> str:
    return f"{(int(seconds * 1000) << 16) + count:016x}"


def test_stamps_rise_within_one_millisecond(wall: list[float]) -> None:
    one = HybridClock()
    stamps = [one.next() for _ in range(1000)]

    assert stamps == sorted(set(stamps))
    assert stamps[0] == stamp_at(NOW)
    assert {len(stamp) for stamp in stamps} == {16}


def test_stamps_rise_when_the_clock_is_set_back(wall: list[float]) -> None:
    one = HybridClock()
    before = one.next()
    for back in (3600.0, 365 * DAY, NOW, NOW + 5):
        wall[0] = NOW - back
        after = one.next()

        assert after > before
        assert stamp_time(after) == NOW  # and stay where the clock was
        before = after
    wall[0] = NOW + 1
    assert one.next() == stamp_at(NOW + 1)


def test_more_stamps_in_a_millisecond_than_the_counter_holds_still_rise(wall: list[float]) -> None:
    one = HybridClock()
    one.observe(stamp_at(NOW, 0xFFFE))

    assert [one.next() for _ in range(3)] == [
        stamp_at(NOW, 0xFFFF),
        stamp_at(NOW + 0.001, 0),
        stamp_at(NOW + 0.001, 1),
    ]


def test_what_is_written_after_reading_wins_over_what_was_read(wall: list[float]) -> None:
    one, ahead = HybridClock(), stamp_at(NOW + 3600)
    one.observe(ahead)

    assert one.next() > ahead


def test_an_older_stamp_does_not_turn_a_clock_back(wall: list[float]) -> None:
    one = HybridClock()
    first = one.next()
    one.observe(stamp_at(NOW - DAY))

    assert one.next() > first


def test_a_stamp_from_the_far_future_is_not_followed(wall: list[float]) -> None:
    one = HybridClock()
    one.observe(stamp_at(NOW + DAY + 1))
    one.observe("f" * 16)

    assert one.next() == stamp_at(NOW)
    one.observe(stamp_at(NOW + DAY - 1))
    assert one.next() == stamp_at(NOW + DAY - 1, 1)


@pytest.mark.parametrize("text", ["", "x", "z" * 16, "1" * 15, "1" * 17, "üüüüüüüüüüüüüüüü"])
def test_what_is_no_stamp_is_zero_and_not_followed(text: str, wall: list[float]) -> None:
    one = HybridClock()
    one.observe(text)

    assert stamp_value(text) == 0
    assert one.next() == stamp_at(NOW)


@settings(deadline=None)
@given(
    st.lists(st.floats(-1e9, 4e9) | st.integers(0, 2**64 - 1).map("{:016x}".format), max_size=30)
)
def test_stamps_rise_through_any_clock_and_any_reading(events: list[float | str]) -> None:
    one, before = HybridClock(), ""
    with pytest.MonkeyPatch.context() as patch:
        for event in events:
            if isinstance(event, str):
                one.observe(event)
                continue
            patch.setattr(clock, "now", lambda event=event: event)
            stamp = one.next()

            assert stamp > before
            assert len(stamp) == 16
            before = stamp


def test_threads_get_stamps_of_their_own() -> None:
    one = HybridClock()
    found: list[list[str]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def take(into: list[str]) -> None:
        start.wait(timeout=DEADLINE)
        into.extend(one.next() for _ in range(2000))

    threads = [threading.Thread(target=take, args=(into,)) for into in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=DEADLINE)

    assert len({stamp for into in found for stamp in into}) == 8 * 2000
    assert all(into == sorted(into) for into in found)


def test_a_stamp_tells_its_time_to_the_millisecond() -> None:
    assert stamp_time(stamp_at(1763935530.125, 7)) == 1763935530.125


def test_digits_are_utc_and_sort_as_time_does() -> None:
    when = datetime(2026, 11, 23, 22, 15, 30, tzinfo=timezone.utc).timestamp()

    assert clock.utc_digits(when) == "20261123-221530"
    assert clock.utc_digits(when) < clock.utc_digits(when + 1)
