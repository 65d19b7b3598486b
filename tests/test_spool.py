"""What waits on this machine: folders, locks, limits."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from podstack import MLOpsClient, config, locks, spools
from podstack.errors import BackendError, BlobMissing
from podstack.spool import LABEL, LOCK, Spool
from podstack.testing.stage import DEADLINE

_numbers = count()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool/0123456789ab", "memory://x", lambda: None)


def test_nothing_is_made_before_something_is_written(spool: Spool) -> None:
    assert (list(spool.list()), list(spool.list_dirs())) == ([], [])
    with pytest.raises(BlobMissing, match="There is no x in"):
        spool.get("x")
    spool.delete("x")

    assert not spool.is_open
    assert not spool.home.exists()


def test_the_lock_is_held_as_long_as_it_is_open_and_its_file_is_not_listed(spool: Spool) -> None:
    spool.put("a/b", b"content")
    folder = Path(spool.url)

    assert (spool.home / LABEL).read_text() == "memory://x"
    assert [info.key for info in spool.list()] == ["a/b"]
    assert locks.is_taken(folder / LOCK)
    assert [waits.owned for waits in spools.waiting("memory://x")] == [True]
    spool.close()
    assert not locks.is_taken(folder / LOCK)
    assert [waits.owned for waits in spools.waiting("memory://x")] == [False]


def test_an_empty_one_is_removed_when_it_closes_and_a_full_one_is_kept(spool: Spool) -> None:
    spool.put("a/b", b"content")
    folder = Path(spool.url)
    spool.close()
    assert folder.exists()
    spool.put("a/b", b"content")
    again = Path(spool.url)
    spool.delete("a/b")
    spool.close()

    assert again != folder
    assert not again.exists()


def test_a_lock_is_free_once_its_process_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, os, signal; from pathlib import Path; from podstack.spool import Spool\n"
        f"s = Spool(Path({str(tmp_path / 'home')!r}), 'memory://x', lambda: None)\n"
        "s.put('a', b'x'); print(s.url, flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    lock = Path(child.stdout.readline().strip()) / LOCK
    assert locks.is_taken(lock)

    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()

    assert not locks.is_taken(lock)


def test_a_spool_that_cannot_be_made_says_which_variable_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file/home", "memory://x", lambda: None)

    with pytest.raises(BackendError, match=r"Cannot write to the spool .*PODSTACK_SPOOL"):
        spool.put("a", b"x")


def test_files_are_refused_before_metrics_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PODSTACK_SPOOL_LIMIT", "100kB")
    (tmp_path / "big.bin").write_bytes(b"x" * 95_000)
    client = MLOpsClient(f"memory://spool-{next(_numbers)}")
    with client.start_run(run_id="r", capture=False) as run:
        run.log_artifact(tmp_path / "big.bin")
        for step in range(100):
            run.log_metrics({"x": step}, step=step)
        assert run.flush(DEADLINE)
        (tmp_path / "small.bin").write_bytes(b"x" * 1000)
        run.log_artifact(tmp_path / "small.bin")

    read = client.get_run("r")
    assert "do not fit" in caplog.text
    assert "PODSTACK_SPOOL_LIMIT" in caplog.text
    assert list(read.artifacts) == ["small.bin"]
    assert len(read.metrics["x"]) == 100


def test_metrics_wait_in_memory_once_the_limit_is_reached_and_are_written_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spool: Spool
) -> None:
    monkeypatch.setenv("PODSTACK_SPOOL_LIMIT", "1kB")
    (config.spool_folder() / "other").mkdir(parents=True)
    (config.spool_folder() / "other/file").write_bytes(b"x" * 2000)
    spool.measure()
    with pytest.raises(OSError, match="wait in"):
        spool.open_append("a.jsonl")

    monkeypatch.setenv("PODSTACK_SPOOL_LIMIT", "1MB")
    os.close(spool.open_append("a.jsonl"))
    assert [info.key for info in spool.list()] == ["a.jsonl"]
