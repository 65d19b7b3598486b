"""What a server is started with. Plain values, so that worker processes get the same."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from podstack.addresses import Allowed
from podstack.errors import UsageError
from podstack.names import short

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MEBIBYTE = 1 << 20

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How to serve one store.

    store: URL of any podstack store. open: nobody needs a token; only ever on loopback.
    prefix: the path below which a reverse proxy shows the server; "" for none.
    allowed_hosts: names by which the server may be called, besides those of `host`.
    trusted_proxies: addresses whose X-Forwarded-For and -Proto are believed.
    max_upload, max_log, max_json: bytes; of a body, of a log's plain text, of a JSON question.
    idle: seconds that a body, or whoever reads an answer, may stand still.
    allowed_receivers: hosts outside the open internet that notices may be sent to.
    threads: calls to the store at the same time.
    """

    store: str
    host: str = "127.0.0.1"
    port: int = 0
    open: bool = False
    user: str = ""
    workers: int = 1
    prefix: str = ""
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    allowed_receivers: tuple[str, ...] = ()
    max_upload: int = 50_000 * MEBIBYTE
    max_log: int = 256 * MEBIBYTE
    max_json: int = MEBIBYTE
    max_connections: int = 1000
    idle: float = 30.0
    threads: int = 16
    access_log: bool = True

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise UsageError(
                f"The prefix {short(self.prefix)} is no path: write it like /podstack, "
                "without a slash at its end."
            )
        for proxy in self.trusted_proxies:
            _network(proxy)
        Allowed(self.allowed_receivers)
        if self.open and not is_loopback(self.host):
            raise UsageError(f"Without tokens only this machine may be served, not {self.host}.")

    @property
    def names(self) -> frozenset[str]:
        """The names by which this server may be called."""
        named = [*LOOPBACK_NAMES, *self.allowed_hosts]
        if not is_loopback(self.host):
            named.append(socket.gethostname())
            if not _is_wildcard(self.host):
                named.append(self.host)
        return frozenset(name.lower().strip("[]").rstrip(".") for name in named)

    def trusts(self, address: str) -> bool:
        """Whether what this peer says of others is believed."""
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(peer in _network(proxy) for proxy in self.trusted_proxies)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::", "")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise UsageError(
            f"{short(text)} is no address: name a trusted proxy like 10.0.0.7 or 10.0.0.0/8."
        ) from None
