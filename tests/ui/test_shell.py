"""The top bar, the palette, the theme and the way in, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.ui


def test_the_palette_finds_by_a_few_letters_and_opens_by_enter(open_page) -> None:  # type: ignore[no-untyped-def]
    page: Page = open_page("/settings")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("keys")
    expect(page.get_by_role("option", selected=True)).to_contain_text("Keys")
    page.keyboard.press("Enter")

    expect(page).to_have_title("Keys · podstack")


def test_the_theme_is_kept_over_pages(open_page) -> None:  # type: ignore[no-untyped-def]
    page: Page = open_page("/settings")
    page.get_by_label("Dark", exact=True).check()
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_question_mark_shows_the_keys(open_page) -> None:  # type: ignore[no-untyped-def]
    page: Page = open_page("/settings")
    page.keyboard.press("?")

    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Search everything")


def test_the_first_stop_of_tab_leads_past_the_bar(open_page) -> None:  # type: ignore[no-untyped-def]
    page: Page = open_page("/settings")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()


def test_the_user_menu_goes_by_arrows_and_gives_the_focus_back(open_page) -> None:  # type: ignore[no-untyped-def]
    page: Page = open_page("/settings")
    page.locator("#open-user").click()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Keys")).to_be_focused()
    page.keyboard.press("Escape")

    expect(page.locator("#open-user")).to_be_focused()
