"""The pages of a run, in a browser: what is changed on them stays, and nothing is overwritten."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from podstack import MLOpsClient, Run
from podstack.testing.browser import Held, Watch, look_again, painted, refuse
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


def test_words_typed_before_a_conflict_is_known_ask_once(
    strict: Watch, own: RunningServer, run: Run
) -> None:
    strict.allowed.append("409")  # the conflict is what is tested
    page = opened(strict, run, "/notes")
    MLOpsClient(own.url).get_run(run.id).set_notes("Theirs")
    held = Held(page, "**/notes", method="PUT")
    text = page.get_by_label("Notes in Markdown")
    text.fill("Mine")
    first = held.next()
    drawn = Held(page, "**/markdown", method="POST")
    text.press_sequentially(" and more")
    first.continue_()
    drawn.next().continue_()  # what was typed since is drawn, and would be kept
    drawn.release()
    expect(page.get_by_role("dialog")).to_be_visible()
    held.release()
    page.get_by_role("button", name="Keep mine").click()

    expect(page.locator("#notes-state")).to_have_text("Saved")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert MLOpsClient(own.url).get_run(run.id).notes == "Mine and more"


def test_notes_that_a_form_would_change_are_left_as_they_are(
    strict: Watch, own: RunningServer, run: Run
) -> None:
    odd = "\n\nTwo lines\r\nof DOS"
    MLOpsClient(own.url).get_run(run.id).set_notes(odd)
    page = opened(strict, run, "/notes")

    expect(page.locator("#notes-text")).to_have_value(odd.replace("\r\n", "\n"))
    page.locator("#notes-text").click()  # before which a browser would not ask
    page.reload()  # nor does it now: there is nothing to lose
    expect(page.locator("#notes-text")).to_be_editable()
    assert MLOpsClient(own.url).get_run(run.id).notes == odd


def test_notes_are_not_called_saved_while_newer_words_are_not(strict: Watch, run: Run) -> None:
    page = opened(strict, run, "/notes")
    state = page.locator("#notes-state")
    page.evaluate(
        """() => {
          window.said = [];
          const state = document.getElementById("notes-state");
          const text = document.getElementById("notes-text");
          new MutationObserver(() => window.said.push([state.textContent, text.value]))
            .observe(state, {childList: true, characterData: true, subtree: true});
        }"""
    )
    held = Held(page, "**/notes", method="PUT")
    text = page.get_by_label("Notes in Markdown")
    text.fill("One")
    first = held.next()
    text.fill("One, two")
    first.continue_()
    held.next().continue_()
    expect(state).to_have_text("Saved")

    said = page.evaluate("() => window.said.filter(([words]) => words === 'Saved')")
    assert said == [["Saved", "One, two"]]


def test_what_was_typed_before_the_script_came_is_kept(strict: Watch, run: Run) -> None:
    page = strict.context().new_page()
    held = Held(page, "**/run_notes.js")
    page.goto(f"/projects/default/runs/{run.id}/notes", wait_until="commit")
    script = held.next()
    page.get_by_label("Notes in Markdown").fill("Early")
    script.continue_()

    expect(page.locator("#notes-state")).to_have_text("Saved")
    expect(page.locator("#notes-preview")).to_have_text("Early")


def test_a_preview_of_older_words_does_not_replace_a_newer_one(strict: Watch, run: Run) -> None:
    page = opened(strict, run, "/notes")
    held = Held(page, "**/markdown", method="POST")
    text = page.get_by_label("Notes in Markdown")
    text.fill("older")
    older = held.next()
    text.fill("newer")
    held.next().continue_()
    shown = page.locator("#notes-preview")
    expect(shown).to_have_text("newer")
    with page.expect_response("**/markdown"):
        older.continue_()
    painted(page)

    expect(shown).to_have_text("newer")


def test_going_back_shows_the_notes_as_they_are_by_now(
    strict: Watch, own: RunningServer, run: Run
) -> None:
    page = opened(strict, run, "/notes")
    text = page.get_by_label("Notes in Markdown")
    text.fill("Mine")
    expect(page.locator("#notes-state")).to_have_text("Saved")
    page.get_by_role("link", name="Parameters").click()
    page.wait_for_url("**/params")
    MLOpsClient(own.url).get_run(run.id).set_notes("Theirs")
    page.go_back()

    expect(text).to_have_value("Theirs")


def test_a_run_that_ends_takes_no_dialog_away(strict: Watch, own: RunningServer) -> None:
    with MLOpsClient(own.url).start_run(name="going", capture=False) as run:
        run.log_metrics({"loss": 1.0}, step=0)
        run.flush()
        page = opened(strict, run)
        page.locator("#edit-name").click()
        page.get_by_role("textbox", name="Name").fill("gone")
        held = Held(page, "**/changes?*")  # an answer that was asked for before is no news
    look_again(page)
    look = held.next()
    answer = look.fetch()
    assert answer.json()["status"] == "completed"
    look.fulfill(response=answer)
    held.release()
    painted(page)
    expect(page.get_by_role("textbox", name="Name")).to_have_value("gone")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    look_again(page)

    expect(page.locator("#run-status")).to_contain_text("completed")
    expect(page.locator("h1")).to_have_text("gone")


def test_what_an_alert_would_have_done_is_not_said_of_other_words(strict: Watch, run: Run) -> None:
    page = opened(strict, run, "/alerts")
    page.get_by_label("Condition").fill("loss > 0.4")
    expect(page.locator("#alert-chart-host")).to_have_attribute("data-flags", "1")
    held = Held(page, "**/alerts/test", method="POST")
    page.get_by_label("Condition").fill("loss > 9")
    expect(page.locator("#alert-tried")).to_have_text("")
    held.next().continue_()
    expect(page.locator("#alert-tried")).to_have_text("It would not have fired so far.")
    page.get_by_label("Condition").fill("")

    expect(page.locator("#alert-tried")).to_have_text("")
    expect(page.locator("#alert-chart")).to_be_hidden()


def test_an_alert_is_made_once_and_can_be_tried_again(strict: Watch, run: Run) -> None:
    strict.allowed.append("503")
    page = opened(strict, run, "/alerts")
    held = Held(page, "**/alerts", method="POST")
    page.get_by_label("Condition").fill("loss > 0.4")
    make = page.get_by_role("button", name="Create alert")
    make.click()
    first = held.next()
    page.get_by_label("Condition").press("Enter")
    painted(page)
    assert held.waiting == []
    refuse(first)
    expect(page.locator("#alert-tried")).to_have_text("The store is asleep.")
    held.release()
    make.click()

    expect(page.get_by_role("button", name="Remove the alert loss > 0.4")).to_have_count(1)


def test_why_no_alert_was_made_is_not_replaced_by_what_it_would_have_done(
    strict: Watch, run: Run
) -> None:
    strict.allowed.append("503")
    page = opened(strict, run, "/alerts")
    tried = Held(page, "**/alerts/test", method="POST")
    made = Held(page, "**/alerts", method="POST")
    page.get_by_label("Condition").fill("loss > 0.4")
    late = tried.next()
    page.get_by_role("button", name="Create alert").click()
    refuse(made.next())
    expect(page.locator("#alert-tried")).to_have_text("The store is asleep.")
    with page.expect_response("**/alerts/test") as told:
        late.continue_()
    told.value.finished()
    painted(page)

    expect(page.locator("#alert-tried")).to_have_text("The store is asleep.")
