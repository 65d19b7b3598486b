"""Columns by hand, large selections, a phone's width, and a process that writes meanwhile."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from podstack import MLOpsClient
from podstack.testing.browser import Fingers, address, query, settle
from podstack.testing.podstack_server import RunningServer

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from podstack.testing.browser import Watch

pytestmark = pytest.mark.ui

_RUNS = 150
_ACC = "metrics.val_acc"
_LOSS = "metrics.loss"


@dataclass(frozen=True)
class Site:
    """A server over 150 runs of one experiment."""

    server: RunningServer
    store: Path

    def open(self, watch_at: Callable[[str], Watch], query: str = "", width: int = 1440) -> Page:
        path = f"/projects/default/experiments/columns{query}"
        return watch_at(self.server.url).open(path, width=width)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("columns")
    client = MLOpsClient(folder / "store")
    client.create_experiment("columns")
    for number in range(_RUNS):
        params = {"lr": 10.0 ** -(number % 5), "optimizer": "adamw" if number % 2 else "sgd"}
        name = f"run-{number:03}"
        with client.start_run(experiment="columns", name=name, params=params, capture=False) as run:
            for step, share in enumerate((1.0, 0.9)):
                run.log_metrics({"val_acc": number / 200 * share, "loss": 2 - share}, step=step)
    environment = {"PODSTACK_CACHE": str(folder / "cache")}
    with RunningServer(folder / "store", environment=environment) as server:
        yield Site(server, folder / "store")


@pytest.fixture
def table(site: Site, watch_at: Callable[[str], Watch]) -> Page:
    return site.open(watch_at)


def _head(page: Page, key: str) -> Locator:
    return page.locator(f'#runs thead th[data-key="{key}"]')


def _keys(page: Page) -> list[str]:
    heads = page.locator("#runs thead th[data-key]").all()
    return [head.get_attribute("data-key") or "" for head in heads]


def _menu(page: Page, key: str, item: str) -> None:
    _head(page, key).hover()
    _head(page, key).locator(".head-menu").click()
    page.locator(".menu").get_by_text(item, exact=True).click()
    expect(page.locator(".menu")).to_have_count(0)


def _middle(head: Locator) -> tuple[float, float]:
    box = head.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _pressed(page: Page, key: str) -> float:
    """The pointer held down on a head; what carries it comes with the pointer."""
    _head(page, key).hover()
    page.locator("#runs thead tr[data-carries]").wait_for()
    x, y = _middle(_head(page, key))
    page.mouse.move(x, y)
    page.mouse.down()
    return y


def test_a_metric_column_switches_to_its_best_value_and_the_link_says_so(table: Page) -> None:
    _menu(table, _ACC, "Best (highest)")

    expect(_head(table, f"{_ACC}.max")).to_have_text("val_acc max▾")
    assert f"{_ACC}.max" in json.loads(query(table)["cols"][0])
    row = table.locator("tr[data-run]", has_text="run-149")
    expect(row).to_contain_text("★0.745")
    expect(row.locator(".is-best", has_text="0.745")).to_have_css("font-weight", "600")
    _menu(table, f"{_ACC}.max", "Best of all metrics")
    expect(_head(table, f"{_LOSS}.min")).to_be_visible()
    _head(table, f"{_ACC}.max").locator(".head-sort").click()
    _menu(table, f"{_ACC}.max", "Lowest")  # the order follows the figure that it is by

    assert query(table)["sort"] == [f"-{_ACC}.min"]
    expect(_head(table, f"{_ACC}.min")).to_have_attribute("aria-sort", "descending")


def test_a_column_is_carried_by_mouse_or_keys_and_is_not_sorted_by_it(table: Page) -> None:
    y = _pressed(table, _ACC)
    left, _ = _middle(_head(table, "status"))
    table.mouse.move(left + 20, y, steps=5)
    expect(table.locator(".drop-mark")).to_be_visible()
    table.mouse.move(left - 40, y, steps=3)
    table.mouse.up()

    assert _keys(table)[:3] == ["name", _ACC, "status"]
    assert "sort" not in query(table)
    table.reload()
    expect(_head(table, _ACC)).to_be_visible()
    before = _keys(table)
    assert before[:3] == ["name", _ACC, "status"]
    y = _pressed(table, _LOSS)
    table.mouse.move(500, y, steps=5)
    expect(table.locator(".drop-mark")).to_be_visible()
    table.keyboard.press("Escape")
    table.mouse.up()
    expect(table.locator(".drop-mark")).to_have_count(0)
    assert _keys(table) == before
    _head(table, "status").locator(".head-sort").focus()
    table.keyboard.press("Alt+ArrowRight")

    expect(_head(table, "status").locator(".head-sort")).to_be_focused()
    assert _keys(table)[:4] == ["name", _ACC, "created", "status"]
    expect(table.locator("#said")).to_have_text("Status: column 3 of 9")
    table.keyboard.press("Alt+ArrowDown")
    expect(table.get_by_role("menuitem", name="Move left")).to_be_visible()
    table.keyboard.press("Escape")
    expect(table.get_by_role("menu")).to_have_count(0)


_BOX = """() => {
    const box = document.querySelector(".grid-scroll");
    const rows = document.querySelectorAll("#runs tbody tr[data-run]");
    return [box, rows[rows.length - 1]].map((one) => one.getBoundingClientRect().bottom);
}"""  # asked at once, for rows are drawn anew while they are looked at


def test_the_box_of_the_table_ends_with_its_rows(
    site: Site, watch_at: Callable[[str], Watch]
) -> None:
    for width in (1440, 800, 390):
        page = site.open(watch_at, width=width)
        rows = page.locator("#runs tbody tr[data-run]")
        whole, last = page.evaluate(_BOX)
        assert whole < last  # more rows than have room
        page.locator("#q").fill("run-14")
        expect(rows).to_have_count(10)
        few, last = page.evaluate(_BOX)
        assert last - 2 <= few <= last + 20  # a scrollbar's height
        assert few < whole
        page.locator("#q").fill("")
        expect(page.locator("#count")).to_have_text(f"{_RUNS} runs")
        assert page.evaluate(_BOX)[0] == whole
        page.context.close()


def _order_row(page: Page, key: str) -> Locator:
    return page.locator(f'.order-row[data-key="{key}"]')


def test_the_dialog_carries_columns_and_says_where_they_went(table: Page) -> None:
    table.get_by_role("button", name="Columns", exact=True).click()
    said = table.locator(".column-order [role=status]")
    before = _keys(table)
    x, y = _middle(_order_row(table, _ACC))
    top = _middle(_order_row(table, "status"))[1]
    table.mouse.move(x, y)
    table.mouse.down()
    table.mouse.move(x, top - 8, steps=4)
    table.keyboard.press("Escape")  # lets go of the row, and leaves the dialog open
    table.mouse.up()
    assert _keys(table) == before
    table.mouse.move(x, y)
    table.mouse.down()
    table.mouse.move(x, top - 8, steps=4)
    table.mouse.up()
    expect(said).to_have_text(re.compile("^val_acc: column 1 of "))
    others = [key for key in before if key not in ("name", _ACC)]
    assert [key for key in _keys(table) if key != "name"] == [_ACC, *others]
    assert json.loads(query(table)["cols"][0])[:2] == [_ACC, "status"]

    _order_row(table, _ACC).get_by_role("button", name="Move val_acc down").focus()
    table.keyboard.press("Alt+ArrowDown")
    expect(said).to_have_text(re.compile("^val_acc: column 2 of "))
    table.keyboard.press("Enter")  # the button that has the focus does the same
    expect(said).to_have_text(re.compile("^val_acc: column 3 of "))
    table.get_by_label("Move status up").press("Alt+ArrowUp")
    expect(said).to_have_text(re.compile("^Status: column 1 of .*the first$"))
    table.locator(".column-list").get_by_label("val_acc", exact=True).uncheck()
    expect(_order_row(table, _ACC)).to_have_count(0)


def test_a_finger_carries_a_column_in_the_dialog(
    site: Site, watch_at: Callable[[str], Watch]
) -> None:
    page = watch_at(site.server.url).context(touch=True, width=820).new_page()
    page.goto(f"{site.server.url}/projects/default/experiments/columns")
    settle(page)
    page.get_by_role("button", name="Columns", exact=True).click()
    row = _order_row(page, _LOSS)
    row.scroll_into_view_if_needed()
    start = _middle(row.locator(".grip"))
    y = _middle(_order_row(page, "created"))[1]
    Fingers(page).slide([start], [(start[0], y - 6)])

    expect(page.locator(".order-row").nth(1)).to_have_attribute("data-key", _LOSS)
    assert json.loads(query(page)["cols"][0])[:3] == ["status", _LOSS, "created"]


def test_a_pinned_column_stays_in_sight_while_the_others_go_by(
    site: Site, watch_at: Callable[[str], Watch]
) -> None:
    table = site.open(watch_at, width=1000)
    _menu(table, _ACC, "Pin")
    assert _keys(table)[:2] == ["name", _ACC]
    before = _head(table, _ACC).bounding_box()
    table.locator(".grid-scroll").evaluate("box => { box.scrollLeft = 200 }")

    assert _head(table, _ACC).bounding_box() == before
    assert json.loads(query(table)["pins"][0]) == [_ACC]


def test_a_width_drawn_by_hand_is_kept_and_bars_are_drawn_on_request(table: Page) -> None:
    box = _head(table, "user").bounding_box()
    assert box
    edge = box["x"] + box["width"] - 3
    _head(table, "user").hover()
    table.locator("#runs thead tr[data-carries]").wait_for()
    table.mouse.move(edge, box["y"] + 9)
    table.mouse.down()
    table.mouse.move(edge + 90, box["y"] + 9, steps=4)
    table.mouse.up()
    table.reload()
    expect(_head(table, "user")).to_be_visible()

    again = _head(table, "user").bounding_box()
    assert again
    assert abs(again["width"] - box["width"] - 90) <= 1
    expect(table.locator(".has-bar")).to_have_count(0)
    _menu(table, "params.lr", "Bars")

    expect(table.locator("td.has-bar").first).to_be_visible()
    assert json.loads(query(table)["bars"][0]) == ["params.lr"]
    shares = table.locator("td.has-bar").evaluate_all(
        "cells => cells.map(cell => cell.style.getPropertyValue('--bar'))"
    )
    assert {"3.0%", "100.0%", "51.5%"} <= set(shares)  # 1e-4, 1 and 1e-2: by orders of magnitude


def _until_told(page: Page) -> None:
    """Wait until the address says what is selected: a script that comes late puts many in it."""
    page.wait_for_function("() => new URLSearchParams(location.search).has('sel')")


def test_a_selection_of_many_is_in_the_link_and_survives_it(
    site: Site, table: Page, watch_at: Callable[[str], Watch]
) -> None:
    table.get_by_label("Select all runs shown").check()
    table.get_by_label("Select run-149").click()
    expect(table.locator("#compare")).to_have_text("Compare (149)")
    _until_told(table)
    assert "runs" not in query(table)
    link = f"?{urlsplit(address(table)).query}"
    other = site.open(watch_at, link)  # a colleague's browser

    expect(other.locator("#compare")).to_have_text("Compare (149)")
    expect(other.get_by_label("Select run-149")).not_to_be_checked()
    expect(other.get_by_label("Select run-148")).to_be_checked()
    target = parse_qs(urlsplit(other.locator("#compare").get_attribute("href") or "").query)
    assert target["experiment"] == ["columns"]
    assert "created <=" in target["q"][0]


def test_a_selection_that_no_link_can_hold_survives_a_reload_of_its_tab(
    site: Site, watch_at: Callable[[str], Watch]
) -> None:
    table = site.open(watch_at, "?q=lr+%3E+0.0005")  # 120 of 150
    table.get_by_label("Select all runs shown").check()
    table.locator("#q").fill("")
    table.locator(f'#runs[data-rows="{_RUNS}"]').wait_for()
    table.locator("#q").fill("run-004")
    table.get_by_label("Select run-004").click()
    expect(table.locator("#compare")).to_have_text("Compare (121)")
    _until_told(table)
    table.reload()

    expect(table.locator("#compare")).to_have_text("Compare (121)")


def test_a_phone_has_name_status_and_one_figure_and_a_sheet_for_the_rest(
    site: Site, watch_at: Callable[[str], Watch]
) -> None:
    table = site.open(watch_at, f'?pins=["{_LOSS}.min"]', width=390)
    assert _keys(table) == ["name", "status", f"{_LOSS}.min"]
    wide = "() => document.documentElement.scrollWidth > innerWidth"
    assert not table.evaluate(wide)
    assert table.locator(".grid-scroll").evaluate("box => box.scrollWidth <= box.clientWidth")
    table.locator("tr[data-run]", has_text="run-149").locator("td.number").click()

    sheet = table.get_by_role("dialog")
    expect(sheet).to_contain_text("optimizer")
    expect(sheet).to_contain_text("adamw")
    sheet.get_by_role("button", name="Select").click()
    expect(table.locator("#compare")).to_have_text("Compare (1)")


_WRITES = """
import sys
from podstack import MLOpsClient
client = MLOpsClient(sys.argv[1])
with client.start_run(experiment="columns", name="live", capture=False) as run:
    for line in sys.stdin:  # a value for each line that the test writes
        run.log_metrics({"val_acc": float(line)}, step=0 if float(line) < 1 else 1)
        run.flush()
        with client.start_run(experiment="columns", name="newcomer", capture=False) as other:
            other.log_metrics({"val_acc": 2.0})
        print("written", flush=True)
"""


def test_nothing_moves_below_the_pointer_while_a_process_writes(
    site: Site, watch_at: Callable[[str], Watch]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITES, site.server.url],  # which then knows of it at once
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        print(0.5, file=writer.stdin, flush=True)
        assert writer.stdout.readline() == "written\n"
        table = site.open(watch_at, f"?sort=-{_ACC}")
        table.locator("td.pick").first.click()
        names = table.locator("#runs .name-cell a")
        before = names.all_inner_texts()
        places = [table.locator("#delete").bounding_box(), table.locator("#runs").bounding_box()]
        print(1.5, file=writer.stdin, flush=True)  # it would be the first of all now

        fresh = table.locator("#fresh")
        expect(fresh).to_have_text("1 new run – show")
        assert names.all_inner_texts() == before
        assert places == [
            table.locator("#delete").bounding_box(),
            table.locator("#runs").bounding_box(),
        ]
        fresh.click()
        expect(names.first).to_have_text("newcomer")
        assert writer.stdout.readline() == "written\n"
        writer.stdin.close()
    assert writer.returncode == 0
