"""Any fsspec filesystem as a store. The base of the backends that need no more than this."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from podstack.backend import BlobInfo
from podstack.errors import BackendError, BlobMissing, UsageError


class FsspecBackend:
    """A `podstack.backend.Backend` over an fsspec filesystem with an atomic `pipe_file`.

    Args:
        url: what the user wrote, for messages.
        filesystem: an instance of one's own, without a listing cache.
        root: the path inside the filesystem that all keys lie below.
    """

    def __init__(self, url: str, filesystem: Any, root: str) -> None:
        self.url = url
        self._filesystem = filesystem
        self._root = root.rstrip("/")

    def put(self, key: str, data: bytes | Path) -> None:
        with self._errors(key, writing=True):
            self._filesystem.pipe_file(
                self._path(key), data.read_bytes() if isinstance(data, Path) else bytes(data)
            )

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        with self._errors(key):
            path = self._path(key)
            if start == 0 and stop is None:
                return bytes(self._filesystem.cat_file(path))
            begin, end, _ = slice(start, stop).indices(self._filesystem.info(path)["size"])
            return (
                bytes(self._filesystem.cat_file(path, start=begin, end=end)) if begin < end else b""
            )

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        folder = prefix.rpartition("/")[0]
        with self._errors(prefix):
            top = self._path(folder) if folder else self._root
            found = self._found(top)
        for key in sorted(found):
            if key.startswith(prefix) and key > start_after:
                yield BlobInfo(key, found[key]["size"], self._tag(found[key]))

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        names = {info.key[len(prefix) :].partition("/") for info in self.list(prefix)}
        return iter(sorted({name for name, slash, _ in names if slash}))

    def delete(self, key: str) -> None:
        try:
            with self._errors(key):
                self._filesystem.rm_file(self._path(key))
        except BlobMissing:
            return

    def close(self) -> None:
        return

    def _path(self, key: str) -> str:
        if any(part in ("", ".", "..") or "\0" in part for part in key.split("/")):
            raise UsageError(
                f"{key!r} is not a key: it must be relative, without '..' and empty parts."
            )
        return f"{self._root}/{key}"

    def _found(self, top: str) -> dict[str, dict[str, Any]]:
        try:
            entries = self._filesystem.find(top, detail=True)
        except FileNotFoundError:
            return {}
        below = len(self._root) + 1
        return {path[below:]: info for path, info in entries.items() if info["type"] == "file"}

    def _tag(self, info: dict[str, Any]) -> str:
        """What changes with the content: the ETag where the store has one, else time and size."""
        stamp = (
            info.get("ETag")
            or info.get("etag")
            or info.get("LastModified")
            or info.get("mtime")
            or info.get("created")
        )
        return f"{stamp}-{info['size']}"

    @contextmanager
    def _errors(self, key: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except BackendError:
            raise
        except OSError as error:
            absent = isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError))
            if absent and not writing:  # what a write misses is its source, not the blob
                raise BlobMissing(
                    f"There is no {key} in {self.url}.", url=self.url, key=key
                ) from error
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise BackendError(f"{key} in {self.url}: {reason}.", url=self.url, key=key) from error
