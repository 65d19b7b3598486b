"""The pages of a run, in a browser: what is changed on them stays, and nothing is overwritten."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from podstack import MLOpsClient, Run
from podstack.testing.browser import Watch
from podstack.testing.podstack_server import RunningServer

pytestmark = pytest.mark.ui


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose runs may be changed: the other one's are shared."""
    folder = tmp_path_factory.mktemp("own")
    environment = {"PODSTACK_CACHE": str(folder / "cache")}
    with RunningServer(folder / "store", environment=environment) as server:
        yield server


@pytest.fixture
def run(own: RunningServer) -> Run:
    with MLOpsClient(own.url).start_run(name="first", params={"lr": 0.1}, capture=False) as run:
        for step in range(5):
            run.log_metrics({"loss": 1.0 / (step + 1)}, step=step)
    return run


@pytest.fixture
def strict(watch_at: object, own: RunningServer) -> Watch:
    watch: Watch = watch_at(own.url)  # type: ignore[operator]
    return watch


def opened(watch: Watch, run: Run, tab: str = "") -> Page:
    return watch.open(f"/projects/default/runs/{run.id}{tab}")


def test_enter_in_the_dialog_renames_a_run(strict: Watch, run: Run) -> None:
    page = opened(strict, run)
    page.get_by_role("button", name="Rename this run").click()
    page.get_by_role("textbox", name="Name").fill("<b>second</b>")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("<b>second</b>")
    page.reload()

    expect(page.locator("h1")).to_have_text("<b>second</b>")


def test_tags_are_written_between_commas(strict: Watch, run: Run) -> None:
    page = opened(strict, run)
    page.get_by_role("button", name="Add tags").click()
    page.get_by_role("textbox", name="Tags").fill("best, a b,, <i>,")
    page.get_by_role("button", name="Save").click()

    expect(page.locator("#run-tags .tag")).to_have_text(["<i>", "a b", "best"])


def test_a_cancelled_dialog_changes_nothing(strict: Watch, run: Run) -> None:
    page = opened(strict, run)
    page.get_by_role("button", name="Rename this run").click()
    page.get_by_role("textbox", name="Name").fill("never")
    page.get_by_role("button", name="Cancel").click()
    page.reload()

    expect(page.locator("h1")).to_have_text("first")


def test_a_deleted_run_says_so_and_comes_back(strict: Watch, run: Run) -> None:
    page = opened(strict, run)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This run is deleted")).to_be_visible()
    page.get_by_role("button", name="Undo").click()

    expect(page.get_by_text("This run is deleted")).to_be_hidden()


def test_notes_are_kept_by_themselves_and_never_over_anothers(
    strict: Watch, own: RunningServer, run: Run
) -> None:
    strict.allowed.append("409")  # the conflict is what is tested
    page = opened(strict, run, "/notes")
    text = page.get_by_label("Notes in Markdown")
    text.fill("## Mine")
    expect(page.locator("#notes-state")).to_have_text("Saved")
    expect(page.locator("#notes-preview h3")).to_have_text("Mine")
    MLOpsClient(own.url).get_run(run.id).set_notes("Theirs")
    text.fill("## Mine again")
    lines = page.get_by_label("What differs, line by line")
    expect(lines.locator(".is-theirs")).to_have_text(re.compile("theirs: Theirs"))
    expect(lines.locator(".is-mine")).to_have_text(re.compile("yours: ## Mine again"))
    page.get_by_role("button", name="Keep both").click()
    expect(page.locator("#notes-state")).to_have_text("Saved")
    page.reload()

    expect(text).to_have_value("Theirs\n\n## Mine again")


def test_a_condition_is_tried_before_it_becomes_an_alert(strict: Watch, run: Run) -> None:
    page = opened(strict, run, "/alerts")
    page.get_by_label("Condition").fill("loss > 0.4")
    tried = "It would have fired at step 0 (1)."
    expect(page.locator("#alert-tried")).to_have_text(tried)
    chart = page.locator("#alert-chart-host")
    expect(chart).to_have_attribute("data-flags", "1")
    expect(chart.get_by_role("button", name="would have fired at step 0 (1)")).to_be_visible()
    page.get_by_role("button", name="Create alert").click()
    page.get_by_role("button", name="Remove the alert loss > 0.4").click()
    page.get_by_role("button", name="Remove", exact=True).click()

    expect(page.get_by_text("No alerts", exact=True)).to_be_visible()


def test_notes_begin_with_a_template_that_goes_once_there_are_some(strict: Watch, run: Run) -> None:
    page = opened(strict, run, "/notes")
    start = page.get_by_role("button", name="Start from a template")
    start.click()

    expect(page.locator("#notes-state")).to_have_text("Saved")
    expect(page.locator("#notes-preview h3").first).to_have_text("Question")
    expect(start).to_be_hidden()
