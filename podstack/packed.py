"""Logs as they lie in a store that cannot be appended to: gzip of the same bytes, one member.

A log grows, so its packed object is put again and again. `Packing` compresses only what is new
each time. The last eight bytes of an object tell the CRC-32 and the length of the plain text, so
two forms of one log are compared without unpacking either.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from podstack.backend import Backend, BlobInfo

SUFFIX = ".gz"
TRAILER = 8  # bytes: CRC-32 and length of the plain text, little-endian (RFC 1952)

UNREADABLE = (OSError, EOFError, zlib.error)  # what `unpacked` may raise

_LEVEL = 1  # 0.2 µs a point; level 3 takes twice as long and saves a tenth
_GZIP = 31  # zlib's name for a window of 32 kB in a gzip member


class Plain(NamedTuple):
    """What a packed object tells of its plain text. length: bytes. crc: zlib's CRC-32."""

    crc: int
    length: int


class Packing:
    """One growing log, packed as far as it was fed.

    Holds the packed bytes in memory: at most a fifth of a segment's size, usually a tenth.
    """

    def __init__(self) -> None:
        self.fed = 0  # plain bytes
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._ready = bytearray()

    def feed(self, more: bytes) -> None:
        self._ready += self._packer.compress(more)
        self.fed += len(more)

    def whole(self) -> bytes:
        """A complete gzip member of all that was fed so far; more may be fed afterwards."""
        return bytes(self._ready) + self._packer.copy().flush()


def packed(plain: bytes) -> bytes:
    """The packed form of a whole log; the same bytes for the same text."""
    packing = Packing()
    packing.feed(plain)
    return packing.whole()


def unpacked(data: bytes) -> bytes:
    """The plain text of a packed object.

    Raises:
        OSError, EOFError, zlib.error: it is damaged; see `UNREADABLE`.
    """
    import gzip  # 2 ms, for stores that hold packed logs

    return gzip.decompress(data)


def told(trailer: bytes) -> Plain:
    """What the last `TRAILER` bytes of a packed object tell."""
    crc, length = struct.unpack("<II", trailer[-TRAILER:])
    return Plain(crc, length)


def plain_length(backend: Backend, info: BlobInfo) -> int:
    """Bytes of a log's plain text, whichever form it has. One small request for a packed one.

    Raises:
        BlobMissing: it is gone.
    """
    if not info.key.endswith(SUFFIX):
        return info.size
    trailer = backend.get(info.key, start=max(0, info.size - TRAILER), stop=info.size)
    return told(trailer).length if len(trailer) == TRAILER else 0
