"""Saved views in a browser: kept under a name, opened by it, renewed, and deleted with undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from podstack import MLOpsClient
from podstack.testing.podstack_server import RunningServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from podstack.testing.browser import Watch

pytestmark = pytest.mark.ui


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server over one experiment of three runs."""
    folder = tmp_path_factory.mktemp("views")
    client = MLOpsClient(folder / "store")
    client.create_experiment("digits")
    for number in range(3):
        with client.start_run(experiment="digits", name=f"run-{number}", capture=False) as run:
            run.log_metrics({"val_acc": number / 10})
    environment = {"PODSTACK_CACHE": str(folder / "cache")}
    with RunningServer(folder / "store", environment=environment) as server:
        yield server


@pytest.fixture
def runs(own: RunningServer, watch_at: Callable[[str], Watch]) -> Page:
    return watch_at(own.url).open("/projects/default/experiments/digits")


def _filter(page: Page, text: str, rows: int) -> None:
    page.locator("#q").fill(text)
    page.locator(f'#runs[data-rows="{rows}"]').wait_for()
    page.wait_for_url("**q=*")


def _save(page: Page, name: str) -> None:
    page.locator("#views").click()
    page.get_by_role("menuitem", name="Save view as…").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_view_is_kept_under_its_name_and_opened_from_the_menu_of_another_page(
    runs: Page, own: RunningServer
) -> None:
    _filter(runs, "val_acc > 0.15", 1)
    runs.locator("td.pick").first.click()
    _save(runs, "good ones")
    expect(runs.locator("#views")).to_have_text("good ones")
    runs.goto(f"{own.url}/projects/default/experiments/digits")
    runs.locator("#views").click()
    runs.get_by_role("menuitemradio", name="good ones").click()

    runs.locator('#runs[data-rows="1"]').wait_for()
    expect(runs.locator("#q")).to_have_value("val_acc > 0.15")
    expect(runs.locator("#views")).to_have_text("good ones")
    assert "runs" not in parse_qs(urlsplit(runs.url).query)  # a selection is no part of a view


def test_what_changed_since_is_saved_under_the_same_name(runs: Page, own: RunningServer) -> None:
    _filter(runs, "val_acc > 0.15", 1)
    _save(runs, "moving")
    _filter(runs, "val_acc > 0.05", 2)
    runs.locator("#views").click()
    runs.get_by_role("menuitem", name="Save changes to “moving”").click()
    runs.get_by_text("“moving” is saved", exact=True).wait_for()

    found = runs.request.get(f"{own.url}/api/v1/projects/default/views").json()["views"]
    assert [view["query"] for view in found if view["name"] == "moving"] == ["q=val_acc+%3E+0.05"]


def test_a_name_in_use_is_replaced_only_when_it_is_said_twice(runs: Page) -> None:
    _save(runs, "twice")
    runs.locator("#views").click()
    runs.get_by_role("menuitem", name="Save view as…").click()
    runs.get_by_label("Name", exact=True).fill("twice")
    runs.keyboard.press("Enter")
    expect(runs.get_by_role("alert")).to_contain_text("Save once more to replace it")
    runs.keyboard.press("Enter")

    expect(runs.get_by_role("dialog")).to_have_count(0)


def test_a_deleted_view_comes_back_by_undo(runs: Page) -> None:
    _save(runs, "short-lived")
    runs.locator("#views").click()
    runs.get_by_role("menuitem", name="Manage views…").click()
    runs.get_by_role("button", name="Delete short-lived").click()
    expect(runs.get_by_role("link", name="short-lived")).to_have_count(0)
    runs.get_by_role("button", name="Undo").click()

    expect(runs.get_by_role("link", name="short-lived")).to_be_visible()
