"""What a server keeps of the points that it read: counted, never more than the bound, never old."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient, Run, points
from podstack.buckets import columns_of
from podstack.server import overlays, run_questions
from podstack.server.kept_metrics import MOST_BYTES, KeptMetrics
from podstack.server.readers import ProjectReader
from podstack.server.stores import Stores
from podstack.stored_run import StoredRun
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask

_POINT = 24  # bytes: a step, a value and a time


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with MLOpsClient(tmp_path / "store").start_run(name="one", capture=False) as opened:
        yield opened


def resumed(run: Run, folder: Path, steps: int, names: tuple[str, ...] = ("loss",)) -> StoredRun:
    """The run with points of two writers, so that they have to be put together."""
    store = MLOpsClient(folder / "store")._store
    for writer in ("20260101-000000-000-aaaaaaaa", "20260101-000000-000-bbbbbbbb"):
        lines = b"".join(
            points.encode(step, 1e9 + step, dict.fromkeys(names, float(step)))
            for step in range(steps)
        )
        store.backend.put(store.keys.segment(run.id, writer, 0), lines)
    return StoredRun(store, run.id)


def test_a_second_look_at_unchanged_points_puts_nothing_together(run: Run, tmp_path: Path) -> None:
    kept, stored = KeptMetrics(), resumed(run, tmp_path, 100)
    with kept.of("default", stored) as first:
        before = first["loss"].view
    with kept.of("default", stored) as second:
        assert second["loss"].view is before


def test_a_new_point_is_seen_by_the_next_look(run: Run, tmp_path: Path) -> None:
    kept = KeptMetrics()
    stored = StoredRun(MLOpsClient(tmp_path / "store")._store, run.id)
    for step in range(5):
        run.log_metrics({"loss": float(step), "other": 1.0}, step=step)
        with kept.of("default", stored) as found:
            assert list(columns_of(found["loss"])[1]) == [float(s) for s in range(step + 1)]
            assert len(found["loss"].arrived) == step + 1


def test_a_run_that_was_opened_anew_is_never_taken_for_what_was_kept(
    run: Run, tmp_path: Path
) -> None:
    kept = KeptMetrics()
    store = MLOpsClient(tmp_path / "store")._store
    for step in range(2):
        run.log_metrics({"loss": float(step)}, step=step)
        with kept.of("default", StoredRun(store, run.id)) as found:
            assert len(found["loss"]) == step + 1


def test_what_is_kept_is_counted_and_never_more_than_the_bound(run: Run, tmp_path: Path) -> None:
    stored = resumed(run, tmp_path, 100, ("a", "b", "c"))
    kept = KeptMetrics(most_bytes=3 * 200 * 2 * _POINT)
    with kept.of("default", stored) as found:
        assert found.bytes_held == 0
        found["a"].view  # noqa: B018
    one = kept.bytes_held
    with kept.of("other", stored) as found:
        found["a"].view, found["b"].view

    assert 200 * _POINT <= one <= 200 * _POINT * 3  # as they arrived, by step, the last of each
    assert kept.bytes_held <= 3 * 200 * 2 * _POINT
    with kept.of("other", stored) as found:
        found["c"].view  # noqa: B018
    assert kept.bytes_held <= 3 * 200 * 2 * _POINT


def test_the_runs_asked_for_longest_ago_go_first(run: Run, tmp_path: Path) -> None:
    stored = resumed(run, tmp_path, 100)
    measure = KeptMetrics()
    with measure.of("p0", stored) as found:
        found["loss"].view  # noqa: B018
    kept = KeptMetrics(most_bytes=2 * measure.bytes_held)
    first = {}
    for project in ("p0", "p1", "p2"):
        with kept.of(project, stored) as found:
            first[project] = found["loss"].view

    assert kept.bytes_held == 2 * measure.bytes_held
    for project, is_kept in (("p2", True), ("p1", True), ("p0", False)):
        with kept.of(project, stored) as found:
            assert (found["loss"].view is first[project]) is is_kept


def test_a_look_may_be_as_old_as_one_allows_until_something_is_written_here(
    run: Run, tmp_path: Path
) -> None:
    kept = KeptMetrics()
    stored = StoredRun(MLOpsClient(tmp_path / "store")._store, run.id)
    lengths = []
    for step, (written, age) in enumerate(((0, 0.0), (0, 1e9), (0, 0.0), (1, 1e9), (1, 1e9))):
        run.log_metrics({"loss": 1.0}, step=step)
        with kept.of("default", stored, written=written, age=age) as found:
            lengths.append(len(found["loss"]))

    assert lengths == [1, 1, 3, 4, 4]


def test_a_look_that_ends_late_does_not_take_the_place_of_a_later_one(
    run: Run, tmp_path: Path
) -> None:
    kept = KeptMetrics()
    stored = StoredRun(MLOpsClient(tmp_path / "store")._store, run.id)
    run.log_metrics({"loss": 1.0}, step=0)
    with kept.of("default", stored):  # a slow answer
        run.log_metrics({"loss": 1.0}, step=1)
        with kept.of("default", stored) as later:
            assert len(later["loss"]) == 2

    with kept.of("default", stored, age=1e9) as found:
        assert len(found["loss"]) == 2


def test_one_run_beyond_the_bound_is_answered_and_not_kept(run: Run, tmp_path: Path) -> None:
    kept = KeptMetrics(most_bytes=100)
    with kept.of("default", resumed(run, tmp_path, 100)) as found:
        assert len(found["loss"].view) == 100

    assert kept.bytes_held == 0


def test_a_server_keeps_a_hundred_megabytes_and_no_more() -> None:
    assert MOST_BYTES == 128 << 20


def test_many_threads_read_whole_columns_while_the_run_goes_on(run: Run, tmp_path: Path) -> None:
    kept = KeptMetrics(most_bytes=4_000)
    stored = StoredRun(MLOpsClient(tmp_path / "store")._store, run.id)
    run.log_metrics({"loss": 0.0}, step=0)
    wrong: list[Any] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with kept.of("default", stored) as found:
                steps, values, times = columns_of(found["loss"])
                if not (list(steps) == list(values) == list(range(len(times)))):
                    wrong.append((steps, values, times))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for step in range(1, 300):
        run.log_metrics({"loss": float(step)}, step=step)
    done.set()
    for thread in threads:
        thread.join()

    assert not wrong
    with kept.of("default", stored) as found:
        assert len(found["loss"]) == 300
    assert kept.bytes_held <= 4_000


def test_answers_are_the_same_whether_points_were_kept_or_not(
    open_server: RunningServer,
) -> None:
    with MLOpsClient(open_server.url).start_run(name="one", capture=False) as opened:
        for step in (0, 1, 2, 5, 3, 3, 9):  # out of order, and one step twice
            opened.log_metrics({"loss": step / 7, "lr": float("nan")}, step=step)
    base = f"/api/v1/projects/default/runs/{opened.id}"
    paths = (
        f'/api/v1/projects/default/series?runs=["{opened.id}"]&names=["loss","lr"]&buckets=3',
        *(f'{base}/series?names=["loss","lr"]{more}' for more in ("", "&raw=true", "&buckets=2")),
        f"{base}/metrics",
        f'{base}/changes?names=["loss","lr"]',
    )

    first = [ask(open_server.port, "GET", path).body for path in paths]
    second = [ask(open_server.port, "GET", path).body for path in reversed(paths)]
    assert first == second[::-1]
    assert all(b"loss" in body for body in first)


def test_a_project_reader_hands_the_same_points_to_every_question(run: Run, tmp_path: Path) -> None:
    resumed(run, tmp_path, 50)
    reader = ProjectReader(Stores(str(tmp_path / "store")).of("default"))
    with reader.metrics(run.id) as found:
        before = found["loss"].view
        window = overlays.Window("", "step", 10, None, None, log=False, around=False)
        overlays._thinned(found, "loss", window, 0.0)
        run_questions._thinned(found["loss"], 10, None, None)
    with reader.metrics(run.id) as found:
        assert found["loss"].view is before
