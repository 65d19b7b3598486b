"""One object from one store into another, checked on its way.

Of a log whole lines go, in the form that its new key has, and only if what is there already is
their beginning. A file goes with bounded memory, and only if it is what its key says.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

from podstack import keys
from podstack.backend import Backend, BlobInfo, LocalStore
from podstack.differences import Item
from podstack.errors import BlobMissing, DamagedError
from podstack.packed import SUFFIX, packed, plain_length, told

AT_ONCE = 8_000_000  # bytes that are held in memory
MOST = 512_000_000  # plain bytes of a log; a segment has 8 MB, unless one line is longer

_HASHED = re.compile(r"projects/[^/]+/runs/[^/]+/artifacts/([0-9a-f]{12})/.+")
_TRAILER = 8


class Diverged(DamagedError):
    """Two versions of a log, neither of which continues the other: one of them is damaged."""


class Written(NamedTuple):
    """What lies in the target now: its key and how many bytes it has."""

    key: str
    size: int


def read_log(source: Backend, key: str) -> bytes:
    """The whole lines of a log, unpacked.

    Raises:
        BlobMissing: it is gone.
        DamagedError: it cannot be unpacked.
    """
    data = source.get(key)
    plain = _unpacked(source, key, data) if key.endswith(SUFFIX) else data
    return plain[: plain.rfind(b"\n") + 1]


def _unpacked(source: Backend, key: str, data: bytes) -> bytes:
    try:
        plain = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedError(
            f"{key} in {source.url} is damaged: {error}. It stays where it is.",
            url=source.url,
            key=key,
        ) from error
    if len(plain) > MOST:
        raise DamagedError(
            f"{key} in {source.url} unpacks to more than {MOST:,} bytes, which no log has.",
            url=source.url,
            key=key,
        )
    return plain


def write_log(target: Backend, item: Item, lines: bytes) -> Written | None:
    """Put a log's lines, unless the target has as many.

    Raises:
        Diverged: what the target has is not their beginning.
    """
    there = item.there and _now(target, item.there.key)
    if not lines or (there is not None and not _continues(target, there, lines)):
        return None
    data = packed(lines) if item.key.endswith(SUFFIX) else lines
    target.put(item.key, data)
    return Written(item.key, len(data))


def _now(target: Backend, key: str) -> BlobInfo | None:
    """Asked again just before it is replaced, for somebody else may be sending it too."""
    return next((info for info in target.list(key) if info.key == key), None)


def _continues(target: Backend, there: BlobInfo, lines: bytes) -> bool:
    """Whether `lines` go on where the target's log ends; False where they end before.

    A packed log tells the checksum of its text; a plain one is read, up to its last newline.
    """
    if there.key.endswith(SUFFIX):
        length = plain_length(target, there)
        start = max(0, there.size - _TRAILER)
        same = zlib.crc32(lines[:length]) == told(target.get(there.key, start=start)).crc
    else:
        whole = target.get(there.key)
        length = whole.rfind(b"\n") + 1
        same = lines.startswith(whole[:length])
    if len(lines) <= length:
        return False
    if not same:
        raise Diverged(
            f"{there.key} in {target.url} is not the beginning of what the source has. One of them "
            "is damaged; both stay as they are: run `podstack verify` on both stores.",
            url=target.url,
            key=there.key,
        )
    return True


def copy_file(source: Backend, target: Backend, item: Item) -> Written | None:
    """Copy any other object byte for byte.

    Raises:
        BlobMissing: it is gone.
        DamagedError: it is not what its key says.
    """
    if item.info.size <= AT_ONCE:
        data = source.get(item.info.key)
        _check(source, item.info.key, hashlib.sha256(data).hexdigest())
        target.put(item.key, data)
        return Written(item.key, len(data))
    if isinstance(source, LocalStore):
        return _put_file(source, target, item, source.path(item.info.key))
    with tempfile.TemporaryDirectory(prefix="podstack-sync-") as folder:
        path = Path(folder) / "blob"
        _fetch(source, item.info, path)
        return _put_file(source, target, item, path)


def _put_file(source: Backend, target: Backend, item: Item, path: Path) -> Written:
    _check(source, item.info.key, _hash_of(path) if _HASHED.fullmatch(item.info.key) else "")
    target.put(item.key, path)
    return Written(item.key, item.info.size)


def _fetch(source: Backend, info: BlobInfo, path: Path) -> None:
    with path.open("wb") as file:
        for start in range(0, info.size, AT_ONCE):
            file.write(source.get(info.key, start=start, stop=min(info.size, start + AT_ONCE)))


def _hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except FileNotFoundError as error:
        raise BlobMissing(f"There is no {path} any more.") from error
    return digest.hexdigest()


def _check(source: Backend, key: str, digest: str) -> None:
    match = _HASHED.fullmatch(key)
    if match is not None and not digest.startswith(match[1]):
        raise DamagedError(
            f"{key} in {source.url} is damaged: its SHA-256 begins with {digest[:12]}. "
            "It was not copied.",
            url=source.url,
            key=key,
        )


def is_log(key: str) -> bool:
    return keys.plain_log(key) is not None
