"""Artifacts: a checkpoint of 500 MB, logged and fetched, beside `shutil.copyfile` of the same file.

Ours and the baseline take turns; before each, earlier writes are on disk, and the source is
either in the page cache, as a checkpoint is that was just written, or not.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from podstack import MLOpsClient
from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._tables import Figure, Table, figures_table, ratio_at_most

_CHUNK = 1 << 20


def tables(*, quick: bool) -> Iterator[Table]:
    size, pairs = (8 << 20, 1) if quick else (500_000_000, 5)
    cached = in_fresh_process(measure, size, pairs, True)
    uncached = in_fresh_process(measure, size, pairs, False) if _can_forget() else {}
    figures = [*_figures(cached, "in cache"), *_figures(uncached, "not in cache")]
    yield figures_table(f"A file of {size // 1_000_000} MB", figures)


def _figures(seconds: dict[str, float], state: str) -> Iterator[Figure]:
    if not seconds:
        return
    copy = seconds["copyfile"]
    call = "log_artifact, the call"
    limits = {call: ratio_at_most(1.15)}
    for what in (call, "log_artifact and flush", "download"):
        limit = limits.get(what)
        yield Figure(f"{what}, source {state}", seconds[what], "s", copy, "copyfile", limit)


def measure(size: int, pairs: int, cached: bool) -> dict[str, float]:
    """Medians of the seconds that each way took."""
    taken: dict[str, list[float]] = {}

    def timed(what: str, source: Path, act: Callable[[], object]) -> None:
        _set_cache(source, cached)
        start = time.perf_counter()
        act()
        taken.setdefault(what, []).append(time.perf_counter() - start)

    with scratch() as top:
        source, copy, store = Path(top, "model.pt"), Path(top, "copy"), Path(top, "store")
        _write(source, size)
        for _ in range(pairs):
            timed("copyfile", source, lambda: shutil.copyfile(source, copy))
            copy.unlink()
            run = MLOpsClient(store).start_run()
            run.flush()
            timed("log_artifact, the call", source, partial(run.log_artifact, source))
            start = time.perf_counter()
            run.flush()
            behind = time.perf_counter() - start
            both = taken["log_artifact, the call"][-1] + behind
            taken.setdefault("log_artifact and flush", []).append(both)
            kept = run.artifacts["model.pt"]
            inside = Path(store, kept.key)
            timed("download", inside, partial(kept.download, Path(top, "fetched")))
            run.finish()
            run.flush()
            shutil.rmtree(store)
            shutil.rmtree(Path(top, "fetched"))
    return {what: median(values) for what, values in taken.items()}


def _write(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        for start in range(0, size, _CHUNK):
            file.write(os.urandom(min(_CHUNK, size - start)))


def _set_cache(source: Path, cached: bool) -> None:
    """Everything earlier on disk, and `source` in the page cache or out of it."""
    os.sync()
    with open(source, "rb") as file:
        if cached:
            while file.read(_CHUNK):
                pass
        else:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _can_forget() -> bool:
    return hasattr(os, "posix_fadvise")
