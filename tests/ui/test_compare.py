"""The Compare page in a real browser: what one panel does reaches the others, and the link."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import expect

from podstack import MLOpsClient
from podstack.testing import ui_store
from podstack.testing.browser import (
    Fingers,
    Held,
    Watch,
    address,
    bring,
    look_again,
    painted,
    query,
    settle,
)
from podstack.testing.podstack_server import RunningServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.ui

_RUNS = 8


@dataclass(frozen=True)
class Eight:
    """A server over eight runs of one experiment, and where they are compared."""

    server: RunningServer
    ids: list[str]

    def url(self, count: int = _RUNS, more: str = "") -> str:
        return self.of(self.ids[:count]) + more

    def of(self, ids: list[str]) -> str:
        return f"{self.server.url}/projects/default/compare?runs={quote(json.dumps(ids))}"

    @property
    def whole(self) -> str:
        return f"{self.server.url}/projects/default/compare?experiment=eight"


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eight]:
    folder = tmp_path_factory.mktemp("compared")
    client = MLOpsClient(folder / "store")
    experiment = client.create_experiment("eight")
    ids = []
    for number in range(_RUNS):
        params = {"lr": 10.0 ** -(1 + number), "opt": "adam" if number % 2 else "sgd", "seed": 1}
        with client.start_run(
            experiment_id=experiment.id, name=f"run-{number}", params=params, capture=False
        ) as run:
            for step in range(5):
                score = 0.5 + number / 100 + step / 1000
                run.log_metrics({"val_loss": number % 3, "val_acc": score}, step=step)
            config = folder / "config.yaml"
            config.write_text(f"model: m\nlayers: {number}\nend: true\n")
            run.log_artifact(config)
        ids.append(run.id)
    with RunningServer(
        folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")}
    ) as server:
        yield Eight(server, ids)


Opened = Callable[[str], "Page"]


@pytest.fixture
def page(watch_at: Callable[[str], Any], eight: Eight) -> Page:
    """A strict page of this server."""
    found: Page = watch_at(eight.server.url).context().new_page()
    return found


@pytest.fixture
def opened(page: Page) -> Opened:
    """Opens a comparison and waits for its runs."""

    def open_(url: str) -> Page:
        page.goto(url)
        page.wait_for_selector("#strip[data-state=ready]")
        return page

    return open_


def _panel(page: Page, name: str, state: str = "ready") -> Any:
    """The body of a panel, once it is drawn."""
    bring(page, f"#{name}-body", state)
    return page.locator(f"#{name}-body")


def _query(page: Page, name: str) -> Any:
    return query(page).get(name, [None])[0]


def _names(body: Any) -> list[str]:
    """The runs of a table, in order."""
    return [
        text.split("baseline")[0].strip() for text in body.locator(".run-head").all_inner_texts()
    ]


def test_a_brush_filters_table_scatter_bars_and_the_link(opened: Opened, eight: Eight) -> None:
    page = opened(eight.whole)
    _panel(page, "parallel")
    page.locator('.axis-title[data-axis="params.opt"]').focus()
    page.keyboard.press("ArrowUp")  # takes the lowest category: adam

    assert json.loads(_query(page, "brush")) == {"params.opt": {"in": ["adam"]}}
    expect(page.locator("#brush-line")).to_contain_text("4 of 8 runs")
    expect(_panel(page, "scatter")).to_have_attribute("data-points", "4")
    expect(_panel(page, "bars")).to_have_attribute("data-points", "4")
    assert set(_names(_panel(page, "params"))) == {"run-1", "run-3", "run-5", "run-7"}
    href = page.locator("[data-act=open-filter]").get_attribute("href") or ""
    assert parse_qs(urlsplit(href).query)["q"] == ["params.opt = 'adam'"]


def test_a_drag_on_an_axis_brushes_its_values(opened: Opened, eight: Eight) -> None:
    page = opened(eight.whole)
    _panel(page, "parallel")
    box = page.locator(".axis-stage canvas").last.bounding_box()
    assert box is not None
    x = box["x"] + box["width"] - 52  # the last axis: the objective
    page.mouse.move(x, box["y"] + 14)
    page.mouse.down()
    page.mouse.move(x, box["y"] + 150, steps=3)
    page.mouse.up()

    low, high = json.loads(_query(page, "brush"))["metrics.val_acc"]
    assert 0.5 < low < high <= 0.575
    expect(_panel(page, "parallel")).to_have_attribute("data-selected", "4")


def test_another_baseline_changes_the_deltas(opened: Opened, eight: Eight) -> None:
    page = opened(eight.url(2))
    row = _panel(page, "metrics").locator("tbody tr").filter(has_text="val_acc")
    second = row.locator("td").nth(1)
    expect(second).to_contain_text("+0.01")
    expect(second).to_contain_text("better")
    page.locator(f'[data-run="{eight.ids[1]}"] [data-act=base]').click()

    assert _query(page, "base") == eight.ids[1]
    expect(second).to_contain_text("worse")
    assert _names(_panel(page, "params")) == ["run-1", "run-0"]


def test_a_hidden_run_leaves_the_charts(opened: Opened, eight: Eight) -> None:
    page = opened(eight.url(4))
    expect(_panel(page, "scatter")).to_have_attribute("data-points", "4")
    page.locator(f'[data-run="{eight.ids[3]}"] [data-act=eye]').click()

    expect(_panel(page, "scatter")).to_have_attribute("data-points", "3")
    expect(_panel(page, "bars")).to_have_attribute("data-points", "3")
    expect(_panel(page, "parallel")).to_have_attribute("data-selected", "3")
    assert "run-3" not in _names(_panel(page, "metrics"))
    assert json.loads(_query(page, "hide")) == [eight.ids[3]]


def test_a_link_shows_the_same_view_in_a_fresh_page(
    opened: Opened, eight: Eight, watch_at: Callable[[str], Any]
) -> None:
    page = opened(eight.whole)
    _panel(page, "parallel")
    title = page.locator('.axis-title[data-axis="params.lr"]')
    title.focus()
    for key in ("ArrowRight", "Enter", "ArrowUp"):
        page.keyboard.press(key)
    page.locator(f'[data-run="{eight.ids[0]}"] [data-act=eye]').click()
    page.locator(f'[data-run="{eight.ids[5]}"] [data-act=base]').click()
    seen = _seen(page)
    fresh = watch_at(eight.server.url).context().new_page()
    fresh.goto(address(page))
    fresh.wait_for_selector("#strip[data-state=ready]")

    assert _seen(fresh) == seen
    assert seen["axes"][:2] == ["params.opt", "params.lr"]


def _seen(page: Page) -> dict[str, Any]:
    _panel(page, "parallel")
    titles = page.locator(".axis-title")
    return {
        "axes": [title.get_attribute("data-axis") for title in titles.all()],
        "titles": titles.all_inner_texts(),
        "chips": page.locator(".brush-chip").all_inner_texts(),
        "selected": page.locator("#parallel-body").get_attribute("data-selected"),
        "metrics": _panel(page, "metrics").inner_text(),
    }


def test_runs_are_added_by_search_moved_and_removed(opened: Opened, eight: Eight) -> None:
    page = opened(eight.url(1))
    expect(_panel(page, "params", "empty")).to_contain_text("at least two runs")
    page.locator(".add-run").fill("run-6")
    page.wait_for_selector("[role=option] >> text=run-6")
    page.keyboard.press("Enter")
    page.wait_for_selector(f'[data-run="{eight.ids[6]}"]')
    assert json.loads(_query(page, "runs")) == [eight.ids[0], eight.ids[6]]
    page.locator(f'[data-run="{eight.ids[6]}"] [data-act=open]').focus()
    page.keyboard.press("Alt+ArrowLeft")
    assert json.loads(_query(page, "runs")) == [eight.ids[6], eight.ids[0]]
    page.locator(f'[data-run="{eight.ids[0]}"] [data-act=remove]').click()
    page.wait_for_selector(f'[data-run="{eight.ids[0]}"]', state="detached")

    assert json.loads(_query(page, "runs")) == [eight.ids[6]]


def _order(page: Page) -> list[str]:
    return [
        item.get_attribute("data-run") or "" for item in page.locator("#strip [data-run]").all()
    ]


def _center(page: Page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_mouse_carries_a_run_of_the_strip_and_presses_nothing(
    opened: Opened, eight: Eight
) -> None:
    page = opened(eight.url(3))
    settle(page)
    first, second, third = eight.ids[:3]
    x, y = _center(page, f'[data-run="{first}"] a')
    page.mouse.move(x, y)
    page.mouse.down()
    over, y = _center(page, f'[data-run="{second}"]')
    page.mouse.move(over + 30, y, steps=4)
    expect(page.locator(".is-drop-before")).to_have_attribute("data-run", third)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert _order(page) == [first, second, third]

    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(over + 30, y, steps=4)
    page.mouse.up()
    assert _order(page) == [second, first, third]
    assert json.loads(_query(page, "runs")) == [second, first, third]
    page.locator(f'[data-run="{first}"] a').click()  # it was carried, not opened; now it is
    page.wait_for_url(f"**/runs/{first}")


def test_a_finger_carries_a_run_by_its_grip_and_else_scrolls(
    watch_at: Callable[[str], Watch], eight: Eight
) -> None:
    page = watch_at(eight.server.url).context(touch=True, width=390).new_page()
    page.goto(eight.url(3))
    page.wait_for_selector("#strip[data-state=ready]")
    settle(page)  # what is above the strip has its height
    first, second, third = eight.ids[:3]
    fingers = Fingers(page)
    start = _center(page, f'[data-run="{third}"] .grip')
    x, y = _center(page, f'[data-run="{first}"] .grip')
    fingers.slide([start], [(x - 4, y)])
    expect(page.locator("#strip [data-run]").first).to_have_attribute("data-run", third)
    assert json.loads(_query(page, "runs")) == [third, first, second]

    start = _center(page, f'[data-run="{second}"] a')
    fingers.slide([start], [_center(page, f'[data-run="{third}"] a')])
    painted(page)
    assert _order(page) == [third, first, second]


def test_files_stand_side_by_side_with_their_differences(opened: Opened, eight: Eight) -> None:
    page = opened(eight.url(2))
    _panel(page, "texts")
    page.locator("#texts-tools select").first.select_option("config.yaml")
    page.wait_for_selector("#texts-body[data-changes='1']")

    expect(page.locator("#texts-body")).to_contain_text("1 line differs")
    expect(page.locator("#texts-body .removed")).to_contain_text("layers: 0")
    expect(page.locator("#texts-body .added")).to_contain_text("layers: 1")


def test_points_are_reached_by_keyboard_and_open_their_run(opened: Opened, eight: Eight) -> None:
    page = opened(eight.url(3))
    _panel(page, "bars")
    page.locator("#bars-body canvas").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#bars-body .chart-tip")).to_contain_text("run-2")  # the best comes first
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*")

    assert page.url.endswith(eight.ids[2])


def test_runs_that_are_not_there_are_told_of(opened: Opened, eight: Eight) -> None:
    runs = quote(json.dumps([*eight.ids[:2], "nowhere"]))
    page = opened(f"{eight.server.url}/projects/default/compare?runs={runs}")

    expect(page.locator("#strip")).to_contain_text("1 run of this link is not there")


def test_panels_begin_with_what_judges_the_runs_unless_the_link_says_else(
    opened: Opened, eight: Eight
) -> None:
    page = opened(eight.url())
    head = page.request.get(f"{eight.server.url}/projects/default/runs/{eight.ids[0]}").text()
    assert re.search(r"of 8.*?val_acc", head, re.DOTALL)

    objective = page.get_by_role("combobox", name="Objective", exact=True)
    expect(objective).to_have_value("val_acc")
    expect(page.locator("#verdict")).to_contain_text("val_acc")
    for name, label in (("bars", "Metric"), ("scatter", "Y")):
        _panel(page, name)
        chosen = page.locator(f"#{name}-tools").get_by_role("combobox", name=label, exact=True)
        expect(chosen).to_have_value(re.compile("val_acc$"))

    page = opened(eight.url(more="&obj=val_loss"))
    expect(objective).to_have_value("val_loss")
    expect(page.locator("#verdict")).to_contain_text("val_loss")


def test_few_runs_get_a_warning_about_what_mattered(opened: Opened, eight: Eight) -> None:
    page = opened(eight.whole)

    expect(_panel(page, "importance")).to_contain_text("low confidence")
    first = page.locator(".importance li").first
    expect(first).to_contain_text("lr")
    first.locator("button").click()
    assert _query(page, "sx") == "params.lr"


def test_equal_parameters_are_hidden_until_asked_for(opened: Opened, eight: Eight) -> None:
    page = opened(eight.url(2))
    body = _panel(page, "params")
    expect(page.locator("#params-tools")).to_contain_text("1 equal hidden")
    expect(body.locator("tbody tr")).to_have_count(2)
    page.locator("#params-tools input[type=checkbox]").check()

    expect(_panel(page, "params").locator("tbody tr")).to_have_count(3)
    assert _query(page, "all")


def test_a_folder_of_runs_wider_than_a_phone_scrolls_by_itself(eight: Eight, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(eight.whole)
    page.wait_for_selector("#strip[data-state=ready]")
    _panel(page, "parallel")

    wide = "() => document.documentElement.scrollWidth <= window.innerWidth"
    assert page.evaluate(wide)


def test_a_page_without_runs_offers_the_first_one(page: Page, eight: Eight) -> None:
    page.goto(f"{eight.server.url}/projects/default/compare")
    page.wait_for_selector("#strip[data-state=empty]")
    page.locator(".add-run").fill("run-4")
    page.wait_for_selector("[role=option] >> text=run-4")
    page.keyboard.press("Enter")
    page.wait_for_selector(f'[data-run="{eight.ids[4]}"]')

    assert json.loads(_query(page, "runs")) == [eight.ids[4]]
    expect(page.locator("#sections")).to_be_visible()


def test_a_filter_that_cannot_be_read_is_told_with_its_place(
    watch_at: Callable[[str], Any], eight: Eight
) -> None:
    watch = watch_at(eight.server.url)
    watch.allowed.append("422")
    page = watch.context().new_page()
    page.goto(f"{eight.whole}&q={quote('lr >')}")
    page.wait_for_selector("#strip[data-state=error]")

    expect(page.locator("#strip")).to_contain_text("filter")
    expect(page.locator("#strip button")).to_have_text("Try again")


def test_curves_are_drawn_and_the_chosen_ones_are_in_the_link(opened: Opened, eight: Eight) -> None:
    page = opened(eight.url(3))
    _panel(page, "curves")
    chart = page.locator('[data-metric="val_acc"] .curve')
    expect(chart).to_have_attribute("data-state", "ready")
    expect(chart).to_have_attribute("data-points", "15")
    page.locator("#curves-tools select").last.select_option("params.opt")

    page.wait_for_selector(".legend >> text=opt adam")
    expect(chart).to_have_attribute("data-points", "10")  # a curve for each of two groups
    assert _query(page, "group") == "params.opt"


_BEGINS = {"CSV": b"run,", "PNG": b"\x89PNG", "SVG": b"<svg "}


def test_every_chart_and_table_is_taken_along_as_a_file(opened: Opened, eight: Eight) -> None:
    page = opened(eight.url(3))
    takes = [
        *(("params", "Parameters", "CSV"), ("metrics", "Metrics", "CSV")),
        *(("parallel", "Parallel coordinates", kind) for kind in _BEGINS),
        *(("scatter", "Scatter", "SVG"), ("bars", "Final values", "SVG")),
    ]
    for panel, name, kind in takes:
        _panel(page, panel)
        page.get_by_role("button", name=f"More of {name}").click()
        with page.expect_download() as taken:
            page.get_by_role("menuitem", name=kind).click()
        content = Path(taken.value.path()).read_bytes()

        assert content.startswith(_BEGINS[kind]), (panel, kind)
        if kind == "SVG":
            assert b"run-0" in content  # runs are named, by axis or legend


def test_a_chosen_colour_is_the_runs_in_the_link_and_in_this_browser(
    opened: Opened, eight: Eight
) -> None:
    page = opened(eight.url(3))
    first, second = eight.ids[:2]
    for run, color in ((first, "Purple"), (second, "Purple, dashed")):
        page.locator(f'[data-run="{run}"] [data-act=color]').click()
        page.get_by_role("button", name=color, exact=True).click()

    assert json.loads(_query(page, "colors")) == {first: 4, second: 10}
    page.goto(eight.url(2))  # a link without colours
    mark = page.locator(f'[data-run="{first}"] .dot')
    expect(mark).to_have_css("background-color", "rgb(187, 34, 136)")
    expect(page.locator(f'[data-run="{second}"] .dot')).to_have_class(re.compile("swatch-1"))


def test_what_mattered_stands_on_top_in_words(opened: Opened, eight: Eight) -> None:
    page = opened(eight.whole)

    expect(page.locator("#verdict a")).to_be_visible()
    told = page.locator("#verdict").inner_text()
    assert re.search(r"lr explains most of val_acc \(\d+ %\), best near 1e-8", told), told
    assert "low confidence: 8 runs" in told
    page.locator("#verdict a").click()
    expect(_panel(page, "importance")).to_contain_text("lr explains most")


def test_many_runs_are_one_line_with_a_band(opened: Opened, eight: Eight) -> None:
    page = opened(eight.whole)
    _panel(page, "curves")
    page.get_by_label("Group by").select_option("*")
    page.get_by_label("Band").select_option("half")

    expect(page.locator("#curves-body .legend")).to_contain_text("all runs (8 runs)")
    assert (_query(page, "group"), _query(page, "band")) == ("*", "half")


def test_a_comparison_moves_while_its_runs_are_written_and_stops_with_them(
    tmp_path: Path, watch_at: Callable[[str], Watch]
) -> None:
    folder = tmp_path / "store"
    with ui_store.live(folder) as run, RunningServer(folder) as server:
        page = watch_at(server.url).open(f'/projects/default/compare?runs=["{run.said}"]')
        _panel(page, "curves")
        chart = page.locator(".curve[data-state=ready]").first
        points, text = chart.get_attribute("data-points") or "", ""
        text = page.locator("#metrics-body").inner_text()

        expect(chart).not_to_have_attribute("data-points", points)
        expect(page.locator("#metrics-body")).not_to_have_text(text)
        expect(page.locator("#strip .status-running")).to_have_count(1)
        run.stop()
        expect(page.locator("#strip .status-running")).to_have_count(0)


def test_fingers_brush_an_axis_and_zoom_a_curve(
    watch_at: Callable[[str], Watch], eight: Eight
) -> None:
    page = watch_at(eight.server.url).context(touch=True, width=800).new_page()
    page.goto(eight.whole)
    page.wait_for_selector("#strip[data-state=ready]")
    _panel(page, "parallel")
    fingers = Fingers(page)
    box = page.locator(".axis-stage canvas").last.bounding_box()
    assert box is not None
    x = box["x"] + 52 + 8  # beside the first axis: a finger is no needle
    fingers.slide([(x, box["y"] + 40)], [(x, box["y"] + 160)])
    page.wait_for_selector(".brush-chip")
    assert "params.lr" in json.loads(_query(page, "brush"))

    page.goto(eight.url(2))
    _panel(page, "curves")
    chart = page.locator(".curve[data-state=ready]").first
    chart.scroll_into_view_if_needed()
    settle(page)
    box = chart.locator("canvas").bounding_box()
    assert box is not None
    middle, y = box["x"] + box["width"] / 2, box["y"] + 100
    fingers.slide([(middle - 40, y), (middle + 40, y)], [(middle - 150, y), (middle + 150, y)])

    expect(chart).not_to_have_attribute("data-range", "0:4")
    low, high = json.loads(_query(page, "zoom"))
    assert 0 < low < high < 4


def _add(page: Page, name: str) -> None:
    field = page.get_by_label("Add a run by its name or id")
    field.fill(name)
    option = page.get_by_role("option").filter(has_text=name)
    expect(option).to_have_count(1)
    field.press("Enter")


def test_runs_that_are_added_quickly_are_all_there_whatever_comes_last(
    opened: Opened, eight: Eight
) -> None:
    page = opened(eight.url(2))
    held = Held(page, "**/compare/columns?*")
    _add(page, "run-5")
    older = held.next()
    _add(page, "run-6")
    held.next().continue_()
    chips = page.locator("#strip [data-run]")
    expect(chips).to_have_count(4)
    with page.expect_response("**/compare/columns?*"):
        older.continue_()
    painted(page)

    expect(chips).to_have_count(4)


def test_what_is_typed_stays_while_a_run_is_written(opened: Opened, eight: Eight) -> None:
    with MLOpsClient(eight.server.url).start_run(name="written", capture=False) as run:
        run.log_metrics({"val_loss": 1.0}, step=0)
        run.flush()
        page = opened(eight.of([eight.ids[0], run.id]))
        field = page.get_by_label("Add a run by its name or id")
        field.fill("run-")
        expect(page.get_by_role("option")).not_to_have_count(0)
        run.log_metrics({"val_loss": 0.25}, step=1)
        run.flush()
        expect(page.locator("#metrics")).to_contain_text("0.25")

        expect(field).to_have_value("run-")
        expect(field).to_be_focused()


def test_a_comparison_that_lost_its_runs_asks_for_no_others(opened: Opened, eight: Eight) -> None:
    with MLOpsClient(eight.server.url).start_run(name="lost", capture=False) as run:
        run.log_metrics({"val_loss": 1.0}, step=0)
        run.flush()
        page = opened(eight.of([run.id]))
        page.get_by_role("button", name="Remove: lost").click()
        expect(page.get_by_text("No runs to compare")).to_be_visible()
        held = Held(page, "**/compare/columns?*")
        look_again(page)
        painted(page)
        painted(page)

        assert held.waiting == []


_SCRIPTS_SENT = """() => performance.getEntriesByType('resource')
  .filter(e => e.name.endsWith('.js')).map(e => [e.name.split('/').at(-1), e.encodedBodySize])"""


def test_a_window_on_many_runs_loads_three_panels_and_no_more_than_a_page_may(
    opened: Opened, page: Page, eight: Eight
) -> None:
    page.set_viewport_size({"width": 1440, "height": 800})  # of a screen of 1440 x 900
    opened(eight.whole)
    for name in ("parallel", "importance", "scatter"):
        page.wait_for_selector(f"#{name}-body[data-state=ready]")
    settle(page)

    sent = dict(page.evaluate(_SCRIPTS_SENT))
    assert {"parallel_panel.js", "importance_panel.js", "scatter_panel.js"} <= set(sent)
    assert "bars_panel.js" not in sent
    assert sum(sent.values()) <= 40_000
