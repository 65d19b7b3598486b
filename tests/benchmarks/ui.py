"""The pages in a browser: weight, time until all is drawn, memory, CPU of live runs, and the start.

Charts are looked at through a window that shows all of them, with an empty cache each time. The
baseline of a page is our smallest page, the list of keys. TensorBoard and Trackio, where they are
installed, show the same data; what is waited for there is the last card; lines may come later.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from urllib.parse import quote

from playwright.sync_api import Browser, Page

from podstack import MLOpsClient
from podstack.testing import ui_store
from podstack.testing.browser import launched
from podstack.testing.podstack_server import RunningServer
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._pages import Load, charts, cpu_seconds, load, loaded, program
from tests.benchmarks._tables import Figure, Table, at_most, figures_table

_P = "/projects/default"
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


def tables(*, quick: bool) -> Iterator[Table]:
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        here = Path(folder)
        yield figures_table("The pages", _pages(browser, here, quick=quick))
        yield figures_table("The pages of many runs", _many(browser, here, quick=quick))
        yield figures_table("Tabs on a live run", _tabs(browser, here, quick=quick))
        others = list(_others(browser, here, quick=quick))
        if others:
            yield figures_table("The same 20 runs elsewhere", others)


def make_million(folder: str, points: int) -> str:
    return ui_store.million(folder, points)


def make_twenty(folder: str, runs: int, steps: int) -> list[str]:
    """Runs of 12 metrics, in the experiment `twenty`."""
    client = MLOpsClient(folder)
    home = client.create_experiment("twenty")
    ids = []
    for number in range(runs):
        with client.start_run(home.id, f"run {number}", capture=False) as run:
            for step in range(steps):
                run.log_metrics(_row(number, step), step=step)
            ids.append(run.id)
    return ids


def _row(number: int, step: int) -> dict[str, float]:
    return {
        name: (i + 1) / (1 + step / 50) + 0.01 * ((step * 7 + number) % 13)
        for i, name in enumerate(ui_store.METRICS)
    }


def make_many(folder: str, runs: int) -> None:
    ui_store.many(folder, runs)
    time.sleep(2.1)  # what is younger than two seconds is looked at again; this is an old store


def _middle(rounds: int, once: Callable[[], Load]) -> Load:
    loads = [once() for _ in range(rounds)]
    return Load(*(median(column) for column in zip(*loads, strict=True)))


def _pages(browser: Browser, here: Path, *, quick: bool) -> Iterator[Figure]:
    points, runs, steps, rounds = (20_000, 3, 50, 1) if quick else (1_000_000, 20, 1_000, 5)
    million = in_fresh_process(make_million, str(here / "million"), points)
    with RunningServer(here / "million") as server:
        load(browser, server.url + "/help/keys", loaded)
        small = _middle(rounds, lambda: load(browser, server.url + "/help/keys", loaded))
        address = f"{server.url}{_P}/runs/{million}/metrics"
        twelve = _middle(rounds, lambda: load(browser, address, charts(12)))
    ids = in_fresh_process(make_twenty, str(here / "twenty"), runs, steps)
    with RunningServer(here / "twenty") as server:
        address = overlay(server.url, ids)
        twenty = _middle(rounds, lambda: load(browser, address, charts(12)))
    yield from _weights(twelve, twenty, small)
    times = (f"12 charts, one of {points:,} points", f"{runs} runs over each other")
    for what, there, limit in zip(times, (twelve, twenty), (1.0, 2.0), strict=True):
        yield Figure(what, there.seconds, "s", small.seconds, _SMALL, at_most(limit, "s"))


_SMALL = "the list of keys"


def _weights(twelve: Load, twenty: Load, small: Load) -> Iterator[Figure]:
    script, heap = at_most(40_000, "bytes"), at_most(15e6, "bytes")
    for what, there in (("a run's charts", twelve), ("overlay", twenty)):
        yield Figure(f"JS, gzip: {what}", there.script, "bytes", small.script, _SMALL, script)
        yield Figure(f"heap: {what}", there.heap, "bytes", small.heap, _SMALL, heap)
        yield Figure(f"transferred: {what}", there.total, "bytes", small.total, _SMALL)


def overlay(url: str, ids: list[str]) -> str:
    """The workspace with all of these runs drawn."""
    return f"{url}{_P}/experiments/twenty/charts?runs={quote(json.dumps(ids))}"


_FILTER = """async () => {
  const frames = () => new Promise(
    done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const box = document.querySelector('input[type=search], [role=combobox], input[name=q]');
  const times = [];
  for (const text of ['optimizer = adamw', 'seed < 500', 'lr > 0.5 and batch = 64', 'run-0']) {
    await frames();
    const start = performance.now();
    box.value = text;
    box.dispatchEvent(new InputEvent('input', {bubbles: true}));
    await frames();
    times.push(performance.now() - start);
  }
  const start = performance.now();
  await frames();
  return [times.sort((a, b) => a - b)[2] / 1000, (performance.now() - start) / 1000];
}"""


def _many(browser: Browser, here: Path, *, quick: bool) -> Iterator[Figure]:
    few, many = (100, 200) if quick else (1_000, 10_000)
    for runs in (few, many):
        in_fresh_process(make_many, str(here / f"many-{runs}"), runs)
    bare = _seconds(lambda: in_fresh_process(_import_server))
    with _started(here, here / f"many-{few}", "warm-up") as (_, url):
        _first_page(browser, url)
    for runs, limit in ((few, 1.0), (many, 5.0)):
        start = time.perf_counter()
        with _started(here, here / f"many-{runs}", f"cache-{runs}") as (_, url):
            _first_page(browser, url)
            seconds = time.perf_counter() - start
            yield Figure(
                f"`podstack ui` to the first page, {runs:,} runs, no index yet",
                seconds, "s", bare, "importing it", at_most(limit, "s"),
            )  # fmt: skip
            if runs == many:
                taken, frames = _filtered(browser, f"{url}{_P}/experiments/many")
                yield Figure(
                    f"filter of {runs:,} rows", taken, "s", frames, "two frames", at_most(0.1, "s")
                )


def _import_server() -> int:
    import podstack.server.app  # noqa: F401

    return len(sys.modules)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@contextmanager
def _started(here: Path, store: Path, cache: str) -> Iterator[tuple[int, str]]:
    words = ["-m", "podstack", "ui", "--store", str(store), "--port", "0", "--no-browser"]
    environment = {"PODSTACK_CACHE": str(here / cache)}
    with program(words, here / f"{cache}.log", _address, environment) as found:
        yield found


def _address(said: str) -> str:
    found = _ADDRESS.search(said)
    return found[0] if found else ""


def _first_page(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.goto(url, wait_until="load")
    page.close()


def _filtered(browser: Browser, url: str) -> tuple[float, float]:
    page = browser.new_page()
    page.goto(url, wait_until="load")
    page.wait_for_function("() => !document.querySelector('main [data-state=loading]')")
    page.wait_for_timeout(500)
    taken, frames = page.evaluate(_FILTER)
    page.close()
    return taken, frames


def _tabs(browser: Browser, here: Path, *, quick: bool) -> Iterator[Figure]:
    tabs, seconds = (2, 2.0) if quick else (20, 30.0)
    with ui_store.live(here / "live") as run, _started(here, here / "live", "live-cache") as found:
        pid, url = found
        address = f"{url}{_P}/runs/{run.said}/metrics"
        one = _load_of(browser, pid, address, 1, seconds)
        all_tabs = _load_of(browser, pid, address, tabs, seconds)
    yield Figure(
        f"{tabs} tabs on a live run, of a core", all_tabs * 100, "%", one * 100, "one tab",
        at_most(5.0, "%"),
    )  # fmt: skip


def _load_of(browser: Browser, pid: int, address: str, tabs: int, seconds: float) -> float:
    """Share of a core that the server uses while so many windows look at a live run."""
    contexts = [browser.new_context() for _ in range(tabs)]
    for context in contexts:
        page = context.new_page()
        page.goto(address, wait_until="load")
        page.wait_for_timeout(300)
    before, start = cpu_seconds(pid), time.perf_counter()
    time.sleep(seconds)
    share = (cpu_seconds(pid) - before) / (time.perf_counter() - start)
    for context in contexts:
        context.close()
    return max(share, 1e-4)


# The same data elsewhere -------------------------------------------------------------------


def _others(browser: Browser, here: Path, *, quick: bool) -> Iterator[Figure]:
    runs, steps = (3, 50) if quick else (20, 1_000)
    store = here / "beside"
    ids = in_fresh_process(make_twenty, str(store), runs, steps)
    with RunningServer(store) as server:
        ours = load(browser, overlay(server.url, ids), charts(12))
    for name, there in _theirs(browser, here, runs, steps):
        yield Figure(f"{name}: seconds to its cards", there.seconds, "s", ours.seconds, "podstack")
        yield Figure(f"{name}: transferred", there.total, "bytes", ours.total, "podstack")
        yield Figure(f"{name}: JavaScript", there.script, "bytes", ours.script, "podstack")
        yield Figure(f"{name}: heap", there.heap, "bytes", ours.heap, "podstack")


def _theirs(browser: Browser, here: Path, runs: int, steps: int) -> Iterator[tuple[str, Load]]:
    if find_spec("tensorboard") and find_spec("tensorboardX"):
        in_fresh_process(_write_tensorboard, str(here / "tensorboard"), runs, steps)
        words = ["-m", "tensorboard.main", "--logdir", str(here / "tensorboard"), "--port", "0"]
        with program(words, here / "tensorboard.log", _tensorboard_url) as (_, url):
            yield "TensorBoard", load(browser, f"{url}/#timeseries", _cards("line-chart canvas"))
    if find_spec("trackio"):
        in_fresh_process(_write_trackio, str(here / "trackio"), runs, steps)
        words = ["-c", _SHOW_TRACKIO]
        environment = {"TRACKIO_DIR": str(here / "trackio")}
        with program(words, here / "trackio.log", _address, environment) as (_, url):
            address = f"{url}/?project=benchmark"
            yield "Trackio", load(browser, address, _cards("canvas"))


_SHOW_TRACKIO = "import trackio; print(trackio.show('benchmark', open_browser=False), flush=True)"


def _tensorboard_url(said: str) -> str:
    found = re.search(r"http://localhost:(\d+)", said)
    return f"http://localhost:{found[1]}" if found else ""


def _cards(selector: str) -> Callable[[Page], object]:
    return lambda page: page.wait_for_function(
        "what => document.querySelectorAll(what).length >= 12", arg=selector
    )


def _write_tensorboard(folder: str, runs: int, steps: int) -> None:
    from tensorboardX import SummaryWriter

    for number in range(runs):
        writer = SummaryWriter(logdir=f"{folder}/run-{number}")
        for step in range(steps):
            for name, value in _row(number, step).items():
                writer.add_scalar(f"all/{name.replace('/', '_')}", value, step)  # one open group
        writer.close()


def _write_trackio(folder: str, runs: int, steps: int) -> None:
    from tests.benchmarks._contestants import trackio_in, trackio_run

    trackio = trackio_in(folder)
    for number in range(runs):
        trackio_run(trackio)
        for step in range(steps):
            trackio.log(_row(number, step), step=step)
        trackio.finish()
