"""What S3, botocore and aiohttp report, in the words of `podstack.errors`. The only such place."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError
from fsspec.exceptions import FSTimeoutError

from podstack.backends.fsspec_any import printable
from podstack.errors import AccessDeniedError, BackendError, BackendUnavailable, BlobMissing

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
_NO_ANSWER = (
    HTTPClientError,
    NoConnection,
    ResponseParserError,
    aiohttp.ClientError,
    asyncio.TimeoutError,
    asyncio.IncompleteReadError,
    FSTimeoutError,
    ConnectionError,
    TimeoutError,
)
_HOW_TO_SIGN_IN = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give profile=…; "
    "anonymous=True for a public bucket"
)
_DENIED = {
    "ExpiredToken": "The credentials have expired. Get new ones, such as with `aws sso login`",
    "ExpiredTokenException": "The credentials have expired. Get new ones",
    "TokenRefreshRequired": "The credentials have expired. Get new ones",
    "InvalidToken": "AWS_SESSION_TOKEN does not belong to the access key. Get new credentials",
    "InvalidAccessKeyId": f"The store does not know this access key. {_HOW_TO_SIGN_IN}",
    "SignatureDoesNotMatch": "The secret key is wrong. Check AWS_SECRET_ACCESS_KEY or the profile",
    "RequestTimeTooSkewed": "This machine's clock is wrong by more than 15 minutes. Set it",
}
_BUSY = {
    "SlowDown",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "OperationAborted",
    "ConditionalRequestConflict",
    "NoSuchUpload",  # an upload that the store forgot is begun again
}
_NOT_IMPLEMENTED = 501


class Place(NamedTuple):
    """Where a request went, for messages."""

    url: str
    key: str
    bucket: str
    endpoint: str | None


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def translated(error: Exception, place: Place) -> BackendError:
    """The error to raise instead of a foreign one."""
    if isinstance(error, BackendError):
        return error
    where = {"url": place.url, "key": place.key}
    what = f"{place.key or 'The store'} in {place.url}"
    if isinstance(error, ClientError):
        return _answered(error, place, what, where)
    said = printable(str(error)) or type(error).__name__
    if isinstance(error, _NO_CREDENTIALS):
        return AccessDeniedError(f"{what}: {said.rstrip('.')}. {_HOW_TO_SIGN_IN}.", **where)
    if isinstance(error, SSLError) and "certificate" in said.lower():
        fix = "Give the authority's certificate as ca_bundle=… or in AWS_CA_BUNDLE"
        return BackendError(f"{what}: {said.rstrip('.')}. {fix}.", **where)
    if isinstance(error, _NO_ANSWER) or _is_shutting_down(error):
        fix = "Check the endpoint and the network; nothing is lost, it can be tried again"
        message = f"{what}: {said.rstrip('.')}. {fix}."
        return BackendUnavailable(message, url=place.url, key=place.key)
    return BackendError(f"{what}: {said}", **where)


def _answered(error: ClientError, place: Place, what: str, where: dict[str, str]) -> BackendError:
    """For what the store itself said."""
    code, status = code_of(error), status_of(error)
    said = printable(str(error.response.get("Error", {}).get("Message") or code)).rstrip(".")
    if code == "NoSuchBucket":
        return BackendError(_no_bucket(place), **where)
    if code in _BUSY or status == 429 or (status >= 500 and status != _NOT_IMPLEMENTED):
        after = _retry_after(error)
        message = f"{what}: {code} {said}. It can be tried again."
        return BackendUnavailable(message, url=place.url, key=place.key, retry_after=after)
    if code in ("NoSuchKey", "404") or status == 404:
        return BlobMissing(f"There is no {place.key} in {place.url}.", **where)
    if code in _DENIED or status in (401, 403):
        fix = _DENIED.get(code) or (
            f"{code or status}: {said}. These credentials need s3:GetObject, s3:PutObject, "
            f"s3:DeleteObject and s3:ListBucket on {place.bucket}. {_HOW_TO_SIGN_IN}"
        )
        return AccessDeniedError(f"{what}: {fix}.", **where)
    if code in ("PermanentRedirect", "301", "AuthorizationHeaderMalformed"):
        return BackendError(f"{what}: {said}. Give the bucket's region=….", **where)
    return BackendError(f"{what}: {code} {said}.", **where)


def _no_bucket(place: Place) -> str:
    at = f" at {place.endpoint}" if place.endpoint else ""
    option = f" --endpoint-url {place.endpoint}" if place.endpoint else ""
    return (
        f"There is no bucket {place.bucket}{at}. Check the name in {place.url}, or make it: "
        f"aws s3 mb s3://{place.bucket}{option}"
    )


def _retry_after(error: ClientError) -> float | None:
    headers: dict[str, Any] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):  # absent, or a date, which no S3 server was seen to send
        return None


def _is_shutting_down(error: Exception) -> bool:
    """An interpreter that ends starts no threads, and so looks up no names."""
    return isinstance(error, RuntimeError) and "shutdown" in str(error)


__all__ = ["BotoCoreError", "ClientError", "Place", "code_of", "status_of", "translated"]
