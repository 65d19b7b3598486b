"""Pages while the server looks at many runs for the first time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from podstack.testing import ui_store
from podstack.testing.browser import Watch
from podstack.testing.held_server import HeldServer

pytestmark = pytest.mark.ui

LIST = "/projects/default/experiments"
RUNS = 300


@pytest.fixture
def served(tmp_path: Path) -> Iterator[HeldServer]:
    ui_store.many(tmp_path / "store", RUNS)
    with HeldServer(tmp_path / "store", "20231114-221320-00000100") as server:
        yield server
        server.go()


def test_the_list_shows_what_there_is_and_how_far_it_is(
    served: HeldServer, watch_at: Callable[[str], Watch]
) -> None:
    page: Page = watch_at(served.url).open(LIST)
    strip = page.locator(".indexing")
    expect(strip).to_contain_text("of 300 runs")
    expect(page.get_by_role("progressbar", name="Indexing")).to_have_attribute("max", str(RUNS))
    expect(page.locator("#toasts")).to_contain_text("Indexing")
    row = page.get_by_role("row").filter(has_text="many")
    place = row.bounding_box()
    served.go()

    expect(strip).to_have_count(0)
    expect(row).to_contain_text(str(RUNS))
    expect(row).to_contain_text("val/accuracy")
    expect(page.locator("#toasts")).to_contain_text("All runs are indexed")
    assert row.bounding_box() == place


def test_the_table_grows_below_what_one_reads(
    served: HeldServer, watch_at: Callable[[str], Watch]
) -> None:
    page: Page = watch_at(served.url).open(f"{LIST}/many")
    expect(page.locator(".indexing")).to_contain_text("of 300 runs")
    expect(page.locator("#fresh")).to_be_hidden()
    first = page.locator("#runs tr[data-run]").first
    expect(first).to_contain_text("run-00299")
    first.get_by_role("checkbox").check()
    page.locator(".grid-scroll").evaluate("box => { box.scrollTop = 900; }")
    expect(page.locator("#runs")).not_to_have_attribute("data-rows", str(RUNS))
    served.go()

    expect(page.locator("#runs")).to_have_attribute("data-rows", str(RUNS))
    expect(page.locator(".indexing")).to_have_count(0)
    expect(page.locator("#count")).to_have_text(f"{RUNS} runs")
    assert page.locator(".grid-scroll").evaluate("box => box.scrollTop") == 900
    expect(page.locator("#selected-count")).to_contain_text("1")


def test_a_look_that_fails_is_told_and_tried_again(
    served: HeldServer, watch_at: Callable[[str], Watch]
) -> None:
    watch = watch_at(served.url)
    watch.allowed.append("502")  # where the list is asked for just when the look fails
    page: Page = watch.open(LIST)
    strip = page.locator(".indexing")
    expect(strip).to_contain_text("of 300 runs")
    served.fail()
    expect(strip).to_contain_text("stopped, and is tried again: the disk is gone")
    expect(page.get_by_role("row").filter(has_text="many")).to_be_visible()
    served.go()

    expect(strip).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text="many")).to_contain_text(str(RUNS))
