"""Datasets of a run: what is kept of them, and that a URL is never opened."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from podstack import MLOpsClient, Run


@pytest.fixture
def other(run: Run, store: Path) -> Run:
    return MLOpsClient(store).get_run(run.id)


def test_a_file_is_kept_with_its_size_time_and_hash(run: Run, other: Run, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"a,b\n1,2\n")
    run.log_dataset("train", path, "the training split")

    assert other.datasets == {
        "train": {
            "path": str(path),
            "description": "the training split",
            "size": 8,
            "mtime": path.stat().st_mtime,
            "sha256": hashlib.sha256(b"a,b\n1,2\n").hexdigest(),
        }
    }


def test_a_large_file_is_known_by_its_ends_and_its_size(
    run: Run, other: Run, tmp_path: Path
) -> None:
    size = (16 << 20) + 1
    seen = []
    for name, changed_at in [
        ("same", None),
        ("first", 0),
        ("last", size - 1),
        ("middle", size // 2),
    ]:
        path = tmp_path / name
        path.touch()
        os.truncate(path, size)
        if changed_at is not None:
            with path.open("r+b") as file:
                file.seek(changed_at)
                file.write(b"x")
        run.log_dataset(name, path)
        seen.append(other.datasets[name]["sha256_of_ends"])

    assert len(set(seen[:3])) == 3
    assert seen[3] == seen[0]
    ends = b"\0" * (1 << 20)
    assert seen[0] == hashlib.sha256(f"{size}\n".encode() + ends + ends).hexdigest()
    assert "sha256" not in other.datasets["same"]


def test_a_folder_is_known_by_the_paths_and_sizes_in_it(
    run: Run, other: Run, tmp_path: Path
) -> None:
    def fingerprint(name: str, content: dict[str, bytes]) -> object:
        for path, data in content.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(data)
        run.log_dataset(name, tmp_path / name)
        return other.datasets[name]["sha256"]

    one = fingerprint("one", {"a/x": b"12", "b": b"3"})
    assert (other.datasets["one"]["files"], other.datasets["one"]["bytes"]) == (2, 3)
    assert fingerprint("same", {"b": b"3", "a/x": b"12"}) == one
    assert fingerprint("longer", {"a/x": b"123", "b": b"3"}) != one
    assert fingerprint("renamed", {"a/y": b"12", "b": b"3"}) != one
    assert fingerprint("more", {"a/x": b"12", "b": b"3", "c": b""}) != one


def test_of_a_very_large_folder_the_first_ten_thousand_files_are_counted(
    run: Run, other: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(10_005):
        os.close(os.open(folder / f"{number:05}", os.O_CREAT | os.O_WRONLY))
    run.log_dataset("images", folder)

    assert other.datasets["images"]["files"] == 10_000
    assert other.datasets["images"]["first_only"] is True


def test_a_url_is_kept_as_text_and_never_opened(run: Run, other: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/data.csv"
        run.log_dataset("web", url)

        with pytest.raises(BlockingIOError):
            server.accept()
    assert other.datasets["web"] == {"path": url, "description": ""}


@pytest.mark.parametrize("name", ["s3://bucket/key", "file://{}", "file:{}", "FILE:{}", "gs:x"])
def test_a_path_with_a_scheme_has_no_fingerprint(
    run: Run, other: Run, tmp_path: Path, name: str
) -> None:
    (tmp_path / "data").write_text("data")
    url = name.format(tmp_path / "data")
    run.log_dataset("d", url)

    assert other.datasets["d"] == {"path": url, "description": ""}


def test_what_cannot_be_read_here_is_kept_as_text(run: Run, other: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    paths = [str(tmp_path / "missing"), str(tmp_path / "pipe"), "/dev/zero", "", "../../../../x"]
    for number, path in enumerate(paths):
        run.log_dataset(str(number), path)

    assert [facts["path"] for facts in other.datasets.values()] == paths
    assert all(set(facts) == {"path", "description"} for facts in other.datasets.values())


def test_a_dataset_logged_again_is_replaced_and_its_history_stays(run: Run, other: Run) -> None:
    run.log_dataset("d", "s3://bucket/v1")
    run.log_dataset("d", "s3://bucket/v2")

    assert other.datasets["d"]["path"] == "s3://bucket/v2"
    assert [change.value["path"] for change in other.history("datasets/d")] == [
        "s3://bucket/v1",
        "s3://bucket/v2",
    ]
