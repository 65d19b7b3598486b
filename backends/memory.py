"""Stores in this process's memory, `memory://name`: for tests and for what need not be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsspec.implementations.memory import MemoryFileSystem

from podstack.backend import Backend, split_url
from podstack.backends.fsspec_any import FsspecBackend


class MemoryBackend(FsspecBackend):
    """One URL is one store for as long as the process lives."""

    def __init__(self, url: str) -> None:
        name = split_url(url)[1].strip("/")
        super().__init__(
            url, MemoryFileSystem(skip_instance_cache=True), f"/podstack/{name or 'store'}"
        )


if TYPE_CHECKING:
    _: type[Backend] = MemoryBackend
