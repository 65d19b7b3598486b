"""Logs only grow: what is put must begin with all that was there.

The old object is not read where it is packed: its last eight bytes tell the CRC-32 and the length
of its plain text (`podstack.packed`), and the new text is unpacked in pieces until there. That
finds every mistake; it is no signature, for whoever may write may also make a text of equal CRC.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from podstack.backend import Backend, BlobInfo
from podstack.errors import BlobMissing
from podstack.packed import SUFFIX, TRAILER, Plain, told
from podstack.server.bodies import Body, too_large
from podstack.server.errors import Refused

_GZIP = 31  # zlib's name for a window of 32 kB in a gzip member
_PIECE = 1 << 18
_SMALLEST = 18  # bytes of a gzip member: a header of 10 and a trailer of 8


def check_growth(
    backend: Backend, key: str, old: BlobInfo | None, body: Body, *, limit: int
) -> None:
    """
    Args:
        old: what stands under the key now, if anything does.
        limit: bytes that a log's plain text may have.

    Raises:
        Refused: 409 it would shrink or begin otherwise, 422 it is no gzip, 413 it is too long.
    """
    if not key.endswith(SUFFIX):
        _check_plain(backend, key, old, body, limit)
    elif old is None:
        _unpacked_crc(body, 0, limit)
    else:
        _check_packed(backend, old, body, limit)


def _check_plain(backend: Backend, key: str, old: BlobInfo | None, body: Body, limit: int) -> None:
    if body.size > limit:
        raise too_large(limit)
    if old is None:
        return
    if body.size < old.size:
        raise _shorter()
    with body.pieces() as new:
        for start in range(0, old.size, _PIECE):
            stop = min(start + _PIECE, old.size)
            if backend.get(key, start, stop) != new.read(stop - start):
                raise _shorter()


def _check_packed(backend: Backend, old: BlobInfo, body: Body, limit: int) -> None:
    trailer = backend.get(old.key, max(0, old.size - TRAILER), old.size)
    claimed = told(trailer) if old.size >= _SMALLEST and len(trailer) == TRAILER else Plain(0, 0)
    new = _unpacked_crc(body, claimed.length, limit)
    if new != claimed and _is_whole(backend, old, limit):
        raise _shorter()


def _unpacked_crc(body: Body, length: int, limit: int) -> Plain:
    """CRC-32 and length of the first `length` bytes of a packed body's plain text, or of all.

    Raises:
        Refused: it is not one whole gzip member, or longer than `limit`.
    """
    crc, seen, total = 0, 0, 0
    with body.pieces() as packed:
        for piece in unpacked(packed):
            total += len(piece)
            if total > limit:
                raise too_large(limit)
            part = piece[: length - seen]
            crc, seen = zlib.crc32(part, crc), seen + len(part)
    return Plain(crc, seen)


def unpacked(packed: BinaryIO) -> Iterator[bytes]:
    """The plain text of one gzip member, in pieces of bounded size.

    Raises:
        Refused: 422 it is damaged, cut off, or something follows it.
    """
    unpacker = zlib.decompressobj(_GZIP)
    try:
        while not unpacker.eof:
            more = unpacker.unconsumed_tail or packed.read(_PIECE)
            if not more:
                raise _no_gzip()
            yield unpacker.decompress(more, _PIECE)
    except zlib.error:
        raise _no_gzip() from None
    if unpacker.unused_data or packed.read(1):
        raise _no_gzip()


def _is_whole(backend: Backend, old: BlobInfo, limit: int) -> bool:
    """Whether an object is what its trailer says: a damaged one may be replaced by a whole one."""
    body = Body()
    try:
        body.take(backend.get(old.key))
        body.settle(last=True)
        _unpacked_crc(body, 0, limit)
    except BlobMissing:
        return False
    except Refused as refused:
        return refused.status != 422
    return True


def _shorter() -> Refused:
    return Refused(409, "shorter", "A log only grows: this one lacks what is there already.")


def _no_gzip() -> Refused:
    return Refused(422, "gzip", "A packed log is one whole gzip member, and this is none.")
