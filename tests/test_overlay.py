"""A store elsewhere as the process sees it that writes to it."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from podstack import MLOpsClient
from podstack.backend import open_backend
from podstack.errors import BlobMissing
from podstack.overlay import Overlay
from podstack.packed import packed
from podstack.testing.faults import FaultyBackend

_numbers = count()
LOG = "projects/default/runs/r/metrics/w/000000.jsonl"


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    store = FaultyBackend(open_backend(f"memory://overlay-{next(_numbers)}"))
    return Overlay(store, open_backend(str(tmp_path / "here")))


def test_what_is_here_hides_what_is_there_packed_or_not(overlay: Overlay) -> None:
    overlay._spool.put(LOG, b"one\ntwo\n")
    overlay._spool.put("projects/default/live/r.w.json", b"new")
    overlay.put(LOG + ".gz", packed(b"one\n"))
    overlay.put("projects/default/live/r.w.json", b"old")
    overlay.put("projects/default/runs/s/meta/v.jsonl", b"other\n")

    keys = [info.key for info in overlay.list()]

    assert keys == sorted(keys)
    assert keys == [
        "projects/default/live/r.w.json",
        LOG,
        "projects/default/runs/s/meta/v.jsonl",
    ]
    assert overlay.get(LOG, 4, 8) == b"two\n"
    assert overlay.get("projects/default/live/r.w.json") == b"new"
    assert list(overlay.list_dirs("projects/default/runs/")) == ["r", "s"]


def test_a_log_that_is_sent_and_removed_after_it_was_listed_is_read_all_the_same(
    overlay: Overlay,
) -> None:
    overlay._spool.put(LOG, b"one\ntwo\n")
    (info,) = overlay.list()
    overlay.put(LOG + ".gz", packed(b"one\ntwo\n"))
    overlay._spool.delete(LOG)

    assert overlay.get(info.key) == b"one\ntwo\n"
    assert overlay.get(info.key, 4, 8) == b"two\n"
    overlay.put(LOG + ".gz", packed(b"one\ntwo\n")[:-3])
    with pytest.raises(BlobMissing, match="damaged"):
        overlay.get(info.key)
    with pytest.raises(BlobMissing):
        overlay.get(LOG.replace("/w/", "/v/"))


def test_writing_and_deleting_go_to_the_store_alone(overlay: Overlay) -> None:
    overlay._spool.put("here", b"x")
    overlay.put("there", b"y")
    overlay.delete("here")

    assert overlay.store.get("there") == b"y"
    assert overlay.get("here") == b"x"
    with pytest.raises(BlobMissing):
        overlay._spool.get("there")


def test_a_process_reads_its_own_points_before_the_store_has_them() -> None:
    client = MLOpsClient(f"memory://overlay-{next(_numbers)}")
    with client.start_run(run_id="r", capture=False) as run:
        for step in range(100):
            run.log_metrics({"x": step})

        assert len(client.get_run("r").metrics["x"]) == 100
        assert [row.id for row in client.list_runs()] == ["r"]
