"""Stores in this process's memory, `memory://name`: for tests and for what need not be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fsspec.implementations.memory import MemoryFileSystem

from podstack.backend import Backend, split_url
from podstack.backends.fsspec_any import FsspecBackend

_RACES = 1000  # each lost one means that somebody else wrote


class MemoryBackend(FsspecBackend):
    """One URL is one store for as long as the process lives."""

    def __init__(self, url: str) -> None:
        # Quoted into one folder's name, so that no store lies inside another.
        name = quote(split_url(url)[1].strip("/"), safe="")
        super().__init__(
            url,
            lambda: MemoryFileSystem(skip_instance_cache=True),
            f"/podstack/{name or 'store'}",
        )

    def _found(self, top: str) -> dict[str, dict[str, Any]]:
        for _ in range(_RACES):
            try:
                return super()._found(top)
            except RuntimeError:  # fsspec walks a dict, which another thread changed meanwhile
                continue
        return super()._found(top)


if TYPE_CHECKING:
    _: type[Backend] = MemoryBackend
