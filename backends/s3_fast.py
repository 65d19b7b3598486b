"""Reading S3 by obstore, where that is installed: a sixth of the time for a GET or a listing.

For readers and servers, which ask thousands of times; `S3Backend` begins to use it after its first
requests. What it fails at, whatever the reason, is asked once more the usual way, which knows what
each answer means. A child never uses it if its parent did: it would wait for threads that a fork
does not copy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import obstore
from botocore.session import Session
from obstore.store import S3Store

T = TypeVar("T")

_PAGE = 1000  # keys that S3 lists at once
_CONNECT_TIMEOUT, _TIMEOUT = "5s", "30s"
_ENOUGH = 5  # failures in a row after which a store is asked the usual way only
_FAILED = (obstore.exceptions.BaseError, OSError, ValueError)
_user: int | None = None  # the process that used it; its children see that

Found = tuple[str, int, str]  # key as it is stored, bytes, tag


class Access(NamedTuple):
    """How to reach a bucket."""

    bucket: str
    endpoint: str | None
    region: str | None
    profile: str | None
    anonymous: bool
    requester_pays: bool
    virtual: bool
    credentials: tuple[str, str, str | None] | None


class FastReader:
    """Gets and lists, from any thread. None instead of an answer: ask the usual way."""

    def __init__(self, access: Access) -> None:
        self._store: Any = _opened(access)
        self._failures = 0

    @property
    def is_fit(self) -> bool:
        """Whether this process may use it, and it has not failed again and again."""
        return may_use() and self._failures < _ENOUGH

    def get(self, path: str) -> bytes | None:
        """A whole object."""
        return self._tried(lambda: bytes(obstore.get(self._store, path).bytes()))

    def pages(self, folder: str, start_after: str) -> Iterator[list[Found] | None]:
        """What lies below a folder, as the server sorts it; the last page may be None."""
        found = obstore.list(
            self._store, folder or None, offset=start_after or None, chunk_size=_PAGE
        )
        while page := self._tried(lambda: _entries(next(found, []))):
            yield page
        yield page

    def list_dirs(self, folder: str) -> list[str] | None:
        """The folders in a folder, by their whole paths."""
        return self._tried(
            lambda: list(
                obstore.list_with_delimiter(self._store, folder or None)["common_prefixes"]
            )
        )

    def _tried(self, ask: Callable[[], T]) -> T | None:
        try:
            found = ask()
        except obstore.exceptions.NotFoundError:
            return None
        except _FAILED:
            self._failures += 1
            return None
        self._failures = 0
        return found


def _entries(page: Sequence[Any]) -> list[Found]:
    """
    Raises:
        ValueError: one has no ETag, or no bytes: it may be the mark of a folder, cut short.
    """
    if any(not found["size"] or not found["e_tag"] for found in page):
        raise ValueError("a mark of a folder, or no ETag")
    return [(found["path"], found["size"], found["e_tag"]) for found in page]


def may_use() -> bool:
    """Whether this process may: no, if it is the child of one that did."""
    return _user in (None, os.getpid())


def _opened(access: Access) -> Any:
    global _user
    _user = os.getpid()
    session = Session(profile=access.profile)
    region = access.region or session.get_config_variable("region") or "us-east-1"
    options: dict[str, Any] = {
        "region": region,
        "virtual_hosted_style_request": access.virtual,
        "request_payer": access.requester_pays,
        "client_options": {
            "allow_http": True,  # where the endpoint says so; AWS's own is https
            "connect_timeout": _CONNECT_TIMEOUT,
            "timeout": _TIMEOUT,
        },
        "retry_config": {"max_retries": 0},
    }
    if endpoint := access.endpoint or session.get_scoped_config().get("endpoint_url"):
        options["endpoint"] = endpoint
    if access.anonymous:
        return S3Store(access.bucket, skip_signature=True, **options)
    return S3Store(access.bucket, credential_provider=_provider(session, access), **options)


def _provider(session: Session, access: Access) -> Callable[[], Any]:
    """Credentials from where the other requests take theirs, anew when they expire."""
    given = access.credentials

    def provide() -> dict[str, Any]:
        if given is not None:
            return _facts(*given, None)
        found = session.get_credentials()
        if found is None:
            raise ValueError("there are no credentials")
        now = found.get_frozen_credentials()
        until: datetime | None = getattr(found, "_expiry_time", None)
        return _facts(now.access_key, now.secret_key, now.token, until)

    return provide


def _facts(key: str, secret: str, token: str | None, until: datetime | None) -> dict[str, Any]:
    return {
        "access_key_id": key,
        "secret_access_key": secret,
        "token": token,
        "expires_at": until,
    }
