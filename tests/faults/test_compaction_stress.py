"""Compaction is the only code that deletes: writers, compactors that are killed, and a reader.

Every acknowledged point is there, once, and right, at every look, while segments turn into ranges
and ranges into larger ones. With ranges that are not aligned, or a reader that does not ask for
gaps, this fails within seconds.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from podstack import MLOpsClient, Run
from podstack.backend import Backend, BlobInfo
from podstack.compact import compact
from podstack.testing.stage import Child, Stage

WRITERS, COMPACTORS = 4, 3
SMALL = "import podstack.journal\npodstack.journal.SEGMENT = 1_500\n"  # some 30 points

WRITER = """
run = client.start_run(run_id="r")
for i in range({points}):
    log(run, i, "x{n}")
    if i % 10 == 0:
        time.sleep(0.01)  # so that the others get their turns between the segments
run.finish()
assert run.flush(timeout=200)
"""

COMPACTOR = """
from podstack.compact import compact
while not os.path.exists("enough"):
    for one in compact(client._store, ["r"]).written:
        print(one.key.rpartition("/")[2], flush=True)
"""


class SlowListing:
    """A store whose listings are no snapshots: what comes or goes meanwhile is in none of them."""

    def __init__(self, inner: Backend) -> None:
        self._inner, self.url = inner, inner.url
        self.get, self.put, self.delete = inner.get, inner.put, inner.delete
        self.list_dirs, self.close = inner.list_dirs, inner.close

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        before = {info.key for info in self._inner.list(prefix, start_after=start_after)}
        threading.Event().wait(0.02)
        after = self._inner.list(prefix, start_after=start_after)
        return iter([info for info in after if info.key in before])


class Look(NamedTuple):
    """What one reading of the run found: points, and those that are wrong in any way."""

    points: int
    bad: int


class Compactors:
    """Three that work side by side, one of which is killed now and then, and replaced."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._all = [self._start() for _ in range(COMPACTORS)]
        self._turns = itertools.cycle(range(COMPACTORS))
        self._ended: list[Child] = []
        self.kills = 0

    def _start(self) -> Child:
        return self._stage.start(SMALL + COMPACTOR, acks="none", deadline=900.0)

    def kill_one(self) -> None:
        turn = next(self._turns)
        self._all[turn].end()
        self._ended.append(self._all[turn])
        self._all[turn] = self._start()
        self.kills += 1

    def stop(self) -> None:
        (self._stage.store.parent / "enough").touch()
        for child in self._all:
            ended = child.wait()
            assert (ended.code, ended.err) == (0, "")

    @property
    def ranges(self) -> list[str]:
        """The names of all ranges that were written."""
        return [name for child in self._all + self._ended for name in child.out.split()]


def looked(run: Run, acked: dict[str, set[int]]) -> Look:
    """Read the run, and compare it with what was acknowledged before."""
    metrics = run.metrics  # one listing for all, so that whatever it misses is missed
    points = bad = 0
    for n in range(WRITERS):
        raw = metrics[f"x{n}"].raw if f"x{n}" in metrics else []
        times_seen = Counter(point.step for point in raw)
        points += len(raw)
        bad += len(acked.get(f"x{n}", set()) - times_seen.keys())
        bad += sum(count - 1 for count in times_seen.values())
        bad += sum(point.value != point.step / 2 for point in raw)
        bad += max(times_seen, default=-1) + 1 - len(times_seen)
    return Look(points, bad)


def reading(stage: Stage) -> Run:
    store = MLOpsClient(stage.store)._store
    store.backend = SlowListing(store.backend)
    return Run(store, "r")


def looks(stage: Stage, writers: list[Child]) -> Iterator[Look]:
    """By a client that has seen nothing yet, and by one that keeps what it saw, in turns."""
    kept = reading(stage)
    for turn in itertools.count():
        is_last = all(child.has_ended for child in writers)
        yield looked(kept if turn % 2 else reading(stage), stage.acked())
        if is_last:
            return


def compact_while_runs_write(stage: Stage, points: int, caplog: pytest.LogCaptureFixture) -> None:
    writers = [
        stage.start(SMALL + WRITER.format(points=points, n=n), deadline=900.0)
        for n in range(WRITERS)
    ]
    writers[0].wait_until(lambda: stage.count_acked() > 100, "log 100 points")
    compactors = Compactors(stage)
    seen: list[Look] = []
    for look in looks(stage, writers):
        seen.append(look)
        if len(seen) % 10 == 0:
            compactors.kill_one()
    ended = [child.wait() for child in writers]
    compactors.stop()
    last = settled(stage)
    levels = Counter(width_of(name) for name in compactors.ranges)
    print(
        f"points={last.points:,} looks={len(seen):,} ranges={len(compactors.ranges):,} "
        f"kills={compactors.kills} bad={sum(look.bad for look in seen)}"
    )

    assert [(e.code, e.err) for e in ended] == [(0, "")] * WRITERS
    assert [look for look in seen if look.bad] == []
    assert last == Look(WRITERS * points, 0)
    assert stage.run().metrics["x0"].steps.tolist() == list(range(points))
    assert levels[16] > WRITERS
    assert max(levels) >= min(256, points // 100)
    assert caplog.text == ""


def settled(stage: Stage) -> Look:
    """What one last compaction leaves: a single range of each writer."""
    report = compact(MLOpsClient(stage.store)._store)
    assert report.left == ()
    store = MLOpsClient(stage.store)._store
    left = [info.key for info in store.backend.list(store.keys.metrics("r"))]
    assert [key.rpartition(".")[2] for key in left] == ["parquet"] * WRITERS
    return looked(stage.run(), stage.acked())


def width_of(name: str) -> int:
    first, _, last = name.removesuffix(".parquet").partition("-")
    return int(last) - int(first) + 1


def test_no_point_is_lost_doubled_or_wrong_while_compactors_and_writers_work(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    compact_while_runs_write(stage, 4_000, caplog)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_point_is_lost_doubled_or_wrong_while_they_work_for_minutes(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    compact_while_runs_write(stage, 40_000, caplog)
