"""Sending a notice to a webhook that somebody of a team named.

A name is resolved once for each try; every address must be allowed, and the connection goes to
the very address that was checked, while Host and TLS keep the name. Redirects are not followed.
Of an answer nothing but its status is looked at. A try is over after 5 s, whatever the receiver
does. What cannot be sent raises `NotTaken`, whose text holds neither address nor answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import socket
import ssl
from typing import Any

import orjson

from podstack import __version__, clock
from podstack.addresses import Allowed, Endpoint
from podstack.alerts.receivers import Notice, NotTaken, refusal
from podstack.errors import UsageError

TIMEOUT = 5.0  # seconds for a whole try
MOST_READ = 1 << 16  # bytes of an answer, of which the first line is used

_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})[ \r\n]")
_TRIES = 3
_REST = 1.0  # seconds to take the rest of an answer: a receiver may not like to be cut off


class Webhook:
    """A receiver that is POSTed JSON, signed where there is a secret.

    `X-Podstack-Signature: t=<epoch seconds>,v1=<hex>` is the HMAC-SHA-256 of `<t>.<body>`.
    """

    tries = _TRIES
    is_secret = True

    def __init__(self, name: str, endpoint: Endpoint, secret: str, allowed: Allowed) -> None:
        self.name = name
        self._endpoint, self._secret, self._allowed = endpoint, secret.encode(), allowed

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self._endpoint.host, self._endpoint.port

    def deliver(self, notice: Notice) -> None:
        status = post(self._endpoint, self._allowed, self._request(orjson.dumps(content(notice))))
        if not 200 <= status < 300:
            raise refusal(str(status))

    def _request(self, body: bytes) -> bytes:
        to = self._endpoint
        lines = [
            f"POST {to.target} HTTP/1.1",
            f"Host: {to.name}",
            f"User-Agent: podstack/{__version__}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if self._secret:
            lines.append(f"X-Podstack-Signature: {signature(self._secret, clock.now(), body)}")
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def signature(secret: bytes, time: float, body: bytes) -> str:
    """What tells a receiver that a notice is ours, and of now."""
    signed = hmac.new(secret, b"%d.%s" % (time, body), hashlib.sha256)
    return f"t={int(time)},v1={signed.hexdigest()}"


def content(notice: Notice) -> dict[str, Any]:
    """A notice as JSON. `text` is what Slack, Mattermost and others show of it."""
    facts = notice._asdict()
    project = facts.pop("url")
    return {
        "event": "alert",
        "title": notice.title,
        "text": str(notice),
        "project": project,
        **facts,
    }


def post(to: Endpoint, allowed: Allowed, request: bytes) -> int:
    """The status that a request is answered with.

    Raises:
        NotTaken: no address may be called, nobody answers there, or not in HTTP, or not in time.
    """
    deadline = clock.monotonic() + TIMEOUT
    address = resolved(to.host, to.port, allowed)
    try:
        with contextlib.closing(_connected(to, address, deadline)) as connection:
            connection.settimeout(_left(deadline))
            connection.sendall(request)
            return _status(connection, deadline)
    except TimeoutError:
        raise NotTaken(f"it did not answer within {TIMEOUT:.0f} s") from None
    except ssl.SSLError:
        raise NotTaken("its certificate or its TLS is not good") from None
    except (OSError, ValueError):
        raise NotTaken("it does not answer") from None


def resolved(host: str, port: int, allowed: Allowed) -> str:
    """The one address to connect to.

    Raises:
        NotTaken: nobody knows the name, or it leads where the server does not go.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotTaken("its name leads to no address") from None
    addresses = [str(entry[4][0]) for entry in found]
    try:
        allowed.check(host, port, addresses)
    except UsageError:
        raise NotTaken("its name leads to an address that is not allowed", is_final=True) from None
    return addresses[0]


def _connected(to: Endpoint, address: str, deadline: float) -> socket.socket:
    connection = socket.create_connection((address, to.port), timeout=_left(deadline))
    if not to.is_tls:
        return connection
    try:
        connection.settimeout(_left(deadline))
        return ssl.create_default_context().wrap_socket(connection, server_hostname=to.host)
    except BaseException:
        connection.close()
        raise


def _status(connection: socket.socket, deadline: float) -> int:
    """The status, once the answer ends or is longer than what is looked at."""
    received = bytearray()
    while len(received) < MOST_READ:
        try:
            connection.settimeout(_left(deadline))
            piece = connection.recv(MOST_READ - len(received))
        except (TimeoutError, ConnectionError):
            if b"\n" in received:
                break  # it has said what counts
            raise
        if b"\n" in piece:
            deadline = min(deadline, clock.monotonic() + _REST)
        received += piece
        if not piece:
            break
    shape = _STATUS.match(received)
    if shape is None:
        raise NotTaken("it did not answer in HTTP")
    return int(shape[1])


def _left(deadline: float) -> float:
    left = deadline - clock.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
