"""What changed since when: so that a page which asks again is told only of that.

A generation is `token.number`: the token of this process's memory, and how many changes it has
noticed. One of another process, or from before a restart, is unknown, and all is told again.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping

_GENERATION = re.compile(r"([a-z0-9]{1,32})\.([0-9]{1,12})")


class Generations:
    """Numbers the changes of runs. Safe from threads."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(8)
        self._number = 0
        self._stamps: dict[str, int] = {}
        self._changed: dict[str, int] = {}  # run -> the number of its last change
        self._lock = threading.Lock()

    def look(self, stamps: Mapping[str, int]) -> str:
        """Note what is different from the last look; the generation that this is."""
        with self._lock:
            before, self._stamps = self._stamps, dict(stamps)
            if before != self._stamps:
                self._number += 1
                new = {run for run, stamp in stamps.items() if before.get(run) != stamp}
                self._changed |= dict.fromkeys(new | (before.keys() - stamps.keys()), self._number)
            return f"{self._token}.{self._number}"

    def since(self, generation: str) -> set[str] | None:
        """The runs that changed after a generation; None where that one is unknown."""
        found = _GENERATION.fullmatch(generation)
        with self._lock:
            if found is None or found[1] != self._token or int(found[2]) > self._number:
                return None
            number = int(found[2])
            return {run for run, changed in self._changed.items() if changed > number}
