"""When to try again: growing pauses with jitter, so that many clients do not return at once."""

from __future__ import annotations

import os

from podstack.clock import monotonic


class Backoff:
    """Pauses of 0.5 s that double up to 30 s, each shortened by up to half at random."""

    def __init__(self, first: float = 0.5, longest: float = 30.0) -> None:
        self._first, self._longest = first, longest
        self._pause = first
        self._not_before = float("-inf")

    @property
    def is_over(self) -> bool:
        """Whether it is time to try."""
        return monotonic() >= self._not_before

    @property
    def has_failed(self) -> bool:
        """Whether the last try failed."""
        return self._not_before > float("-inf")

    def failed(self, at_least: float = 0.0) -> None:
        """Wait longer before the next try; `at_least` seconds, where somebody asked for that."""
        pause = max(at_least, self._pause * (0.5 + os.urandom(1)[0] / 512))
        self._not_before = monotonic() + pause
        self._pause = min(self._longest, 2 * self._pause)

    def succeeded(self) -> None:
        """Forget the failures."""
        self._pause = self._first
        self._not_before = float("-inf")
