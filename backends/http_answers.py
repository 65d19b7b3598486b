"""What a podstack server's refusals and a network's failures mean: the one place that says it.

Nothing here ever holds a token: messages are made of the address, the key and the server's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import orjson
from urllib3 import exceptions

from podstack.errors import (
    AccessDeniedError,
    BackendError,
    BackendUnavailable,
    BlobMissing,
    NotFoundError,
    PodstackError,
    UsageError,
)

SHORTER = "shorter"  # a log that is put lacks what the server has of it already

_SHOWN = 300  # characters of a server's words in a message
_LONGEST_PAUSE = 3600.0  # seconds that a server is obeyed in
_AGAIN = (408, 425, 429, 500, 502, 503, 504, 507)


class Answer(NamedTuple):
    """One answer, whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_json(self) -> bool:
        return self.headers.get("content-type", "").partition(";")[0].strip() == "application/json"

    @property
    def told(self) -> tuple[str, str]:
        """Code and message of a refusal; empty where it is not podstack's."""
        if not self.is_json:
            return "", ""
        try:
            error = orjson.loads(self.body)["error"]
            code, message = error["code"], error["message"]
        except (ValueError, KeyError, TypeError):
            return "", ""
        return (code, _short(message)) if isinstance(code, str) else ("", "")


class Place(NamedTuple):
    """What an error is about: the store's URL, and a key or nothing."""

    url: str
    key: str = ""

    @property
    def words(self) -> str:
        return f"{self.key} in {self.url}" if self.key else self.url


def refusal(answer: Answer, place: Place) -> PodstackError:
    """The error that an answer of 300 or more stands for."""
    status, (code, message) = answer.status, answer.told
    if status in (401, 403):
        return _denied(status, message, place)
    if status == 404 and code:
        return BlobMissing(f"There is no {place.words}.", **place._asdict())
    if status in _AGAIN:
        return BackendUnavailable(
            f"{place.words}: the server answers {status}. {message}".rstrip(),
            retry_after=retry_after(answer.headers.get("retry-after")),
            **place._asdict(),
        )
    if status < 400:
        return BackendError(
            f"{place.words}: the server answers {status}, which leads elsewhere. Redirects are "
            "not followed, so that no token goes astray: use the address that it leads to "
            "(https:// perhaps).",
            **place._asdict(),
        )
    if not code:
        return not_podstack(place, f"status {status}")
    return BackendError(f"{place.words}: {message} ({status} {code})", **place._asdict())


def unanswered(answer: Answer, place: Place) -> PodstackError:
    """The error that the refusal of a question stands for: what the core would have raised."""
    code, message = answer.told
    if answer.status == 404 and code:
        return NotFoundError(message)
    if answer.status in (400, 422) and code:
        return UsageError(message)
    return refusal(answer, place)


def failure(error: Exception, place: Place) -> BackendError:
    """The error that a failed exchange stands for."""
    cause = _cause(error)
    if isinstance(cause, (exceptions.SSLError, ValueError)) or "SSL" in type(cause).__name__:
        return BackendError(
            f"{place.words}: no secure connection ({_short(cause)}). Where the certificate is of "
            "your own authority, add ?ca_bundle=/path/to/ca.pem to the URL.",
            **place._asdict(),
        )
    return BackendUnavailable(
        f"{place.words}: no answer ({_short(cause) or type(cause).__name__}).", **place._asdict()
    )


def not_podstack(place: Place, what: str) -> BackendError:
    """An answer that no podstack server gives: a portal's page, a proxy's, a wrong path."""
    return BackendError(
        f"{place.words}: what answers is no podstack server ({_short(what)}). Check the address "
        "and its path; a login page or a proxy may stand in between.",
        **place._asdict(),
    )


def retry_after(text: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except ValueError:
            return None
        zoned = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
        seconds = (zoned - datetime.now(timezone.utc)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_PAUSE) if seconds == seconds else None


def _denied(status: int, message: str, place: Place) -> AccessDeniedError:
    fix = (
        "Set PODSTACK_API_TOKEN, or give api_token=, to one that `podstack token create` made on "
        "the server."
        if status == 401
        else "Use a token of that project with a higher role: `podstack token create` on the "
        "server makes one."
    )
    return AccessDeniedError(
        f"{place.words}: the server refuses the token ({status}). {message} {fix}".replace(
            "  ", " "
        ),
        **place._asdict(),
    )


def _cause(error: Exception) -> Exception:
    while isinstance(error, (exceptions.MaxRetryError, exceptions.ProxyError)):
        reason = getattr(error, "reason", None) or getattr(error, "original_error", None)
        if not isinstance(reason, Exception):
            break
        error = reason
    return error


def _short(text: Any) -> str:
    words = "".join(c if c.isprintable() else " " for c in str(text))
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
