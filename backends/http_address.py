"""What a server's address, its options and a token look like; checked before anything is opened."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from podstack.backends.http_answers import Place
from podstack.errors import BackendError, UsageError


def checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_good, parts = False, urlsplit("")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "A server's URL holds no user and no password: give PODSTACK_API_TOKEN or api_token=."
        )
    if not is_good or parts.fragment:
        raise UsageError(f"{url[:100]!r} is no server's URL: write it like https://host:8080.")
    return f"{parts.scheme.lower()}{url[len(parts.scheme) :]}"


def checked_token(token: str | None) -> str | None:
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("The API token holds characters that no token has.")
    return token or None


def seconds(value: float | str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if not 0 < found <= 3600:
        raise UsageError(f"timeout is a number of seconds up to 3600, not {value!r}.")
    return found


def project_name(name: Any, place: Place) -> str:
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789._-"
    if not isinstance(name, str) or not name or set(name) - set(allowed) or ".." in name:
        raise BackendError(f"{place.words}: {name!r:.80} is no project.", **place._asdict())
    return name
