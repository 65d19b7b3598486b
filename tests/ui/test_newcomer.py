"""What somebody does who has run the quickstart and types `podstack ui`, having read nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from podstack.testing.browser import Watch, bring, settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.ui

_QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.py"
_MORE = """
import sys, time
from podstack import MLOpsClient
client = MLOpsClient()
run = client.start_run(experiment_id="digits", name="mine", params={"lr": 0.02}, capture=False)
print(run.id, flush=True)
for step in range(100_000):
    run.log_metrics({"val_acc": 1 - 1 / (step + 2)}, step=step)
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the quickstart has run."""
    folder = tmp_path_factory.mktemp("desk")
    command = [sys.executable, str(_QUICKSTART)]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def started(desk: Path) -> Iterator[str]:
    """The address that `podstack ui` prints there."""
    words = [sys.executable, "-m", "podstack", "ui", "--no-browser", "--port", "0"]
    with subprocess.Popen(words, cwd=desk, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        try:
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


@pytest.fixture
def training(desk: Path) -> Iterator[str]:
    """The name of a run that another process goes on writing."""
    words = [sys.executable, "-c", _MORE]
    with subprocess.Popen(words, cwd=desk, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield "mine"
        process.terminate()


def test_a_newcomer_finds_watches_compares_explains_notes_and_shares(
    training: str, started: str, watch_at: Callable[[str], Watch]
) -> None:
    watch = watch_at(started)
    page = watch.context().new_page()
    page.goto(started)

    finds_the_run(page, training)
    sees_its_curve_move(page)
    writes_a_note(page)
    compares_two(page)
    learns_which_parameter_mattered(page)
    sees_the_same(page, watch.context().new_page())


def finds_the_run(page: Page, name: str) -> None:
    page.get_by_role("link", name="digits").click()
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.locator("h1")).to_have_text(name)


def sees_its_curve_move(page: Page) -> None:
    page.get_by_role("link", name="Metrics").click()
    chart = page.locator("[data-points]").first
    chart.wait_for()
    first = chart.get_attribute("data-range")
    page.wait_for_function(
        "first => document.querySelector('[data-points]').dataset.range !== first", arg=first
    )


def writes_a_note(page: Page) -> None:
    page.get_by_role("link", name="Notes").click()
    page.locator("#notes-text").fill("**Slow** but sure")
    page.locator("#notes-state", has_text="aved").wait_for()
    page.reload()
    expect(page.locator("#notes-preview strong")).to_have_text("Slow")


def compares_two(page: Page) -> None:
    page.get_by_role("link", name="digits").click()
    for name in ("deep", "hasty"):
        page.locator("tr", has=page.get_by_role("link", name=name, exact=True)).get_by_role(
            "checkbox"
        ).check()
    page.get_by_role("link", name=re.compile("Compare")).click()
    page.locator("#strip[data-state=ready]").wait_for()
    settle(page)
    expect(page.locator("#params-body", has_text="hidden")).to_have_count(1)


# At once, for both move while the run is written.
_TOLD = """() => ["#verdict", "#importance-body"]
  .map((part) => document.querySelector(part).innerText)"""


def learns_which_parameter_mattered(page: Page) -> None:
    bring(page, "#importance-body", "")
    page.get_by_role("link", name="Compare all runs of digits").click()
    page.locator("#verdict a[href='#importance']").wait_for()
    bring(page, "#importance-body")
    told, shown = page.evaluate(_TOLD)
    assert "explains" in told, told
    assert told.partition(" · ")[0].removeprefix("What mattered: ") in shown


def sees_the_same(page: Page, colleague: Page) -> None:
    colleague.goto(page.url)
    colleague.locator("#strip[data-state=ready]").wait_for()
    for part in ("#strip", "#params-body"):
        for one in (page, colleague):
            one.locator(part).scroll_into_view_if_needed()
            settle(one)
        assert colleague.locator(part).inner_text() == page.locator(part).inner_text()
