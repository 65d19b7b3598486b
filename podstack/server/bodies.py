"""Bodies of requests: taken in pieces, counted, hashed, and kept in a file once they are large.

Memory stays flat whatever is sent. A body that stands still, is too long, packed, or cut off is
refused, and nothing of it stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from starlette.requests import Request

from podstack.server.access import Context
from podstack.server.errors import Refused, refused_for_disk
from podstack.server.threads import Threads

IN_MEMORY = 1 << 20  # bytes; what is larger goes through a file

_AT_ONCE = 1 << 16  # bytes that are hashed in less time than a thread takes to be told


class Body:
    """A body that was received whole. sha256: its hex digest."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()
        self._held = bytearray()
        self._file: FileIO | None = None
        self._path = ""

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def data(self) -> bytes | Path:
        """For `Backend.put`. A path is good until the body is closed."""
        return bytes(self._held) if self._file is None else Path(self._path)

    @property
    def is_heavy(self) -> bool:
        """Whether so much waits that it should be written by a thread now."""
        return len(self._held) >= IN_MEMORY

    def take(self, piece: bytes) -> None:
        self.size += len(piece)
        self._held += piece

    def settle(self, *, last: bool) -> None:
        """Hash what waits, and bring it to the file where there is one, or has to be one."""
        self._hash.update(self._held)
        if last and self._file is None:
            return
        try:
            file = self._opened()
            view = memoryview(self._held)
            while view:
                view = view[file.write(view) :]
        except OSError as error:
            raise refused_for_disk(error) from error
        self._held = bytearray()

    def _opened(self) -> FileIO:
        if self._file is None:
            descriptor, self._path = tempfile.mkstemp(prefix="podstack-upload-")
            self._file = FileIO(descriptor, "wb")
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def pieces(self) -> BinaryIO:
        """The body to read from its beginning; the caller closes it."""
        data = self.data
        return BytesIO(data) if isinstance(data, bytes) else data.open("rb")


@asynccontextmanager
async def received(
    request: Request, threads: Threads, *, limit: int, idle: float
) -> AsyncIterator[Body]:
    """The body of a request, whole.

    Raises:
        Refused: 413 it is longer than `limit` bytes, 415 it is packed, 408 it stands still, 507.
        ClientDisconnect: the connection broke.
    """
    _check_announced(request, limit)
    body = Body()
    try:
        async for piece in _pieces(request, idle):
            body.take(piece)
            if body.size > limit:
                raise too_large(limit)
            if body.is_heavy:
                await threads.run(lambda: body.settle(last=False))
        if body.size <= _AT_ONCE:
            body.settle(last=True)
        else:
            await threads.run(lambda: body.settle(last=True))
        yield body
    finally:
        body.close()


def _check_announced(request: Request, limit: int) -> None:
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed != "identity":
        raise Refused(415, "encoding", "A body is taken as it is: send no Content-Encoding.")
    length = request.headers.get("content-length", "0")
    if len(length) > 18 or int(length) > limit:  # the parser has seen that it is a number
        raise too_large(limit)


async def _pieces(request: Request, idle: float) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), idle)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise Refused(408, "slow", f"Nothing came for {idle:g} s.") from None
        yield piece


def too_large(limit: int) -> Refused:
    return Refused(413, "too_large", f"At most {limit} bytes are taken.")


async def read_json(request: Request, here: Context) -> Any:
    """The JSON body of a question.

    Raises:
        Refused: 415 it is not declared as JSON in UTF-8, 413, 422 it is none.
    """
    kind, _, parameter = request.headers.get("content-type", "").partition(";")
    charset = parameter.strip().lower().replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise Refused(415, "content_type", "Send Content-Type: application/json.")
    settings = here.services.settings
    async with received(
        request, here.services.threads, limit=settings.max_json, idle=settings.idle
    ) as body:
        content = body.data if isinstance(body.data, bytes) else body.data.read_bytes()
    try:
        return orjson.loads(content)
    except ValueError:
        raise Refused(422, "json", "The body is no JSON.") from None
