"""Real receivers of notices on 127.0.0.1: one that speaks HTTP, one that speaks SMTP."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

import orjson

DEADLINE = 240.0  # seconds that nothing here needs


class Received(NamedTuple):
    """One request. headers: by lower-case name."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class _Server:
    """A server in a thread, up when it is constructed; use it in a `with` block."""

    def __init__(self, server: socketserver.BaseServer) -> None:
        self._server = server
        self.go_on = threading.Event()
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])  # type: ignore[index]

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del kind, error, traceback
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE)


class HttpReceiver(_Server):
    """Takes requests, and answers with `statuses` in turn, then with 200.

    Args:
        location: for the header Location of every answer.
        body: of every answer.
        holds: whether requests are answered only once `go_on` is set.
    """

    def __init__(
        self,
        *statuses: int,
        location: str = "",
        body: bytes = b"",
        holds: bool = False,
    ) -> None:
        self.got: list[Received] = []
        left = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", "0"))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append(Received(self.path, headers, self.rfile.read(size)))
                if holds:
                    receiver.go_on.wait(DEADLINE)
                self.send_response(left.pop(0) if left else 200)
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *arguments: Any) -> None:
                del format, arguments

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    return  # whoever asked has heard enough

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, count: int) -> Sequence[Received]:
        """The requests so far, once there are as many.

        Raises:
            TimeoutError: there are not.
        """
        deadline = time.monotonic() + DEADLINE
        while len(self.got) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.got)} of {count} requests came")
            time.sleep(0.01)
        return list(self.got)


class SmtpReceiver(_Server):
    """Takes mails. Speaks as much SMTP as that takes, and no TLS."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.said: list[str] = []
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._answer("220 ready")
                for line in iter(self.rfile.readline, b""):
                    said = line.decode().strip()
                    receiver.said.append(said)
                    word = said[:4].upper()
                    if word == "DATA":
                        self._answer("354 go on")
                        receiver.mails.append(self._mail())
                    self._answer("221 bye" if word == "QUIT" else "250 fine")
                    if word == "QUIT":
                        return

            def _mail(self) -> str:
                lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                return "\n".join(lines)

            def _answer(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        super().__init__(server)
