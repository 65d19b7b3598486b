"""Whether a request was meant for this server, and whether a page of another site sent it.

Loopback is no border: any page in a browser can send requests there, and a name of the attacker's
can be made to lead there. So the name that was called must be one of ours, on every route, and
what writes must not come from elsewhere. There are no CORS headers, so no other page reads.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from podstack.server.errors import Refused

READING = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_FOREIGN = frozenset(("cross-site", "same-site"))
_PORTS = {"http": 80, "https": 443}

Headers = dict[str, list[str]]


def check_host(headers: Headers, names: frozenset[str]) -> str:
    """The Host that was called, if it is one of `names`; any port will do.

    Raises:
        Refused: there is none, there are two, it is malformed, or it is another's.
    """
    hosts = headers.get("host", [])
    shape = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if shape is None or not 0 < int(shape[2] or 80) < 65536:
        raise Refused(400, "host", "The request needs one Host header: a name, and maybe a port.")
    if shape[1].strip("[]").lower().rstrip(".") not in names:
        raise Refused(
            421,
            "host",
            "This server does not answer to that name; start it with --allowed-host NAME.",
        )
    return hosts[0]


def check_origin(method: str, headers: Headers, host: str, *, page: bool = False) -> None:
    """
    Args:
        page: whether a page is asked for: a link of another site may lead there.

    Raises:
        Refused: a browser says that a page of another site sent this.
    """
    sites = headers.get("sec-fetch-site", [])
    is_foreign = _FOREIGN.intersection(site.strip().lower() for site in sites)
    if is_foreign and not (page and method == "GET" and _navigates(headers)):
        raise _foreign()
    if method not in READING and not all(
        _is_same(origin, host) for origin in headers.get("origin", [])
    ):
        raise _foreign()


def _navigates(headers: Headers) -> bool:
    """Whether a person goes there, in a window of its own: no script and no frame reads it."""
    modes, places = headers.get("sec-fetch-mode", []), headers.get("sec-fetch-dest", [])
    return modes == ["navigate"] and places == ["document"]


def _is_same(origin: str, host: str) -> bool:
    """Whether an origin is the one that was called. `null` never is."""
    try:
        parts = urlsplit(origin)
        called = urlsplit(f"{parts.scheme}://{host}")
        port, called_port = parts.port, called.port
    except ValueError:
        return False
    usual = _PORTS.get(parts.scheme)
    if usual is None or parts.username is not None or parts.path or parts.query:
        return False
    return (parts.hostname, port or usual) == (called.hostname, called_port or usual)


def _foreign() -> Refused:
    return Refused(403, "origin", "A page of another site sent this.")
