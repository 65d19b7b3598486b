"""Pages in a real browser, measured: when all is drawn, what was sent, what stays in memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, CDPSession, Page

from tests.benchmarks._fresh import environment

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")

USUAL = {"width": 1440, "height": 900}
TALL = {"width": 1440, "height": 4_000}  # so that all charts of a page are in sight
_DEADLINE = 240_000.0  # milliseconds
_CHARTS = """wanted => [...document.querySelectorAll('[data-points]')]
  .filter(e => e.dataset.state === 'ready' && Number(e.dataset.points) > 0).length >= wanted"""
_RESOURCES = """() => performance.getEntriesByType('resource').concat(
  performance.getEntriesByType('navigation')).map(e => [e.name, e.encodedBodySize])"""
_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


class Load(NamedTuple):
    """seconds: until all was drawn. script, total: bytes transferred. heap: after GC, bytes."""

    seconds: float
    script: float
    total: float
    heap: float


def load(
    browser: Browser,
    url: str,
    drawn: Callable[[Page], object],
    window: Mapping[str, int] = TALL,
) -> Load:
    """Open a page with an empty cache, and wait until `drawn` returns."""
    context = browser.new_context(viewport=window)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(_DEADLINE)
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    drawn(page)
    page.evaluate(_FRAMES)
    seconds = time.perf_counter() - start
    resources: list[tuple[str, float]] = page.evaluate(_RESOURCES)
    script = sum(size for name, size in resources if name.partition("?")[0].endswith(".js"))
    found = Load(seconds, script, sum(size for _, size in resources), heap_of(page))
    context.close()
    return found


def charts(wanted: int) -> Callable[[Page], object]:
    """Wait for so many charts of ours with points in them."""
    return lambda page: page.wait_for_function(_CHARTS, arg=wanted)


def loaded(page: Page) -> None:
    """Wait for the browser's own event."""
    page.wait_for_load_state("load")


def address(said: str) -> str:
    """The address in what a server prints; empty until it is there."""
    found = _ADDRESS.search(said)
    return found[0] if found else ""


def worked(page: Page, act: Callable[[], object]) -> float:
    """Seconds that the page's main thread works for `act`: scripts, style, layout, painting."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = _metric(session, "TaskDuration")
    act()
    return _metric(session, "TaskDuration") - before


def _metric(session: CDPSession, name: str) -> float:
    metrics: dict[str, Any] = session.send("Performance.getMetrics")
    return float(next(m["value"] for m in metrics["metrics"] if m["name"] == name))


def heap_of(page: Page) -> float:
    """Bytes of JavaScript's heap after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    return _metric(session, "JSHeapUsedSize")


@contextmanager
def program(
    words: list[str],
    log: Path,
    said: Callable[[str], str],
    variables: Mapping[str, str] | None = None,
) -> Iterator[tuple[int, str]]:
    """A server in a process of its own, from when `said` finds its URL in what it prints.

    Yields:
        The id of its process, and the URL.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**environment(), **(variables or {})},
        )
    try:
        yield process.pid, _url(process, log, said)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _url(process: subprocess.Popen[bytes], log: Path, said: Callable[[str], str]) -> str:
    deadline = time.monotonic() + 120
    while not (url := said(log.read_text(errors="replace"))):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"It did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.002)
    return url


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used, its threads included. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
