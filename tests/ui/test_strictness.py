"""The watch over pages sees what it is there to see: a page that is wrong in every way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from podstack.testing.browser import Watch, axe_findings, overflow, painted

pytestmark = pytest.mark.ui

_BAD = b"""<!doctype html><html lang=en><title>x</title><main><h1>x</h1>
<p class=wide>wide</p><img src=/500 onerror=stolen(1)><a href=/ style=color:red>x</a></main>
<script src=/bad.js></script>"""
_SCRIPT = (
    b"""document.querySelector('.wide').style.width = '3000px'; throw new Error('bad script');"""
)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        scripted = self.path == "/bad.js"
        self.send_response(500 if self.path == "/500" else 200)
        self.send_header("Content-Type", "text/javascript" if scripted else "text/html")
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.end_headers()
        self.wfile.write(_SCRIPT if scripted else _BAD)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def bad_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_reports_errors_and_failed_answers_are_problems(browser: Browser, bad_url: str) -> None:
    watch = Watch(browser, bad_url)
    painted(watch.open("/"))
    watch.close()

    with pytest.raises(AssertionError) as raised:
        watch.check()
    for problem in ("CSP style-src-attr", "CSP script-src-attr", "500 GET", "bad script"):
        assert problem in str(raised.value)


def test_a_missing_text_and_a_page_that_is_too_wide_are_found(
    browser: Browser, bad_url: str
) -> None:
    watch = Watch(browser, bad_url)
    page = watch.open("/")
    findings = axe_findings(page)
    wide = overflow(page)
    watch.close()

    assert any("image-alt" in finding for finding in findings)
    assert any("p#.wide" in element for element in wide)
