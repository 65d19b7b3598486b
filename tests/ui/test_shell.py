"""The top bar, the palette, the theme and the way in, in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page, expect

from podstack.testing.browser import Watch
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


def test_a_token_leads_on_to_the_page_that_was_wanted_and_out_again(
    watch_at: Callable[[str], Watch], guarded: RunningServer
) -> None:
    page = watch_at(guarded.url).context().new_page()
    page.goto(f"{guarded.url}/projects/default/search?q=a")
    page.get_by_label("Token").fill(guarded.admin)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{guarded.url}/projects/default/search?q=a")
    page.goto(f"{guarded.url}/login?next=/settings")  # straight on, for there is a session
    expect(page).to_have_title("Settings · podstack")
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
    page.get_by_role("button", name="New token").click()
    page.get_by_label("User").fill("ann")
    page.get_by_role("button", name="Create").click()
    expect(page.locator(".secret")).to_contain_text("pst_")
    page.get_by_role("button", name="Done").click()
    row = page.get_by_role("row").filter(has_text="ann")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()

    expect(row).to_contain_text("revoked")


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
