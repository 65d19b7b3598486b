"""The disk of the spool is full: the loop goes on, and all of it arrives once there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from podstack.testing.remote import Remote
from podstack.testing.stage import Stage
from podstack.testing.verdict import judge

FULL_AND_FREED = """
disk = os.environ["PODSTACK_SPOOL"]
run = client.start_run(run_id="r", capture=False)
for i in range(1000): log(run, i)
run.flush(200)
with open(f"{disk}/filler", "ab", buffering=0) as filler:
    for size in (65_536, 1):
        try:
            while True:
                filler.write(bytes(size))
        except OSError:
            pass
for i in range(1000, 20_000): log(run, i)
print("full", run.flush(0.5), run.dropped, flush=True)
os.unlink(f"{disk}/filler")
time.sleep(2.5)
print("freed", run.flush(200), run.dropped, flush=True)
run.finish()
"""


@pytest.fixture
def small_spool(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here, which needs root: {error}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=240)


def test_a_spool_on_a_full_disk_heals_and_loses_nothing(
    far_http: Stage, over_http: Remote, small_spool: Path
) -> None:
    ended = far_http.play(FULL_AND_FREED, environment={"PODSTACK_SPOOL": str(small_spool)})
    verdict = judge(over_http.folder, "r", far_http.acked())

    assert ended.code == 0, ended.err
    assert ended.out.split() == ["full", "False", "0", "freed", "True", "0"], ended.err
    assert "Training goes on" in ended.err
    assert verdict.clean, verdict
