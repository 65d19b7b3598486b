"""One line for each request, which nothing in the request can break, colour or forge."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timezone
from typing import NamedTuple

from podstack.clock import now

_SECRET = re.compile(r"pst_[A-Za-z0-9_-]+")
_LONGEST = 300  # characters of a path


class Entry(NamedTuple):
    """A request that was answered. seconds: from its first byte to the last of the answer."""

    client: str
    user: str
    method: str
    path: str
    status: int
    sent: int
    seconds: float


def line(entry: Entry) -> str:
    """`2026-11-28T16:00:00Z 127.0.0.1 "ada" GET "/api/v1/store" 200 71 0.0012`."""
    when = datetime.fromtimestamp(now(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"{when} {_bare(entry.client)} {_quoted(entry.user or '-')} {_bare(entry.method)} "
        f"{_quoted(entry.path)} {entry.status} {entry.sent} {entry.seconds:.4f}"
    )


def write(entry: Entry) -> None:
    try:
        sys.stderr.write(line(entry) + "\n")
    except (OSError, ValueError):  # nobody reads it any more
        return


def _quoted(text: str) -> str:
    """ASCII in double quotes: no line break, escape sequence or token comes through."""
    shown = _SECRET.sub("pst_…", text)
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}…"
    inner = ascii(shown)[1:-1].replace('"', '\\"')
    return f'"{inner}"'


def _bare(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.:%_-]", "?", text[:64]) or "-"
