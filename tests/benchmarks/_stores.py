"""Stores that are no folder, for measuring: real servers on this machine, and ways to be absent.

All end with their `with` block. What a measured process needs to reach them goes by environment.
"""

from __future__ import annotations

import os
import re
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from podstack.testing.podstack_server import RunningServer
from podstack.testing.s3_servers import RcloneServer, S3Server, credentials

S3, HTTP = "S3", "HTTP"
KINDS = (S3, HTTP)

_PIECE = 16_384  # bytes that a proxy passes on at once
_RATE, _DELAY = 64_000.0, 0.1  # bytes a second, and seconds for each piece, where it throttles
_HEAD = re.compile(rb"(GET|PUT|POST|HEAD|DELETE) \S+ HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


@contextmanager
def surroundings(patience: float = 5.0) -> Iterator[Path]:
    """A folder for all that one subject leaves: spools, caches, servers' logs; S3's credentials.

    Args:
        patience: seconds that the end of a run waits for its store.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        here = {"PODSTACK_SPOOL": f"{name}/spool", "PODSTACK_CACHE": f"{name}/cache"}
        os.environ.update(credentials() | here | {"PODSTACK_FINISH_TIMEOUT": str(patience)})
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, int]]:
    """The port of each kind of server; the S3 server is rclone, over a folder."""
    with RcloneServer() as s3, RunningServer(folder / "served") as http:
        for bucket in ("runs", "raw"):
            s3.client().create_bucket(Bucket=bucket)
        yield {S3: port_of(s3), HTTP: http.port}


def port_of(server: S3Server) -> int:
    return int(server.endpoint.rpartition(":")[2])


def url_of(kind: str, port: int) -> str:
    """The store that whatever listens on `port` serves."""
    at = f"http://127.0.0.1:{port}"
    return f"s3://runs/team?endpoint={at}" if kind == S3 else at


class Proxy:
    """Passes on what it gets, and counts the requests, until `switch` is thrown.

    A process that is measured does so once its run has begun: a store that is not there at the
    start is refused at once.

    Args:
        port: of the server behind it.
        state: what it becomes then: "well", "dead", "black hole" or "throttled".
    """

    def __init__(self, port: int, state: str = "well") -> None:
        self._behind, self._wanted, self._state = port, state, "well"
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._switching = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.switch = int(self._switching.getsockname()[1])
        self._open: list[socket.socket] = []
        self.requests: Counter[str] = Counter()
        self.marks: list[Counter[str]] = []  # the requests when `switch` was thrown
        self.put_bytes = 0

    def __enter__(self) -> Proxy:
        for loop in (self._accept, self._await_switch):
            threading.Thread(target=loop, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for listening in (self._listening, self._switching):
            _end(listening)
        for end in self._open:
            _end(end)

    def _await_switch(self) -> None:
        with suppress(OSError):
            while True:
                told, _ = self._switching.accept()
                self.marks.append(self.requests.copy())
                self._worsen()
                told.close()

    def _worsen(self) -> None:
        self._state = self._wanted
        if self._state == "dead":
            _end(self._listening)
            for end in self._open:
                _end(end)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._behind))
                self._open += [client, server]
                for source, target in ((client, server), (server, client)):
                    pair = (source, target, source is client)
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if counted:
                    self._count(piece)
                if self._state == "throttled":
                    time.sleep(_DELAY + len(piece) / _RATE)
                if self._state != "black hole":
                    target.sendall(piece)
        for end in (source, target):
            _end(end)

    def _count(self, piece: bytes) -> None:
        """A request's head begins a piece: no client here sends the next before an answer."""
        if head := _HEAD.match(piece):
            method = "LIST" if b"list-type=2" in head[0] else head[1].decode()
            self.requests[method] += 1
            length = _LENGTH.search(piece.partition(b"\r\n\r\n")[0])
            self.put_bytes += int(length[1]) if length and method == "PUT" else 0


def throw(switch: int) -> None:
    """From the measured process: its store may become worse now, and what is counted is marked."""
    with socket.create_connection(("127.0.0.1", switch)) as told:
        told.recv(1)  # ends once it has


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
