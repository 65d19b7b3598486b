"""A proxy before a real HTTP server that fails in the way it is told to, from one request on.

    with RunningServer(store) as server, FaultProxy(server.port) as proxy:
        client = MLOpsClient(proxy.url)
        proxy.fail("black hole")
        ...
        proxy.heal()

It listens on 127.0.0.1, on a port that stays the same, and understands requests and answers, so
that a fault strikes one of them and not just some bytes. Each connection has a thread.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from http.client import HTTPException, HTTPResponse
from types import TracebackType
from typing import BinaryIO, NamedTuple

from podstack.errors import UsageError
from podstack.testing.ports import keep_port

FAULTS = (
    "refuse",  # nobody listens
    "reset",  # the connection is reset once the request has come
    "black hole",  # the request is taken, and there is never an answer
    "lose answer",  # the server does what it was asked for, and nobody hears of it
    "cut request",  # half of the body reaches the server
    "cut answer",  # half of the answer reaches the client
    "garbage",  # an answer that is none
    "half close",  # no answer, and the connection is closed in one direction
    "flap",  # a quarter of a second each: reset, and fine
    "delay",  # `seconds` pass before the request goes on
    "throttle",  # `rate` bytes per second in both directions
)
_GLANCE = 0.02  # seconds
_ANSWER = 240.0  # seconds that the server may take: as long as the machine is busy
_FLAP = 0.25  # seconds


class Fault(NamedTuple):
    """One of `FAULTS`, or a status. retry_after: seconds, for a status."""

    kind: str | int
    seconds: float = 2.0
    rate: float = 3000.0
    retry_after: float | None = None


class Seen(NamedTuple):
    """A request that came in, and what became of it; "pass" where it went on."""

    method: str
    path: str
    fate: str | int


class _Request(NamedTuple):
    method: str
    path: str
    head: bytes  # without the fields that are between two neighbours
    body: bytes


PASS = Fault("pass")


class FaultProxy:
    """Between a client and the server at `port` on 127.0.0.1.

    Every method may be called from any thread.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._fault, self._told = PASS, 0
        self._next: deque[tuple[str, Fault]] = deque()
        self._lock = threading.RLock()
        self._connections: set[socket.socket] = set()
        self._closed = False
        self.seen: list[Seen] = []
        self.port = keep_port(self)
        self._listener = self._listening()
        self.url = f"http://127.0.0.1:{self.port}"

    # What it does --------------------------------------------------------------------------

    def fail(
        self,
        kind: str | int,
        *,
        seconds: float = 2.0,
        rate: float = 3000.0,
        retry_after: float | None = None,
    ) -> None:
        """Fail every request from now on.

        Args:
            kind: one of `FAULTS`, or the status of every answer.
            seconds: of "delay".
            rate: of "throttle", in bytes per second.
            retry_after: seconds, in an answer with that status.

        Raises:
            UsageError: there is no such fault.
        """
        self._become(_checked(Fault(kind, seconds, rate, retry_after)))

    def fail_next(self, times: int, kind: str | int, *, method: str = "") -> None:
        """Fail as many requests, of one method if it is named, in turn with what was told before.

        Raises:
            UsageError: there is no such fault, or it cannot strike a single request.
        """
        if kind in ("refuse", "flap"):
            raise UsageError(f"{kind!r} strikes all requests or none: fail({kind!r}).")
        fault = _checked(Fault(kind))
        with self._lock:
            self._next.extend([(method, fault)] * times)

    def heal(self) -> None:
        """Let everything pass again. Requests in a black hole are cut off."""
        with self._lock:
            self._next.clear()
        self._become(PASS)

    def count(self, method: str = "") -> int:
        """Requests that came in so far."""
        return sum(method in ("", seen.method) for seen in list(self.seen))

    @property
    def struck(self) -> int:
        """Requests that failed so far; not those that were refused, which never came in."""
        return sum(seen.fate not in ("pass", "delay", "throttle") for seen in list(self.seen))

    def _become(self, fault: Fault) -> None:
        with self._lock:
            refused, self._fault = self._fault.kind == "refuse", fault
            self._told += 1
            if fault.kind == "refuse" and not refused:
                _close(self._listener)
                self._hang_up()
            elif refused and fault.kind != "refuse":
                self._listener = self._listening()

    def _hang_up(self) -> None:
        for connection in list(self._connections):
            _reset(connection)

    def close(self) -> None:
        """Twice is fine."""
        self._closed = True
        with self._lock:
            _close(self._listener)
            self._hang_up()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del kind, error, traceback
        self.close()

    # Connections ---------------------------------------------------------------------------

    def _listening(self) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed: nobody listens
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        try:
            with connection, connection.makefile("rb") as stream:
                while not self._closed and self._exchange(connection, stream):
                    pass
        except (OSError, ValueError, HTTPException):
            return  # one of the two hung up
        finally:
            self._connections.discard(connection)

    def _exchange(self, client: socket.socket, stream: BinaryIO) -> bool:
        """One request and its answer; whether the connection may be used again."""
        request = self._request(client, stream)
        if request is None:
            return False
        fault, told = self._strikes(request.method)
        self.seen.append(Seen(request.method, request.path, fault.kind))
        if isinstance(fault.kind, int):
            client.sendall(_refusal(fault))
            return True
        if fault.kind in _INSTEAD:
            self._do_instead(client, fault, told)
            return False
        if fault.kind == "delay":
            self._wait(fault.seconds, told)
        answer = self._asked(request, cut=fault.kind == "cut request")
        if fault.kind in ("cut request", "lose answer"):
            return False
        if fault.kind == "cut answer":
            client.sendall(answer[: len(answer) // 2])
            return False
        self._send(client, answer)
        return True

    def _strikes(self, method: str) -> tuple[Fault, int]:
        """What becomes of a request, and what had been told when that was decided; see `_wait`."""
        with self._lock:
            told = self._told
            for entry in self._next:
                if entry[0] in ("", method):
                    self._next.remove(entry)
                    return entry[1], told
            fault = self._fault
        if fault.kind == "flap":
            kind = "reset" if time.monotonic() // _FLAP % 2 else "pass"
            return fault._replace(kind=kind), told
        return fault, told

    def _do_instead(self, client: socket.socket, fault: Fault, told: int) -> None:
        if fault.kind in ("reset", "refuse"):  # one that was accepted just before
            _reset(client)
        elif fault.kind == "garbage":
            client.sendall(b"\x16\x03\x01 no HTTP at all\xff\r\n\r\n")
        elif fault.kind == "half close":
            client.shutdown(socket.SHUT_WR)
            client.settimeout(_ANSWER)
            while client.recv(65536):
                pass
        else:
            self._wait(float("inf"), told)

    def _wait(self, seconds: float, told: int) -> None:
        """Until that many seconds have passed, or something else was told than when it struck."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._told == told and not self._closed:
            time.sleep(_GLANCE)

    # Requests ------------------------------------------------------------------------------

    def _request(self, client: socket.socket, stream: BinaryIO) -> _Request | None:
        first = stream.readline(65536)
        if not first.strip():
            return None
        fields = list(iter(lambda: stream.readline(65536), b"\r\n"))
        named = {n.strip().lower(): v.strip() for n, _, v in (f.partition(b":") for f in fields)}
        if b"expect" in named:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(stream, named)
        kept = [f for f in fields if f.partition(b":")[0].strip().lower() not in _OURS]
        kept.append(b"Content-Length: %d\r\n" % len(body))
        method, path, _ = first.decode("latin-1").split(" ", 2)
        return _Request(method, path, first + b"".join(kept), body)

    def _body(self, stream: BinaryIO, named: dict[bytes, bytes]) -> bytes:
        if b"chunked" in named.get(b"transfer-encoding", b"").lower():
            return self._chunks(stream)
        return self._read(stream, int(named.get(b"content-length", b"0")))

    def _chunks(self, stream: BinaryIO) -> bytes:
        parts = []
        while size := int(stream.readline(1000).split(b";")[0], 16):
            parts.append(self._read(stream, size))
            stream.readline(1000)
        while stream.readline(65536) not in (b"\r\n", b""):
            pass  # trailers
        return b"".join(parts)

    def _read(self, stream: BinaryIO, size: int) -> bytes:
        parts = []
        while size > 0:
            part = stream.read(min(size, self._at_once()))
            if not part:
                raise OSError("the client hung up")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _send(self, client: socket.socket, data: bytes) -> None:
        while data:
            step = self._at_once()
            client.sendall(data[:step])
            data = data[step:]

    def _at_once(self) -> int:
        """How many bytes may go now; where the line is slow, after they have taken their time."""
        fault = self._fault
        if fault.kind != "throttle":
            return 1 << 20
        time.sleep(0.05)
        return max(1, int(fault.rate * 0.05))

    def _asked(self, request: _Request, *, cut: bool) -> bytes:
        """What the server answers; nothing where the request is cut off."""
        with socket.create_connection(("127.0.0.1", self._target), _ANSWER) as server:
            if cut:
                server.sendall(request.head + b"\r\n" + request.body[: len(request.body) // 2])
                return b""
            server.sendall(request.head + b"Connection: close\r\n\r\n" + request.body)
            response = HTTPResponse(server, method=request.method)
            response.begin()
            return _flat(response, request.method)


_INSTEAD = ("reset", "garbage", "half close", "black hole", "refuse")
_OURS = (b"connection", b"expect", b"transfer-encoding", b"content-length", b"keep-alive")


def _flat(response: HTTPResponse, method: str) -> bytes:
    """An answer with a length, whatever it had."""
    body = response.read()
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    drop = {"connection", "transfer-encoding", "keep-alive"}
    if method != "HEAD":
        drop.add("content-length")
    lines += [
        f"{name}: {value}" for name, value in response.getheaders() if name.lower() not in drop
    ]
    if method != "HEAD" and response.status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _refusal(fault: Fault) -> bytes:
    pause = "" if fault.retry_after is None else f"Retry-After: {fault.retry_after:g}\r\n"
    return (
        f"HTTP/1.1 {fault.kind} Told to\r\nContent-Type: text/plain\r\n{pause}"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def _checked(fault: Fault) -> Fault:
    if fault.kind not in FAULTS and not isinstance(fault.kind, int):
        raise UsageError(f"No fault {fault.kind!r}: a status, or one of {', '.join(FAULTS)}.")
    return fault


def _reset(connection: socket.socket) -> None:
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        return  # it is gone already


def _close(listener: socket.socket) -> None:
    """`close` alone leaves a thread in `accept`, which would take one more connection."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    listener.close()
