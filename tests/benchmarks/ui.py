"""The pages in a browser: every figure that the web UI promises, beside its budget.

`python -m tests.benchmarks ui` measures all of them, `ui:start ui:tabs` some parts. A figure that
has no other baseline is beside that of our smallest page, the list of keys. Charts are looked at
through a window that shows all of them, with an empty cache each time. TensorBoard and Trackio,
where they are installed, show the same data; what is waited for there is the last card.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import quote

from playwright.sync_api import Browser, Page

from podstack.testing import ui_store
from podstack.testing.browser import launched
from podstack.testing.podstack_server import RunningServer
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._pages import (
    TALL,
    USUAL,
    Load,
    address,
    charts,
    cpu_seconds,
    load,
    loaded,
    program,
    worked,
)
from tests.benchmarks._peer_pages import peers
from tests.benchmarks._runs import make_many, make_million, make_twenty
from tests.benchmarks._tables import Figure, Table, at_most, figures_table

_P = "/projects/default"
_SMALL = "the list of keys"


def tables(*, quick: bool, part: str = "") -> Iterator[Table]:
    """
    Args:
        part: a key of PARTS; all of them without one.
    """
    for title, figures in PARTS.values() if not part else [PARTS[part]]:
        with tempfile.TemporaryDirectory() as folder, launched() as browser:
            found = list(figures(browser, Path(folder), quick))
        if found:
            yield figures_table(title, found)


def _middle(rounds: int, once: Callable[[], Load]) -> Load:
    loads = [once() for _ in range(rounds)]
    return Load(*(median(column) for column in zip(*loads, strict=True)))


def _smallest(browser: Browser, url: str, rounds: int) -> Load:
    load(browser, url + "/help/keys", loaded)
    return _middle(rounds, lambda: load(browser, url + "/help/keys", loaded))


def _figures(what: str, there: Load, small: Load, seconds: float) -> Iterator[Figure]:
    """Time, script and heap of a page, each with its budget, and what was sent."""
    yield Figure(f"{what}: drawn", there.seconds, "s", small.seconds, _SMALL, at_most(seconds, "s"))
    script, heap = at_most(40_000, "bytes"), at_most(15e6, "bytes")
    yield Figure(f"{what}: JS, gzip", there.script, "bytes", small.script, _SMALL, script)
    yield Figure(f"{what}: heap", there.heap, "bytes", small.heap, _SMALL, heap)
    yield Figure(f"{what}: transferred", there.total, "bytes", small.total, _SMALL)


# Charts ------------------------------------------------------------------------------------


def _metrics(browser: Browser, here: Path, quick: bool) -> Iterator[Figure]:
    points, rounds = (20_000, 1) if quick else (1_000_000, 5)
    run = in_fresh_process(make_million, str(here / "million"), points)
    with RunningServer(here / "million", environment=_cache(here)) as server:
        small = _smallest(browser, server.url, rounds)
        page = f"{server.url}{_P}/runs/{run}/metrics"
        first = load(browser, page, charts(12))
        twelve = _middle(rounds, lambda: load(browser, page, charts(12)))
        zoom = median(_zoomed(browser, page) for _ in range(rounds))
    what = f"12 charts, one of {points:,} points"
    yield Figure(f"{what}: never read before", first.seconds, "s", small.seconds, _SMALL)
    yield from _figures(what, twelve, small, 1.0)
    yield Figure(f"zoom on {points:,} points, to the new curve", zoom, "s", small.seconds, _SMALL)


_CHART = "[data-points] canvas[tabindex]"
_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def _zoomed(browser: Browser, url: str) -> float:
    """Seconds from a key that zooms until what the server answers is drawn."""
    page = browser.new_page(viewport=TALL)  # type: ignore[arg-type]
    page.goto(url, wait_until="commit")
    charts(12)(page)
    page.locator(_CHART).first.focus()
    start = time.perf_counter()
    with page.expect_response(lambda answer: "start=" in answer.url) as asked:
        page.keyboard.press("+")
    asked.value.finished()
    page.evaluate(_FRAMES)
    seconds = time.perf_counter() - start
    page.close()
    return seconds


def _overlay(browser: Browser, here: Path, quick: bool) -> Iterator[Figure]:
    runs, steps, rounds = (3, 50, 1) if quick else (20, 1_000, 5)
    ids = in_fresh_process(make_twenty, str(here / "twenty"), runs, steps)
    with RunningServer(here / "twenty", environment=_cache(here)) as server:
        small = _smallest(browser, server.url, rounds)
        there = _middle(rounds, lambda: load(browser, overlay(server.url, ids), charts(12)))
    yield from _figures(f"{runs} runs over each other", there, small, 2.0)


def overlay(url: str, ids: list[str]) -> str:
    """The workspace with all of these runs drawn."""
    return f"{url}{_P}/experiments/twenty/charts?runs={quote(json.dumps(ids))}"


def _compare(browser: Browser, here: Path, quick: bool) -> Iterator[Figure]:
    runs, rounds = (50, 1) if quick else (500, 5)
    in_fresh_process(make_many, str(here / "many"), runs)
    with RunningServer(here / "many", environment=_cache(here)) as server:
        small = _smallest(browser, server.url, rounds)
        page = f"{server.url}{_P}/compare?experiment=many"
        drawn = lambda page: page.locator("[data-points] .parallel").wait_for()  # noqa: E731
        there = _middle(rounds, lambda: load(browser, page, drawn, USUAL))
    yield from _figures(f"parallel coordinates of {runs} runs", there, small, 0.6)


# Tables ------------------------------------------------------------------------------------

_FILTER = """async () => {
  const frames = () => new Promise(
    done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const box = document.querySelector('#q');
  const times = [];
  for (const text of ['optimizer = adamw', 'seed < 500', 'lr > 0.5 and batch = 64', 'run-0']) {
    await frames();
    const start = performance.now();
    box.value = text;
    box.dispatchEvent(new InputEvent('input', {bubbles: true}));
    await frames();
    times.push(performance.now() - start);
  }
  box.value = '';
  box.dispatchEvent(new InputEvent('input', {bubbles: true}));
  await frames();
  const start = performance.now();
  await frames();
  return [times.sort((a, b) => a - b)[2] / 1000, (performance.now() - start) / 1000];
}"""
_SCROLL = """async step => {
  const frame = () => new Promise(requestAnimationFrame);
  const box = document.querySelector('.grid-scroll');
  box.scrollTop = 0;
  for (let count = 0; count < 40; count += 1) {
    box.scrollTop += step;
    await frame();
    await frame();
  }
}"""
_ROWS = "() => document.querySelector('.grid-scroll tr[data-run]')"


def _table(browser: Browser, here: Path, quick: bool) -> Iterator[Figure]:
    runs, rounds = (200, 1) if quick else (10_000, 5)
    in_fresh_process(make_many, str(here / "many"), runs)
    with RunningServer(here / "many", environment=_cache(here)) as server:
        small = _smallest(browser, server.url, rounds)
        url = f"{server.url}{_P}/experiments/many"
        drawn = lambda page: page.wait_for_function(_ROWS)  # noqa: E731
        load(browser, url, drawn)
        there = _middle(rounds, lambda: load(browser, url, drawn))
        page = browser.new_page()
        page.goto(url)
        drawn(page)
        page.wait_for_timeout(500)
        taken, frames = page.evaluate(_FILTER)
        wheel, whole = (_scrolled(page, step) for step in (100, 700))
        page.close()
    what = f"{runs:,} runs"
    yield Figure(f"page of {what}", there.seconds, "s", small.seconds, _SMALL, at_most(1.5, "s"))
    script = at_most(40_000, "bytes")
    yield Figure(f"page of {what}: JS, gzip", there.script, "bytes", small.script, _SMALL, script)
    limit = at_most(0.1, "s")
    yield Figure(f"filter of {runs:,} rows", taken, "s", frames, "two frames", limit)
    limit = at_most(0.03, "s")
    yield Figure("scrolled by 3 rows, main thread", wheel, "s", frames, "two frames", limit)
    yield Figure("scrolled by a page, main thread", whole, "s", frames, "two frames")


def _scrolled(page: Page, step: int) -> float:
    return worked(page, lambda: page.evaluate(_SCROLL, step)) / 40


# Starting, and running ---------------------------------------------------------------------


def _start(browser: Browser, here: Path, quick: bool) -> Iterator[Figure]:
    few, many = (100, 200) if quick else (1_000, 10_000)
    bare = _seconds(lambda: in_fresh_process(_import_server))
    for runs, limit in ((few, 1.0), (many, 5.0)):
        store = here / f"many-{runs}"
        in_fresh_process(make_many, str(store), runs)
        for state in ("never indexed", "again"):
            first, whole = _to_first_page(browser, here, store)
            what = f"{runs:,} runs, {state}"
            yield Figure(
                f"`podstack ui` to the first page, {what}",
                first, "s", bare, "importing it", at_most(limit, "s"),
            )  # fmt: skip
            yield Figure(f"the same until all are known, {what}", whole, "s", bare, "importing it")


def _to_first_page(browser: Browser, here: Path, store: Path) -> tuple[float, float]:
    """Seconds from the command until its first page is loaded, and until it knows all runs."""
    start = time.perf_counter()
    with _started(here, store) as (_, url):
        page = browser.new_page()
        page.set_default_timeout(240_000)  # milliseconds
        page.goto(url, wait_until="load")
        first = time.perf_counter() - start
        page.request.get(f"{url}/api/v1{_P}/runs?limit=1", timeout=120_000)  # all of them
        page.close()
        return first, time.perf_counter() - start


def _import_server() -> int:
    import podstack.server.app
    import podstack.server.parts  # noqa: F401

    return len(sys.modules)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _cache(here: Path) -> dict[str, str]:
    return {"PODSTACK_CACHE": str(here / "cache")}


@contextmanager
def _started(here: Path, store: Path) -> Iterator[tuple[int, str]]:
    words = ["-m", "podstack", "ui", "--store", str(store), "--port", "0", "--no-browser"]
    with program(words, here / "ui.log", address, _cache(here)) as found:
        yield found


def _tabs(browser: Browser, here: Path, quick: bool) -> Iterator[Figure]:
    tabs, seconds = (2, 2.0) if quick else (20, 30.0)
    with ui_store.live(here / "live") as run, _started(here, here / "live") as (pid, url):
        page = f"{url}{_P}/runs/{run.said}/metrics"
        one = _load_of(browser, pid, page, 1, seconds)
        all_tabs = _load_of(browser, pid, page, tabs, seconds)
    yield Figure(
        f"{tabs} tabs on a live run, of a core", all_tabs * 100, "%", one * 100, "one tab",
        at_most(5.0, "%"),
    )  # fmt: skip


def _load_of(browser: Browser, pid: int, url: str, tabs: int, seconds: float) -> float:
    """Share of a core that the server uses while so many windows look at a live run."""
    contexts = [browser.new_context() for _ in range(tabs)]
    for context in contexts:
        page = context.new_page()
        page.goto(url, wait_until="load")
        charts(1)(page)
    before, start = cpu_seconds(pid), time.perf_counter()
    time.sleep(seconds)
    share = (cpu_seconds(pid) - before) / (time.perf_counter() - start)
    for context in contexts:
        context.close()
    return max(share, 1e-4)


def _elsewhere(browser: Browser, here: Path, quick: bool) -> Iterator[Figure]:
    runs, steps = (3, 50) if quick else (20, 1_000)
    found = list(peers(browser, here, runs, steps))
    if not found:
        return
    store = here / "beside"
    ids = in_fresh_process(make_twenty, str(store), runs, steps)
    with RunningServer(store, environment=_cache(here)) as server:
        ours = load(browser, overlay(server.url, ids), charts(12))
    for name, there in found:
        yield Figure(f"{name}: seconds to its cards", there.seconds, "s", ours.seconds, "podstack")
        yield Figure(f"{name}: transferred", there.total, "bytes", ours.total, "podstack")
        yield Figure(f"{name}: JavaScript", there.script, "bytes", ours.script, "podstack")
        yield Figure(f"{name}: heap", there.heap, "bytes", ours.heap, "podstack")


Part = Callable[[Browser, Path, bool], Iterator[Figure]]
PARTS: dict[str, tuple[str, Part]] = {
    "metrics": ("A run's charts", _metrics),
    "overlay": ("Runs over each other", _overlay),
    "compare": ("A comparison", _compare),
    "table": ("The runs table", _table),
    "start": ("Starting", _start),
    "tabs": ("Tabs on a live run", _tabs),
    "elsewhere": ("The same 20 runs elsewhere", _elsewhere),
}
