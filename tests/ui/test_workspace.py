"""The charts of an experiment in a browser: colours, groups, links, fingers, live runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from podstack import MLOpsClient
from podstack.testing import ui_store
from podstack.testing.browser import (
    Fingers,
    Held,
    Watch,
    axe_findings,
    look_again,
    painted,
    query,
    settle,
)
from podstack.testing.podstack_server import RunningServer

pytestmark = pytest.mark.ui

_PATH = "/projects/default/experiments/drawn/charts"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("workspace")
    client = MLOpsClient(folder / "store")
    client.create_experiment("drawn")
    for number in range(3):
        with client.start_run(
            experiment="drawn", run_id=f"run-{number}", params={"lr": number}, capture=False
        ) as run:
            for step in range(20):
                run.log_metrics({"val/loss": 1 / (1 + step + number), "lr": 0.1}, step=step)
    with RunningServer(folder / "store") as server:
        yield server


@pytest.fixture
def opened(watch_at: Callable[[str], Watch], drawn: RunningServer) -> Callable[..., Page]:
    """Opens the workspace with some context's options."""

    def open_(**options: Any) -> Page:
        page = watch_at(drawn.url).context(**options).new_page()
        page.goto(_PATH)
        settle(page)
        return page

    return open_


def _chart(page: Page, name: str = "val/loss") -> Locator:
    host = page.locator(f'[data-metric="{name}"] .chart-host')
    expect(host).to_have_attribute("data-state", "ready")
    return host


def _query(page: Page, name: str) -> Any:
    return query(page).get(name, [None])[0]


def test_a_runs_colour_is_chosen_by_keyboard_and_kept(opened: Callable[..., Page]) -> None:
    page = opened()
    _chart(page)
    button = page.locator('[data-run="run-1"] [data-act=color]')
    button.press("Enter")
    page.locator(".run-colors").wait_for()
    faults = axe_findings(page)
    page.get_by_role("button", name="Sky blue", exact=True).press("Enter")

    assert json.loads(_query(page, "colors")) == {"run-1": 3}
    assert faults == []
    expect(button).to_be_focused()
    page.goto(_PATH)
    mark = page.locator('[data-run="run-1"] .rail-dot')
    expect(mark).to_have_css("background-color", "rgb(51, 153, 238)")


def test_all_runs_are_one_line_and_the_link_of_a_chart_shows_it_alone(
    opened: Callable[..., Page],
) -> None:
    page = opened()
    _chart(page)
    page.get_by_label("Group by").select_option("*")
    expect(page.locator('[data-metric="val/loss"] canvas')).to_have_attribute(
        "aria-label", re.compile("all runs \\(3\\)")
    )
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="More of val/loss").click()
    page.get_by_role("menuitem", name="Copy link to it").click()
    expect(page.get_by_text("Link copied")).to_be_visible()  # it takes a while
    page.goto(page.evaluate("() => navigator.clipboard.readText()"))

    expect(page.locator("[data-metric]")).to_have_count(1)
    assert _query(page, "group") == "*"


def test_a_run_that_the_pointer_is_on_is_lifted(opened: Callable[..., Page]) -> None:
    page = opened()
    _chart(page)
    page.locator('[data-run="run-2"] a').hover()

    expect(page.locator('[data-run="run-2"]')).to_have_class(re.compile("is-lifted"))


def test_two_fingers_zoom_and_move_what_is_seen(opened: Callable[..., Page]) -> None:
    page = opened(touch=True, width=700)
    host = _chart(page)
    host.scroll_into_view_if_needed()
    box = host.locator("canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 90
    fingers = Fingers(page)
    fingers.slide([(x - 30, y), (x + 30, y)], [(x - 90, y), (x + 90, y)])
    expect(host).not_to_have_attribute("data-range", "0:19")
    first = json.loads(_query(page, "zoom"))
    fingers.slide([(x - 60, y), (x + 60, y)], [(x - 110, y), (x + 10, y)])
    second = json.loads(_query(page, "zoom"))

    assert 0 < first[0] < first[1] < 19
    assert second[0] > first[0]
    assert second[1] - second[0] == pytest.approx(first[1] - first[0], rel=0.01)


def test_a_run_that_is_written_moves_in_the_workspace(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    folder = tmp_path / "store"
    with ui_store.live(folder) as run, RunningServer(folder) as server:
        name = MLOpsClient(folder).get_run(run.said).experiment_id
        page = watch_at(server.url).open(f"/projects/default/experiments/{name}/charts")
        host = page.locator('.chart-host[data-state="ready"]').first
        before = host.get_attribute("data-points") or ""

        expect(host).not_to_have_attribute("data-points", before)
        expect(page.locator("#rail .status-running")).to_have_count(1)
        run.stop()
        expect(page.locator("#rail .status-running")).to_have_count(0)


def test_points_that_came_while_a_curve_was_asked_for_are_asked_for_again(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    folder = tmp_path / "store"
    with RunningServer(folder) as server:
        client = MLOpsClient(server.url)  # which so knows at once of what is written
        client.create_experiment("slow")
        with client.start_run(experiment="slow", capture=False) as run:
            run.log_metrics({"loss": 1.0}, step=0)
            run.flush()
            page = watch_at(server.url).open("/projects/default/experiments/slow/charts")
            host = page.locator('[data-metric="loss"] .chart-host')
            expect(host).to_have_attribute("data-points", "1")
            looks, held = Held(page, "**/compare/columns?*"), Held(page, "**/series?*")
            run.log_metrics({"loss": 0.5}, step=1)
            run.flush()
            look_again(page)
            looks.next().continue_()
            slow = held.next()
            before = slow.fetch()
            run.log_metrics({"loss": 0.25}, step=2)
        look_again(page)
        with page.expect_response("**/compare/columns?*") as told:
            looks.next().continue_()  # and no other look, which would make good for it
        assert told.value.status == 200
        painted(page)
        slow.fulfill(response=before)
        expect(host).to_have_attribute("data-points", "2")
        held.release()

        expect(host).to_have_attribute("data-points", "3")
        page.close()
