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
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podstack.backend import Backend, BlobInfo
from podstack.backends.fsspec_any import FsspecBackend
from podstack.backends.s3_address import (
    SECRETS,
    bucket_and_prefix,
    checked_addressing,
    checked_credentials,
    checked_endpoint,
    encryption,
    one,
    split_s3,
    truth,
)
from podstack.errors import BackendError, BlobMissing, MissingExtraError, UsageError

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
_USUAL = 16  # gets and listings before another reader is worth its start
_PLAIN = re.compile(r"[A-Za-z0-9/._=+-]*")
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
        where, asked = split_s3(url, set(signature(S3Backend).parameters) - {"url", *SECRETS})
        self._bucket, prefix = bucket_and_prefix(where, url)
        super().__init__(url, dict, prefix)  # its session stands for the filesystem
        self._endpoint = checked_endpoint(one(asked, "endpoint", endpoint))
        self._sealed = encryption(
            one(asked, "sse", sse), one(asked, "sse_kms_key_id", sse_kms_key_id)
        )
        pays = truth(one(asked, "requester_pays", requester_pays), "requester_pays")
        self._paid = {"RequestPayer": "requester"} if pays else {}
        client = {
            "region_name": one(asked, "region", region),
            "verify": one(asked, "ca_bundle", ca_bundle),
        }
        options = {
            "endpoint_url": self._endpoint,
            "anon": truth(one(asked, "anonymous", anonymous), "anonymous"),
            **checked_credentials(key, secret, session_token),
            "client_kwargs": {name: value for name, value in client.items() if value},
        }
        config = checked_addressing(one(asked, "addressing", addressing))
        given = {name: value for name, value in options.items() if value}
        profile = one(asked, "profile", profile)
        self._session = S3Session(given, config, profile=profile)
        self._access: dict[str, Any] | None = None
        if not client["verify"]:  # obstore takes no bundle
            self._access = {
                "bucket": self._bucket,
                "endpoint": self._endpoint,
                "region": client["region_name"],
                "profile": profile,
                "anonymous": options["anon"],
                "requester_pays": pays,
                "virtual": one(asked, "addressing", addressing) == "virtual",
                "credentials": (key, secret, session_token) if key and secret else None,
            }
        self._asked = 0  # gets and listings
        self._fast: FastReader | None = None
        self._is_tree: bool | None = None  # how the server sorts, once it has listed

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
        if start == 0 and stop is None and (reader := self._reader(key)):
            whole = reader.get(self._path(key))
            if whole is not None:
                return whole
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
        found = self._found_after(prefix, start_after)
        first = list(islice(found, 1))  # now it is known how the server sorts
        if not self._is_tree:
            yield from chain(first, found)
            return
        # "a/b" before "a-b", and what follows `start_after` so too: all of it, sorted here.
        whole = self._found_after(prefix, "") if start_after else chain(first, found)
        yield from sorted(info for info in whole if info.key > start_after)

    def _found_after(self, prefix: str, start_after: str) -> Iterator[BlobInfo]:
        """The same in the server's order, of which `start_after` is a part."""
        last, reader = start_after, None
        is_folder = not prefix or prefix.endswith("/")
        if self._is_tree is not None and is_folder and not start_after.endswith("/"):
            reader = self._reader(prefix[:-1] + start_after)
        if reader is not None:
            after = self._prefixed(start_after) if start_after else ""
            for page in reader.pages(self._prefixed(prefix[:-1]).rstrip("/"), after):
                if page is None:
                    break
                for path, size, tag in page:
                    last = path[self._skipped :]
                    yield BlobInfo(last, size, f"{tag}-{size}")
            else:
                return
        yield from self._infos(self._pages(prefix, start_after=last))

    def _infos(self, pages: Iterable[Mapping[str, Any]]) -> Iterator[BlobInfo]:
        for page in pages:
            for item in page.get("Contents", ()):
                key = item["Key"][self._skipped :]
                if key and not key.endswith("/"):  # other tools make such for an empty folder
                    yield BlobInfo(key, item["Size"], f"{item.get('ETag', '')}-{_stamp(item)}")

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        cut = self._skipped + len(prefix)
        if prefix.endswith("/") and (reader := self._reader(prefix[:-1])):
            folders = reader.list_dirs(self._path(prefix[:-1]))
            if folders is not None:
                return iter(sorted({folder[cut:] for folder in folders} - {""}))
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

    def _reader(self, key: str) -> FastReader | None:
        """Obstore, if it is installed, for one who has asked often and asks for a plain key."""
        self._asked += 1
        if self._asked <= _USUAL or self._access is None or not _PLAIN.fullmatch(key):
            return None
        if self._fast is None:
            self._fast = _fast_reader(self._access)
            if self._fast is None:
                self._access = None
                return None
        return self._fast if self._fast.is_fit else None

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
        asked = {"Prefix": self._prefixed(prefix), "MaxKeys": _PAGE, **self._paid}
        if start_after:
            asked["StartAfter"] = self._prefixed(start_after)
        if delimiter:
            asked["Delimiter"] = delimiter
        while True:
            with self._mapped(prefix):
                page = self._session.call("list_objects_v2", Bucket=self._bucket, **asked)
            self._is_tree = _lists_as_a_tree(page)
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _prefixed(self, text: str) -> str:
        return f"{self._root}/{text}".lstrip("/")

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


def _fast_reader(access: Mapping[str, Any]) -> FastReader | None:
    """None where obstore is not installed, or this is the child of a process that used it."""
    try:
        from podstack.backends import s3_fast
    except ModuleNotFoundError:
        return None
    return s3_fast.FastReader(s3_fast.Access(**access)) if s3_fast.may_use() else None


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


if TYPE_CHECKING:
    from podstack.backends.s3_fast import FastReader

    _: type[Backend] = S3Backend
