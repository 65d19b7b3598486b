"""What an `s3://` URL and the options beside it say, checked before anything is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from podstack.backend import split_options, split_url
from podstack.errors import NotFoundError, UsageError

SECRETS = ("key", "secret", "session_token")

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def split_s3(url: str, known: set[str]) -> tuple[str, dict[str, str]]:
    """The URL without its query, and the query's options."""
    if "@" in url.partition("?")[0] or re.search(rf"[?&]({'|'.join(SECRETS)})=", url):
        raise UsageError(
            "A URL is shown in messages and must not carry credentials. Take them out, and set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give profile=…."
        )
    where, asked = split_options(url)
    for name in asked:
        if name not in known:
            raise UsageError(str(NotFoundError.among("option of s3://", name, known)))
    return where, asked


def bucket_and_prefix(where: str, url: str) -> tuple[str, str]:
    bucket, _, prefix = split_url(where)[1].strip("/").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(
            f"{repr(url)[:80]} names no bucket. Write s3://bucket or s3://bucket/prefix."
        )
    if prefix and any(part in ("", ".", "..") for part in prefix.split("/")):
        raise UsageError(f"The prefix in {repr(url)[:80]} must not have '..' or empty parts.")
    return bucket, prefix


def one(asked: Mapping[str, str], name: str, given: Any) -> Any:
    """An option from the query, else the argument."""
    return asked.get(name, given)


def truth(value: bool | str, name: str) -> bool:
    if isinstance(value, bool):
        return value
    if value.lower() not in _TRUTHS:
        raise UsageError(f"{name} is true or false, not {repr(value)[:80]}.")
    return _TRUTHS[value.lower()]


def checked_endpoint(value: str | None) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise UsageError("An endpoint is shown in messages and must not carry credentials.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"endpoint must be like http://localhost:8333, not {repr(value)[:80]}.")
    return value.rstrip("/")


def encryption(kind: str | None, key_id: str | None) -> dict[str, str]:
    if kind not in (None, "AES256", "aws:kms"):
        raise UsageError(f"sse is 'AES256' or 'aws:kms', not {repr(kind)[:80]}.")
    if key_id and kind != "aws:kms":
        raise UsageError("sse_kms_key_id needs sse='aws:kms'.")
    named = {"ServerSideEncryption": kind, "SSEKMSKeyId": key_id}
    return {name: value for name, value in named.items() if value}


def checked_addressing(style: str) -> dict[str, Any]:
    if style not in ("auto", "path", "virtual"):
        raise UsageError(f"addressing is 'auto', 'path' or 'virtual', not {repr(style)[:80]}.")
    return {} if style == "auto" else {"s3": {"addressing_style": style}}


def checked_credentials(
    key: str | None, secret: str | None, token: str | None
) -> dict[str, str | None]:
    if bool(key) != bool(secret) or (token and not key):
        raise UsageError("key and secret are given together; session_token only with both.")
    return {"key": key, "secret": secret, "token": token}
