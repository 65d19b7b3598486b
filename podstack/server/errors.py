"""What a request is refused with: a status, a word for programs, a sentence for people.

No answer names a folder of this machine, a version, a line of code or a secret: what a store says
of itself stays here, and goes into the server's own log.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Mapping

import orjson

from podstack.errors import (
    AccessDeniedError,
    BackendError,
    BackendUnavailable,
    BlobMissing,
    MissingExtraError,
    NotFoundError,
    PodstackError,
    UsageError,
)
from podstack.names import printable

logger = logging.getLogger("podstack.server")

RETRY_AFTER = 2  # seconds, where the store said nothing

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY)


class Refused(Exception):  # it reads `raise Refused(404, …)`
    """A request ends here, with this answer."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})

    @property
    def body(self) -> bytes:
        return orjson.dumps({"error": {"code": self.code, "message": self.message}})


def missing() -> Refused:
    """The one answer for what is not there and for what is not yours."""
    return Refused(404, "missing", "There is no such thing here.")


def unknown_caller() -> Refused:
    return Refused(
        401,
        "unauthorized",
        "This needs a token that is known here: Authorization: Bearer pst_….",
        headers={"WWW-Authenticate": "Bearer"},
    )


def told(error: Exception) -> Refused:
    """The answer to anything that was raised. The server's own troubles go into its log."""
    if isinstance(error, Refused):
        return error
    if not isinstance(error, PodstackError):
        return Refused(500, "internal", "The server failed; its log says why.")
    refused = refused_for(error)
    if refused.status >= 500:
        logger.warning("%s: %s", type(error).__name__, printable(str(error)))
    return refused


def refused_for(error: PodstackError) -> Refused:
    """The answer to what the core or a store raised."""
    if isinstance(error, BackendError):
        return _of_the_store(error)
    if isinstance(error, NotFoundError):
        return Refused(404, "missing", str(error))
    if isinstance(error, UsageError):
        return Refused(422, "invalid", str(error))
    if isinstance(error, MissingExtraError):
        return Refused(501, "not_installed", "The server lacks what this needs.")
    return Refused(500, "internal", "The server failed; its log says why.")


def _of_the_store(error: BackendError) -> Refused:
    if isinstance(error, BlobMissing):
        return missing()
    if isinstance(error, BackendUnavailable):
        return _unavailable(error.retry_after)
    if isinstance(error, AccessDeniedError):
        return Refused(502, "store_denied", "The store behind this server refuses the server.")
    if error.errno in _FULL:
        return Refused(507, "full", "The store behind this server is full.")
    if error.errno == errno.EROFS:
        return Refused(
            503,
            "read_only",
            "The store behind this server cannot be written to.",
            headers={"Retry-After": "60"},
        )
    if error.errno == errno.ENAMETOOLONG:
        return Refused(400, "key", "The key is longer than the store takes.")
    if error.errno == errno.ELOOP:
        return Refused(409, "link", "A link stands there, which a store does not follow.")
    if error.errno in _IN_THE_WAY:
        return Refused(409, "conflict", "Another object stands where this one's folder would be.")
    if error.errno is not None:
        return _unavailable(None)
    return Refused(502, "store", "The store behind this server refused; its log says why.")


def _unavailable(retry_after: float | None) -> Refused:
    pause = RETRY_AFTER if retry_after is None else max(1, math.ceil(min(retry_after, 3600)))
    return Refused(
        503,
        "unavailable",
        "The store behind this server does not answer. Try again.",
        headers={"Retry-After": str(pause)},
    )


def refused_for_disk(error: OSError) -> Refused:
    """The answer where this machine cannot keep a body on its way to the store."""
    if error.errno in _FULL:
        return Refused(507, "full", "The server has no room for the body.")
    return _unavailable(None)
