"""Charts in a browser: they draw, zoom asks again, one cursor is on all, files come out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from podstack import MLOpsClient
from podstack.testing import ui_store
from podstack.testing.browser import Held, Watch, bring, painted
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
    place = f'[data-metric="{name}"] .chart-host'
    bring(page, place)
    return page.locator(place)


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
    expect(page).to_have_url(re.compile("zoom="))
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
    expect(page).to_have_url(re.compile("run-03"))


def test_runs_are_grouped_by_a_parameter(visit: Callable[..., Page]) -> None:
    page = workspace(visit)
    chart(page, "train/loss")
    page.get_by_label("Group by").select_option("optimizer")
    expect(page.locator('[data-metric="train/loss"] canvas')).to_have_attribute(
        "aria-label", _GROUPS
    )

    page.get_by_label("Band").select_option("std")
    expect(page).to_have_url(re.compile("group=optimizer"))


def test_another_metric_is_the_x_axis(visit: Callable[..., Page]) -> None:
    page = run_page(visit, "?x=train/accuracy")
    low, high = (chart(page, "train/loss").get_attribute("data-range") or "").split(":")

    assert (float(low), round(float(high))) == (0.0, 1)


def test_a_run_that_is_written_moves_on_its_page(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    with ui_store.live(tmp_path / "store") as run, RunningServer(tmp_path / "store") as server:
        page = watch_at(server.url).open(f"/projects/default/runs/{run.said}/metrics")
        host = page.locator('.chart-host[data-state="ready"]').first
        before = host.get_attribute("data-points") or ""

        expect(host).not_to_have_attribute("data-points", before)


def test_a_page_of_a_live_run_asks_one_question_a_turn_for_all_of_its_charts(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    with ui_store.live(tmp_path / "store") as run, RunningServer(tmp_path / "store") as server:
        page = watch_at(server.url).open(f"/projects/default/runs/{run.said}/metrics")
        page.locator('.chart-host[data-state="ready"]').first.wait_for()
        drawn = page.locator("[data-metric]:has([data-points])")
        names = drawn.evaluate_all("(all) => all.map((one) => one.dataset.metric)")
        held = Held(page, "**/series?*")
        for _ in range(3):
            turn = held.next()
            painted(page)
            assert held.waiting == []
            (asked,) = parse_qs(urlsplit(turn.request.url).query)["names"]
            assert sorted(json.loads(asked)) == sorted(names)
            turn.continue_()
        held.release()


def test_what_charts_ask_tells_the_header_too_how_the_run_is(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    with RunningServer(tmp_path / "store") as server:
        with MLOpsClient(server.url).start_run(run_id="ends", capture=False) as run:
            run.log_metrics({"loss": 1.0}, step=0)
            run.flush()
            page = watch_at(server.url).open("/projects/default/runs/ends/metrics")
            chart(page, "loss")
            Held(page, "**/changes?*")  # no answer of its own comes to the header

        expect(page.locator("#run-status")).to_contain_text("completed")
        page.close()


def test_a_run_that_ends_shows_its_last_points_in_sight_and_out_of_it(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    run = MLOpsClient(tmp_path / "store").start_run(run_id="ends", capture=False)
    names = [f"m{number:02}" for number in range(24)]
    run.log_metrics(dict.fromkeys(names, 0.0), step=0)
    with RunningServer(tmp_path / "store") as server:
        page = watch_at(server.url).open("/projects/default/runs/ends/metrics")
        for name in (names[0], names[-1], names[0]):  # each was in sight once
            expect(chart(page, name)).to_have_attribute("data-points", "1")
        run.log_metrics(dict.fromkeys(names, 1.0), step=1)
        run.finish()
        expect(page.locator("#run-status")).to_contain_text("completed")
        for name in (names[0], names[-1]):
            expect(chart(page, name)).to_have_attribute("data-points", "2")
        asked = ["something"]
        page.on("request", lambda request: asked.append(request.url))
        while asked:  # it ends to ask: nothing for longer than a turn
            asked.clear()
            page.wait_for_timeout(3000)
