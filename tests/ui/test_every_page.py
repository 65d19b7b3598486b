"""Every page on stores of every kind, as strict as a browser can be told to be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from podstack.testing.browser import (
    Watch,
    axe_findings,
    overflow,
    painted,
    resize,
    settle,
)
from tests.ui.conftest import Open, Site
from tests.ui.pages import EMPTY, PAGES, SHORT, WITHOUT_SWEEPS

pytestmark = pytest.mark.ui

_HEAD = """() => [document.title, document.querySelectorAll('h1').length,
  document.querySelectorAll('main').length, document.documentElement.lang,
  document.querySelectorAll('[data-state=error]').length]"""
_DRAWN = """() => [...document.querySelectorAll('[data-points]')]
  .some(chart => Number(chart.dataset.points) > 100)"""
_STOPS = """() => [...document.querySelectorAll('a[href],button,input,select,textarea,summary')]
  .filter(e => !e.disabled && e.tabIndex >= 0 && e.type !== 'hidden'
    && e.checkVisibility({visibilityProperty: true}) && !e.closest('[inert]')).length"""
_FOCUS = """() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  if (at === document.body) return null;
  at.dataset.reached = '1';
  const shows = style.outlineStyle !== 'none' || style.boxShadow !== 'none'
    || getComputedStyle(at.closest('label, .field, td, tr') ?? at).outlineStyle !== 'none';
  return shows && box.width > 0 ? '' : at.outerHTML.slice(0, 160);
}"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_works_for_everyone(name: str, open_page: Open, site: Site) -> None:
    page = open_page(site.path(PAGES[name]))
    faults = [f"head: {fault}" for fault in headless(page)]
    faults += [f"light: {finding}" for finding in axe_findings(page)]
    page.emulate_media(color_scheme="dark")
    settle(page)
    faults += [f"dark: {finding}" for finding in axe_findings(page)]
    faults += [f"keyboard: {fault}" for fault in unreached(page)]
    faults += [f"print: {fault}" for fault in unprinted(page)]
    resize(page, 390, 844)
    faults += [f"phone: {fault}" for fault in overflow(page)]

    assert faults == []


def headless(page: Page) -> list[str]:
    """What a page lacks that a screen reader, a tab or a search looks for."""
    title, headings, mains, language, errors = page.evaluate(_HEAD)
    lacks = {"a title": not title, "one h1": headings != 1, "one main": mains != 1}
    lacks |= {"a language": language != "en", "panels without an error": errors > 0}
    return [f"lacks {what}" for what, lacking in lacks.items() if lacking]


def unreached(page: Page) -> list[str]:
    """Stops of the Tab key that show no focus, or a Tab key that gets nowhere."""
    stops = page.evaluate(_STOPS)
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    faults, reached = set(), 0
    for _ in range(min(stops, 25)):
        page.keyboard.press("Tab")
        fault = page.evaluate(_FOCUS)
        reached += fault is not None
        faults |= {f"focus does not show on {fault}"} if fault else set()
    if reached < min(stops, 25) - 1:  # the last one may be the browser's own
        faults.add(f"{reached} of {stops} stops reached")
    return sorted(faults)


def unprinted(page: Page) -> list[str]:
    """What of a printed page is too wide, or black ink all over."""
    page.emulate_media(media="print", color_scheme="light")
    painted(page)  # what follows the width of its place does so a frame later
    faults = overflow(page)
    page.emulate_media(media="screen")
    return faults


@pytest.mark.parametrize("short", SHORT)
def test_a_short_link_leads_to_the_page(short: str, open_page: Open, site: Site) -> None:
    page = open_page(site.path(short))

    assert page.url == site.url.rstrip("/") + site.path(SHORT[short])


@pytest.mark.parametrize("name", EMPTY)
def test_a_page_without_data_says_what_to_do(
    name: str, sites: Callable[[str], Site], watch_at: Callable[[str], Watch]
) -> None:
    page = watch_at(sites("empty").url).open(EMPTY[name])

    assert headless(page) == []
    assert axe_findings(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_hostile_texts_shows_them_as_text(
    name: str, sites: Callable[[str], Site], watch_at: Callable[[str], Watch]
) -> None:
    site = sites("hostile")
    page = watch_at(site.url).open(site.path(PAGES[name]))
    page.wait_for_timeout(100)  # for an attack to call home; the fixture would tell

    assert headless(page) == []
    assert page.evaluate("() => document.querySelectorAll('main script, main base').length") == 0


@pytest.mark.parametrize("name", WITHOUT_SWEEPS)
def test_a_page_of_ten_thousand_runs_works(
    name: str, sites: Callable[[str], Site], watch_at: Callable[[str], Watch]
) -> None:
    if name == "artifact":
        return
    site = sites("many")
    page = watch_at(site.url).open(site.path(WITHOUT_SWEEPS[name]))

    assert headless(page) == []
    assert page.evaluate("() => document.querySelectorAll('*').length") < 8_000


@pytest.mark.parametrize("name", ["metrics", "charts", "compare"])
def test_a_metric_of_a_million_points_is_drawn(
    name: str, sites: Callable[[str], Site], watch_at: Callable[[str], Watch]
) -> None:
    site = sites("million")
    page = watch_at(site.url).open(site.path(PAGES[name]))
    page.locator("[data-points], #curves").first.scroll_into_view_if_needed()
    page.wait_for_function(_DRAWN)

    assert headless(page) == []
