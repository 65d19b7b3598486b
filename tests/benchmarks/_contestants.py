"""Ways to record numbers: ours, the bare ones that bound what is possible, and peers.

Each is opened in a folder of its own. Peers take part only where they are installed.
"""

from __future__ import annotations

import os
import random
import struct
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import orjson

Metrics = dict[str, float]
Log = Callable[[Metrics, int], object]

PODSTACK = "podstack"
LINE = "orjson line + os.write"
TRACKIO = "Trackio"
TENSORBOARDX = "tensorboardX"


class Contestant(NamedTuple):
    """log: one step. finish: what a script calls at its end. settle: wait for background work."""

    log: Log
    finish: Callable[[], object]
    settle: Callable[[], object] = lambda: None


def open_contestant(name: str, folder: str) -> Contestant:
    return _OPENERS[name](folder)


def installed() -> list[str]:
    """The names of all that can take part here."""
    return [name for name in _OPENERS if name not in _MODULES or find_spec(_MODULES[name])]


def has_trackio() -> bool:
    return TRACKIO in installed()


def rows_of(scalars: int) -> list[Metrics]:
    """Steps to log: floats of full length, as losses are, under names as people use them."""
    chance = random.Random(7)
    names = [f"train/metric_{i}" for i in range(scalars)]
    return [{name: chance.random() for name in names} for _ in range(64)]


def bytes_in(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def _podstack(folder: str) -> Contestant:
    from podstack import MLOpsClient

    run = MLOpsClient(folder).start_run()
    return Contestant(run.log_metrics, run.finish, run.flush)


def _append(folder: str) -> Contestant:
    kept: list[tuple[Metrics, int]] = []

    def log(metrics: Metrics, step: int) -> None:
        kept.append((metrics, step))

    return Contestant(log, kept.clear)


def _queue(folder: str) -> Contestant:
    queue: SimpleQueue[tuple[Metrics, int]] = SimpleQueue()

    def log(metrics: Metrics, step: int) -> None:
        queue.put((metrics, step))

    return Contestant(log, lambda: None)


def _binary(folder: str) -> Contestant:
    file = _new_file(folder)

    def log(metrics: Metrics, step: int) -> None:
        row = struct.pack(f"<qd{len(metrics)}d", step, time.time(), *metrics.values())
        os.write(file, row)

    return Contestant(log, lambda: os.close(file))


def _line(folder: str) -> Contestant:
    file = _new_file(folder)

    def log(metrics: Metrics, step: int) -> None:
        row = {"s": step, "t": time.time(), "v": metrics}
        os.write(file, orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    return Contestant(log, lambda: os.close(file))


def _new_file(folder: str) -> int:
    return os.open(f"{folder}/rows", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def trackio_in(folder: str) -> Any:
    """The module, keeping its data in `folder`; it reads that setting when it is imported."""
    os.environ["TRACKIO_DIR"] = folder
    return import_module("trackio")


def trackio_run(
    trackio: Any, config: dict[str, Any] | None = None, project: str = "benchmark"
) -> Any:
    """A local run that measures no hardware: bare logging, as in the other contestants."""
    return trackio.init(
        project=project, config=config, embed=False, auto_log_gpu=False, auto_log_cpu=False
    )


def _trackio(folder: str) -> Contestant:
    trackio = trackio_in(folder)
    trackio_run(trackio)
    return Contestant(trackio.log, trackio.finish)


def _tensorboardx(folder: str) -> Contestant:
    own = tempfile.mkdtemp(dir=folder)  # two writers of one second would share a file
    writer = import_module("tensorboardX").SummaryWriter(logdir=own)

    def log(metrics: Metrics, step: int) -> None:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    return Contestant(log, writer.close)


_OPENERS: dict[str, Callable[[str], Contestant]] = {
    PODSTACK: _podstack,
    "list.append": _append,
    "SimpleQueue.put": _queue,
    "struct.pack + os.write": _binary,
    LINE: _line,
    TRACKIO: _trackio,
    TENSORBOARDX: _tensorboardx,
}
_MODULES = {TRACKIO: "trackio", TENSORBOARDX: "tensorboardX"}
