"""Objects on their way out: one range, in pieces, and as a file to save unless told otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from podstack.backend import Backend, BlobInfo, look
from podstack.keys import plain_log
from podstack.server.errors import Refused
from podstack.server.media import OCTETS
from podstack.server.threads import Threads

PIECE = 4 << 20  # bytes; what is smaller is read at once, so that it cannot be a mix of two

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Source(Protocol):
    """What a download is read from."""

    def get(self, start: int, stop: int) -> bytes:
        """The bytes `[start, stop)`, cut like a slice."""
        ...

    def look(self) -> BlobInfo:
        """Its size and tag as of now."""
        ...


class Blob(NamedTuple):
    """An object of a store, as the source of a download."""

    backend: Backend
    key: str

    def get(self, start: int, stop: int) -> bytes:
        return self.backend.get(self.key, start, stop)

    def look(self) -> BlobInfo:
        return look(self.backend, self.key)


class Download(Response):
    """One object, or one range of it.

    The size and the tag are those of the object when it was looked at. Where it changes while it
    is sent, the connection is cut, so that nobody takes a mix for the whole.

    Args:
        headers: how it is presented, in lower case; without them it is a file to save, of no type.
    """

    def __init__(
        self,
        source: Source,
        threads: Threads,
        info: BlobInfo,
        request: Request,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._presented = headers
        self._source, self._threads, self._info = source, threads, info
        self._etag = f'"{quote(info.tag, safe="-_.:+=")}"'
        self._asked = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_known():
            await self._start(send, 304, {})
            await send({"type": "http.response.body", "body": b""})
            return
        size = self._info.size
        start, stop, is_part = self._wanted(size)
        headers = {"content-length": str(stop - start), "accept-ranges": "bytes"}
        if is_part:
            headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
        status = 206 if is_part else 200
        if scope["method"] == "HEAD":
            await self._start(send, status, headers)
            await send({"type": "http.response.body", "body": b""})
            return
        await self._send(send, status, headers, start, stop)

    async def _send(
        self, send: Send, status: int, headers: dict[str, str], start: int, stop: int
    ) -> None:
        piece = await self._piece(start, stop)
        await self._start(send, status, headers)
        is_long = stop - start > PIECE
        while (start := start + len(piece)) < stop:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await self._piece(start, stop)
        if is_long:
            await self._threads.run(self._check_unchanged)
        await send({"type": "http.response.body", "body": piece})

    async def _start(self, send: Send, status: int, headers: dict[str, str]) -> None:
        presented = _saved(self._info.key) if self._presented is None else self._presented
        facts = {**presented, "etag": self._etag, **headers}
        pairs = [(name.encode(), value.encode()) for name, value in facts.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})

    async def _piece(self, start: int, stop: int) -> bytes:
        stop = min(start + PIECE, stop)
        if start == stop:
            return b""
        beyond = stop + (stop == self._info.size)  # a byte more tells of a longer one put meanwhile
        piece = await self._threads.run(lambda: self._source.get(start, beyond))
        if len(piece) < stop - start or (len(piece) > stop - start and not self._grows):
            raise _changed()
        return piece[: stop - start]

    def _check_unchanged(self) -> None:
        """A plain log may grow meanwhile: what was asked for stays as it was."""
        if not self._grows and self._source.look().tag != self._info.tag:
            raise _changed()

    @property
    def _grows(self) -> bool:
        return plain_log(self._info.key) == self._info.key

    def _is_known(self) -> bool:
        known = self._asked.headers.get("if-none-match", "")
        tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
        return known.strip() == "*" or self._etag in tags

    def _wanted(self, size: int) -> tuple[int, int, bool]:
        """Start, stop, and whether that is a part. Several ranges, or none that is one: the whole.

        Raises:
            Refused: 416, it starts behind the end.
        """
        shape = _RANGE.fullmatch(self._asked.headers.get("range", "").strip())
        if_range = self._asked.headers.get("if-range", self._etag)
        if shape is None or not (shape[1] or shape[2]) or if_range != self._etag:
            return 0, size, False
        if not shape[1]:
            start, stop = max(0, size - int(shape[2])), size
        else:
            start = int(shape[1])
            stop = min(size, int(shape[2]) + 1) if shape[2] else size
            if shape[2] and int(shape[2]) < start:
                return 0, size, False
        if start >= size:
            raise Refused(
                416,
                "range",
                "The object ends before.",
                headers={"Content-Range": f"bytes */{size}"},
            )
        return start, stop, True


def _saved(key: str) -> dict[str, str]:
    name = quote(key.rpartition("/")[2], safe="")
    return {"content-type": OCTETS, "content-disposition": f"attachment; filename*=UTF-8''{name}"}


def _changed() -> Refused:
    return Refused(503, "changed", "The object changed while it was read. Try again.")
