"""What a run's charts show, in a browser: zoom on every axis, flags, values at the cursor."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from podstack import MLOpsClient
from podstack.testing.browser import Held, Watch, address, bring, painted
from podstack.testing.podstack_server import RunningServer

pytestmark = pytest.mark.ui

STEPS = 3000


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A run with a spike at step 1700, on which an alert fired."""
    folder = tmp_path_factory.mktemp("views")
    with MLOpsClient(folder / "store").start_run(run_id="run-00", capture=False) as run:
        run.create_alert("train/loss > 20", "It <b>diverges</b>")
        for step in range(STEPS):
            loss = 2 * math.exp(-step / 900) + (50 if step == 1700 else 0)
            accuracy = 1 - math.exp(-step / 500)
            run.log_metrics({"train/loss": loss, "train/accuracy": accuracy}, step=step)
        run.log_metrics({"odd/once": 1.0}, step=0)
    with RunningServer(folder / "store") as server:
        yield server


@pytest.fixture
def visit(watch_at: Callable[[str], Watch], drawn: RunningServer) -> Callable[..., Page]:
    return watch_at(drawn.url).open


def chart(page: Page, name: str) -> Locator:
    """The place of a metric's chart, drawn."""
    place = f'[data-metric="{name}"] .chart-host'
    bring(page, place)
    return page.locator(place)


def whole(page: Page) -> None:
    """Wait until what the page just began to ask for is drawn."""
    painted(page)  # it asks in the next frame
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def run_page(visit: Callable[..., Page], query: str = "") -> Page:
    return visit(f"/projects/default/runs/run-00/metrics{query}")


def x_axis(page: Page) -> Locator:
    return page.locator("#tools select").first


def dragged(page: Page, host: Locator, *, shift: bool = False) -> None:
    """From 100 to 160 pixels of a chart."""
    box = host.locator("canvas").bounding_box()
    assert box is not None
    if shift:
        page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 100, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 80, steps=3)
    page.mouse.up()
    if shift:
        page.keyboard.up("Shift")


def limits(host: Locator) -> tuple[float, float]:
    low, high = (host.get_attribute("data-range") or "").split(":")
    return float(low), float(high)


def places_of_points(server: RunningServer) -> dict[str, list[float]]:
    """Where the points of `train/loss` lie on each axis but that of steps."""
    run = MLOpsClient(server.store).get_run("run-00")
    times = list(run.metrics["train/loss"].times)
    return {
        "relative": [time - run.created for time in times],
        "wall": times,
        "train/accuracy": list(run.metrics["train/accuracy"].values),
    }


def test_a_zoom_over_time_or_a_metric_asks_for_the_points_between_too(
    visit: Callable[..., Page], drawn: RunningServer
) -> None:
    page = run_page(visit)
    places = places_of_points(drawn)
    for x, asked in (("relative", "axis=relative"), ("wall", "axis=wall"), ("train/accuracy", "x")):
        with page.expect_response(lambda answer, asked=asked: f"{asked}" in answer.url):
            x_axis(page).select_option(x)
        host = chart(page, "train/loss")
        whole(page)
        before = limits(host)
        with page.expect_response(lambda answer: "start=" in answer.url) as got:
            dragged(page, host)
        zoomed = limits(host)
        xs = got.value.json()["series"]["run-00"]["train/loss"]["x"]
        room = (zoomed[1] - zoomed[0]) / 20

        assert before[0] < zoomed[0] < zoomed[1] < before[1]
        assert xs[0] <= zoomed[0] + room
        assert xs[-1] >= zoomed[1] - room
        there = sum(zoomed[0] <= place <= zoomed[1] for place in places[x])
        assert len(xs) >= min(there, 50)  # in time they lie as the machine let them be logged


def test_the_time_since_the_start_is_the_runs_on_every_page(
    visit: Callable[..., Page], drawn: RunningServer
) -> None:
    api = f"{drawn.url}/api/v1/projects/default"
    page = visit("/projects/default/runs/run-00/metrics?x=relative")
    run = page.request.get(f"{api}/runs/run-00").json()
    late = page.request.get(f'{api}/series?runs=["run-00"]&names=["odd/once"]').json()
    came = late["series"]["run-00"]["odd/once"]["time"][0] - run["created"]
    ranges = [limits(chart(page, "odd/once"))]
    experiment = f"/projects/default/experiments/{run['experiment_id']}"
    ranges.append(limits(chart(visit(f"{experiment}/charts?x=relative"), "odd/once")))
    page = visit('/projects/default/compare?runs=["run-00"]&curves=["odd/once"]&x=relative')
    bring(page, "#curves-body")
    host = page.locator(".curve[data-points='1']")
    expect(host).to_have_attribute("data-state", "ready")
    ranges.append(limits(host))

    assert sum(ranges[0]) / 2 == pytest.approx(came, abs=1e-4)  # it came after 3000 other points
    assert ranges[1:] == ranges[:1] * 2


_POINTS_ONCE_WHOLE = """() => {
  const card = document.querySelector('[data-metric="train/loss"]');
  new MutationObserver((_, observer) => {
    if (card.ariaBusy !== 'false') return;
    observer.disconnect();
    window.points = card.querySelector('.chart-host').dataset.points;
  }).observe(card, {attributeFilter: ['aria-busy']});
}"""


def test_a_chart_is_dimmed_and_says_so_until_its_finer_data_are_there(
    visit: Callable[..., Page],
) -> None:
    page = run_page(visit)
    host = chart(page, "train/loss")
    card = page.locator('[data-metric="train/loss"]')
    held = Held(page, "**/series?*")
    dragged(page, host)
    expect(card.locator(".chart-busy")).to_be_visible()
    expect(card).to_have_attribute("aria-busy", "true")
    before = host.get_attribute("data-points")
    page.evaluate(_POINTS_ONCE_WHOLE)
    held.release()

    expect(card).to_have_attribute("aria-busy", "false")
    expect(card.locator(".chart-busy")).to_be_hidden()
    assert page.evaluate("() => window.points") != before  # they are drawn by then


def test_both_axes_may_be_logarithmic_and_the_link_keeps_the_whole_view(
    visit: Callable[..., Page],
) -> None:
    page = run_page(visit)
    expect(chart(page, "train/loss")).not_to_have_attribute("data-cut", "0")  # the spike
    with page.expect_response(lambda answer: "log=true" in answer.url):
        page.get_by_label("Log x").check()
    page.get_by_label("Log y").check()
    page.get_by_role("checkbox", name="Fit all").check()
    page.get_by_label("Filter metrics").fill("^train/")
    host = chart(page, "train/loss")
    expect(host).to_have_attribute("data-range", re.compile("^1:29"))
    expect(host).to_have_attribute("data-cut", "0")
    dragged(page, host)
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    zoomed = host.get_attribute("data-range") or ""
    link = address(page).split("/metrics")[1]
    other = run_page(visit, link)

    expect(chart(other, "train/loss")).to_have_attribute("data-range", zoomed)
    for label in ("Log x", "Log y", "Fit all"):
        expect(other.get_by_role("checkbox", name=label)).to_be_checked()
    expect(other.locator("[data-metric]")).to_have_count(2)


def test_shift_and_a_drag_pan_and_only_a_wheel_with_ctrl_zooms(visit: Callable[..., Page]) -> None:
    page = run_page(visit, "?zoom=[1000,2000]")
    host = chart(page, "train/loss")
    dragged(page, host, shift=True)
    expect(host).not_to_have_attribute("data-range", "1000:2000")
    panned = host.get_attribute("data-range") or ""
    low, high = limits(host)
    page.mouse.wheel(0, -120)
    page.mouse.wheel(0, 120)

    assert low < 1000
    assert high - low == pytest.approx(1000)
    assert limits(host) == (low, high)
    host.scroll_into_view_if_needed()
    host.locator("canvas").hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    expect(host).not_to_have_attribute("data-range", panned)
    closer = limits(host)
    assert closer[1] - closer[0] < 1000


def test_a_fired_alert_is_a_flag_that_says_its_text_on_every_axis(
    visit: Callable[..., Page],
) -> None:
    page = run_page(visit)
    host = chart(page, "train/loss")
    flag = host.get_by_role("button", name="Alert: It <b>diverges</b>")
    for x in ("wall", "train/accuracy", "step"):
        x_axis(page).select_option(x)
        whole(page)
        expect(flag).to_have_count(1)
        flag.hover()
        expect(host.locator(".flag-tip")).to_contain_text("at step 1700")
        page.mouse.move(0, 0)
        expect(host.locator(".flag-tip")).to_be_hidden()
    host.locator("canvas").focus()
    page.keyboard.press("Tab")

    expect(flag).to_be_focused()
    expect(host.locator(".flag-tip")).to_be_visible()


def test_arrows_say_what_is_at_the_cursor(visit: Callable[..., Page]) -> None:
    page = run_page(visit, "?zoom=[1699,1701]")
    host = chart(page, "train/loss")
    host.locator("canvas").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")

    expect(host.get_by_role("status")).to_contain_text(re.compile(r"step 1,700: 50\.3.*alert: It"))


def test_values_at_the_cursor_stand_in_one_table_and_a_click_keeps_the_place(
    visit: Callable[..., Page],
) -> None:
    page = run_page(visit)
    host = chart(page, "train/loss")
    page.get_by_label("Values at cursor").check()
    host.locator("canvas").click(position={"x": 200, "y": 80})
    table = page.locator("#cursor-table")
    expect(table.get_by_role("button", name="Unpin")).to_be_visible()
    place = table.get_attribute("data-at") or ""
    page.mouse.move(0, 0)
    page.reload()
    chart(page, "train/loss")

    expect(table).to_have_attribute("data-at", place)
    expect(table.get_by_role("rowheader", name="train/accuracy")).to_be_visible()
    expect(chart(page, "train/accuracy")).to_have_attribute("data-cursor", place)


def test_a_pinned_metric_stays_on_top_after_a_reload(visit: Callable[..., Page]) -> None:
    page = run_page(visit)
    chart(page, "odd/once")
    page.get_by_role("button", name="More of odd/once").click()
    page.get_by_role("menuitem", name="Pin on top").click()
    page.reload()

    expect(page.locator("[data-metric]").first).to_have_attribute("data-metric", "odd/once")
