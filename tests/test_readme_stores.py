"""What the README tells a reader to type for stores elsewhere, typed into a shell."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from podstack.testing.s3_servers import (
    RcloneServer,
    credentials,
    free_port,
    paired_port,
    program,
)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

if shutil.which("bash") is None:
    pytest.skip("these lines are typed into bash", allow_module_level=True)


def first_shell_block(title: str) -> str:
    section = README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def typed(
    lines: str,
    folder: Path,
    *,
    tools: Sequence[str] = (),
    deadline: float = 270.0,
    **environment: str,
) -> str:
    """What the lines print; they must end well. What they leave running is ended.

    Args:
        tools: programs without which they would wait for ever; where one is missing, we skip.
    """
    script = f"trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT\n{lines}"
    places = [str(Path(program(tool)).parent) for tool in tools]
    path = os.pathsep.join([str(Path(sys.executable).parent), *places, os.environ["PATH"]])
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PODSTACK_FINISH_TIMEOUT": "240", **environment, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # bash hears of nothing while a command hangs
        said, _ = process.communicate()
    logs = [f"{log.name}:\n{log.read_text()[-4000:]}" for log in folder.glob("*.log")]
    assert process.returncode == 0, "\n".join([said, *logs])
    return said


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines wait for the server by curl")
def test_a_server_with_two_projects_shows_each_token_its_own(folder: Path) -> None:
    lines = first_shell_block("A server for a team").replace("8321", str(free_port()))

    said = typed(lines, folder)

    assert "not for carol" in said
    assert said.count("completed") == 3  # ada's and bob's own tables, and carol's of ada's run
    assert not list((folder / "spool").rglob("*.jsonl"))


def test_a_laptop_that_was_offline_sends_all_in_one_command_and_twice_is_once(
    folder: Path,
) -> None:
    lines = first_shell_block("Offline, copies, moving")
    with RcloneServer() as server:
        url = server.url(server.new_bucket(), "team")
        said = typed(lines + "podstack runs\n", folder, PODSTACK_URI=url, **credentials())

    assert said.count("objects (") == 1
    assert said.count("has all of") == 2
    assert said.count("completed") == 2  # the script's own table, and the store's
    assert not list((folder / "spool").rglob("metrics/*/*"))


@pytest.mark.slow
@pytest.mark.timeout(330)
def test_several_machines_record_into_a_bucket_and_another_reads(folder: Path) -> None:
    lines = first_shell_block("Into a bucket, without a server")
    ports = {name: str(paired_port()) for name in ("s3", "master", "volume", "filer")}
    flags = " ".join(f"-{name}.port={port}" for name, port in ports.items())
    lines = lines.replace("8333", ports["s3"]).replace("9333", ports["master"])
    # Its catalogues have fixed ports, and one server that finds a port taken ends: the shell would
    # wait for it for ever.
    flags += " -s3.port.iceberg=0 -s3.port.lance=0 -master.telemetry=false"
    lines = lines.replace("weed server -s3", f"weed server -s3 {flags}")

    said = typed(lines, folder, tools=["weed"])

    table = said[said.rindex("created  ") :]
    assert table.count("completed") == 3
    assert table.count("ada") == 2
    assert table.count("bob") == 1
