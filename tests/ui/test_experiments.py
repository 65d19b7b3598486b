"""The list of experiments and their settings, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from podstack import MLOpsClient
from podstack.testing.podstack_server import RunningServer

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from podstack.testing.browser import Watch

pytestmark = pytest.mark.ui

_LIST = "/projects/default/experiments"


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server over four experiments; one is archived."""
    folder = tmp_path_factory.mktemp("listed")
    client = MLOpsClient(folder / "store")
    client.create_experiment("vision", description="cats and dogs", tags=["cv", "paper"])
    client.create_experiment("language", tags=["paper"])
    client.create_experiment("<b>hostile</b>", description="</script><script>alert(1)</script>")
    client.create_experiment("attic").archive()
    with _serving(folder) as server:
        yield server


def _serving(folder: Path) -> RunningServer:
    return RunningServer(folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")})


@pytest.fixture
def page(listed: RunningServer, watch_at: Callable[[str], Watch]) -> Page:
    return watch_at(listed.url).open(_LIST)


def _names(page: Page) -> set[str]:
    return set(page.locator("#experiments tbody tr:visible .experiment-name a").all_inner_texts())


def test_what_is_archived_is_listed_only_where_asked_for(page: Page) -> None:
    assert _names(page) == {"vision", "language", "<b>hostile</b>"}

    page.get_by_role("link", name="Archived 1").click()

    assert _names(page) == {"attic"}


def test_tags_narrow_the_list_together(page: Page) -> None:
    page.get_by_role("link", name="paper 2").click()
    assert _names(page) == {"vision", "language"}

    page.get_by_role("link", name="cv 1").click()

    assert _names(page) == {"vision"}
    assert "tag=paper&tag=cv" in page.url


def test_the_search_narrows_while_one_types_and_stays_in_the_link(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("DOGS")
    assert _names(page) == {"vision"}

    page.reload()

    assert _names(page) == {"vision"}


def test_where_nothing_fits_each_part_can_be_taken_away(
    listed: RunningServer, watch_at: Callable[[str], Watch]
) -> None:
    page = watch_at(listed.url).open(f"{_LIST}?q=nothing&tag=cv")
    page.get_by_role("link", name="“nothing” ×").click()

    assert _names(page) == {"vision"}


def test_an_experiment_is_made_described_and_deleted_with_undo(page: Page) -> None:
    page.keyboard.press("c")
    page.get_by_role("dialog").get_by_label("Name").fill("fresh")
    page.get_by_role("dialog").get_by_label("Tags").fill("new, paper, new")
    page.get_by_role("button", name="Create").click()
    page.get_by_text("No runs yet").wait_for()

    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Description").fill("made here")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved").wait_for()
    assert page.get_by_label("Tags").input_value() == "new, paper"

    page.goto(page.url.split("/projects")[0] + _LIST)
    row = page.locator("tr", has_text="made here")
    row.get_by_role("button").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    page.locator("tr.is-gone").wait_for(state="detached")
    page.reload()
    assert "fresh" in _names(page)


def test_a_name_that_is_taken_is_refused_in_the_dialog(
    listed: RunningServer, watch_at: Callable[[str], Watch]
) -> None:
    watch = watch_at(listed.url)
    watch.allowed.append("409")
    page = watch.open(_LIST)
    page.get_by_role("button", name="New experiment").click()
    page.get_by_role("dialog").get_by_label("Name").fill("vision")
    page.get_by_role("button", name="Create").click()

    page.get_by_role("alert", name="").get_by_text("There is an experiment").wait_for()


def test_an_empty_project_teaches_the_first_run(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    MLOpsClient(tmp_path / "store")
    with _serving(tmp_path) as server:
        page = watch_at(server.url).open("/")

        assert page.url.endswith(_LIST)
        snippet = page.locator("#snippet").inner_text()
        assert f'MLOpsClient("{server.url}", project="default")' in snippet
        compile(snippet, "snippet", "exec")
