"""Which folders count as elsewhere, because a network lies between."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from podstack import MLOpsClient, mounts
from podstack.mounts import is_on_network, parsed, type_of
from podstack.testing.remote import waiting

MOUNTINFO = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /home rw - nfs4 filer:/home rw,vers=4.2
31 30 0:27 / /home/me/fast rw - xfs /dev/sdb rw
32 22 0:28 / /mnt/with\040space rw shared:9 master:3 - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/data/store", "ext4"),
        ("/home", "nfs4"),
        ("/homestead", "ext4"),
        ("/home/me/store", "nfs4"),
        ("/home/me/fast/store", "xfs"),
        ("/mnt/with space/x", "fuse.sshfs"),
    ],
)
def test_the_innermost_mount_tells_the_type(path: str, kind: str) -> None:
    assert type_of(path, parsed(MOUNTINFO)) == kind


def test_of_two_mounts_at_one_place_the_later_one_counts() -> None:
    assert type_of("/x/y", [("/x", "nfs"), ("/x", "ext4")]) == "ext4"
    assert type_of("relative", [("/x", "nfs")]) == ""


def test_what_is_no_mount_is_passed_over() -> None:
    assert parsed("nonsense\n1 2 3 - \n") == []


@pytest.fixture
def on_tmpfs() -> Iterator[Path]:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        if type_of(os.path.realpath(folder), mounts._mounts()) != "tmpfs":
            pytest.skip("/dev/shm is no tmpfs here")
        yield Path(folder)


def test_a_store_on_a_network_filesystem_is_written_by_way_of_the_spool(
    on_tmpfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_on_network(str(on_tmpfs / "store"))
    monkeypatch.setenv("PODSTACK_NETWORK_FILESYSTEMS", "tmpfs")
    assert is_on_network(str(on_tmpfs / "store"))

    client = MLOpsClient(on_tmpfs / "store")
    with client.start_run(run_id="r", capture=False) as run:
        for step in range(100):
            run.log_metrics({"x": step / 2}, step=step)
        assert waiting()

    monkeypatch.delenv("PODSTACK_NETWORK_FILESYSTEMS")
    read = MLOpsClient(on_tmpfs / "store").get_run("r")
    assert (read.status, len(read.metrics["x"])) == ("completed", 100)
    assert waiting() == []
