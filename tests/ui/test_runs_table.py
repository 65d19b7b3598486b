"""The runs table in a real browser: filter, order, selection, columns, and what is new."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from podstack import MLOpsClient
from podstack.testing.browser import Held, look_again, painted, query, refuse
from podstack.testing.podstack_server import RunningServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from podstack.testing.browser import Watch

pytestmark = pytest.mark.ui

_RUNS = 60


@dataclass(frozen=True)
class Sixty:
    """A server over sixty runs of one experiment."""

    server: RunningServer
    client: MLOpsClient
    experiment: str

    @property
    def path(self) -> str:
        return f"/projects/default/experiments/{self.experiment}"


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sixty]:
    """Its client writes through the server, which so knows at once of what was written."""
    folder = tmp_path_factory.mktemp("sixty")
    client = MLOpsClient(folder / "store")
    experiment = client.create_experiment("sixty")
    for number in range(_RUNS):
        params = {"lr": 0.001 * (number + 1), "optimizer": "adamw" if number % 2 else "sgd"}
        with client.start_run(
            experiment_id=experiment.id,
            name=f"run-{number:02}",
            params={**params, "note": "=1+1"},
            capture=False,
        ) as run:
            run.log_metrics({"val_acc": 0.3 + number / 100})
    environment = {"PODSTACK_CACHE": str(folder / "cache")}
    with RunningServer(folder / "store", environment=environment) as server:
        yield Sixty(server, MLOpsClient(server.url), experiment.id)


@pytest.fixture
def table(sixty: Sixty, watch_at: Callable[[str], Watch]) -> Page:
    return watch_at(sixty.server.url).open(sixty.path)


def _names(page: Page) -> list[str]:
    return page.locator("#runs .name-cell a").all_inner_texts()


def _waits_for(page: Page, rows: int) -> None:
    page.locator(f'#runs[data-rows="{rows}"]').wait_for()


def test_a_filter_leaves_the_runs_that_fit_and_stays_in_the_link(table: Page) -> None:
    table.locator("#q").fill("val_acc > 0.8 and optimizer = adamw")

    _waits_for(table, 5)
    assert _names(table) == ["run-59", "run-57", "run-55", "run-53", "run-51"]
    table.wait_for_url("**q=*")
    table.reload()
    _waits_for(table, 5)
    expect(table.locator("#q")).to_have_value("val_acc > 0.8 and optimizer = adamw")


def test_what_needs_the_runs_cannot_be_pressed_before_they_are_there(
    sixty: Sixty, watch_at: Callable[[str], Watch]
) -> None:
    page = watch_at(sixty.server.url).context().new_page()
    held = Held(page, "**/table?*")
    page.goto(sixty.path)
    asked = held.next()
    buttons = [page.get_by_role("button", name=name) for name in ("Columns", "Export")]
    for button in buttons:
        expect(button).to_be_disabled()
    asked.continue_()
    for button in buttons:
        expect(button).to_be_enabled()


def test_a_part_that_cannot_be_read_is_underlined_and_taken_as_words(table: Page) -> None:
    table.locator("#q").fill("optimizer = sgd and lr >")
    table.locator("#q").blur()

    table.locator("#filter-note", has_text="expected").wait_for()
    expect(table.locator(".filter-ghost u")).to_have_text("lr >")
    table.get_by_role("button", name="lr > ×").click()
    _waits_for(table, 30)


def test_completion_writes_names_operators_and_values(table: Page) -> None:
    box = table.locator("#q")
    box.press_sequentially("opt")
    table.locator("#filter-list li", has_text="optimizer").wait_for()
    for _ in range(2):  # the name, then =
        box.press("ArrowDown")
        box.press("Enter")
    box.press_sequentially("ad")
    box.press("ArrowDown")
    box.press("Enter")

    expect(box).to_have_value("optimizer = adamw ")
    _waits_for(table, 30)


def test_a_head_sorts_by_its_column_best_first_and_says_so(table: Page) -> None:
    table.get_by_role("button", name="val_acc", exact=True).click()

    head = table.locator('th[data-key="metrics.val_acc"]')
    expect(head).to_have_attribute("aria-sort", "descending")
    assert _names(table)[0] == "run-59"
    expect(table.locator(".is-best").first).to_have_text("★0.89")
    table.get_by_role("button", name="val_acc", exact=True).click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert _names(table)[0] == "run-00"
    assert query(table)["sort"] == ["metrics.val_acc"]


def test_shift_selects_a_range_that_survives_a_sort_and_goes_to_compare(table: Page) -> None:
    table.locator("tr[data-run] td.pick").nth(1).click()
    table.locator("tr[data-run] td.pick").nth(4).click(modifiers=["Shift"])

    expect(table.locator("#compare")).to_have_text("Compare (4)")
    table.get_by_role("button", name="Name").click()
    expect(table.locator("#compare")).to_have_text("Compare (4)")
    target = table.locator("#compare").get_attribute("href") or ""
    assert len(json.loads(parse_qs(urlsplit(target).query)["runs"][0])) == 4
    assert len(json.loads(query(table)["runs"][0])) == 4


def test_only_rows_in_sight_are_in_the_document_and_keys_reach_the_others(table: Page) -> None:
    assert table.locator("tr[data-run]").count() < _RUNS
    for _ in range(_RUNS):
        table.keyboard.press("j")
    table.keyboard.press("x")

    assert _names(table)[-1] == "run-00"
    expect(table.locator('tr[aria-selected="true"] a')).to_have_text("run-00")
    table.keyboard.press("Enter")
    table.wait_for_url("**/runs/*")


def test_keys_reach_the_filter_the_selection_help_and_compare(table: Page) -> None:
    table.keyboard.press("/")
    expect(table.locator("#q")).to_be_focused()
    for _ in range(2):  # the list of completions, then the box
        table.keyboard.press("Escape")
    table.keyboard.press("a")
    expect(table.locator("#compare")).to_have_text(f"Compare ({_RUNS})")
    table.keyboard.press("a")
    expect(table.locator("#compare")).to_have_text("Compare")
    table.keyboard.press("?")
    expect(table.get_by_role("dialog")).to_contain_text("Choose columns")
    table.keyboard.press("Enter")
    expect(table.get_by_role("dialog")).to_have_count(0)
    for key in ("j", "x", "j", "j", "k", "x", "c"):
        table.keyboard.press(key)

    table.wait_for_url("**/compare?runs=*")
    assert len(json.loads(query(table)["runs"][0])) == 2


_SCROLLED = """async ([to, mark]) => {
  const frames = () => new Promise(
    done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const rows = () => [...document.querySelectorAll('#runs tr[data-run]')];
  if (mark) for (const row of rows()) row.dataset.mark = mark;
  const box = document.querySelector('.grid-scroll');
  box.scrollTop = to;
  await frames();
  const top = box.querySelector('tbody').getBoundingClientRect().top;
  return rows().map(row => [Math.round((row.getBoundingClientRect().top - top) / 30),
    row.getAttribute('aria-rowindex') - 2, row.querySelector('a').textContent, row.dataset.mark]);
}"""


def test_a_scroll_makes_only_the_rows_that_come_into_sight(table: Page) -> None:
    table.set_viewport_size({"width": 1440, "height": 500})
    named = [f"run-{number:02}" for number in reversed(range(_RUNS))]
    scrolled = (
        table.evaluate(_SCROLLED, [to, mark])
        for to, mark in ((240, ""), (330, "seen"), (300, ""), (1500, ""), (0, ""), (100, "back"))
    )

    _, down, up, jumped, top, _ = found = [*scrolled]

    for rows in found:
        places = [place for place, *_ in rows]
        assert places == [*range(places[0], places[-1] + 1)]  # none twice, none left out
        assert [(place, named[place]) for place in places] == [
            (at, name) for _, at, name, _ in rows
        ]
    assert [mark for *_, mark in down].count("seen") == len(down) - 3
    assert [mark for *_, mark in up].count("seen") == len(up) - 3
    assert "seen" not in [mark for *_, mark in (*jumped, *top)]


def test_columns_are_chosen_in_a_dialog_and_kept_in_the_link(table: Page) -> None:
    table.get_by_role("button", name="Columns").click()
    table.get_by_label("optimizer", exact=True).uncheck()
    table.get_by_role("button", name="Pin lr").click()
    table.get_by_role("button", name="Done").click()

    heads = table.locator("#runs thead th[data-key]")
    keys = [head.get_attribute("data-key") for head in heads.all()]
    assert keys[:2] == ["name", "params.lr"]
    assert "params.optimizer" not in keys
    assert json.loads(query(table)["pins"][0]) == ["params.lr"]


def test_groups_have_a_count_and_fold(table: Page) -> None:
    table.locator("#group").select_option("params.optimizer")

    assert table.locator(".fold").first.inner_text().endswith(" 30")
    table.locator(".fold").first.click()
    expect(table.locator(".fold")).to_have_count(2)


def test_exported_cells_are_never_formulas(table: Page) -> None:
    table.get_by_role("button", name="Columns").click()
    table.get_by_label("note", exact=True).check()
    table.get_by_role("button", name="Done").click()
    table.get_by_role("button", name="Export").click()
    with table.expect_download() as download:
        table.get_by_role("menuitem", name="CSV").click()

    text = download.value.path().read_text()
    assert len(text.splitlines()) == _RUNS + 1
    assert "'=1+1" in text
    assert ",=" not in text


def test_json_has_what_is_shown_or_selected(table: Page) -> None:
    table.locator("td.pick").nth(2).click()
    table.get_by_role("button", name="Export").click()
    with table.expect_download() as download:
        table.get_by_role("menuitem", name="JSON of the selected rows").click()

    (row,) = json.loads(download.value.path().read_text())
    assert (row["name"], round(row["metrics.val_acc"], 3)) == ("run-57", 0.87)
    assert "params.note" not in row  # all runs have the same: no column shows it


def test_new_runs_wait_until_they_are_asked_for(sixty: Sixty, table: Page) -> None:
    first = _names(table)[0]
    run = sixty.client.start_run(
        experiment_id=sixty.experiment, name="newcomer", params={"lr": 1.0}, capture=False
    )
    run.finish()

    fresh = table.locator("#fresh")
    fresh.get_by_text("1 new run – show").wait_for()
    assert _names(table)[0] == first
    fresh.click()
    table.get_by_role("link", name="newcomer").wait_for()
    table.get_by_label("Select newcomer").click()
    table.get_by_role("button", name="Delete").click()
    table.get_by_text("One run deleted").wait_for()
    _waits_for(table, _RUNS)


def test_what_failed_is_still_told_when_something_is_new(
    sixty: Sixty, watch_at: Callable[[str], Watch]
) -> None:
    watch = watch_at(sixty.server.url)
    watch.allowed.append("503")
    page = watch.open(sixty.path)
    page.route("**/table?*filter=*", refuse)
    page.locator("#q").fill("notes contains 'x'")  # the page is not told notes
    expect(page.locator("#runs")).to_contain_text("The store is asleep.")
    with sixty.client.start_run(experiment_id=sixty.experiment, name="new", capture=False) as run:
        run.log_metrics({"val_acc": 0.1})
    with page.expect_response("**/table?*since=*"):
        look_again(page)
    painted(page)
    run.delete()

    expect(page.locator("#runs")).to_contain_text("The store is asleep.")


def test_undo_of_a_deletion_leaves_what_was_selected_since(table: Page) -> None:
    table.locator("td.pick").nth(1).click()
    table.locator("#delete").click()
    expect(table.get_by_text("One run deleted")).to_be_visible()
    expect(table.locator("#count")).to_have_text("59 runs")
    table.locator("td.pick").nth(5).click()
    table.get_by_role("button", name="Undo").click()
    expect(table.locator("#count")).to_have_text("60 runs")

    expect(table.locator("#compare")).to_have_text("Compare (1)")


def test_the_first_run_of_an_experiment_appears_by_itself(
    sixty: Sixty, watch_at: Callable[[str], Watch]
) -> None:
    home = sixty.client.create_experiment("none yet")
    page = watch_at(sixty.server.url).open(f"/projects/default/experiments/{home.id}")
    expect(page.locator("#runs")).to_contain_text("No runs yet")
    with sixty.client.start_run(experiment_id=home.id, name="the first", capture=False):
        pass
    look_again(page)

    expect(page.locator("#runs tr[data-run]")).to_have_count(1)


def test_a_look_from_before_does_not_change_a_newer_table(
    sixty: Sixty, watch_at: Callable[[str], Watch]
) -> None:
    home = sixty.client.create_experiment("renamed")
    with sixty.client.start_run(experiment_id=home.id, name="before", capture=False) as run:
        pass
    page = watch_at(sixty.server.url).open(f"/projects/default/experiments/{home.id}")
    held = Held(page, "**/table?*since=*")
    run.add_tags("one")
    look_again(page)
    look = held.next()
    before = look.fetch()
    page.locator("td.pick").first.click()
    page.locator("#tag").click()
    page.get_by_role("textbox", name="Tags").fill("two")
    page.keyboard.press("Enter")
    tags = page.locator("#runs tr[data-run] .tag")
    expect(tags).to_have_text(["one", "two"])
    with page.expect_response("**/table?*since=*"):
        look.fulfill(response=before)
    painted(page)

    expect(tags).to_have_text(["one", "two"])


def test_times_are_those_of_the_server_where_the_browser_s_clock_is_wrong(
    sixty: Sixty, watch_at: Callable[[str], Watch]
) -> None:
    page = watch_at(sixty.server.url).context().new_page()
    page.add_init_script("const real = Date.now; Date.now = () => real() + 40 * 86400e3;")
    page.goto(sixty.server.url + sixty.path)
    _waits_for(page, _RUNS)

    started = page.locator("tr[data-run]").first
    expect(started).to_contain_text(re.compile(r"just now|\d+ (s|min) ago"))
