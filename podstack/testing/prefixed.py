"""A store seen from below a prefix: for suites of stores that keep projects only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from podstack.backend import Backend, BlobInfo
from podstack.errors import BackendError


class PrefixedBackend:
    """Hands every call on with `prefix` before its key, and takes it off what comes back."""

    def __init__(self, backend: Backend, prefix: str) -> None:
        self._backend, self._prefix = backend, prefix
        self.url = backend.url

    def put(self, key: str, data: bytes | Path) -> None:
        try:
            self._backend.put(self._prefix + key, data)
        except BackendError as error:
            raise self._shown(error)  # noqa: B904  # it is the same error

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        try:
            return self._backend.get(self._prefix + key, start, stop)
        except BackendError as error:
            raise self._shown(error)  # noqa: B904

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        after = self._prefix + start_after if start_after else ""
        for info in self._backend.list(self._prefix + prefix, start_after=after):
            yield info._replace(key=info.key[len(self._prefix) :])

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        return self._backend.list_dirs(self._prefix + prefix)

    def delete(self, key: str) -> None:
        self._backend.delete(self._prefix + key)

    def close(self) -> None:
        self._backend.close()

    def _shown(self, error: BackendError) -> BackendError:
        error.key = error.key.removeprefix(self._prefix)
        return error


if TYPE_CHECKING:
    _: type[Backend] = PrefixedBackend
