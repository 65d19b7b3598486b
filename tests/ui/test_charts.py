"""Charts in a browser: they draw, zoom asks again, one cursor is on all, files come out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from podstack import MLOpsClient
from podstack.testing import ui_store
from podstack.testing.browser import Watch
from podstack.testing.podstack_server import RunningServer

pytestmark = pytest.mark.ui

STEPS = 3000
NAMES = ("train/loss", "train/accuracy", "odd/nan", "odd/constant", "odd/once", "odd/huge")
_GROUPS = re.compile(r"adam \(5\).*sgd \(5\)")


def _store(folder: Path) -> None:
    client = MLOpsClient(str(folder))
    client.create_experiment("drawn")
    for number in range(12):
        params = {"optimizer": ("adam", "sgd")[number % 2], "lr": 0.1 * number}
        with client.start_run(experiment="drawn", run_id=f"run-{number:02}", params=params) as run:
            if number == 0:
                run.create_alert("train/loss > 20", "It <b>diverges</b>")
            for step in range(STEPS if number == 0 else 20):
                run.log_metrics(_row(step, number), step=step)
            if number == 0:
                run.log_metrics({"odd/once": 1.0}, step=0)


def _row(step: int, number: int) -> dict[str, float]:
    return {
        "train/loss": (2 + 0.1 * number) * math.exp(-step / 900) + (50 if step == 1700 else 0),
        "train/accuracy": 1 - math.exp(-step / 500),
        "odd/nan": math.nan if step % 7 == 0 else float(step),
        "odd/constant": 0.5,
        "odd/huge": 1e300 * (step - 100),
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("charts")
    _store(folder / "store")
    with RunningServer(folder / "store") as server:
        yield server


@pytest.fixture
def visit(watch_at: Callable[[str], Watch], drawn: RunningServer) -> Callable[..., Page]:
    return watch_at(drawn.url).open


def chart(page: Page, name: str) -> Locator:
    """The place of a metric's chart, drawn."""
    host = page.locator(f'[data-metric="{name}"] .chart-host')
    host.scroll_into_view_if_needed()
    expect(host).to_have_attribute("data-state", "ready")
    return host


def run_page(visit: Callable[..., Page], query: str = "") -> Page:
    return visit(f"/projects/default/runs/run-00/metrics{query}")


def workspace(visit: Callable[..., Page], query: str = "") -> Page:
    return visit(f"/projects/default/experiments/drawn/charts{query}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_kind_of_metric_is_drawn_and_said_in_words(
    visit: Callable[..., Page], theme: str
) -> None:
    page = visit("/projects/default/runs/run-00/metrics", theme=theme)
    for name in NAMES:
        host = chart(page, name)

        assert int(host.get_attribute("data-points") or 0) > 0
        assert (host.locator("canvas").get_attribute("aria-label") or "").startswith(name)


def test_a_drag_zooms_asks_for_the_points_between_and_a_double_click_shows_all(
    visit: Callable[..., Page],
) -> None:
    page = run_page(visit)
    host = chart(page, "train/loss")
    everything = host.get_attribute("data-range")
    box = host.locator("canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 130, box["y"] + 80, steps=3)
    with page.expect_response(lambda answer: "start=" in answer.url) as asked:
        page.mouse.up()

    assert asked.value.status == 200
    expect(host).not_to_have_attribute("data-range", everything or "")
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    assert "zoom=" in page.url
    host.locator("canvas").dblclick()
    expect(host).to_have_attribute("data-range", everything or "")


def test_the_cursor_is_on_every_chart_in_sight(visit: Callable[..., Page]) -> None:
    page = run_page(visit)
    other = chart(page, "train/accuracy")
    host = chart(page, "train/loss")
    host.locator("canvas").hover()
    expect(host.locator(".line-tip")).to_be_visible()

    expect(other).to_have_attribute("data-cursor", host.get_attribute("data-cursor") or "")


def test_keys_move_the_cursor_zoom_and_turn_a_chart_into_a_table(
    visit: Callable[..., Page],
) -> None:
    page = run_page(visit)
    host = chart(page, "train/loss")
    everything = host.get_attribute("data-range") or ""
    host.locator("canvas").focus()
    page.keyboard.press("Home")
    expect(host).to_have_attribute("data-cursor", "0")
    page.keyboard.press("ArrowRight")
    expect(host).not_to_have_attribute("data-cursor", "0")
    page.keyboard.press("+")
    expect(host).not_to_have_attribute("data-range", everything)
    page.keyboard.press("0")
    expect(host).to_have_attribute("data-range", everything)
    page.keyboard.press("t")

    expect(host.locator("table tbody tr").first).to_be_visible()


@pytest.mark.parametrize(
    ("kind", "begins"), [("CSV", b"step,"), ("PNG", b"\x89PNG"), ("SVG", b"<svg ")]
)
def test_a_chart_is_taken_along_as_a_file(
    visit: Callable[..., Page], kind: str, begins: bytes
) -> None:
    page = run_page(visit)
    chart(page, "train/loss")
    page.get_by_role("button", name="More of train/loss").click()
    with page.expect_download() as taken:
        page.get_by_role("menuitem", name=kind).click()

    assert taken.value.suggested_filename == f"train-loss.{kind.lower()}"
    assert Path(taken.value.path()).read_bytes().startswith(begins)


def test_a_filter_and_a_pin_choose_what_is_on_top(visit: Callable[..., Page]) -> None:
    page = run_page(visit)
    chart(page, "odd/constant")
    page.get_by_role("button", name="More of odd/constant").click()
    page.get_by_role("menuitem", name="Pin on top").click()
    expect(page.locator("[data-section]").first).to_have_attribute("data-section", "Pinned")
    page.get_by_role("searchbox", name="Filter metrics").fill("^train/(loss|acc)")

    expect(page.locator("[data-metric]")).to_have_count(2)
    page.reload()
    expect(page.locator("[data-metric]")).to_have_count(2)


def test_ten_of_the_runs_are_drawn_until_one_chooses_and_the_link_keeps_the_choice(
    visit: Callable[..., Page],
) -> None:
    page = workspace(visit)
    rail = page.locator("#rail")
    expect(rail).to_have_attribute("data-drawn", "10")
    chart(page, "train/loss")
    rail.get_by_role("button", name="None").click()
    rail.get_by_role("button", name="Draw run-03").or_(
        rail.locator('[data-run="run-03"] button')
    ).click()
    expect(rail).to_have_attribute("data-drawn", "1")
    page.reload()

    expect(rail).to_have_attribute("data-drawn", "1")
    assert "run-03" in page.url


def test_runs_are_grouped_by_a_parameter(visit: Callable[..., Page]) -> None:
    page = workspace(visit)
    chart(page, "train/loss")
    page.get_by_label("Group by").select_option("optimizer")
    expect(page.locator('[data-metric="train/loss"] canvas')).to_have_attribute(
        "aria-label", _GROUPS
    )

    page.get_by_label("Band").select_option("std")
    assert "group=optimizer" in page.url


def test_another_metric_is_the_x_axis(visit: Callable[..., Page]) -> None:
    page = run_page(visit, "?x=train/accuracy")
    low, high = (chart(page, "train/loss").get_attribute("data-range") or "").split(":")

    assert (float(low), round(float(high))) == (0.0, 1)


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


@pytest.mark.parametrize(
    ("x", "asked"), [("relative", "axis=relative"), ("wall", "axis=wall"), ("train/accuracy", "x=")]
)
def test_a_zoom_over_time_or_a_metric_asks_for_the_points_between_too(
    visit: Callable[..., Page], x: str, asked: str
) -> None:
    page = run_page(visit, f"?x={x}")
    host = chart(page, "train/loss")
    whole = limits(host)
    with page.expect_response(lambda answer: "start=" in answer.url and asked in answer.url) as got:
        dragged(page, host)
    told = got.value.json()["series"]["run-00"]
    zoomed = limits(host)

    assert whole[0] < zoomed[0] < zoomed[1] < whole[1]
    xs = next(iter(told.values()))["x"]
    room = (zoomed[1] - zoomed[0]) / 20
    assert xs[0] <= zoomed[0] + room
    assert xs[-1] >= zoomed[1] - room
    assert len(xs) > 20


def test_a_chart_is_dimmed_and_says_so_until_its_finer_data_are_there(
    visit: Callable[..., Page],
) -> None:
    page = run_page(visit)
    host = chart(page, "train/loss")
    card = page.locator('[data-metric="train/loss"]')
    held: list[Route] = []
    page.route("**/series?*", lambda route: held.append(route))
    dragged(page, host)
    expect(card.locator(".chart-busy")).to_be_visible()
    expect(card).to_have_attribute("aria-busy", "true")
    before = host.get_attribute("data-points")
    for route in held:
        route.continue_()
    page.unroute("**/series?*")

    expect(card).to_have_attribute("aria-busy", "false")
    expect(card.locator(".chart-busy")).to_be_hidden()
    expect(host).not_to_have_attribute("data-points", before or "")


def test_both_axes_may_be_logarithmic_and_the_link_keeps_the_whole_view(
    visit: Callable[..., Page],
) -> None:
    page = run_page(visit)
    chart(page, "train/loss")
    with page.expect_response(lambda answer: "log=true" in answer.url):
        page.get_by_label("Log x").check()
    page.get_by_label("Log y").check()
    page.get_by_role("checkbox", name="Fit all").check()
    page.get_by_label("Filter metrics").fill("^train/")
    host = chart(page, "train/loss")
    expect(host).to_have_attribute("data-range", re.compile("^1:29"))
    dragged(page, host)
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    zoomed = host.get_attribute("data-range") or ""
    link = page.url.split("/metrics")[1]
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


@pytest.mark.parametrize("x", ["step", "relative", "train/accuracy"])
def test_a_fired_alert_is_a_flag_that_says_its_text(visit: Callable[..., Page], x: str) -> None:
    page = run_page(visit, f"?x={x}")
    host = chart(page, "train/loss")
    flag = host.get_by_role("button", name="Alert: It <b>diverges</b>")
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


def test_what_a_band_loses_at_the_edge_is_marked_until_all_is_fitted(
    visit: Callable[..., Page],
) -> None:
    page = run_page(visit)
    host = chart(page, "train/loss")
    expect(host).not_to_have_attribute("data-cut", "0")
    page.get_by_role("checkbox", name="Fit all").check()

    expect(host).to_have_attribute("data-cut", "0")


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


def test_a_run_that_is_written_moves_on_its_page(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    with ui_store.live(tmp_path / "store") as run, RunningServer(tmp_path / "store") as server:
        page = watch_at(server.url).open(f"/projects/default/runs/{run.said}/metrics")
        host = page.locator('.chart-host[data-state="ready"]').first
        before = host.get_attribute("data-points") or ""

        expect(host).not_to_have_attribute("data-points", before, timeout=20_000)
