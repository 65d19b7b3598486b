"""Which folders count as elsewhere: by their filesystem, and by what the user says of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from podstack import MLOpsClient, mounts
from podstack.keeper import keeper
from podstack.testing.stage import DEADLINE

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
40 22 0:35 / /home rw,relatime shared:20 - nfs4 server:/home rw,vers=4.2
41 40 0:36 / /home/ann/scratch rw - tmpfs tmpfs rw
42 22 0:37 / /mnt/with\040space rw - fuse.sshfs ann@host: rw
43 22 0:38 / /mnt/twice rw - cifs //host/share rw
44 22 0:39 / /mnt/twice rw - ext4 /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/ann/store", "nfs4"),
        ("/homes/ann", "ext4"),
        ("/home/ann/scratch/store", "tmpfs"),
        ("/mnt/with space/x", "fuse.sshfs"),
        ("/mnt/twice/x", "ext4"),
    ],
)
def test_the_innermost_and_latest_mount_holds_a_folder(path: str, kind: str) -> None:
    assert mounts.type_of(path, mounts.parsed(MOUNTINFO)) == kind


def test_where_nothing_is_known_of_mounts_every_folder_is_local() -> None:
    assert mounts.type_of("/home", mounts.parsed("no such lines\n")) == ""


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder on another filesystem than the tests' own: /dev/shm is a tmpfs."""
    if not Path("/dev/shm").is_dir():
        pytest.skip("there is no /dev/shm")
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield folder
    keeper.wait(DEADLINE)  # a finished run is sealed in the background
    shutil.rmtree(folder)


def test_a_folder_on_a_network_filesystem_is_written_through_the_spool(
    in_memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_NETWORK_FILESYSTEMS", "nfs, tmpfs")
    client = MLOpsClient(in_memory / "store")
    (tmp_path / "model.bin").write_bytes(b"weights")
    with client.start_run(run_id="r") as run:
        run.log_metrics({"x": 1.0})
        waits = list((tmp_path / "spool").rglob("metrics/*/000000.jsonl"))
        run.log_artifact(tmp_path / "model.bin")
    stored = [path.name for path in (in_memory / "store").rglob("metrics/*/*")]
    monkeypatch.setenv("PODSTACK_NETWORK_FILESYSTEMS", "")
    read = MLOpsClient(in_memory / "store").get_run("r")

    assert len(waits) == 1
    assert stored == ["000000.jsonl.gz"]
    assert list((tmp_path / "spool").rglob("metrics/*/*")) == []
    assert (read.status, read.metrics["x"].last) == ("completed", 1.0)
    assert read.artifacts["model.bin"].read_bytes() == b"weights"


def test_a_folder_of_this_machine_is_written_directly(
    in_memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_NETWORK_FILESYSTEMS", "nfs")
    with MLOpsClient(in_memory / "store").start_run(run_id="r") as run:
        run.log_metrics({"x": 1.0})

    assert not (tmp_path / "spool").exists()
    assert len(list((in_memory / "store").rglob("metrics/*/000000.jsonl"))) == 1
