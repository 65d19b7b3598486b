"""HTTP by hand over a socket: for requests that no client library would send."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_TIMEOUT = 240.0  # seconds; ends a hang, and says nothing of how quick an answer is


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. status 0: the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """The word of an error."""
        return str(self.json["error"]["code"])

    @property
    def is_refused(self) -> bool:
        """Whether nothing happened: a 4xx, or the connection closed."""
        return self.status == 0 or 400 <= self.status < 500


def ask(
    port: int,
    method: str,
    target: str | bytes,
    *,
    token: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    host: str | None = None,
) -> Answer:
    """One request on a connection of its own; the target goes out as it stands."""
    where = target.encode("latin-1") if isinstance(target, str) else target
    lines = {"Host": host or f"127.0.0.1:{port}", "Connection": "close"}
    if token:
        lines["Authorization"] = f"Bearer {token}"
    if body:
        lines["Content-Length"] = str(len(body))
    head = b"%s %s HTTP/1.1\r\n" % (method.encode(), where)
    for name, value in {**lines, **(headers or {})}.items():
        head += f"{name}: {value}\r\n".encode("latin-1")
    return send(port, head + b"\r\n" + body, is_head=method == "HEAD")


def send(port: int, request: bytes, *, is_head: bool = False) -> Answer:
    """Send bytes, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as connection:
        received = bytearray()
        try:
            connection.sendall(request)
        except OSError:
            pass  # it answered, and closed, before it had read all
        try:
            while piece := connection.recv(1 << 16):
                received += piece
                if _is_whole(received):
                    break
        except ConnectionError:
            pass
    return parse(bytes(received), is_head=is_head)


def parse(raw: bytes, *, is_head: bool = False) -> Answer:
    """The first answer among the bytes of a connection."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1."):
        return Answer(0, {}, b"", raw)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if is_head:
        return Answer(int(first.split()[1]), headers, rest, raw)
    body = rest if "content-length" not in headers else rest[: int(headers["content-length"])]
    return Answer(int(first.split()[1]), headers, body, raw)


def _is_whole(received: bytearray) -> bool:
    """Whether an answer that says `close` is there in full: some servers linger."""
    head, mark, rest = bytes(received).partition(b"\r\n\r\n")
    if not mark or b"connection: close" not in head.lower():
        return False
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(rest) >= int(value)
    return False
