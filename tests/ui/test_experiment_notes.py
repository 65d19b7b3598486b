"""The Notes tab of an experiment in a browser: what is read, found, and drawn as one reads on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from podstack import MLOpsClient
from podstack.server.ui.notes_page import AT_ONCE
from podstack.testing.browser import refuse
from podstack.testing.podstack_server import RunningServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from podstack.testing.browser import Watch

pytestmark = pytest.mark.ui

_RUNS = 2 * AT_ONCE + 5
_PATH = "/projects/default/experiments/diary/notes"


@pytest.fixture(scope="module")
def diary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """45 runs with notes, the fourth of which is of a needle, and one run without notes."""
    folder = tmp_path_factory.mktemp("diary")
    client = MLOpsClient(folder / "store")
    client.create_experiment("diary", description="Why **we** do it\n\n- first\n- then")
    client.create_experiment("blank")
    for number in range(_RUNS + 1):
        with client.start_run(experiment="diary", run_id=f"r{number:02}", capture=False) as run:
            run.log_metrics({"val_acc": number / 100, "val_loss": 1.0}, step=0)
            if number < _RUNS:
                word = "a needle" if number == 3 else "hay"
                run.set_notes(f"# Tried {number}\n\nFound {word} in it, <b>no tag</b>.")
    environment = {"PODSTACK_CACHE": str(folder / "cache")}
    with RunningServer(folder / "store", environment=environment) as server:
        yield server


@pytest.fixture
def opened(watch_at: Callable[[str], Watch], diary: RunningServer) -> Page:
    return watch_at(diary.url).open(_PATH)


def test_description_and_notes_are_read_newest_first_with_what_judges_the_run(
    opened: Page,
) -> None:
    notes = opened.locator("#notes article")
    first = notes.first
    expect(opened.locator(".markdown").first.locator("li")).to_have_count(2)
    expect(opened.locator("#notes-count")).to_have_text(f"{_RUNS} runs with notes")
    expect(first).to_have_attribute("data-run", f"r{_RUNS - 1}")  # the newest one has no notes
    expect(first.locator(".markdown h2")).to_have_text(f"Tried {_RUNS - 1}")
    expect(first.locator(".markdown")).to_contain_text("<b>no tag</b>")
    expect(first.locator(".note-facts")).to_contain_text(re.compile(r"val_acc\s+0\.44"))
    assert first.locator(".dot").evaluate("(dot) => dot.style.background")
    first.locator("h2 a").first.click()
    opened.wait_for_url(f"**/runs/r{_RUNS - 1}/notes")


def test_notes_come_as_one_reads_on_and_each_once(opened: Page) -> None:
    notes = opened.locator("#notes article")
    expect(notes).not_to_have_count(_RUNS)
    while (shown := notes.count()) < _RUNS:
        notes.last.scroll_into_view_if_needed()
        opened.mouse.wheel(0, 20_000)
        expect(notes).not_to_have_count(shown)
    runs = notes.evaluate_all("(all) => all.map((one) => one.dataset.run)")
    assert runs == [f"r{number:02}" for number in reversed(range(_RUNS))]
    expect(opened.locator("#notes-more")).to_be_hidden()


def test_what_is_typed_is_found_in_all_notes_and_stands_in_the_link(opened: Page) -> None:
    notes = opened.locator("#notes article")
    opened.keyboard.press("/")
    opened.keyboard.type("needle FOUND")
    expect(notes).to_have_count(1)
    expect(notes).to_have_attribute("data-run", "r03")
    expect(opened.locator("#notes-count")).to_have_text("1 run with notes that match")
    opened.reload()
    expect(notes).to_have_count(1)
    opened.locator("#q").fill("nowhere'; --")
    expect(opened.locator("#notes .empty-title")).to_have_text("No notes hold “nowhere'; --”")
    opened.get_by_role("link", name="Show all notes").click()
    expect(notes.first).to_have_attribute("data-run", f"r{_RUNS - 1}")


def test_an_experiment_without_notes_says_how_they_are_written(
    watch_at: Callable[[str], Watch], diary: RunningServer
) -> None:
    page = watch_at(diary.url).open("/projects/default/experiments/blank/notes")
    expect(page.locator("#notes .empty-title")).to_have_text("No run has notes yet")
    expect(page.locator("#notes pre")).to_contain_text("run.set_notes(")
    expect(page.get_by_role("link", name="Notes")).to_have_attribute("aria-current", "page")


def test_a_search_that_fails_is_not_answered_by_other_notes(
    watch_at: Callable[[str], Watch], diary: RunningServer
) -> None:
    watch = watch_at(diary.url)
    watch.allowed.append("503")
    page = watch.open(_PATH)
    page.route("**/notes?q=needle*", refuse)
    page.locator("#q").fill("needle")
    expect(page.locator("#notes-count")).to_have_text("The server answered 503.")
    expect(page.locator("#notes article")).to_have_count(0)
    page.unroute("**/notes?q=needle*")
    page.locator("#notes-more button").click()

    expect(page.locator("#notes article")).to_have_count(1)
    expect(page.locator("#notes article")).to_have_attribute("data-run", "r03")
