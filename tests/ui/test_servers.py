"""Pages of a run that another process writes, of two replicas in turn, and behind a login."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from podstack.testing import ui_store
from podstack.testing.browser import Watch, axe_findings, settle
from podstack.testing.podstack_server import RunningServer
from podstack.testing.round_robin import RoundRobin
from tests.ui.conftest import Open, Site
from tests.ui.pages import PAGES

pytestmark = pytest.mark.ui

_POINTS = """before => {
  const charts = [...document.querySelectorAll('[data-points]')];
  return charts.length > 0 && charts.some(chart => Number(chart.dataset.points) > before);
}"""


def points_drawn(page: object) -> int:
    found: int = page.evaluate(  # type: ignore[attr-defined]
        "() => Math.max(0, ...[...document.querySelectorAll('[data-points]')]"
        ".map(chart => Number(chart.dataset.points)))"
    )
    return found


def test_curves_of_a_run_that_another_process_writes_grow_on_the_page(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    with ui_store.live(tmp_path / "store") as run, RunningServer(tmp_path / "store") as server:
        page = watch_at(server.url).open(f"/projects/default/runs/{run.said}/metrics")
        page.wait_for_function(_POINTS, arg=0)
        before = points_drawn(page)
        page.wait_for_function(_POINTS, arg=before)

        assert points_drawn(page) > before


def test_eight_tabs_of_one_browser_all_load(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    with ui_store.live(tmp_path / "store") as run, RunningServer(tmp_path / "store") as server:
        context = watch_at(server.url).context()
        tabs = [context.new_page() for _ in range(8)]
        for tab in tabs:
            tab.goto(f"/projects/default/runs/{run.said}/metrics", wait_until="load")
        for tab in tabs:
            tab.wait_for_function(_POINTS, arg=0)

        assert all(points_drawn(tab) > 0 for tab in tabs)


def test_two_replicas_in_turn_serve_every_page(
    site: Site, tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    cache = {"PODSTACK_CACHE": str(tmp_path / "cache")}
    with (
        RunningServer(site.server.store, environment=cache, log=tmp_path / "log") as second,
        RoundRobin([site.server.port, second.port]) as balancer,
    ):
        watch = watch_at(balancer.url)
        page = watch.context().new_page()
        for template in PAGES.values():
            page.goto(site.path(template), wait_until="load")
            settle(page)

            expect(page.locator("[data-state=error]")).to_have_count(0)

    assert min(balancer.counts.values()) > len(PAGES)


def test_a_token_opens_the_page_that_was_asked_for(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    ui_store.build(tmp_path / "store", runs=3, steps=5, sweeps=False)
    with RunningServer(tmp_path / "store", tokens=True) as server:
        page = watch_at(server.url).open("/projects/default/experiments")
        assert "/login" in page.url
        assert axe_findings(page) == []
        page.get_by_label("Token").fill(server.admin)
        page.keyboard.press("Enter")
        page.wait_for_url("**/projects/default/experiments")

        assert server.admin not in page.content()


def test_a_page_that_one_may_not_see_looks_like_one_that_is_not_there(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    ui_store.build(tmp_path / "store", runs=3, steps=5, sweeps=False)
    with RunningServer(tmp_path / "store", tokens=True) as server:
        watch = watch_at(server.url)
        watch.allowed.append("404")
        page = watch.open("/login")
        page.get_by_label("Token").fill(server.token("other", "viewer"))
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/login" not in url)
        answer = page.goto("/projects/default/experiments")

        assert answer is not None
        assert answer.status == 404
        expect(page.locator("main h1")).to_have_count(1)


def test_a_page_that_is_not_there_keeps_the_shell(open_page: Open, watch: Watch) -> None:
    watch.allowed.append("404")
    page = open_page("/projects/default/runs/no-such-run")

    expect(page.locator("main h1")).to_have_count(1)
    assert page.locator("a[href*='/experiments']").count() > 0
