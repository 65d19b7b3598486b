"""The pages by keyboard alone, and that the list of keys is the truth about them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from podstack.testing.browser import press_at_once, settle
from tests.ui.conftest import Open, Site
from tests.ui.pages import OWNED, PAGES

pytestmark = pytest.mark.ui

Keys = dict[str, list[list[str]]]

# The very modules that the page runs: they are kept under their address.
_MODULE = """async ([name, what]) => {
  const url = performance.getEntriesByType('resource').map(e => e.name).find(n => n.endsWith(name));
  const found = (await import(url))[what];
  return typeof found === 'function' ? found() : found;
}"""
_LISTED = """() => Object.fromEntries([...document.querySelectorAll('.key-group')].map(group => [
  group.querySelector('h3').textContent,
  [...group.querySelectorAll('dl > div')].map(row => [
    [...row.querySelectorAll('kbd')].map(one => one.textContent).join(' '),
    row.querySelector('dd').textContent])]))"""


def module(page: Page, name: str, what: str) -> Any:
    return page.evaluate(_MODULE, [name, what])


def listed(page: Page) -> Keys:
    """What a list of keys on the page says: by group, keys and their meaning."""
    found: Keys = page.evaluate(_LISTED)
    return found


def written(keys: dict[str, str]) -> list[list[str]]:
    """Keys of the table as a list shows them."""
    return [
        [key.replace("+k", " K").replace("+", " ") if len(key) > 1 else key, label]
        for key, label in keys.items()
    ]


# The list ----------------------------------------------------------------------------------


def test_the_page_of_keys_lists_the_whole_table_and_the_pages_bind_all_of_it(
    open_page: Open, site: Site
) -> None:
    page = open_page("/help/keys")
    table = module(page, "core/key_table.js", "KEYS")
    assert listed(page) == {group["title"]: written(group["keys"]) for group in table.values()}

    where = {name: name for name in ("experiments", "runs", "compare")}
    where["notes"] = "experiment notes"
    assert {*where, "everywhere", "chart", "head"} == set(table)
    for name, path in where.items():
        page.goto(site.url + site.path(PAGES[path]))
        settle(page)
        bound = module(page, "core/keys.js", "bindings")
        for group in ("everywhere", name):
            told = [[one["key"], one["label"]] for one in bound
                    if one["group"] == table[group]["title"]]  # fmt: skip
            assert told == [[key, label] for key, label in table[group]["keys"].items()]
        assert {one["group"] for one in bound} == {table["everywhere"]["title"],
                                                   table[name]["title"]}  # fmt: skip


def test_a_question_mark_lists_the_keys_of_the_page_and_of_its_charts(
    open_page: Open, site: Site
) -> None:
    page = open_page(site.path(PAGES["metrics"]))
    table = module(page, "core/key_table.js", "KEYS")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()

    shown = {table[name]["title"]: written(table[name]["keys"]) for name in ("everywhere", "chart")}
    assert listed(page) == shown


def test_a_heading_has_the_keys_that_the_list_of_its_page_tells(
    open_page: Open, site: Site
) -> None:
    page = open_page(site.path(PAGES["runs"]))
    title = module(page, "core/key_table.js", "KEYS")["head"]["title"]
    heads = page.locator(".grid thead .head-sort")
    first, second = heads.nth(1).text_content() or "", heads.nth(2).text_content() or ""
    heads.nth(1).focus()
    page.keyboard.press("Alt+ArrowRight")
    expect(heads.nth(2)).to_have_text(first)
    expect(heads.nth(1)).to_have_text(second)
    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_role("menu")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()

    assert title in listed(page)


# Typing ------------------------------------------------------------------------------------

_LETTERS = "jkxcaot?/gery0 "


def test_keys_do_nothing_while_somebody_types(open_page: Open, site: Site) -> None:
    page = open_page(site.path(PAGES["experiments"]))
    theme = page.locator("html").get_attribute("data-theme")
    page.locator("#search").click()
    page.keyboard.type(_LETTERS)
    expect(page.locator("#search")).to_have_value(_LETTERS)
    page.locator("#search").fill("")
    page.locator("#new-experiment").click()
    page.get_by_label("Description").click()
    page.keyboard.type(_LETTERS)

    expect(page.get_by_label("Description")).to_have_value(_LETTERS)
    expect(page.locator("dialog")).to_have_count(1)
    expect(page.locator("html")).to_have_attribute("data-theme", theme or "")
    assert page.url.partition("?")[0] == site.url + site.path(PAGES["experiments"])


def test_a_letter_in_a_menu_chooses_there_and_nowhere_else(open_page: Open) -> None:
    page = open_page("/settings")
    theme = page.locator("html").get_attribute("data-theme")
    page.locator("#open-user").click()
    expect(page.get_by_role("menuitem", name="Settings")).to_be_focused()
    page.keyboard.press("k")
    expect(page.get_by_role("menuitem", name="Keys")).to_be_focused()
    page.keyboard.press("t")

    expect(page.locator("html")).to_have_attribute("data-theme", theme or "")
    expect(page.get_by_role("menu")).to_have_count(1)


# Ways --------------------------------------------------------------------------------------


def test_two_runs_are_found_and_compared_without_a_pointer(open_page: Open, site: Site) -> None:
    page = open_page(site.path(PAGES["experiments"]))
    for key in ("j", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**/experiments/*")
    settle(page)
    for key in ("j", "x", "j", "x", "c"):
        page.keyboard.press(key)
    page.wait_for_url("**/compare?**")
    settle(page)
    expect(page.locator("#main h1")).to_contain_text("ompar")
    press_at_once(page, "ge")

    page.wait_for_url("**/experiments")


@pytest.mark.parametrize("name", ["runs", "metrics"])
def test_the_first_stop_of_a_page_leads_past_its_bar(
    name: str, open_page: Open, site: Site
) -> None:
    page = open_page(site.path(OWNED[name]))
    page.keyboard.press("Tab")
    skip = page.locator("a.skip")
    expect(skip).to_be_focused()
    box = skip.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")

    assert page.evaluate("() => document.activeElement.closest('main') !== null")


# Dialogs -----------------------------------------------------------------------------------

_OUTSIDE = """() => document.activeElement !== document.body
  && document.activeElement.closest('dialog') === null"""


def opened_from(page: Page, opener: str, key: str) -> None:
    """A dialog opened by a key, with the focus on an element of the page."""
    page.locator(opener).focus()
    page.keyboard.press(key)
    expect(page.locator("dialog[open]")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "openers"),
    [
        (
            "experiments",
            {"#new-experiment": "Enter", "#open-palette": "Control+k", "#open-user": "?"},
        ),
        ("runs", {"#columns": "Enter"}),
    ],
)
def test_a_dialog_holds_the_focus_and_escape_gives_it_back(
    name: str, openers: dict[str, str], open_page: Open, site: Site
) -> None:
    page = open_page(site.path(PAGES[name]))
    for opener, key in openers.items():
        opened_from(page, opener, key)
        assert page.evaluate("() => document.activeElement.closest('dialog[open]') !== null")
        for _ in range(12):
            page.keyboard.press("Tab")
            assert not page.evaluate(_OUTSIDE)
        page.keyboard.press("Escape")

        expect(page.locator("dialog[open]")).to_have_count(0)
        expect(page.locator(opener)).to_be_focused()


# Movement ----------------------------------------------------------------------------------

_MOVES = """() => [...document.querySelectorAll('*')].filter(one => {
    const style = getComputedStyle(one);
    const moves = text => text.split(', ').some(time => parseFloat(time) > 0);
    return style.animationName !== 'none' || moves(style.transitionDuration)
      || style.scrollBehavior === 'smooth';
  }).map(one => one.outerHTML.slice(0, 120))"""


def test_nothing_moves_for_whoever_asks_for_that(open_page: Open, site: Site) -> None:
    page = open_page(site.path(PAGES["metrics"]))  # `Watch` asks for reduced motion

    assert page.evaluate(_MOVES) == []
    assert page.evaluate("() => document.getAnimations().length") == 0
