"""A Stop that is pressed on a page ends the training of another process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from podstack.testing.browser import Watch
from podstack.testing.podstack_server import RunningServer

pytestmark = pytest.mark.ui

TRAINING = """
import sys, time
from podstack import MLOpsClient
with MLOpsClient(sys.argv[1]).start_run(run_id="live", capture=False) as run:
    print("begun", flush=True)
    deadline = time.monotonic() + 240
    while not run.should_stop and time.monotonic() < deadline:
        time.sleep(0.1)
    print("stopped" if run.should_stop else "late", flush=True)
"""


def test_stop_reaches_a_run_of_another_process(
    watch_at: Callable[[str], Watch], tmp_path: Path
) -> None:
    environment = {"PODSTACK_CACHE": str(tmp_path / "cache")}
    with RunningServer(tmp_path / "store", environment=environment) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", TRAINING, server.store],
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        try:
            assert child.stdout
            assert child.stdout.readline() == "begun\n"
            page = watch_at(server.url).open("/projects/default/runs/live")
            page.locator("#run-stop").click()
            page.get_by_role("dialog").get_by_role("button", name="Stop").last.click()

            assert child.stdout.readline() == "stopped\n"
        finally:
            child.kill()
            child.communicate()
