"""`python -m tests.ui.screenshots OUT`: every page in both themes, and as a phone shows it."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from podstack import MLOpsClient
from podstack.testing import ui_store
from podstack.testing.browser import Watch, launched, save
from podstack.testing.podstack_server import RunningServer
from tests.ui.conftest import Site
from tests.ui.pages import EMPTY, PAGES

_LOOKS = {"light": ("light", 1440), "dark": ("dark", 1440), "phone": ("light", 390)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.ui.screenshots")
    parser.add_argument("out", type=Path, help="the folder for the pictures")
    parser.add_argument("--page", help="only pages whose name holds this")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        for kind, pages in (("build", PAGES), ("empty", EMPTY)):
            store = Path(folder) / kind
            with ui_store.Held(store, kind), RunningServer(store) as server:
                MLOpsClient(server.url).search_runs()  # so that no page is of a part of the index
                watch = Watch(browser, server.url)
                wanted = {n: p for n, p in pages.items() if (asked.page or "") in n}
                shoot(watch, Site(server), wanted, asked.out / kind)
                print("\n".join(dict.fromkeys(watch.problems)) or f"{kind}: no problems")
                watch.close()


def shoot(watch: Watch, site: Site, pages: dict[str, str], out: Path) -> None:
    """A picture of each page in each look."""
    for name, template in pages.items():
        for look, (theme, width) in _LOOKS.items():
            page = watch.open(site.path(template), theme=theme, width=width)
            save(page, out / f"{name.replace(' ', '-')}-{look}.png")
            watch.close()


if __name__ == "__main__":
    main()
