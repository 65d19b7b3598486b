"""The pages of a run in a browser: renaming, notes of two people, alerts, a Stop that arrives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from podstack import MLOpsClient
from podstack.testing.browser import Watch
from podstack.testing.podstack_server import RunningServer

pytestmark = pytest.mark.ui

TRAINING = """
import sys, time
from podstack import MLOpsClient
with MLOpsClient(sys.argv[1]).start_run(run_id="live", capture=False) as run:
    print("begun", flush=True)
    deadline = time.monotonic() + 60
    while not run.should_stop and time.monotonic() < deadline:
        time.sleep(0.1)
    print("stopped" if run.should_stop else "late", flush=True)
"""
REACHING = """<p>logged</p><script>
try { parent.document.title = "reached"; } catch { document.querySelector("p").append(" caged"); }
</script>"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("run-pages")
    (folder / "page.html").write_text(REACHING)
    for name in ("one", "notes", "alerts"):
        client = MLOpsClient(folder / "store")
        with client.start_run(run_id=name, params={"lr": 0.1}, capture=False) as run:
            run.log_artifact(folder / "page.html")
            for step in range(10):
                run.log_metrics({"loss": float(step)}, step=step)
    with RunningServer(
        folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield server


@pytest.fixture
def opened(own: RunningServer, watch_at: Callable[[str], Watch]) -> Callable[[str], Page]:
    def page(path: str) -> Page:
        found: Page = watch_at(own.url).open(f"/projects/default/runs/{path}")
        return found

    return page


def test_an_alert_is_tried_on_what_was_logged_and_then_made(
    opened: Callable[[str], Page],
) -> None:
    page = opened("alerts/alerts")
    page.locator("#alert-condition").fill("loss > 5")
    expect(page.locator("#alert-tried")).to_contain_text("step 6")
    page.get_by_role("button", name="Create alert").click()

    expect(page.locator("#alerts")).to_contain_text("loss > 5")


def test_notes_keep_themselves(opened: Callable[[str], Page], own: RunningServer) -> None:
    page = opened("notes/notes")
    page.locator("#notes-text").fill("## Tried\n\n**warmup**")
    expect(page.locator("#notes-state")).to_have_text("Saved")

    expect(page.locator("#notes-preview strong")).to_have_text("warmup")
    assert MLOpsClient(own.store).get_run("notes").notes == "## Tried\n\n**warmup**"


def test_a_page_that_was_logged_cannot_reach_this_one(opened: Callable[[str], Page]) -> None:
    page = opened("one/artifacts/page.html")
    page.locator("summary").filter(has_text="Show as a page").click()

    expect(page.frame_locator(".preview-frame").locator("p")).to_have_text("logged caged")
    assert "reached" not in page.title()


def test_stop_reaches_a_run_of_another_process(
    opened: Callable[[str], Page], own: RunningServer, tmp_path: Path
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", TRAINING, own.store], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        assert child.stdout
        assert child.stdout.readline() == "begun\n"
        page = opened("live")
        page.locator("#run-stop").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop").last.click()

        assert child.stdout.readline() == "stopped\n"
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.communicate()
