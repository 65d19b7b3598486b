"""accelerate: what a tracker's `log` costs, beside accelerate's own TensorBoard tracker.

Each logs the same values through an `Accelerator` of its own process; the two take turns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process, in_turns
from tests.benchmarks._tables import Figure, Table, figures_table, ratio_at_most

_OURS, _THEIRS = "PodstackTracker", "TensorBoardTracker"
_STEPS, _WARM_UP, _ROUNDS = 5_000, 100, 5


def tables(*, quick: bool) -> Iterator[Table]:
    steps, rounds = (200, 1) if quick else (_STEPS, _ROUNDS)
    figures = []
    for scalars in (1, 10):

        def measure(name: str, scalars: int = scalars) -> list[float]:
            return [in_fresh_process(seconds_per_log, name, scalars, steps)]

        taken = in_turns(measure, [_OURS, _THEIRS], rounds=rounds)
        what = f"log of {scalars} scalar{'s' if scalars > 1 else ''}"
        (ours,), (theirs,) = taken[_OURS], taken[_THEIRS]
        figures.append(Figure(what, ours, "s", theirs, _THEIRS, ratio_at_most(1)))
    yield figures_table("accelerate: Accelerator.log", figures)


def seconds_per_log(name: str, scalars: int, steps: int) -> float:
    """Of one of the two, on average over its steps."""
    from accelerate import Accelerator

    values = {f"metric_{i}": 0.5 + i for i in range(scalars)}
    with scratch() as folder:
        tracker = _tracker(name, folder)
        accelerator = Accelerator(log_with=tracker, project_dir=folder, cpu=True)
        accelerator.init_trackers("benchmark")
        for step in range(_WARM_UP + steps):
            if step == _WARM_UP:
                start = time.perf_counter()
            accelerator.log(values, step=step)
        taken = time.perf_counter() - start
        accelerator.end_training()
    return taken / steps


def _tracker(name: str, folder: str) -> Any:
    if name == _THEIRS:
        from accelerate.tracking import TensorBoardTracker

        return TensorBoardTracker("benchmark", logging_dir=folder)
    from podstack.integrations.accelerate import PodstackTracker

    return PodstackTracker("benchmark", uri=f"{folder}/store")
