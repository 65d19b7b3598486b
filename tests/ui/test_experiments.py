"""The list of experiments in a browser, over a store of its own that the tests may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from podstack import MLOpsClient
from podstack.testing.browser import Held, Watch, look_again, painted, refuse
from podstack.testing.podstack_server import RunningServer

pytestmark = pytest.mark.ui

LIST = "/projects/default/experiments"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("experiments")
    client = MLOpsClient(folder / "store")
    for name, tags in (("vision", ["image", "base"]), ("words", ["base"]), ("sound", [])):
        made = client.create_experiment(name, f"What {name} needs", tags)
        for number in range(2):
            with client.start_run(made.id, params={"lr": number}, capture=False) as run:
                run.log_metrics({"val/acc": 0.5 + number / 10}, step=0)
    with RunningServer(
        folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield server


@pytest.fixture
def listed(own: RunningServer, watch_at: Callable[[str], Watch]) -> Page:
    """The three that no test changes for good."""
    page: Page = watch_at(own.url).open(f"{LIST}?q=needs")
    return page


def names(page: Page) -> list[str]:
    return page.locator("#experiments tbody .name-line a").all_inner_texts()


def test_a_row_tells_runs_and_the_best_value(listed: Page) -> None:
    row = listed.get_by_role("row").filter(has_text="vision")

    expect(row).to_contain_text("What vision needs")
    expect(row).to_contain_text("0.6")
    expect(row).to_contain_text("highest val/acc")


def test_search_tags_and_order_are_in_the_link(listed: Page) -> None:
    listed.locator("[data-tag=base]").click()
    listed.locator("#sort").select_option("name")
    expect(listed.locator("#experiments tbody tr")).to_have_count(2)
    listed.reload()

    expect(listed.locator("#experiments tbody tr")).to_have_count(2)
    assert names(listed) == ["vision", "words"]


def test_what_excludes_everything_is_said_and_taken_back(listed: Page) -> None:
    listed.locator("#search").fill("nothing like it")
    expect(listed.locator("#experiments")).to_contain_text("nothing like it")
    listed.get_by_role("button", name="Show all").click()

    expect(listed.get_by_label("Select words")).to_be_visible()


def test_what_was_archived_comes_back_by_undo(listed: Page, own: RunningServer) -> None:
    listed.get_by_label("Select sound").check()
    listed.get_by_label("Select words").check()
    listed.locator("#selection").get_by_role("button", name="Archive").click()
    expect(listed.locator("#experiments tbody tr")).to_have_count(1)
    listed.get_by_role("button", name="Undo").click()
    expect(listed.locator("#experiments tbody tr")).to_have_count(3)

    stored = MLOpsClient(own.url).list_experiments(status="all").to_dicts()
    assert [row["name"] for row in stored if row["archived"]] == []


def test_what_was_deleted_is_on_a_shelf_of_its_own(listed: Page) -> None:
    listed.get_by_label("Actions on sound").click()
    listed.get_by_role("menuitem", name="Delete").click()
    listed.locator("[data-status=deleted]").click()
    expect(listed.locator("#experiments tbody tr")).to_have_count(1)
    listed.get_by_label("Actions on sound").click()
    listed.get_by_role("menuitem", name="Bring back").click()
    listed.locator('[data-status=""]').click()

    expect(listed.locator("#experiments tbody tr")).to_have_count(3)


def test_an_experiment_is_edited_in_place(listed: Page, own: RunningServer) -> None:
    MLOpsClient(own.url).create_experiment("draft")
    listed.goto(f"{own.url}{LIST}?q=draft")
    listed.locator("#search").fill("")
    listed.get_by_label("Actions on draft").click()
    listed.get_by_role("menuitem", name="Edit").click()
    listed.get_by_label("Name", exact=True).fill("texts")
    listed.get_by_role("textbox", name="Tags").fill("nlp, base")
    listed.get_by_role("button", name="Save").click()

    expect(listed.get_by_role("row").filter(has_text="texts")).to_contain_text("nlp")


def test_a_new_one_without_a_name_keeps_the_dialog_open(listed: Page) -> None:
    listed.keyboard.press("c")
    listed.get_by_role("button", name="Create").click()
    expect(listed.get_by_role("alert")).to_have_text("Give it a name.")
    listed.keyboard.press("Escape")

    expect(listed.get_by_role("dialog")).to_have_count(0)


def test_enter_in_a_field_makes_edits_and_tags(listed: Page, own: RunningServer) -> None:
    listed.keyboard.press("c")
    listed.get_by_label("Name", exact=True).fill("by enter")
    listed.keyboard.press("Enter")
    listed.wait_for_url("**/experiments/by-enter*")
    listed.goto(f"{own.url}{LIST}?q=enter")
    listed.get_by_label("Actions on by enter").click()
    listed.get_by_role("menuitem", name="Edit").click()
    listed.get_by_label("Description").fill("line")
    listed.keyboard.press("Enter")  # in a text of several lines it is a line
    listed.get_by_role("textbox", name="Tags").fill("quick")
    listed.keyboard.press("Enter")
    row = listed.get_by_role("row").filter(has_text="by enter")
    expect(row).to_be_focused()  # though it was drawn anew while the dialog was open
    listed.keyboard.press("x")
    listed.locator("#selection").get_by_role("button", name="Add tags").click()
    listed.get_by_role("textbox", name="Tags").fill("more")
    listed.keyboard.press("Enter")

    expect(listed.get_by_role("dialog")).to_have_count(0)
    expect(row.locator(".tag")).to_have_text(["more", "quick"])


def test_a_dialog_gives_the_focus_back_to_the_menu_s_button(listed: Page) -> None:
    button = listed.get_by_label("Actions on words")
    button.click()
    listed.get_by_role("menuitem", name="Edit").click()
    expect(listed.get_by_label("Name", exact=True)).to_be_focused()
    listed.keyboard.press("Escape")

    expect(button).to_be_focused()


def test_choosing_moves_no_row(listed: Page) -> None:
    box = listed.get_by_label("Select words")
    before = box.bounding_box()
    box.click()

    expect(listed.locator("#selection")).to_be_visible()
    assert box.bounding_box() == before


def test_settings_are_saved_by_enter_and_what_they_end_comes_back(
    listed: Page, own: RunningServer
) -> None:
    MLOpsClient(own.url).create_experiment("kept", "before")
    listed.goto(f"{own.url}{LIST}/kept/settings")
    listed.get_by_label("Name", exact=True).fill("held")
    listed.keyboard.press("Enter")
    expect(listed.get_by_text("Saved")).to_be_visible()
    expect(listed.locator("h1")).to_have_text("held")
    listed.get_by_role("button", name="Archive").click()
    listed.get_by_role("button", name="Restore").click()
    expect(listed.get_by_role("button", name="Archive")).to_be_visible()
    listed.get_by_role("button", name="Delete").click()
    listed.get_by_role("button", name="Undo").click()
    expect(listed.get_by_role("button", name="Delete")).to_be_enabled()

    stored = MLOpsClient(own.url).get_experiment("held")
    assert (stored.description, stored.archived) == ("before", False)


def test_a_phone_edits_from_the_row_s_menu(
    own: RunningServer, watch_at: Callable[[str], Watch]
) -> None:
    page: Page = watch_at(own.url).open(f"{LIST}?q=needs", width=390)
    assert not page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
    row = page.get_by_role("row").filter(has_text="vision")
    expect(row).to_contain_text("completed · 2 runs · val/acc 0.6")
    row.get_by_label("Actions on vision").click()
    page.get_by_role("menuitem", name="Edit").click()

    expect(page.get_by_label("Name", exact=True)).to_have_value("vision")


def test_keys_walk_choose_and_open(listed: Page) -> None:
    for key in ("j", "j", "x"):
        listed.keyboard.press(key)
    expect(listed.locator("#selection")).to_contain_text("1 selected")
    listed.keyboard.press("x")

    expect(listed.locator("#selection")).to_be_hidden()


def test_a_run_that_begins_meanwhile_is_counted(listed: Page, own: RunningServer) -> None:
    client = MLOpsClient(own.url)
    made = client.create_experiment("late")
    with client.start_run(made.id, capture=False) as run:
        run.log_metrics({"loss": 1.0}, step=0)

    listed.locator("#search").fill("late")
    expect(listed.get_by_role("row").filter(has_text="late")).to_be_visible()


def test_an_empty_store_teaches_six_lines_with_its_own_address(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    with RunningServer(tmp_path / "store") as server:
        page: Page = watch_at(server.url).open(LIST)

        expect(page.locator(".snippet")).to_contain_text(server.url)
        page.close()


def test_what_a_dialog_asked_for_is_asked_once(listed: Page, own: RunningServer) -> None:
    held = Held(listed, "**/experiments", method="POST")
    listed.keyboard.press("c")
    listed.get_by_label("Name", exact=True).fill("twice")
    listed.keyboard.press("Enter")
    first = held.next()
    listed.keyboard.press("Enter")
    painted(listed)
    assert held.waiting == []
    first.continue_()

    listed.wait_for_url("**/experiments/twice*")


def test_what_fails_after_its_dialog_was_closed_is_still_told(
    own: RunningServer, watch_at: Callable[[str], Watch]
) -> None:
    page = _forgiving(own, watch_at)
    held = Held(page, "**/experiments", method="POST")
    page.keyboard.press("c")
    page.get_by_label("Name", exact=True).fill("refused")
    page.keyboard.press("Enter")
    route = held.next()
    page.keyboard.press("Escape")
    refuse(route)

    expect(page.locator("#toasts")).to_contain_text("The store is asleep.")


def _forgiving(own: RunningServer, watch_at: Callable[[str], Watch]) -> Page:
    """The three, where the server may refuse."""
    watch = watch_at(own.url)
    watch.allowed.append("503")
    return watch.open(f"{LIST}?q=needs")


def test_a_look_from_before_does_not_bring_back_what_was_archived(listed: Page) -> None:
    held = Held(listed, "**/api/**/experiments?*")
    look_again(listed)
    look = held.next()
    before = look.fetch()
    listed.get_by_label("Actions on sound").click()
    listed.get_by_role("menuitem", name="Archive").click()
    expect(listed.locator("#experiments tbody tr")).to_have_count(2)
    with listed.expect_response("**/api/**/experiments?*"):
        look.fulfill(response=before)
    painted(listed)

    assert sorted(names(listed)) == ["vision", "words"]
    listed.get_by_role("button", name="Undo").click()
    expect(listed.locator("#experiments tbody tr")).to_have_count(3)


def test_what_comes_while_a_menu_is_open_is_drawn_after_it(
    listed: Page, own: RunningServer
) -> None:
    listed.get_by_label("Actions on sound").click()
    made = MLOpsClient(own.url).create_experiment("needs nothing")
    with listed.expect_response("**/api/**/experiments?*"):
        look_again(listed)
    painted(listed)
    expect(listed.get_by_role("menu")).to_be_visible()
    listed.keyboard.press("Escape")
    with listed.expect_response("**/api/**/experiments?*"):
        look_again(listed)

    expect(listed.locator("#experiments tbody tr")).to_have_count(4)
    made.delete()


def test_what_comes_while_a_button_is_pressed_does_not_take_the_click(
    listed: Page, own: RunningServer
) -> None:
    held = Held(listed, "**/api/**/experiments?*")
    made = MLOpsClient(own.url).create_experiment("needs a look")
    look_again(listed)
    look = held.next()
    box = listed.locator("[data-tag=base]").bounding_box()
    assert box is not None
    listed.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    listed.mouse.down()
    with listed.expect_response("**/api/**/experiments?*") as told:
        look.continue_()
    told.value.finished()
    painted(listed)
    listed.mouse.up()

    expect(listed.locator("[data-tag=base]")).to_have_attribute("aria-pressed", "true")
    listed.locator("[data-tag=base]").click()
    expect(listed.locator("#experiments tbody tr")).to_have_count(4)  # it came after the press
    made.delete()


def test_a_notice_stays_while_the_focus_is_on_it(listed: Page) -> None:
    listed.clock.install()
    listed.reload()
    listed.get_by_label("Actions on sound").click()
    listed.get_by_role("menuitem", name="Archive").click()
    undo = listed.get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    listed.locator(".toast").dispatch_event("pointerleave")  # the tests' own pointer is on it
    undo.focus()
    listed.clock.run_for(60_000)
    undo.press("Enter")

    expect(listed.get_by_label("Select sound")).to_be_visible()


def test_what_could_not_be_tagged_keeps_its_words_and_the_others_their_undo(
    own: RunningServer, watch_at: Callable[[str], Watch]
) -> None:
    page = _forgiving(own, watch_at)
    page.get_by_label("Select sound").check()
    page.get_by_label("Select words").check()
    page.route("**/experiments/words*", refuse)
    page.locator("#selection").get_by_role("button", name="Add tags").click()
    page.get_by_role("textbox", name="Tags").fill("loud")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_have_text("Not tagged: words. The store is asleep.")
    expect(page.get_by_role("textbox", name="Tags")).to_have_value("loud")
    expect(page.get_by_role("row").filter(has_text="sound").locator(".tag")).to_have_text("loud")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("row").filter(has_text="sound").locator(".tag")).to_have_count(0)
