"""The store of `mode="disabled"`: takes everything, keeps nothing, so that no other code asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from podstack.backend import BlobInfo, LocalStore
from podstack.errors import BlobMissing


class DisabledStore:
    """Follows `podstack.backend.LocalStore` over nothing."""

    url = "nowhere (disabled)"

    def put(self, key: str, data: bytes | Path) -> None:
        return

    def put_hint(self, key: str, data: bytes) -> None:
        return

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        raise BlobMissing(f"There is no {key}: podstack is disabled.", url=self.url, key=key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        return iter(())

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        return iter(())

    def delete(self, key: str) -> None:
        return

    def close(self) -> None:
        return

    def open_append(self, key: str) -> int:
        return os.open(os.devnull, os.O_WRONLY)

    def sync_folders(self, key: str) -> None:
        return

    def path(self, key: str) -> Path:
        return Path(os.devnull)


if TYPE_CHECKING:
    _: type[LocalStore] = DisabledStore
