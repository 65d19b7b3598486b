"""What a failing store becomes for whoever asks: a status that says whether to try again."""

from __future__ import annotations

import errno

import pytest

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
from podstack.server.errors import Refused, told

SECRET = "s3://secret-bucket/key AKIAEXAMPLE /var/lib/store"


def with_errno(number: int) -> BackendError:
    error = BackendError(SECRET)
    error.errno = number
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BlobMissing(SECRET), 404),
        (BackendUnavailable(SECRET), 503),
        (AccessDeniedError(SECRET), 502),
        (BackendError(SECRET), 502),
        (with_errno(errno.ENOSPC), 507),
        (with_errno(errno.EDQUOT), 507),
        (with_errno(errno.EROFS), 503),
        (with_errno(errno.EIO), 503),
        (with_errno(errno.EMFILE), 503),
        (with_errno(errno.ELOOP), 409),
        (with_errno(errno.ENOTDIR), 409),
        (with_errno(errno.ENAMETOOLONG), 400),
        (MissingExtraError(SECRET), 501),
        (PodstackError(SECRET), 500),
        (RuntimeError(SECRET), 500),
    ],
)
def test_27_a_failing_store_is_told_without_a_word_of_its_own(
    error: Exception, status: int
) -> None:
    refused = told(error)

    assert refused.status == status
    assert not [word for word in SECRET.split() if word.encode() in refused.body]
    assert ("Retry-After" in refused.headers) == (status == 503)


def test_a_pause_that_the_store_asks_for_is_passed_on() -> None:
    assert told(BackendUnavailable("", retry_after=7.2)).headers == {"Retry-After": "8"}
    assert told(BackendUnavailable("", retry_after=1e9)).headers == {"Retry-After": "3600"}


def test_wrong_questions_are_answered_with_what_is_wrong() -> None:
    assert told(UsageError("limit is 1 to 5")).status == 422
    assert b"limit is 1 to 5" in told(UsageError("limit is 1 to 5")).body
    assert told(NotFoundError("No run 'x'.")).status == 404
    assert told(Refused(418, "tea", "pot")).status == 418
