"""When to give up: a sweep of which every trial fails from the start is a mistake, not a search."""

from __future__ import annotations

from podstack.errors import TrialsFailedError
from podstack.names import COMPLETED, FAILED

MOST = 5  # failures in a row, before the first trial that came to an end


class Failures:
    """What became of the trials that somebody ran, until one of them is completed."""

    def __init__(self, sweep: str, what: str) -> None:
        self._sweep, self._what = sweep, what
        self._errors: list[str] = []
        self._is_over = False

    def note(self, status: str, error: str | None) -> None:
        """
        Raises:
            TrialsFailedError: it was the fifth failure, and nothing but failures came before.
        """
        self._is_over = self._is_over or status == COMPLETED
        if status != FAILED or self._is_over:
            return
        self._errors.append(error or "for no reason that it gave")
        if len(self._errors) >= MOST:
            raise TrialsFailedError(
                f"The first {MOST} trials of sweep {self._sweep} failed, so no more are tried. The "
                f"last one: {last_line(self._errors[-1])}\nMend {self._what} and start again: the "
                "sweep goes on with its next trial."
            )


def last_line(text: str) -> str:
    """What of a traceback, or of what a command printed, says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else "nothing"
