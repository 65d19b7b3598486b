"""Stores in a folder: the contract, and what is special about paths, errors and crashes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from podstack.backend import CanLook, LocalStore, StampedFolders, open_backend
from podstack.errors import BackendError, BlobMissing, UsageError
from podstack.testing.backend_suite import LocalStoreSuite, Peek


def local(url: str | os.PathLike[str]) -> LocalStore:
    backend = open_backend(os.fspath(url))
    assert isinstance(backend, LocalStore)
    return backend


class TestLocalBackend(LocalStoreSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> LocalStore:
        return local(tmp_path / "store")

    @pytest.fixture
    def peek(self, tmp_path: Path) -> Peek:
        def peek(key: str) -> bytes | None:
            path = tmp_path / "store" / key
            return path.read_bytes() if path.is_file() else None

        return peek


def test_the_folder_of_a_store_may_itself_be_a_link(tmp_path: Path) -> None:
    """As on clusters, where /data is one. Links inside are refused all the same."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    backend = local(tmp_path / "link")
    backend.put("a/b", b"content")
    with os.fdopen(backend.open_append("a/log"), "wb") as log:
        log.write(b"line\n")
    (tmp_path / "real" / "inner").symlink_to(tmp_path / "real" / "a")

    assert (tmp_path / "real" / "a" / "b").read_bytes() == backend.get("a/b") == b"content"
    assert [info.key for info in backend.list()] == ["a/b", "a/log"]
    assert list(backend.list_dirs()) == ["a"]
    with pytest.raises(BackendError, match="leads through a symbolic link"):
        backend.get("inner/b")


# URLs and paths --------------------------------------------------------------------------------


def test_a_file_url_and_a_bare_path_are_the_same_store(tmp_path: Path) -> None:
    local(tmp_path / "runs").put("a", b"content")

    for url in (f"file://{tmp_path}/runs", f"file:{tmp_path}/runs", f"FILE://{tmp_path}/runs/"):
        assert local(url).get("a") == b"content"
        assert local(url).url == str(tmp_path / "runs")


def test_percent_signs_are_escapes_in_a_file_url_and_text_in_a_path(tmp_path: Path) -> None:
    local(f"file://{tmp_path}/my%20runs%C3%A9").put("a", b"url")
    local(f"{tmp_path}/my%20runs").put("a", b"path")

    assert (tmp_path / "my runsé" / "a").read_bytes() == b"url"
    assert (tmp_path / "my%20runs" / "a").read_bytes() == b"path"


@pytest.mark.parametrize("url", ["~/runs", "file:~/runs", "file://~/runs"])
def test_a_tilde_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    local(url).put("a", b"content")

    assert (tmp_path / "runs" / "a").read_bytes() == b"content"


@pytest.mark.parametrize("url", ["runs", "./runs", "file:runs", "other/../runs"])
def test_a_relative_path_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    backend = local(url)
    monkeypatch.chdir(tmp_path / "elsewhere")

    backend.put("a", b"content")

    assert (tmp_path / "runs" / "a").read_bytes() == b"content"
    assert backend.url == str(tmp_path / "runs")


@pytest.mark.parametrize("url", ["", "file:", "file://", "with\0nul"], ids=repr)
def test_an_url_that_names_no_folder_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="names no folder"):
        open_backend(url)


def test_opening_and_reading_make_nothing(tmp_path: Path) -> None:
    backend = local(tmp_path / "store")

    assert list(backend.list()) == []
    assert list(backend.list("a/b")) == []
    assert list(backend.list_dirs()) == []
    with pytest.raises(BlobMissing):
        backend.get("a")
    backend.delete("a")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_a_file_lists_nothing_and_refuses_writes(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"not a folder")
    backend = local(tmp_path / "store")

    assert list(backend.list()) == []
    with pytest.raises(BackendError) as caught:
        backend.put("a", b"x")
    assert not isinstance(caught.value, BlobMissing)
    assert (tmp_path / "store").read_bytes() == b"not a folder"


def test_deleting_the_last_blob_leaves_the_store_and_no_folders_in_it(tmp_path: Path) -> None:
    backend = local(tmp_path / "store")
    backend.put("a/b/c", b"x")
    backend.delete("a/b/c")

    assert list(tmp_path.iterdir()) == [tmp_path / "store"]
    assert list((tmp_path / "store").iterdir()) == []


# Folders ---------------------------------------------------------------------------------------


def test_a_folder_that_changed_lately_has_no_stamp(tmp_path: Path) -> None:
    """Nor has what is no folder: another change might not show."""
    backend = local(tmp_path)
    assert isinstance(backend, StampedFolders)
    backend.put("a/b", b"x")
    os.utime(tmp_path / "a", (1, 1))  # as `rsync -a` does: the inode's own change is still young

    assert list(backend.folder_stamps(["a", "none", "a/b"])) == ["", "", ""]


def test_a_folder_that_gains_or_loses_a_name_gets_another_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstack.backends.local._TICK", 20_000_000)  # ns, so as not to wait long
    backend = local(tmp_path)
    assert isinstance(backend, StampedFolders)
    backend.put("a/b", b"x")
    first = wait_for_stamp(backend, "a")
    backend.put("a/c", b"x")
    second = wait_for_stamp(backend, "a")
    backend.delete("a/b")
    third = wait_for_stamp(backend, "a")

    assert len({first, second, third}) == 3
    assert wait_for_stamp(backend, "a") == third


def wait_for_stamp(backend: StampedFolders, folder: str) -> str:
    pause = threading.Event()
    for _ in range(3000):
        (stamp,) = backend.folder_stamps([folder])
        if stamp:
            return stamp
        pause.wait(0.01)
    raise TimeoutError(folder)


def test_folders_are_named_also_where_they_are_empty(tmp_path: Path) -> None:
    backend = local(tmp_path)
    assert isinstance(backend, StampedFolders)
    backend.put("a/c/x", b"x")
    backend.put("a/x", b"x")
    (tmp_path / "a" / "b").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path)

    assert list(backend.folder_names("a/")) == ["b", "c"]
    assert list(backend.folder_names("none/")) == []


# Errors ----------------------------------------------------------------------------------------


def test_an_error_of_the_system_keeps_its_number(tmp_path: Path) -> None:
    backend = local(tmp_path / "store")
    too_long = "a/" + "x" * 300

    for call in (
        lambda: backend.put(too_long, b"x"),
        lambda: backend.put_hint(too_long, b"x"),
        lambda: backend.get(too_long),
        lambda: backend.open_append(too_long),
    ):
        with pytest.raises(BackendError, match="name too long") as caught:
            call()
        assert caught.value.errno == errno.ENAMETOOLONG
        assert (caught.value.url, caught.value.key) == (str(tmp_path / "store"), too_long)


_PUT_WITH_LITTLE_ROOM = """
import errno, resource, sys
from podstack.backend import open_backend
from podstack.errors import BackendError

store = open_backend(sys.argv[1])
store.put("a/b", b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # a disk with room for 1,000 bytes
for write in (store.put, store.put_hint):
    try:
        write("a/b", b"x" * 5000)
    except BackendError as error:
        assert error.errno == errno.EFBIG, error.errno
        assert error.key == "a/b"
        print(error)
    else:
        raise SystemExit("it was stored")
"""


def test_a_full_disk_says_so_and_keeps_the_old_blob(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _PUT_WITH_LITTLE_ROOM, str(tmp_path / "store")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.count("File too large") == 2
    assert [path.name for path in (tmp_path / "store" / "a").iterdir()] == ["b"]
    assert (tmp_path / "store" / "a" / "b").read_bytes() == b"old"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere"
)
def test_a_folder_without_rights_says_so(tmp_path: Path) -> None:
    backend = local(tmp_path / "store")
    backend.put("a/b", b"x")
    (tmp_path / "store" / "a").chmod(0o500)
    try:
        with pytest.raises(BackendError, match="denied") as caught:
            backend.put("a/b", b"y")
    finally:
        (tmp_path / "store" / "a").chmod(0o700)

    assert caught.value.errno == errno.EACCES
    assert backend.get("a/b") == b"x"


# Crashes ---------------------------------------------------------------------------------------

_PUT_FROM_A_PIPE = """
import sys
from pathlib import Path
from podstack.backend import open_backend

open_backend(sys.argv[1]).put("a/blob", Path(sys.argv[2]))
"""


def test_what_a_killed_put_leaves_behind_is_no_blob(tmp_path: Path) -> None:
    """The source is a pipe that never ends, so the kill surely falls into the copy."""
    backend = local(tmp_path / "store")
    backend.put("a/blob", b"old")
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen(
        [sys.executable, "-c", _PUT_FROM_A_PIPE, str(tmp_path / "store"), str(tmp_path / "pipe")]
    )
    try:
        with open(tmp_path / "pipe", "wb", buffering=0) as pipe:  # waits for the other end
            for _ in range(8):  # more than a pipe holds: the copy has begun
                pipe.write(b"x" * 65_536)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=240)
    finally:
        process.kill()
        process.wait(timeout=240)

    assert len(list((tmp_path / "store" / "a").iterdir())) == 2  # the blob, and half of the next
    assert [info.key for info in backend.list()] == ["a/blob"]
    assert backend.get("a/blob") == b"old"

    backend.delete("a/blob")

    assert list(backend.list_dirs()) == []


def test_a_listing_shows_what_replaced_an_entry_that_vanished_meanwhile(tmp_path: Path) -> None:
    """Always one of two blobs is there: the next is written before the last is deleted."""
    backend = open_backend(str(tmp_path))
    names = [tmp_path / "folder/a", tmp_path / "folder/b"]
    names[0].parent.mkdir()
    names[0].touch()
    enough = threading.Event()

    def replace() -> None:
        while not enough.is_set():
            for new, old in (names[::-1], names):
                new.touch()
                old.unlink()

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        empty = sum(not list(backend.list("folder/")) for _ in range(1500))
    finally:
        enough.set()
        thread.join(240)

    assert empty == 0


def test_looking_at_one_blob_tells_what_a_listing_tells(tmp_path: Path) -> None:
    backend = open_backend(str(tmp_path))
    assert isinstance(backend, CanLook)
    backend.put("a/b", b"one")
    (tmp_path / "a/link").symlink_to(tmp_path / "a/b")

    assert [backend.look("a/b")] == list(backend.list())
    for absent in ("a", "a/c", "a/b/c", "a/link"):
        with pytest.raises(BlobMissing):
            backend.look(absent)
