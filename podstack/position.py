"""Where a run's writers left off: from there a run that is resumed goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from podstack import points
from podstack.points import Batch
from podstack.series import Stretch

if TYPE_CHECKING:
    from podstack.stored_run import StoredRun


class Position(NamedTuple):
    """Where a run's writers left off: the step after all of theirs, and their latest time."""

    next_step: int
    time: float


def position(run: StoredRun) -> Position:
    """Taken from what each writer said at its end.

    The points themselves are read only where a writer was killed before it could say.
    """
    fold = run._fold()
    closed = {w: facts for w, facts in fold.below("closed").items() if isinstance(facts, dict)}
    steps = [step for facts in closed.values() if isinstance(step := facts.get("next_step"), int)]
    times = [float(t) for facts in closed.values() if isinstance(t := facts.get("t"), (int, float))]
    if set(run._store.backend.list_dirs(run._store.keys.metrics(run.id))) - set(closed):
        for _, pieces in run._logs():
            for piece in pieces:
                steps += [step + 1 for step in _last_steps(piece)]
                times.append(max(piece.times) if isinstance(piece, Batch) else piece.last_time)
    return Position(max(steps, default=0), max(times, default=0.0))


def _last_steps(piece: Batch | Stretch) -> list[int]:
    """The largest steps that the run itself logged in it."""
    if isinstance(piece, Batch):
        return [] if points.is_system(piece.values) else [max(piece.steps)]
    return [piece.last_step(name) for name in piece.names if not points.is_system([name])]
