"""A browser, and servers over stores of every kind. A test ends with every problem of its pages.

Stores and servers are made when the first test asks for them, and are the whole session's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from podstack import MLOpsClient
from podstack.testing import ui_store
from podstack.testing.browser import TIMEOUT, Watch, chromium, launched
from podstack.testing.podstack_server import RunningServer

Open = Callable[..., Page]

expect.set_options(timeout=TIMEOUT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser on a busy machine is slow: nothing here fails for being slow."""
    for item in items:
        if item.get_closest_marker("ui"):
            item.add_marker(pytest.mark.timeout(600))


class Site:
    """A server over a store, and the ids that its pages are found by.

    `{experiment}`, `{run}`, `{other}`, `{runs}` (a JSON list), `{sweep}` and `{artifact}` in a path
    are filled by `path`.
    """

    def __init__(self, server: RunningServer) -> None:
        self.server, self.url = server, server.url
        self._ids: dict[str, str] | None = None

    def path(self, template: str) -> str:
        """A path with its ids filled."""
        return re.sub(r"\{(\w+)\}", lambda match: self.ids[match[1]], template)

    @property
    def ids(self) -> dict[str, str]:
        """Those of the run with the most artifacts, and of what belongs to it, as in a URL."""
        if self._ids is None:
            self._ids = {name: quote(text, safe="/") for name, text in self._found().items()}
        return self._ids

    def _found(self) -> dict[str, str]:
        client = MLOpsClient(self.url)  # which then has its index ready
        found = client.search_runs(order_by="created", limit=100)
        runs = [client.get_run(row.id) for row in found]
        first = max(runs, key=lambda run: len(run.artifacts))
        same = [run.id for run in runs if run.experiment_id == first.experiment_id]
        ids = [first.id, *(id for id in same if id != first.id)]
        sweeps = [sweep.id for sweep in client.list_sweeps()]
        files = sorted(first.artifacts)
        return {
            "experiment": first.experiment_id,
            "run": first.id,
            "other": ids[-1],
            "runs": json.dumps(ids[:6]),
            "sweep": sweeps[0] if sweeps else "",
            "artifact": files[0] if files else "",
        }


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Site]]:
    """By kind of `ui_store.KINDS`: a server over a store of that kind."""
    made: dict[str, Site] = {}
    with ExitStack() as open_things:

        def site(kind: str) -> Site:
            if kind not in made:
                folder = tmp_path_factory.mktemp(kind)
                open_things.enter_context(ui_store.Held(folder / "store", kind))
                made[kind] = Site(open_things.enter_context(_served(folder)))
            return made[kind]

        yield site


def _served(folder: Path) -> RunningServer:
    return RunningServer(folder / "store", environment={"PODSTACK_CACHE": str(folder / "cache")})


@pytest.fixture(scope="session")
def site(sites: Callable[[str], Site]) -> Site:
    """A store with everything in it."""
    return sites("build")


@pytest.fixture(scope="session")
def server(site: Site) -> RunningServer:
    return site.server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each test has profiles of its own in it.

    Without one the tests are skipped, and fail where PODSTACK_CHROMIUM says that there must be one.
    """
    if not chromium():
        pytest.skip("no Chromium: apt-get install chromium, or set PODSTACK_CHROMIUM to its path")
    with launched() as found:
        yield found


@pytest.fixture
def watch_at(browser: Browser) -> Iterator[Callable[[str], Watch]]:
    """Strict pages below a URL; everything that went wrong on them fails the test at its end."""
    watches: list[Watch] = []

    def at(url: str) -> Watch:
        watches.append(Watch(browser, url))
        return watches[-1]

    yield at
    for watch in watches:
        watch.close()
    for watch in watches:
        watch.check()


@pytest.fixture
def watch(watch_at: Callable[[str], Watch], server: RunningServer) -> Watch:
    """Strict pages of `server`."""
    return watch_at(server.url)


@pytest.fixture
def open_page(watch: Watch) -> Open:
    """`open_page(path, theme="light", width=1440)`: a strict page of `server`, settled."""
    return watch.open


@pytest.fixture
def page(watch: Watch) -> Page:
    """A strict page of `server` that is nowhere yet: `page.goto("/experiments")`."""
    found: Page = watch.context().new_page()
    return found
