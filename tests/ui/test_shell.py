"""The top bar, the palette, the theme and the way in, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page, expect

from podstack.testing.browser import Held, Watch, painted, refuse
from podstack.testing.podstack_server import RunningServer

pytestmark = pytest.mark.ui


def test_the_palette_finds_by_a_few_letters_and_opens_by_enter(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/settings")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("keys")
    expect(page.get_by_role("option", selected=True)).to_contain_text("Keys")
    page.keyboard.press("Enter")

    expect(page).to_have_title("Keys · podstack")


def test_enter_in_the_palette_waits_for_what_was_typed(open_page: Callable[..., Page]) -> None:
    page = open_page("/projects/default/experiments")
    held = Held(page, "**/search?*")
    page.keyboard.press("Control+k")
    expect(page.locator(".palette [aria-selected=true]")).to_contain_text("Experiments")
    page.get_by_role("combobox", name="Search everything").fill("image-classifier")
    page.keyboard.press("Enter")
    held.next().continue_()
    held.release()  # where one was asked before Enter, Enter asks anew

    page.wait_for_url("**/experiments/image-classifier*")


def test_the_palette_keeps_nothing_that_was_found_for_other_words(
    watch: Watch, open_page: Callable[..., Page]
) -> None:
    watch.allowed.append("503")
    page = open_page("/projects/default/experiments")
    page.route("**/search?*", refuse)
    page.keyboard.press("Control+k")
    expect(page.locator(".palette [role=option]")).not_to_have_count(0)
    page.get_by_role("combobox", name="Search everything").fill("image-classifier")

    expect(page.get_by_text("The store is asleep.")).to_be_visible()
    expect(page.locator(".palette [role=option]")).to_have_count(0)


def test_a_menu_that_the_server_refuses_says_why(
    watch: Watch, open_page: Callable[..., Page]
) -> None:
    watch.allowed.append("503")
    page = open_page("/settings")
    page.route("**/api/v1/projects", refuse)
    page.locator("#open-project").click()

    expect(page.locator("#toasts")).to_contain_text("The store is asleep.")


def test_a_menu_that_is_asked_for_twice_is_there_once(open_page: Callable[..., Page]) -> None:
    page = open_page("/settings")
    held = Held(page, "**/api/v1/projects")
    page.locator("#open-project").click()
    page.locator("#open-project").click()
    held.next().continue_()
    painted(page)
    assert held.waiting == []  # a second answer would open it again, whatever one does by then
    expect(page.get_by_role("menuitemradio", name="default").last).to_be_focused()
    page.keyboard.press("Escape")

    expect(page.get_by_role("menu")).to_have_count(0)


def test_an_icon_that_does_not_come_is_no_error(
    watch: Watch, open_page: Callable[..., Page]
) -> None:
    watch.allowed.append("503")
    page = watch.context().new_page()
    page.route("**/icons/*.svg", refuse)
    page.goto("/projects/default/experiments/image-classifier/charts")
    expect(page.locator(".rail-eye").first).to_be_visible()

    expect(page.locator("parsererror")).to_have_count(0)


def test_the_theme_is_kept_over_pages(open_page: Callable[..., Page]) -> None:
    page = open_page("/settings")
    page.get_by_label("Dark", exact=True).check()
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_question_mark_shows_the_keys(open_page: Callable[..., Page]) -> None:
    page = open_page("/settings")
    page.keyboard.press("?")

    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Search everything")


def test_the_first_stop_of_tab_leads_past_the_bar(open_page: Callable[..., Page]) -> None:
    page = open_page("/settings")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()


def test_the_user_menu_goes_by_arrows_and_gives_the_focus_back(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/settings")
    page.locator("#open-user").click()
    expect(page.get_by_role("menuitem", name="Settings")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Keys")).to_be_focused()
    page.keyboard.press("Escape")

    expect(page.locator("#open-user")).to_be_focused()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that asks for tokens."""
    environment = {"PODSTACK_CACHE": str(tmp_path / "cache")}
    with RunningServer(tmp_path / "store", tokens=True, environment=environment) as server:
        yield server


def _at_settings(page: Page) -> None:
    """Wait until they are there, with the scripts that make their buttons do something."""
    page.wait_for_url("**/settings")
    expect(page).to_have_title("Settings · podstack")


def test_a_token_leads_on_to_the_page_that_was_wanted_and_out_again(
    watch_at: Callable[[str], Watch], guarded: RunningServer
) -> None:
    page = watch_at(guarded.url).context().new_page()
    page.goto(f"{guarded.url}/projects/default/search?q=a")
    page.get_by_label("Token").fill(guarded.admin)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{guarded.url}/projects/default/search?q=a")
    straight_on = f"{guarded.url}/login?next=/settings"
    page.goto(straight_on, wait_until="commit")  # it leaves at once, for there is a session
    _at_settings(page)
    page.locator("#open-user").click()
    page.get_by_role("menuitem", name="Log out").click()

    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_a_link_of_another_site_arrives_with_the_session(
    watch_at: Callable[[str], Watch], guarded: RunningServer
) -> None:
    page = watch_at(guarded.url).context().new_page()
    page.goto(f"{guarded.url}/login?next=/settings")
    page.get_by_label("Token").fill(guarded.admin)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_title("Settings · podstack")
    wanted = f"{guarded.url}/projects/default/search?q=b"
    with serving(f'<a href="{wanted}">look at this</a>') as chat:
        page.goto(chat)
        page.get_by_text("look at this").click()

        expect(page).to_have_url(wanted)


def test_a_new_token_is_shown_once_and_can_be_revoked(
    watch_at: Callable[[str], Watch], guarded: RunningServer
) -> None:
    page = watch_at(guarded.url).context().new_page()
    page.goto(f"{guarded.url}/login?next=/settings")
    page.get_by_label("Token").fill(guarded.admin)
    page.get_by_role("button", name="Log in").click()
    _at_settings(page)
    page.get_by_role("button", name="New token").click()
    page.get_by_label("User").fill("ann")
    page.get_by_role("button", name="Create").click()
    expect(page.locator(".secret")).to_contain_text("pst_")
    page.get_by_role("button", name="Done").click()
    row = page.get_by_role("row").filter(has_text="ann")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()

    expect(row).to_contain_text("revoked")


def test_a_token_that_could_not_be_revoked_says_why(
    watch_at: Callable[[str], Watch], guarded: RunningServer
) -> None:
    watch = watch_at(guarded.url)
    watch.allowed.append("503")
    page = watch.context().new_page()
    page.goto(f"{guarded.url}/login?next=/settings")
    page.get_by_label("Token").fill(guarded.admin)
    page.get_by_role("button", name="Log in").click()
    page.route("**/tokens/*", refuse)
    page.get_by_role("button", name="Revoke").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()

    expect(page.locator("#toasts")).to_contain_text("The store is asleep.")


def test_a_link_that_the_server_could_not_look_at_is_good_still(
    watch_at: Callable[[str], Watch], guarded: RunningServer
) -> None:
    watch = watch_at(guarded.url)
    watch.allowed += ["503", "401"]
    page = watch.context().new_page()
    page.route("**/session/code", refuse)
    page.goto(f"{guarded.url}/login#a-code")
    expect(page.locator("#problem")).to_have_text("The store is asleep.")
    expect(page).to_have_url(re.compile("#a-code$"))
    page.unroute("**/session/code")
    page.reload()

    expect(page.locator("#problem")).to_contain_text("not good here")
    expect(page).not_to_have_url(re.compile("#a-code$"))


@contextmanager
def serving(body: str) -> Iterator[str]:
    """The address of a page of another site: `localhost`, for 127.0.0.1 is podstack's."""

    class Chat(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nothing: the log of the tests is not its place."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/page"
        server.shutdown()
        thread.join()
