"""Time: the wall clock as a label, and a hybrid logical clock as an order.

A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014) reads like the
wall clock where clocks agree and still orders an edit after everything its author had seen
where they do not.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone, tzinfo

from podstack.forks import renew_in_child

now = time.time
monotonic = time.monotonic
worked = time.thread_time  # seconds of CPU that this thread has used

_FUTURE = (
    24 * 3600 * 1000
)  # ms: a stamp further ahead than this is a broken clock, not a later edit


class HybridClock:
    """Stamps that only rise: 12 hex digits of milliseconds, then 4 of a counter.

    Stamps compare as text. Safe from threads, from signal handlers and across fork.
    """

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.RLock()
        renew_in_child(self)

    def renew_in_child(self) -> None:
        self._lock = threading.RLock()

    def next(self) -> str:
        """A stamp above every one given out or observed so far."""
        with self._lock:
            self._last = max(_milliseconds() << 16, self._last + 1)
            return f"{self._last:016x}"

    def observe(self, stamp: str) -> None:
        """Take note of a stamp that was read, so that what is written next wins over it.

        Stamps more than a day ahead of this clock are not followed.
        """
        value = stamp_value(stamp)
        with self._lock:
            if self._last < value <= (_milliseconds() + _FUTURE) << 16:
                self._last = value


def stamp_value(stamp: str) -> int:
    """The number behind a stamp; 0 for anything that is not one."""
    try:
        return int(stamp, 16) if len(stamp) == 16 else 0
    except ValueError:
        return 0


def stamp_time(stamp: str) -> float:
    """The epoch seconds in a stamp: a label, right to the millisecond where clocks agree."""
    return (stamp_value(stamp) >> 16) / 1000


def utc_digits(when: float) -> str:
    """`20261123-221530`: epoch seconds as UTC digits that sort as time does."""
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y%m%d-%H%M%S")


def readable(when: float) -> str:
    """`2026-11-23 22:15:30`: epoch seconds in the reader's own time zone."""
    return datetime.fromtimestamp(when).strftime("%Y-%m-%d %H:%M:%S")


def local_zone() -> tzinfo | None:
    """The reader's own time zone, as of now."""
    return datetime.now().astimezone().tzinfo


def _milliseconds() -> int:
    return max(0, int(now() * 1000))


hybrid_clock = HybridClock()
