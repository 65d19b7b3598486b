"""What is left after a fault: the one verdict that every fault test ends with.

Point i of a metric is logged as (step i, value i / 2), so that a wrong value is seen. It is
acknowledged once the call that logged it has returned, by one `os.write` to a file of its own,
so that the acknowledgements survive whatever ends the process.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from podstack.client import MLOpsClient
from podstack.run import Run

POINT = "x"  # the metric of a scenario that needs only one


class Acks:
    """A file of acknowledgements, one line each. Shared by processes; may be pickled."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, step: int, metric: str = POINT) -> None:
        """Say that the call that logged this point has returned."""
        os.write(self._file, b"%s %d\n" % (metric.encode(), step))

    def __reduce__(self) -> tuple[type[Acks], tuple[str]]:
        return Acks, (self._path,)


def log(run: Run, acks: Acks, step: int, metric: str = POINT) -> None:
    """Log point `step`, then acknowledge it."""
    run.log_metrics({metric: step / 2}, step=step)
    acks.add(step, metric)


def read_acks(path: Path) -> dict[str, set[int]]:
    """The acknowledged steps of each metric. A line without its end was never given."""
    found: dict[str, set[int]] = defaultdict(set)
    data = path.read_bytes() if path.exists() else b""
    for line in data[: data.rfind(b"\n") + 1].decode().splitlines():
        metric, _, step = line.rpartition(" ")
        found[metric].add(int(step))
    return dict(found)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Points, counted. `gaps` are steps that are missing below the largest one of their metric."""

    logged: int = 0
    acked: int = 0
    lost: int = 0  # acknowledged and not there
    doubled: int = 0
    damaged: int = 0  # lines that cannot be read, and wrong values
    gaps: int = 0

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(
            self.logged + other.logged,
            self.acked + other.acked,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.damaged + other.damaged,
            self.gaps + other.gaps,
        )

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled, damaged, or missing inside a prefix."""
        return not (self.lost or self.doubled or self.damaged or self.gaps)

    def __str__(self) -> str:
        return (
            f"logged={self.logged} acked={self.acked} lost={self.lost} "
            f"doubled={self.doubled} damaged={self.damaged} gaps={self.gaps}"
        )


def judge(store: Path, run_id: str, acked: Mapping[str, Iterable[int]]) -> Verdict:
    """Compare what a store gives back with what was acknowledged, metric by metric."""
    metrics = MLOpsClient(store).get_run(run_id).metrics
    verdict = Verdict(damaged=unreadable_lines(store, run_id))
    for metric in {*acked, *metrics}:
        raw = metrics[metric].raw if metric in metrics else []
        steps = {point.step for point in raw}
        wanted = set(acked.get(metric, ()))
        verdict += Verdict(
            logged=len(steps),
            acked=len(wanted),
            lost=len(wanted - steps),
            doubled=len(raw) - len(steps),
            damaged=sum(point.value != point.step / 2 for point in raw),
            gaps=max(steps, default=-1) + 1 - len(steps),
        )
    return verdict


def unreadable_lines(store: Path, run_id: str) -> int:
    """Whole lines in a run's logs that are not JSON, read without podstack's own reader."""
    logs = store.glob(f"projects/*/runs/{run_id}/*/**/*.jsonl*")
    return sum(_unreadable(_plain(path)) for path in logs if path.is_file())


def _plain(path: Path) -> bytes:
    """A log as it was written. One that cannot be unpacked is a line that cannot be read."""
    data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return b"damaged\n"


def _unreadable(data: bytes) -> int:
    return sum(not _is_json(line) for line in data.split(b"\n")[:-1])


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True
