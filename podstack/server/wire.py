"""The parser's guard: what is refused before there is a request, and connections that stand still.

uvicorn sets no limit to headers and waits for their end for ever; both are cheap attacks. Added
here: 64 kB and 100 headers at most, 8 kB of URL, 20 s for the headers of a request, no absolute
targets, no headers after the body, no upgrades, and an end for whoever does not read the answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADERS = 100
MAX_HEADER_BYTES = 64 << 10
MAX_URL = 8 << 10
HEADER_TIME = 20.0  # seconds
LINGER = 30.0  # seconds for the last bytes of an answer to be read


class OddRequest(Exception):  # the parser turns it into a 400
    """A request that no honest client sends."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    _in_headers = True
    _header_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_headers = self._in_headers
        super().data_received(data)
        if was_in_headers and self._in_headers and self.parser is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response("Invalid HTTP request received.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self.scope["extensions"] = {"podstack.abort": self.transport.abort}  # type: ignore[dict-item]
        self._await_headers()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_URL:
            raise OddRequest

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_headers:
            return  # after a chunked body: nothing that is decided by headers may come so late
        self._header_bytes += len(name) + len(value)
        if len(self.headers) >= MAX_HEADERS or self._header_bytes > MAX_HEADER_BYTES:
            raise OddRequest
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._stop_timer()
        if not self.url.startswith(b"/") or self.parser.should_upgrade():
            raise OddRequest
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._in_headers, self._header_bytes = True, 0

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self.loop.call_later(LINGER, self.transport.abort)  # harmless once it is closed

    def _await_headers(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEADER_TIME, self._too_slow)

    def _too_slow(self) -> None:
        if self._in_headers and not self.transport.is_closing():
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
