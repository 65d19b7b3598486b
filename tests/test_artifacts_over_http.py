"""Files of a run through a server that is killed on the way: all or nothing, and on from there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient
from podstack.backend import Backend
from podstack.errors import BackendUnavailable, DamagedError
from podstack.testing.podstack_server import RunningServer
from podstack.testing.stage import DEADLINE

SIZE = 40_000_000


@pytest.fixture
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "store") as running:
        yield running


@pytest.fixture
def run_id(tmp_path: Path, content: bytes, server: RunningServer) -> str:
    (tmp_path / "model.bin").write_bytes(content)
    with MLOpsClient(server.url).start_run(capture=False) as run:
        run.log_artifact(tmp_path / "model.bin")
        assert run.flush(DEADLINE)
    return str(run.id)


def _counting(backend: Backend, at: int, act: Any) -> list[tuple[int, int | None]]:
    """Note each range that is asked for, and act once before the one that begins at `at`."""
    asked: list[tuple[int, int | None]] = []
    get = backend.get

    def counting(key: str, start: int = 0, stop: int | None = None) -> bytes:
        if "/artifacts/" in key:
            if start >= at and not any(begin >= at for begin, _ in asked):
                act()
            asked.append((start, stop))
        return get(key, start, stop)

    backend.get = counting  # type: ignore[method-assign]  # a fault, at a certain byte
    return asked


def test_a_download_goes_on_where_a_killed_server_broke_it(
    server: RunningServer,
    run_id: str,
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("podstack.artifacts._PAUSES", (0.5,) * 400)  # however long it starts
    run = MLOpsClient(server.url).get_run(run_id)
    file = run.artifacts["model.bin"]

    later = threading.Timer(1.0, server.start)

    def kill_and_restart_later() -> None:
        server.kill()
        later.start()

    asked = _counting(run._store.backend, SIZE // 2, kill_and_restart_later)
    where = file.download(tmp_path / "out")
    later.join(DEADLINE)  # it says where it listens after it does

    assert where.read_bytes() == content
    begins = [start for start, _ in asked]
    assert begins.count(0) == 1  # what had come was kept
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.bin"]


def test_a_server_that_stays_away_leaves_nothing_half(
    server: RunningServer, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstack.artifacts._PAUSES", (0.01, 0.01))
    run = MLOpsClient(server.url).get_run(run_id)
    file = run.artifacts["model.bin"]
    _counting(run._store.backend, SIZE // 2, server.kill)

    with pytest.raises(BackendUnavailable):
        file.download(tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_was_damaged_on_the_server_is_no_download(
    server: RunningServer, run_id: str, tmp_path: Path
) -> None:
    (stored,) = Path(server.store).rglob("artifacts/*/model.bin")
    with open(stored, "r+b") as file:
        file.seek(SIZE // 3)
        file.write(b"damage")

    with pytest.raises(DamagedError, match=r"model\.bin"):
        MLOpsClient(server.url).get_run(run_id).artifacts["model.bin"].download(tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []
