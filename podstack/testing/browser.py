"""A real Chromium for tests of pages, which forgives nothing.

Whatever a page's console calls an error or a warning, each report of its content security policy,
each error of a script, each request that fails and each answer of 500 or more is a problem;
`Watch.check` raises them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from time import monotonic, time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    Route,
    sync_playwright,
)

TIMEOUT = 240_000.0  # milliseconds that anything on a page may take; see `stage.DEADLINE`
_FLAGS = (
    *(
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-dev-shm-usage",
    ),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-smooth-scrolling",  # else the wheel moves a page after it was turned
)
# The first one has no window: the others load their own address bar for each profile, which takes
# more than most of our pages do.
_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")
_AHEAD = 300  # pixels around the window in which a page draws what is not in sight yet
_UNANSWERED = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
# Both run before any script of the page. What an attack calls is `stolen`. Notices stay, as those
# do that a pointer is on: how quick a test is does not decide whether it sees one.
_LISTEN = """
addEventListener('securitypolicyviolation', event => console.error(
  `CSP ${event.violatedDirective} blocks ${event.blockedURI} in ${event.sourceFile}`));
window.stolen = what => console.error(`stolen ${what}`);
addEventListener('DOMContentLoaded', () => {
  const stay = new MutationObserver(changes => changes.forEach(({addedNodes}) => addedNodes.forEach(
    made => {
      if (made.matches?.('dialog')) stay.observe(made, {childList: true});
      if (made.matches?.('.toast')) made.dispatchEvent(new Event('pointerenter'));
    })));
  for (const place of [document.body, document.getElementById('toasts')])
    if (place) stay.observe(place, {childList: true});
});
"""
_SETTLED = """() => {
  const asked = localStorage.getItem('podstack-theme')
    ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  const open = element => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.bottom > 0 && box.top < innerHeight;
  };
  return document.readyState === 'complete'
    && (document.documentElement.dataset.theme ?? asked) === asked
    && ![...document.querySelectorAll('[data-state="loading"]')].some(open);
}"""


def chromium() -> str:
    """The browser's program: PODSTACK_CHROMIUM, or what the system has; empty without one."""
    named = os.environ.get("PODSTACK_CHROMIUM")
    if named:
        return named
    return next(filter(None, map(shutil.which, _PROGRAMS)), "")


@contextmanager
def launched(*, options: tuple[str, ...] = ()) -> Iterator[Browser]:
    """Chromium without a window, for as long as the block lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=[*_FLAGS, *options], timeout=TIMEOUT
        )
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """Pages of one context, and everything that went wrong on them.

    Args:
        base: the URL that paths are below.
        allowed: pieces of messages that are no problem, for a test that provokes them.
    """

    def __init__(self, browser: Browser, base: str) -> None:
        self._browser, self._base = browser, base.rstrip("/")
        self._contexts: list[BrowserContext] = []
        self.problems: list[str] = []
        self.allowed: list[str] = []

    def context(
        self, *, theme: str = "light", width: int = 1440, height: int = 900, touch: bool = False
    ) -> BrowserContext:
        """A browser's profile of its own: its cookies, storage and cache. touch: with fingers."""
        context = self._browser.new_context(
            base_url=self._base,
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
            has_touch=touch,
        )
        context.set_default_timeout(TIMEOUT)
        context.add_init_script(_LISTEN)
        context.on("page", self._listen)
        self._contexts.append(context)
        return context

    def open(self, path: str, *, theme: str = "light", width: int = 1440) -> Page:
        """A new page at `path`, once all that is in sight has loaded."""
        page = self.context(theme=theme, width=width).new_page()
        page.goto(self._base + path, wait_until="load")
        settle(page)
        return page

    def check(self) -> None:
        """Raise all problems at once.

        Where the server has ended, as one does that a test started itself, pages that still polled
        it then are none.
        """
        allowed = self.allowed if self._is_up() else [*self.allowed, *_UNANSWERED]
        found = [p for p in self.problems if not any(piece in p for piece in allowed)]
        if found:
            raise AssertionError("The pages had problems:\n" + "\n".join(dict.fromkeys(found)))

    def _is_up(self) -> bool:
        where = urlsplit(self._base)
        with socket() as connection:
            return connection.connect_ex((where.hostname or "", where.port or 80)) == 0

    def close(self) -> None:
        """Close all pages; problems stay."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()

    def _listen(self, page: Page) -> None:
        page.on("console", lambda message: self._said(page, message))
        page.on("pageerror", lambda error: self._note(page, f"script error: {error}"))
        page.on("dialog", lambda dialog: self._asked(page, dialog))
        page.on("requestfailed", lambda request: self._failed(page, request))
        page.on("response", lambda response: self._answered(page, response))

    def _said(self, page: Page, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._note(page, message.text)

    def _asked(self, page: Page, dialog: Dialog) -> None:
        self._note(page, f"dialog {dialog.message}")
        dialog.dismiss()

    def _failed(self, page: Page, request: Request) -> None:
        if "ERR_ABORTED" not in str(request.failure):  # a page that is left ends its requests
            self._note(page, f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, page: Page, response: Response) -> None:
        if response.status >= 500:
            self._note(page, f"{response.status} {response.request.method} {response.url}")

    def _note(self, page: Page, text: str) -> None:
        self.problems.append(f"{page.url}: {text}")


class Fingers:
    """Fingers on a page of a context with touch, each a place in pixels of the window."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)

    def slide(self, start: list[tuple[float, float]], stop: list[tuple[float, float]]) -> None:
        """Set fingers down, move them together, and take them up."""
        self._send("touchStart", start)
        for part in (0.25, 0.5, 0.75, 1.0):
            pairs = zip(start, stop, strict=True)
            self._send(
                "touchMove", [(a + (c - a) * part, b + (d - b) * part) for (a, b), (c, d) in pairs]
            )
        self._send("touchEnd", [])

    def _send(self, kind: str, places: list[tuple[float, float]]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


class Held:
    """Requests of a page that wait until a test lets each go on: late, refused, in another order.

    Args:
        pattern: of their URL, as `Page.route` takes it.
        method: of those that are held; the others go on.
    """

    def __init__(self, page: Page, pattern: str, *, method: str = "GET") -> None:
        self._page, self.pattern, self.waiting = page, pattern, list[Route]()
        self._is_open = False
        page.route(pattern, lambda route: self._came(route, method))

    def next(self) -> Route:
        """The one that has waited for longest, once there is one."""
        deadline = monotonic() + TIMEOUT / 1000
        while not self.waiting:
            if monotonic() > deadline:
                raise AssertionError(f"No request of {self.pattern} came.")
            self._page.wait_for_timeout(20)  # nothing comes in while a test is not in Playwright
        return self.waiting.pop(0)

    def release(self) -> None:
        """All go on, and from now on none waits."""
        self._is_open = True
        while self.waiting:
            self.waiting.pop(0).continue_()

    def _came(self, route: Route, method: str) -> None:
        if route.request.method == method and not self._is_open:
            self.waiting.append(route)
        else:
            route.fallback()


def refuse(route: Route) -> None:
    """Answer as a server whose store is out of reach."""
    told = {"error": {"code": "unavailable", "message": "The store is asleep."}}
    route.fulfill(status=503, json=told)


def query(page: Page) -> dict[str, list[str]]:
    """What the address says now; `page.url` hears of it a little later."""
    return parse_qs(page.evaluate("() => location.search.slice(1)"))


def address(page: Page) -> str:
    """Where the page is now; `page.url` hears of what a script changes a little later."""
    found: str = page.evaluate("() => location.href")
    return found


def painted(page: Page) -> None:
    """Wait until the page has done what it had to do, and drawn it."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def look_again(page: Page) -> None:
    """Have the page ask what is new now, as it does when its tab comes to the front."""
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")


def settle(page: Page) -> None:
    """Wait until no panel in sight says that it is loading, and the theme is the one asked for."""
    page.wait_for_function(_SETTLED)


def resize(page: Page, width: int, height: int) -> None:
    """Another window, once the page has taken its size."""
    page.set_viewport_size({"width": width, "height": height})
    painted(page)  # what follows a size hears of it in the frame after it
    settle(page)


def bring(page: Page, part: str, state: str = "ready") -> None:
    """Bring a part of the page into sight until it is in a state, and nothing around it loads.

    What loads above it moves it away, and a part that is out of sight is not drawn: once is not
    enough.

    Args:
        part: a selector of what has the `data-state`.
        state: such as "ready"; empty for any but "loading".
    """
    page.wait_for_function(_BROUGHT, arg=[part, state, _AHEAD])


_BROUGHT = """([part, state, ahead]) => {
  const found = document.querySelector(part);
  if (!found) return false;
  found.scrollIntoView({block: 'nearest'});
  const near = ({top, bottom, width}) => width > 0 && bottom > -ahead && top < innerHeight + ahead;
  const now = found.dataset.state;
  return (state ? now === state : now !== 'loading')
    && ![...document.querySelectorAll('[data-state="loading"]')]
      .some(other => near(other.getBoundingClientRect()));
}"""


def press_at_once(page: Page, keys: str) -> None:
    """Letters in one breath, however long the machine takes: a tenth of a second between two."""
    session, now = page.context.new_cdp_session(page), time()
    for place, key in enumerate(keys):
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            when = {"type": kind, "key": key, "timestamp": now + place / 10}
            session.send("Input.dispatchKeyEvent", when | text)
    session.detach()


def axe_findings(page: Page) -> list[str]:
    """What axe-core finds of WCAG 2.1 A and AA on the page as it is: a line for each element."""
    from axe_playwright_python.sync_playwright import Axe

    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate(
        "tags => axe.run({runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})",
        _WCAG,
    )
    return [
        f"{rule['id']}: {node['target']}: {node['html'][:160]} ({_why(node)})"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def _why(node: dict[str, Any]) -> str:
    checks = [*node["any"], *node["all"], *node["none"]]
    return "; ".join(check["message"] for check in checks)[:200]


def overflow(page: Page) -> list[str]:
    """Elements that make the page scroll sideways; empty where it does not."""
    found: list[str] = page.evaluate(_OVERFLOW)
    return found


_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const scrolls = element => {
    for (let at = element.parentElement; at; at = at.parentElement)
      if (/auto|scroll|hidden|clip/.test(getComputedStyle(at).overflowX))
        return at !== document.body;
    return false;
  };
  const name = e => `${e.tagName.toLowerCase()}#${e.id}.${e.className?.baseVal ?? e.className}`;
  return ['page is ' + document.documentElement.scrollWidth + ' wide', ...[...document.body
    .querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e))
    .slice(0, 5).map(e => `${name(e)} to ${Math.round(e.getBoundingClientRect().right)}`)];
}"""


def save(page: Page, path: Path) -> None:
    """A picture of the whole page, with what loads only once it is in sight."""
    assert page.viewport_size is not None
    height = page.evaluate("() => document.documentElement.scrollHeight")
    page.set_viewport_size(page.viewport_size | {"height": height})
    painted(page)
    settle(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)
