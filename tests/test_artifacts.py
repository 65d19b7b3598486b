"""Files of a run: copied at once, named by content, verified when fetched, and never elsewhere."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from podstack import DamagedError, MLOpsClient, NotFoundError, Run, UsageError, clock, intake
from podstack.errors import BackendError, BlobMissing
from podstack.testing.stage import Stage
from podstack.testing.store_files import stored, write_op


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder that artifacts are fetched into."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def make(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def kept(store: Path) -> dict[str, bytes]:
    """The artifacts' objects, under their keys below the run."""
    return {
        key.split("/", 4)[4]: data for key, data in stored(store).items() if "/artifacts/" in key
    }


# Logging -----------------------------------------------------------------------------------


def test_a_file_is_kept_under_its_name_in_a_folder_named_by_its_content(
    run: Run, store: Path, tmp_path: Path
) -> None:
    run.log_artifact(make(tmp_path / "model.pt", b"weights"))
    run.flush()

    digest = hashlib.sha256(b"weights").hexdigest()
    assert kept(store) == {f"artifacts/{digest[:12]}/model.pt": b"weights"}
    artifact = MLOpsClient(store).get_run(run.id).artifacts["model.pt"]
    assert (artifact.path, artifact.size, artifact.sha256) == ("model.pt", 7, digest)
    assert run.created <= artifact.time


def test_a_file_goes_into_the_folder_that_was_asked_for(run: Run, tmp_path: Path) -> None:
    path = make(tmp_path / "model.pt", b"weights")
    run.log_artifact(path, "checkpoints/last")
    run.log_artifact(str(path), "checkpoints/best/")
    run.log_artifact(path, "")

    assert list(run.artifacts) == [
        "checkpoints/last/model.pt",
        "checkpoints/best/model.pt",
        "model.pt",
    ]


def test_the_source_may_change_or_go_as_soon_as_the_call_returns(
    run: Run, tmp_path: Path, held_keeper: threading.Event
) -> None:
    path = make(tmp_path / "model.pt", b"first")
    run.log_artifact(path)
    path.write_bytes(b"other")
    run.log_artifact(path)
    path.unlink()
    held_keeper.set()
    run.flush()

    assert [version.read_bytes() for version in run.artifacts.versions("model.pt")] == [
        b"first",
        b"other",
    ]


def test_a_folder_is_kept_with_its_hidden_files_and_deep_ones(
    run: Run, store: Path, tmp_path: Path, out: Path
) -> None:
    content = {
        "a.txt": b"a",
        ".hidden": b"h",
        "sub/.git/x": b"x",
        "sub/deep/er/b": b"",
        "ünï/损": b"u",
    }
    for name, data in content.items():
        make(tmp_path / "folder" / name, data)
    (tmp_path / "folder" / "empty").mkdir()
    run.log_artifacts(tmp_path / "folder")
    run.log_artifacts(f"{tmp_path}/folder/", "copy/of")
    run.flush()

    artifacts = MLOpsClient(store).get_run(run.id).artifacts
    assert {path: artifact.read_bytes() for path, artifact in artifacts.items()} == content | {
        f"copy/of/{name}": data for name, data in content.items()
    }


def test_a_folder_without_files_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder" / "empty").mkdir(parents=True)

    with pytest.raises(UsageError, match="holds no file"):
        run.log_artifacts(tmp_path / "folder")


def test_links_to_folders_are_not_followed_and_what_is_no_file_is_passed_over(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path / "secret" / "key", b"secret")
    make(tmp_path / "folder" / "a.txt", b"a")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "folder" / "loop").symlink_to(tmp_path / "folder")
    (tmp_path / "folder" / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "folder" / "pipe")
    run.log_artifacts(tmp_path / "folder")

    assert list(run.artifacts) == ["a.txt"]
    assert "pipe is not a plain file" in caplog.text


def test_a_path_logged_again_has_versions_oldest_first(
    run: Run, store: Path, tmp_path: Path
) -> None:
    for content in (b"1", b"22", b"333"):
        run.log_artifact(make(tmp_path / "model.pt", content))
    run.flush()

    artifacts = MLOpsClient(store).get_run(run.id).artifacts
    assert [version.read_bytes() for version in artifacts.versions("model.pt")] == [
        b"1",
        b"22",
        b"333",
    ]
    assert artifacts["model.pt"].size == 3


def test_the_same_content_twice_is_stored_once(run: Run, store: Path, tmp_path: Path) -> None:
    for _ in range(3):
        run.log_artifact(make(tmp_path / "model.pt", b"weights"))
        run.flush()

    assert list(kept(store).values()) == [b"weights"]
    assert {version.key for version in run.artifacts.versions("model.pt")} == {
        run.artifacts["model.pt"].key
    }
    assert run.artifacts["model.pt"].read_bytes() == b"weights"


@pytest.mark.parametrize(
    "name",
    ["损失.bin", "🦦", "café", "cafe\u0301", "with space", "-rf", "~", "a:b", "con", "%2e%2e",
     "a?b#c", "*", "$HOME", '"', "'", "..a", "a..", "<b>", "x" * 255, ".podstack-x"],
)  # fmt: skip
def test_a_file_of_any_name_comes_back_under_it(
    run: Run, store: Path, tmp_path: Path, out: Path, name: str
) -> None:
    run.log_artifact(make(tmp_path / "in" / name, b"content"))
    run.flush()

    found = MLOpsClient(store).get_run(run.id).artifacts
    assert list(found) == [name]
    assert found[name].download(out) == out / name
    assert files(out) == {name: b"content"}


def test_an_artifact_survives_a_kill_before_it_was_hashed(stage: Stage, tmp_path: Path) -> None:
    make(tmp_path / "model.pt", b"weights")
    stage.play("""
        from podstack.keeper import keeper
        keeper.submit(iter(lambda: time.sleep(600), 0))  # the background never comes to it
        run = client.start_run(run_id="r")
        run.log_artifact("model.pt")
        os._exit(1)
    """)

    artifact = stage.run().artifacts["model.pt"]
    assert artifact.sha256 is None
    assert artifact.read_bytes() == b"weights"


# Fetching ----------------------------------------------------------------------------------


def test_a_file_is_fetched_under_its_own_path(
    run: Run, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.log_artifact(make(tmp_path / "model.pt", b"weights"), "checkpoints")
    monkeypatch.chdir(out)

    artifact = run.artifacts["checkpoints/model.pt"]
    assert artifact.download("deep/er") == Path("deep/er/checkpoints/model.pt")
    assert artifact.download() == Path("checkpoints/model.pt")
    assert files(out) == {
        "deep/er/checkpoints/model.pt": b"weights",
        "checkpoints/model.pt": b"weights",
    }


def test_a_file_of_many_chunks_comes_back_whole(run: Run, tmp_path: Path, out: Path) -> None:
    content = os.urandom(1 << 20) * 20
    run.log_artifact(make(tmp_path / "big.bin", content))
    run.flush()

    artifact = run.artifacts["big.bin"]
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert artifact.read_bytes() == content
    assert artifact.download(out).read_bytes() == content


def test_fetching_replaces_an_older_file_in_one_piece(run: Run, tmp_path: Path, out: Path) -> None:
    make(out / "model.pt", b"older and longer")
    run.log_artifact(make(tmp_path / "model.pt", b"weights"))
    run.artifacts["model.pt"].download(out)

    assert files(out) == {"model.pt": b"weights"}


def test_an_unknown_artifact_is_an_error_that_names_the_nearest(run: Run, tmp_path: Path) -> None:
    run.log_artifact(make(tmp_path / "model.pt", b"weights"))

    with pytest.raises(NotFoundError, match=r"'modle\.pt' \(nearest of 1: model\.pt\)"):
        run.artifacts["modle.pt"]
    with pytest.raises(NotFoundError, match=r"nearest of 1: model\.pt"):
        run.artifacts.versions("modle.pt")


def test_an_artifact_that_was_asked_for_before_its_hash_was_known_can_be_read_after(
    run: Run, store: Path, tmp_path: Path, out: Path, held_keeper: threading.Event
) -> None:
    run.log_artifact(make(tmp_path / "model.pt", b"weights"))
    early = [MLOpsClient(store).get_run(run.id).artifacts["model.pt"] for _ in range(4)]
    assert early[0].sha256 is None
    held_keeper.set()
    run.flush()
    assert not any("incoming" in key for key in kept(store))

    assert early[0].read_bytes() == b"weights"
    assert early[1].download(out).read_bytes() == b"weights"
    assert early[2].get(1, 3) == b"ei"
    assert early[3].look().size == 7
    assert early[0].sha256 == early[1].sha256 == hashlib.sha256(b"weights").hexdigest()


def test_its_first_place_is_kept_until_the_line_that_names_the_second_is_durable(
    run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def refusing(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino in logs:
            raise OSError(errno.EIO, "the disk fails")
        real(descriptor)

    logs = {path.stat().st_ino for path in store.rglob("*.jsonl")}
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", refusing)
        run.log_artifact(make(tmp_path / "model.pt", b"weights"))
        assert not run.flush()
        assert sorted(kept(store).values()) == [b"weights", b"weights"]
    assert run.flush()

    assert list(kept(store).values()) == [b"weights"]
    assert run.artifacts["model.pt"].read_bytes() == b"weights"


@pytest.mark.parametrize("size", [100, 20 << 20])
@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied"])
def test_a_damaged_artifact_is_an_error_and_nothing_of_it_is_written(
    run: Run, store: Path, tmp_path: Path, out: Path, size: int, damage: str
) -> None:
    make(out / "model.pt", b"older")
    run.log_artifact(make(tmp_path / "model.pt", b"\0" * size))
    run.flush()
    (path,) = store.glob("projects/default/runs/*/artifacts/*/model.pt")
    with path.open("r+b") as file:
        if damage == "flipped":
            file.seek(size - 1)
            file.write(b"\1")
        file.truncate({"flipped": size, "cut": size - 1, "emptied": 0}[damage])

    artifact = run.artifacts["model.pt"]
    with pytest.raises(DamagedError, match=r"model\.pt") as caught:
        artifact.download(out)
    assert caught.value.key.endswith("/model.pt")
    with pytest.raises(DamagedError):
        artifact.read_bytes()
    assert files(out) == {"model.pt": b"older"}


def test_an_artifact_whose_file_is_gone_is_an_error_and_nothing_is_written(
    run: Run, store: Path, tmp_path: Path, out: Path
) -> None:
    run.log_artifact(make(tmp_path / "model.pt", b"weights"))
    run.flush()
    (path,) = store.glob("projects/default/runs/*/artifacts/*/model.pt")
    path.unlink()

    with pytest.raises(BlobMissing, match=r"model\.pt"):
        run.artifacts["model.pt"].download(out)
    assert files(out) == {}


# What strangers write ----------------------------------------------------------------------


@pytest.fixture
def planted(run: Run, store: Path, tmp_path: Path) -> Any:
    """A stored file, and a function that plants an entry for it under any path."""
    run.log_artifact(make(tmp_path / "good.txt", b"good"))
    run.flush()
    meta = store / "projects/default/runs" / run.id / "meta"
    entry = {
        "key": run.artifacts["good.txt"].key.split("/", 4)[4],
        "size": 4,
        "time": 1.0,
        "sha256": hashlib.sha256(b"good").hexdigest(),
    }

    def plant(path: str, **changes: Any) -> Any:
        write_op(meta, {f"artifacts/{path}": entry | changes})
        return MLOpsClient(store).get_run(run.id).artifacts

    return plant


@pytest.mark.parametrize(
    "path",
    ["../evil", "../../../../evil", "a/../../evil", "/evil", "//evil", "a//b", ".", "..", "", "a/",
     "..\\evil", "C:\\evil", "a\0b", "a\nb", "x" * 300],
)  # fmt: skip
def test_an_artifact_with_a_hostile_path_is_never_written_outside_the_target(
    planted: Any, tmp_path: Path, out: Path, path: str
) -> None:
    target = out / "one" / "two"
    before = {found for found in tmp_path.rglob("*") if "live" not in found.parts}
    artifact = planted(path)[path]

    with pytest.raises(UsageError, match="cannot name an artifact"):
        artifact.download(target)
    changed = {found for found in tmp_path.rglob("*") if "live" not in found.parts} ^ before
    assert all(found.parts[-2:] == ("meta", "stranger.jsonl") for found in changed)


@pytest.mark.parametrize(
    "key",
    ["../../../../../../secret", "artifacts/../../../../../../secret", "/etc/passwd",
     "artifacts//etc/passwd", "artifacts/./x", "artifacts", "", "podstack.json", 5, None,
     ["artifacts/x/y"], "meta/stranger.jsonl"],
)  # fmt: skip
def test_an_entry_that_points_out_of_its_runs_artifacts_is_passed_over(
    planted: Any, tmp_path: Path, key: Any
) -> None:
    make(tmp_path / "secret", b"secret")

    assert list(planted("evil", key=key)) == ["good.txt"]


def test_an_entry_that_points_to_a_link_out_of_the_store_is_not_followed(
    planted: Any, run: Run, store: Path, tmp_path: Path, out: Path
) -> None:
    make(tmp_path / "private" / "secret", b"secret")
    folder = store / "projects/default/runs" / run.id / "artifacts"
    (folder / "link").symlink_to(tmp_path / "private")
    (folder / "file").symlink_to(tmp_path / "private" / "secret")

    for key in ("artifacts/link/secret", "artifacts/file"):
        artifact = planted("evil", key=key, size=6, sha256=None)["evil"]
        with pytest.raises(BackendError, match="symbolic link"):
            artifact.download(out)
    assert files(out) == {}


@pytest.mark.parametrize(
    "wrong",
    [{"size": "big"}, {"size": None}, {"time": "now"}, {"sha256": 5}, {"size": []}],
    ids=str,
)
def test_an_entry_that_is_not_whole_costs_only_itself(planted: Any, wrong: dict[str, Any]) -> None:
    found = planted("evil", **wrong)

    assert {path: artifact.read_bytes() for path, artifact in found.items()} == {
        "good.txt": b"good"
    }


def test_an_entry_that_promises_more_than_there_is_is_damaged(planted: Any, out: Path) -> None:
    artifact = planted("evil", size=10**18)["evil"]

    with pytest.raises(DamagedError, match="ends after 4 of 1,000,000,000,000,000,000 bytes"):
        artifact.download(out)
    assert files(out) == {}


def test_an_artifact_reads_as_its_path_size_and_hash(run: Run, tmp_path: Path) -> None:
    run.log_artifact(make(tmp_path / "model.pt", b"weights"))
    run.flush()

    digest = hashlib.sha256(b"weights").hexdigest()[:12]
    assert repr(run.artifacts) == f"Artifact('model.pt', 7 bytes, {digest})"


def test_a_copy_that_a_second_look_contradicts_is_not_taken(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(b"new" * 700_000)
    copy.write_bytes(b"old" + b"new" * 699_999)
    same = intake._is_same(str(source), copy)
    copy.write_bytes(source.read_bytes())

    assert not same
    assert intake._is_same(str(source), copy)


def test_only_a_file_written_a_while_ago_is_taken_at_its_first_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    fresh = path.stat()
    monkeypatch.setattr(clock, "now", lambda: fresh.st_mtime + 1)
    os.utime(path, (fresh.st_mtime - 60, fresh.st_mtime - 60))
    old = path.stat()

    assert not intake._is_settled((fresh.st_size, fresh.st_mtime_ns))
    assert intake._is_settled((old.st_size, old.st_mtime_ns))
