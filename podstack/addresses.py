"""Which addresses a server may open connections to on behalf of others. Pure: no I/O in here.

Whoever names a receiver makes the server call it, from inside the server's network. So a host is
taken only in the one plain spelling it has, and an address only where it lies in the open internet,
unless whoever started the server named that host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from podstack.errors import UsageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2000  # characters

_SCHEMES = {"http": 80, "https": 443, "json": 80, "jsons": 443}  # the last two are apprise's names
_URL = re.compile(r"[!-~]+")
_TARGET = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ENTRY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_OF_THIS_NETWORK = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")

# IANA's registries of special addresses, and what was set aside since: none is the open internet.
_CLOSED_4 = """
0.0.0.0/8        this network
10.0.0.0/8       private
100.64.0.0/10    shared by a carrier's customers
127.0.0.0/8      loopback
169.254.0.0/16   link-local, and the metadata of clouds
172.16.0.0/12    private
192.0.0.0/24     protocol assignments
192.0.2.0/24     documentation
192.31.196.0/24  AS112
192.52.193.0/24  AMT
192.88.99.0/24   6to4 relays
192.168.0.0/16   private
192.175.48.0/24  AS112
198.18.0.0/15    benchmarks
198.51.100.0/24  documentation
203.0.113.0/24   documentation
224.0.0.0/4      multicast
240.0.0.0/4      reserved, and broadcast
168.63.129.16/32 the host below a virtual machine of Azure
"""
# Of IPv6 only 2000::/3 is given out. What carries an IPv4 address inside is not looked into.
_OPEN_6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_6 = """
2001::/23        protocol assignments, Teredo
2001:db8::/32    documentation
2002::/16        6to4
2620:4f:8000::/48 AS112
3fff::/20        documentation
"""


def _networks(table: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(line.split()[0]) for line in table.strip().splitlines())


_CLOSED = _networks(_CLOSED_4), _networks(_CLOSED_6)


def is_open(address: Address) -> bool:
    """Whether an address lies in the open internet."""
    if isinstance(address, ipaddress.IPv6Address) and address not in _OPEN_6:
        return False  # link-local, ULA, multicast, loopback, v4-mapped, NAT64 …
    return not any(address in network for network in _CLOSED[address.version == 6])


def address_of(host: str) -> Address | None:
    """The address that a host is; None where it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class Endpoint(NamedTuple):
    """Where a webhook goes. target: path and query, as they go out."""

    is_tls: bool
    host: str
    port: int
    target: str

    @property
    def name(self) -> str:
        """For the Host header: without the port where that is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def endpoint(url: str) -> Endpoint:
    """A webhook's URL, taken apart.

    Raises:
        UsageError: it is none, or its host has another spelling than its plain one. The URL is
            a secret, so the message does not show it.
    """
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        raise UsageError(f"A webhook's URL has 1 to {MAX_URL} characters of ASCII and no spaces.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _no_webhook() from None
    if parts.scheme not in _SCHEMES or not url[len(parts.scheme) :].startswith("://"):
        raise _no_webhook()
    if "@" in parts.netloc or "#" in url or port == 0:
        raise UsageError("A webhook's URL has no user, password, fragment or port 0.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.startswith("/") or not _TARGET.fullmatch(target):
        raise _no_webhook()
    host = plain_host(parts.netloc[: -len(f":{port}")] if port is not None else parts.netloc)
    return Endpoint(parts.scheme[-1] == "s", host, port or _SCHEMES[parts.scheme], target)


def plain_host(host: str) -> str:
    """A host without the brackets of IPv6.

    Raises:
        UsageError: it is neither a name nor an address as everybody writes it.
    """
    if host.startswith("[") and host.endswith("]"):
        return _plain_address(host[1:-1], 6)
    if _NUMBER.fullmatch(host.rpartition(".")[2].lower()):  # resolvers read it as an address
        return _plain_address(host, 4)
    lowered = host.lower()
    if len(host) > 253 or not all(map(_LABEL.fullmatch, lowered.split("."))):
        raise _odd_host()
    return lowered


def _plain_address(text: str, version: int) -> str:
    address = address_of(text)
    if address is None or address.version != version or "%" in text or "/" in text:
        raise _odd_host()
    return str(address)


class Allowed:
    """Which hosts may be called: those of the open internet, and those named at the start.

    Args:
        entries: `HOST` or `HOST:PORT`, which are allowed wherever they lead.

    Raises:
        UsageError: an entry is neither.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._named = frozenset(map(_entry, entries))

    def is_named(self, host: str, port: int) -> bool:
        return not self._named.isdisjoint(((host, port), (host, None)))

    def check_spelling(self, host: str, port: int) -> None:
        """What can be told of a host without asking anybody.

        Raises:
            UsageError: it is an address, or a kind of name, that is not of the open internet.
        """
        if self.is_named(host, port):
            return
        address = address_of(host)
        if address is not None:
            is_outside = is_open(address)
        else:
            is_outside = "." in host and not f".{host}".endswith(_OF_THIS_NETWORK)
        if not is_outside:
            raise not_open()

    def check(self, host: str, port: int, addresses: Iterable[str]) -> None:
        """
        Args:
            addresses: what the host was resolved to; one of them is to be called.

        Raises:
            UsageError: one of them is not in the open internet, and the host was not named.
        """
        if self.is_named(host, port):
            return
        found = [address_of(address) for address in addresses]
        if not all(address is not None and is_open(address) for address in found):
            raise not_open()


def _entry(text: str) -> tuple[str, int | None]:
    shape = _ENTRY.fullmatch(text)
    if shape is None or not 0 < int(shape[2] or 80) < 65536:
        raise UsageError("A host to be allowed is written HOST or HOST:PORT, such as [fd00::7]:80.")
    return plain_host(shape[1]), int(shape[2]) if shape[2] else None


def not_open() -> UsageError:
    return UsageError(
        "That host is not in the open internet. Whoever runs the server can allow it: "
        "--allow-private-notifications HOST[:PORT]."
    )


def _no_webhook() -> UsageError:
    return UsageError("A webhook's URL looks like https://host/path. It is not shown here.")


def _odd_host() -> UsageError:
    return UsageError(
        "The host is neither a name in ASCII nor an address in its plain form, such as "
        "hooks.example.org, 93.184.215.14 or [2606:2800::1]."
    )
