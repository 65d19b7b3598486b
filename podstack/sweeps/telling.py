"""What is said on stderr while trials run: a line for each that ends, a bar on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from podstack import config
from podstack.clock import monotonic, now
from podstack.console import say
from podstack.display import duration
from podstack.names import COMPLETED, RUNNING, printable
from podstack.parameters import flat_parameters
from podstack.sweeps import outlook
from podstack.sweeps.records import TrialRecord
from podstack.tables import cut, terminal_width

if TYPE_CHECKING:
    from podstack.sweeps.sweep import Progress, Sweep

_BAR = 20  # characters
_EVERY = 0.5  # seconds between two pictures of a bar on which nothing happened
_SHOWN = 8  # parameters on a line


def say_of_trial(
    sweep: Sweep, number: int, status: str, value: float | None, reason: str | None
) -> None:
    say(trial_line(sweep, number, status, value, reason))


def trial_line(
    sweep: Sweep, number: int, status: str, value: float | None, reason: str | None
) -> str:
    """`trial 3 of 20 completed: val_acc 0.93 · best 0.95 (trial 1)`."""
    total = f" of {sweep.max_trials}" if sweep.max_trials else ""
    metric = sweep.objective.metric
    told = f": {metric} {value:.6g}" if status == COMPLETED and value is not None else ""
    why = f": {reason}" if status != COMPLETED and reason else ""
    best = sweep.best_trial
    behind = f" · best {best.value:.6g} (trial {best.number})" if best is not None else ""
    return f"trial {number}{total} {status}{told}{why}{behind}"


def say_best(sweep: Sweep) -> None:
    """How a sweep stands, and its best trial."""
    best = sweep.best_trial
    say(f"sweep {sweep.name}: {counted(sweep.progress)}" + _ending(sweep))
    if best is not None:
        say(f"best {best_line(sweep, best)}")


def best_line(sweep: Sweep, best: TrialRecord) -> str:
    """`val_acc 0.95 (trial 1): lr=0.01 hidden=64`."""
    return (
        f"{sweep.objective.metric} {best.value:.6g} (trial {best.number}): "
        f"{params_line(sweep.best_params or {})}"
    )


def params_line(params: dict[str, Any]) -> str:
    flat = list(flat_parameters(params).items())
    more = f" and {len(flat) - _SHOWN} more" if len(flat) > _SHOWN else ""
    return " ".join(f"{name}={_short(value)}" for name, value in flat[:_SHOWN]) + more


def counted(progress: Progress) -> str:
    """`17 of 20 trials completed, 2 failed, 1 running`."""
    of = f" of {progress.total}" if progress.total is not None else ""
    parts = [f"{progress.completed}{of} trials completed"]
    parts += [f"{progress.pruned} of them pruned"] if progress.pruned else []
    parts += [
        f"{count} {word}"
        for count, word in (
            (progress.failed, "failed"),
            (progress.killed, "killed"),
            (progress.running, "running"),
        )
        if count
    ]
    return ", ".join(parts)


def ended_of(progress: Progress) -> int:
    return progress.completed + progress.failed + progress.killed


def bar_of(progress: Progress, width: int = _BAR) -> str:
    """The part of the trials that are over; empty where nobody knows how many there will be."""
    if not progress.total:
        return ""
    return "█" * int(width * ended_of(progress) / progress.total)


def time_left(sweep: Sweep) -> float | None:
    """Seconds until it is over, if the rest takes as long as the latest trials; None if unknown."""
    if sweep.status != RUNNING:
        return None
    return outlook.seconds_left(sweep.records(), sweep.progress.total, now())


def _ending(sweep: Sweep) -> str:
    return f" · stopped: {sweep.stop_reason}" if sweep.stop_reason else ""


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return printable(text if len(text) <= 40 else f"{text[:39]}…")


class Bar:
    """A line that is drawn again and again on a terminal; elsewhere a line for each trial.

    It shows what the sweep's store says, so that trials of other workers are seen too.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._began = monotonic()
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._wanted = self._is_terminal and not config.quiet()
        self._next = 0.0
        self._picture = ""

    def ended(self, number: int, status: str, value: float | None, reason: str | None) -> None:
        """A trial has ended."""
        if not self._wanted or (reason and status != COMPLETED):
            self.close()
            say_of_trial(self._sweep, number, status, value, reason)
        self._picture = ""

    def told(self, text: str) -> None:
        """A line that stays."""
        self.close()
        say(text)

    def show(self) -> None:
        """Draw it, if it is time to."""
        if not self._wanted or monotonic() < self._next:
            return
        self._next = monotonic() + _EVERY
        self._picture = self._picture or self._drawn()
        spent = duration(monotonic() - self._began)
        self._write(f"\r\x1b[2K{cut(f'{self._picture} · {spent}', terminal_width() - 1)}")

    def close(self) -> None:
        """Wipe it away."""
        if self._wanted:
            self._write("\r\x1b[2K")

    def _drawn(self) -> str:
        progress, best = self._sweep.progress, self._sweep.best_trial
        found = f" · best {self._sweep.objective.metric} {best.value:.6g}" if best else ""
        bar = f"{bar_of(progress):░<{_BAR}} " if progress.total else ""
        left = time_left(self._sweep)
        rest = f" · about {duration(left)} left" if left else ""
        return printable(f"{self._sweep.name} {bar}{counted(progress)}{found}{rest}")

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, RuntimeError):  # stderr is closed, full or in use
            self._wanted = False
