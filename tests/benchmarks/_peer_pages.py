"""The same runs in the pages of other trackers, where they are installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._pages import Load, address, load, program
from tests.benchmarks._runs import row


def peers(browser: Browser, here: Path, runs: int, steps: int) -> Iterator[tuple[str, Load]]:
    """Name, and what its page of these runs took; nothing of one that is not installed."""
    if find_spec("tensorboard") and find_spec("tensorboardX"):
        in_fresh_process(_write_tensorboard, str(here / "tensorboard"), runs, steps)
        words = ["-m", "tensorboard.main", "--logdir", str(here / "tensorboard"), "--port", "0"]
        with program(words, here / "tensorboard.log", _tensorboard_url) as (_, url):
            yield "TensorBoard", load(browser, f"{url}/#timeseries", _cards("line-chart canvas"))
    if find_spec("trackio"):
        in_fresh_process(_write_trackio, str(here / "trackio"), runs, steps)
        words = ["-c", _SHOW_TRACKIO]
        environment = {"TRACKIO_DIR": str(here / "trackio")}
        with program(words, here / "trackio.log", address, environment) as (_, url):
            yield "Trackio", load(browser, f"{url}/?project=benchmark", _cards("canvas"))


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
            for name, value in row(number, step).items():
                writer.add_scalar(f"all/{name.replace('/', '_')}", value, step)  # one open group
        writer.close()


def _write_trackio(folder: str, runs: int, steps: int) -> None:
    from tests.benchmarks._contestants import trackio_in, trackio_run

    trackio = trackio_in(folder)
    for number in range(runs):
        trackio_run(trackio)
        for step in range(steps):
            trackio.log(row(number, step), step=step)
        trackio.finish()
