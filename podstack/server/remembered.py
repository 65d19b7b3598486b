"""Answers that are kept for as long as what they were made from is what it was.

A cache and no more: what is new in the index, or in a run's points, makes another edition and so
ends it. At most so many bytes are kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

MOST_BYTES = 64 << 20  # of all projects: ten tables of ten thousand runs

Value = TypeVar("Value")


class _Entry(NamedTuple):
    edition: Hashable
    value: Any
    size: int


class Remembered:
    """What was asked last, by key. Safe from threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._held = 0
        self._kept: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self,
        edition: Hashable,
        key: Hashable,
        make: Callable[[], Value],
        size: Callable[[Value], int],
    ) -> Value:
        """What `make` made last, unless it was made from another edition.

        Args:
            edition: taken before the call, so that a value is never older than it says.
            key: names the question, the project included.
            size: about how many bytes a value takes.
        """
        with self._lock:
            known = self._kept.get(key)
            if known is not None and known.edition == edition:
                self._kept.move_to_end(key)
                value: Value = known.value
                return value
        value = make()
        self._keep(key, _Entry(edition, value, size(value)))
        return value

    @property
    def bytes_held(self) -> int:
        with self._lock:
            return self._held

    def _keep(self, key: Hashable, entry: _Entry) -> None:
        with self._lock:
            before = self._kept.pop(key, None)
            self._held += entry.size - (before.size if before else 0)
            self._kept[key] = entry
            while self._held > self._most:
                self._held -= self._kept.popitem(last=False)[1].size
