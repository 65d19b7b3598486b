"""What podstack says aloud: one line at start, progress on long work, warnings.

Lines go to stderr, so that a script's own output stays its own. Warnings go to the logger
`podstack`, which Python prints to stderr unless the program set up logging of its own; that is
why no NullHandler is attached: a full disk must not go unheard.
"""

from __future__ import annotations

import sys

from podstack import config
from podstack.clock import monotonic
from podstack.names import printable


def say(text: str) -> None:
    """One line for the person at the terminal, unless PODSTACK_QUIET is set."""
    if not config.quiet():
        _print(text)


def _print(text: str) -> None:
    if sys.stderr is None:
        return
    try:
        print(f"podstack: {printable(text)}", file=sys.stderr, flush=True)
    except (OSError, ValueError, RuntimeError):
        return  # stderr is closed, full, or in use below a signal handler


def warn(text: str) -> None:
    """A warning in the log `podstack`, heard on stderr unless the program set up logging."""
    try:
        import logging  # 4 ms that most runs need not pay
    except (OSError, ImportError):  # no descriptor is left to load it with, or no right to
        _print(text)
        return
    logging.getLogger("podstack").warning("%s", text)


def tell_of_failure(what: str, error: Exception) -> None:
    """An error with its traceback, in the log `podstack`."""
    try:
        import logging
    except (OSError, ImportError):
        _print(f"{what}: {error}")
        return
    logging.getLogger("podstack").error(what, exc_info=error)


class Warner:
    """Warns of a trouble that repeats: at once, then at most once a minute, with a count."""

    def __init__(self, every: float = 60.0) -> None:
        self._every = every
        self._next = float("-inf")
        self._unsaid = 0

    def warn(self, text: str) -> None:
        self._unsaid += 1
        if monotonic() < self._next:
            return
        self._next = monotonic() + self._every
        times = f" ({self._unsaid} times)" if self._unsaid > 1 else ""
        self._unsaid = 0
        warn(f"{text}{times}")


class Silence(Warner):
    """Says nothing: for what is told elsewhere, or where saying it could wait for a lock."""

    def warn(self, text: str) -> None:
        del text


class Progress:
    """A bar for work on many bytes: shown on a terminal once it has taken a second.

    With a unit, for work on as many of those.
    """

    def __init__(self, label: str, total: int, *, unit: str = "") -> None:
        self._label, self._unit, self._total, self._done = label, unit, total, 0
        self._shown_at = monotonic() + 1.0
        self._shown = False
        self._wanted = not config.quiet() and sys.stderr is not None and sys.stderr.isatty()

    def advance(self, count: int) -> None:
        self._done += count
        if self._wanted and monotonic() >= self._shown_at:
            self._shown_at = monotonic() + 0.1
            self._show()

    def expect(self, total: int) -> None:
        """It has become more work."""
        self._total = total

    def _show(self) -> None:
        share = self._done / self._total if self._total else 1.0
        bar = "█" * int(share * 24)
        self._write(f"\r{self._label} {bar:<24} {share:4.0%} of {self._whole()} ")
        self._shown = True

    def _whole(self) -> str:
        return f"{self._total:,} {self._unit}" if self._unit else readable_bytes(self._total)

    def close(self) -> None:
        if self._shown:
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, RuntimeError):
            self._wanted = False


def readable_bytes(count: float) -> str:
    """`1.4 MB`: bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
