"""Stores in S3 and in what speaks like it: `s3://bucket/prefix`, `s3://bucket?endpoint=http://…`.

Exact requests: a get, a put and a delete are one each, a listing one for each 1,000 keys. Files
above 16 MB go up in parts, four in flight, so that memory does not grow with the file.
Credentials come from where AWS's own tools take them; a URL carries none.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from podstack.backend import Backend, BlobInfo, split_options, split_url
from podstack.backends.fsspec_any import FsspecBackend
from podstack.errors import BackendError, BlobMissing, MissingExtraError, NotFoundError, UsageError

try:
    from podstack.backends.s3_errors import (
        BotoCoreError,
        ClientError,
        Place,
        status_of,
        translated,
    )
    from podstack.backends.s3_session import S3Session, finished
except ModuleNotFoundError as error:
    raise MissingExtraError.for_(
        error, extra="s3", also=("s3fs", "aiobotocore", "botocore", "aiohttp")
    ) from error

_PART = 8 << 20  # bytes; S3 takes 5 MiB and more
_PARTS = 9_000  # S3 takes 10,000
_IN_FLIGHT = 4
_WHOLE = 16 << 20  # bytes that go up in one request
_PAGE = 1000  # keys that S3 lists at once
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_SECRETS = ("key", "secret", "session_token")
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_OUT_OF_RANGE = 416


class S3Backend(FsspecBackend):
    """A `podstack.backend.Backend` in a bucket. Every option but the three secrets may also stand
    in the URL's query: `s3://runs/team?endpoint=http://localhost:8333&addressing=path`.

    Args:
        url: `s3://bucket/prefix`.
        endpoint: the server, where it is not AWS. Default: AWS_ENDPOINT_URL.
        region: of the bucket. Default: AWS_REGION, or the profile's.
        profile: a section of ~/.aws/config. Default: AWS_PROFILE.
        anonymous: sign nothing; for public buckets.
        sse: encryption at rest that the store is asked for: "AES256" or "aws:kms".
        sse_kms_key_id: the key for "aws:kms".
        addressing: "path" for http://host/bucket, "virtual" for http://bucket.host, or "auto".
        ca_bundle: a file of certificates to trust. Default: AWS_CA_BUNDLE.
        requester_pays: agree to pay for requests.
        key: access key; with `secret`, and `session_token` if it is temporary.

    Raises:
        UsageError: an option has no such value, or the URL carries credentials.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        anonymous: bool | str = False,
        sse: str | None = None,
        sse_kms_key_id: str | None = None,
        addressing: str = "auto",
        ca_bundle: str | None = None,
        requester_pays: bool | str = False,
        key: str | None = None,
        secret: str | None = None,
        session_token: str | None = None,
    ) -> None:
        where, asked = _split(url)
        self._bucket, prefix = _bucket_and_prefix(where, url)
        super().__init__(url, dict, prefix)  # its session stands for the filesystem
        self._endpoint = _endpoint(_one(asked, "endpoint", endpoint))
        self._sealed = _encryption(
            _one(asked, "sse", sse), _one(asked, "sse_kms_key_id", sse_kms_key_id)
        )
        pays = _truth(_one(asked, "requester_pays", requester_pays), "requester_pays")
        self._paid = {"RequestPayer": "requester"} if pays else {}
        client = {
            "region_name": _one(asked, "region", region),
            "verify": _one(asked, "ca_bundle", ca_bundle),
        }
        options = {
            "endpoint_url": self._endpoint,
            "anon": _truth(_one(asked, "anonymous", anonymous), "anonymous"),
            **_credentials(key, secret, session_token),
            "client_kwargs": {name: value for name, value in client.items() if value},
        }
        config = _addressing(_one(asked, "addressing", addressing))
        given = {name: value for name, value in options.items() if value}
        self._session = S3Session(given, config, profile=_one(asked, "profile", profile))

    def put(self, key: str, data: bytes | Path) -> None:
        with self._mapped(key):
            if not isinstance(data, Path):
                self._put_bytes(key, bytes(data))
                return
            with _source(data, self.url, key) as (file, size):
                if size <= _WHOLE:
                    self._put_bytes(key, file.read())
                else:
                    self._put_parts(key, size, lambda start, stop: _read(file, start, stop))

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        if (start < 0 and stop is not None) or (stop or 0) < 0:
            start, stop, _ = slice(start, stop).indices(self._size(key))
        if stop is not None and start >= stop:
            self._size(key)  # a slice of nothing is empty, but not of a blob that is missing
            return b""
        with self._mapped(key):
            try:
                answer = self._call("get_object", key, **_range(start, stop))
            except ClientError as error:
                if status_of(error) != _OUT_OF_RANGE:
                    raise
                # Some servers refuse the last 9 bytes of 8.
                return self.get(key)[start:] if start < 0 else b""
        body: bytes = answer["Body"]
        # A server may know no ranges; rclone cuts them, but answers with 200.
        return body if "ContentRange" in answer else body[start:stop]

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        pages = self._pages(prefix, start_after=start_after)
        first = next(pages)
        if _lists_as_a_tree(first):
            # "a/b" before "a-b", and what follows `start_after` so too: all of it, sorted here.
            whole = self._pages(prefix) if start_after else chain([first], pages)
            yield from sorted(info for info in self._infos(whole) if info.key > start_after)
        else:
            yield from self._infos(chain([first], pages))

    def _infos(self, pages: Iterable[Mapping[str, Any]]) -> Iterator[BlobInfo]:
        for page in pages:
            for item in page.get("Contents", ()):
                key = item["Key"][self._skipped :]
                if key and not key.endswith("/"):  # other tools make such for an empty folder
                    yield BlobInfo(key, item["Size"], f"{item.get('ETag', '')}-{_stamp(item)}")

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        cut = self._skipped + len(prefix)
        names = {
            found["Prefix"][cut:-1]
            for page in self._pages(prefix, delimiter="/")
            for found in page.get("CommonPrefixes", ())
        }
        return iter(sorted(names - {""}))  # S3 sorts them with their "/", "a-b/" before "a/"

    def delete(self, key: str) -> None:
        try:
            with self._mapped(key):
                self._call("delete_object", key)
        except BlobMissing:
            return

    def close(self) -> None:
        self._session.close()

    @property
    def _skipped(self) -> int:
        """Characters of a stored key before ours."""
        return len(self._root) + 1 if self._root else 0

    def _path(self, key: str) -> str:
        return super()._path(key).lstrip("/")

    def _call(self, method: str, key: str, **parameters: Any) -> dict[str, Any]:
        return self._session.call(method, **self._to(key), **parameters)

    def _to(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._path(key), **self._paid}

    def _size(self, key: str) -> int:
        with self._mapped(key):
            return int(self._call("head_object", key)["ContentLength"])

    def _pages(
        self, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> Iterator[dict[str, Any]]:
        folder = prefix.rpartition("/")[0]
        if folder or prefix.startswith("/"):
            self._path(folder)  # refuses what is no key
        asked = {"Prefix": f"{self._root}/{prefix}".lstrip("/"), "MaxKeys": _PAGE, **self._paid}
        if start_after:
            asked["StartAfter"] = f"{self._root}/{start_after}".lstrip("/")
        if delimiter:
            asked["Delimiter"] = delimiter
        while True:
            with self._mapped(prefix):
                page = self._session.call("list_objects_v2", Bucket=self._bucket, **asked)
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _put_bytes(self, key: str, data: bytes) -> None:
        if len(data) > 4 * _WHOLE:
            self._put_parts(key, len(data), lambda start, stop: data[start:stop])
        else:
            self._call("put_object", key, Body=data, **self._sealed)

    def _put_parts(self, key: str, size: int, read: Callable[[int, int], bytes]) -> None:
        """Read on this thread, sent on the loop's; what has failed leaves no parts to pay for."""
        upload = self._call("create_multipart_upload", key, **self._sealed)["UploadId"]
        waiting: deque[Future[dict[str, Any]]] = deque()
        try:
            parts = self._sent(key, upload, size, read, waiting)
            whole = {"Parts": parts}
            self._call("complete_multipart_upload", key, UploadId=upload, MultipartUpload=whole)
        except BaseException:
            for future in waiting:
                future.cancel()
            self._abort(key, upload)
            raise

    def _sent(
        self,
        key: str,
        upload: str,
        size: int,
        read: Callable[[int, int], bytes],
        waiting: deque[Future[dict[str, Any]]],
    ) -> Sequence[dict[str, Any]]:
        step = max(_PART, -(-size // _PARTS))
        tags: list[str] = []
        for number, start in enumerate(range(0, size, step), 1):
            if len(waiting) >= _IN_FLIGHT:
                tags.append(finished(waiting.popleft())["ETag"])
            body = read(start, min(start + step, size))
            sent = {"UploadId": upload, "PartNumber": number, "Body": body}
            waiting.append(self._session.begin("upload_part", **self._to(key), **sent))
        while waiting:
            tags.append(finished(waiting.popleft())["ETag"])
        return [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]

    def _abort(self, key: str, upload: str) -> None:
        try:
            self._call("abort_multipart_upload", key, UploadId=upload)
        except (ClientError, BotoCoreError, OSError):
            return  # the store is gone, which the first error says; a lifecycle rule cleans up

    @contextmanager
    def _mapped(self, key: str) -> Iterator[None]:
        try:
            yield
        except UsageError:
            raise
        except Exception as error:
            place = Place(self.url, key, self._bucket, self._endpoint)
            raise translated(error, place) from error


def _lists_as_a_tree(page: Mapping[str, Any]) -> bool:
    """Whether the server sorts names folder by folder, and not as S3 does by whole keys."""
    headers = page.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("server", "")).startswith("SeaweedFS")


def _stamp(item: Mapping[str, Any]) -> str:
    """The size, and the time too where the store tells no ETag."""
    return str(item["Size"]) if item.get("ETag") else f"{item.get('LastModified')}-{item['Size']}"


def _range(start: int, stop: int | None) -> dict[str, str]:
    if start == 0 and stop is None:
        return {}
    return {"Range": f"bytes={start}" if start < 0 else f"bytes={start}-{_last(stop)}"}


def _last(stop: int | None) -> str:
    return "" if stop is None else str(stop - 1)


@contextmanager
def _source(path: Path, url: str, key: str) -> Iterator[tuple[Any, int]]:
    """The file and its size."""
    try:
        file = path.open("rb")
    except OSError as error:
        reason = error.strerror or str(error)
        raise BackendError(f"{key} in {url}: {path}: {reason}.", url=url, key=key) from error
    with file:
        yield file, os.fstat(file.fileno()).st_size


def _read(file: Any, start: int, stop: int) -> bytes:
    file.seek(start)
    data: bytes = file.read(stop - start)
    if len(data) < stop - start:
        raise BackendError(f"{file.name} became shorter while it was stored.")
    return data


def _split(url: str) -> tuple[str, dict[str, str]]:
    """The URL without its query, and the query's options."""
    if "@" in url.partition("?")[0] or re.search(rf"[?&]({'|'.join(_SECRETS)})=", url):
        raise UsageError(
            "A URL is shown in messages and must not carry credentials. Take them out, and set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give profile=…."
        )
    where, asked = split_options(url)
    known = set(signature(S3Backend).parameters) - {"url", *_SECRETS}
    for name in asked:
        if name not in known:
            raise UsageError(str(NotFoundError.among("option of s3://", name, known)))
    return where, asked


def _bucket_and_prefix(where: str, url: str) -> tuple[str, str]:
    bucket, _, prefix = split_url(where)[1].strip("/").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(
            f"{repr(url)[:80]} names no bucket. Write s3://bucket or s3://bucket/prefix."
        )
    if prefix and any(part in ("", ".", "..") for part in prefix.split("/")):
        raise UsageError(f"The prefix in {repr(url)[:80]} must not have '..' or empty parts.")
    return bucket, prefix


def _one(asked: Mapping[str, str], name: str, given: Any) -> Any:
    """An option from the query, else the argument."""
    return asked.get(name, given)


def _truth(value: bool | str, name: str) -> bool:
    if isinstance(value, bool):
        return value
    if value.lower() not in _TRUTHS:
        raise UsageError(f"{name} is true or false, not {repr(value)[:80]}.")
    return _TRUTHS[value.lower()]


def _endpoint(value: str | None) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise UsageError("An endpoint is shown in messages and must not carry credentials.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"endpoint must be like http://localhost:8333, not {repr(value)[:80]}.")
    return value.rstrip("/")


def _encryption(kind: str | None, key_id: str | None) -> dict[str, str]:
    if kind not in (None, "AES256", "aws:kms"):
        raise UsageError(f"sse is 'AES256' or 'aws:kms', not {repr(kind)[:80]}.")
    if key_id and kind != "aws:kms":
        raise UsageError("sse_kms_key_id needs sse='aws:kms'.")
    named = {"ServerSideEncryption": kind, "SSEKMSKeyId": key_id}
    return {name: value for name, value in named.items() if value}


def _addressing(style: str) -> dict[str, Any]:
    if style not in ("auto", "path", "virtual"):
        raise UsageError(f"addressing is 'auto', 'path' or 'virtual', not {repr(style)[:80]}.")
    return {} if style == "auto" else {"s3": {"addressing_style": style}}


def _credentials(key: str | None, secret: str | None, token: str | None) -> dict[str, str | None]:
    if bool(key) != bool(secret) or (token and not key):
        raise UsageError("key and secret are given together; session_token only with both.")
    return {"key": key, "secret": secret, "token": token}


if TYPE_CHECKING:
    _: type[Backend] = S3Backend
