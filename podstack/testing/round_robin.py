"""A plain load balancer before several servers: each request goes to the next one in turn."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle

_DEADLINE = 240.0  # seconds
_HOPS = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class RoundRobin:
    """Listens on 127.0.0.1 and a free port while its block lasts; `counts` by port behind it.

    Args:
        ports: of the servers, which see the Host that the client named.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self.counts = dict.fromkeys(ports, 0)
        self._turn, self._lock = cycle(ports), threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> RoundRobin:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next(self) -> int:
        """The port whose turn it is."""
        with self._lock:
            port = next(self._turn)
            self.counts[port] += 1
            return port

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        balancer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                behind = http.client.HTTPConnection("127.0.0.1", balancer.next(), timeout=_DEADLINE)
                with closing(behind):
                    behind.request(self.command, self.path, body, dict(self.headers.items()))
                    answer = behind.getresponse()
                    content = answer.read()
                with suppress(BrokenPipeError, ConnectionResetError):  # who asked has gone on
                    self._answer(answer, content)

            def _answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in _HOPS:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _pass_on

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        return Handler
