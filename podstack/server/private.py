"""The server's own objects, below `server/`: no object route reaches them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from podstack.backend import Backend, LocalFolder

_RACES = 100  # tries to make folders that others remove at the same time, before giving up


def put_private(backend: Backend, key: str, content: bytes) -> None:
    """Store an object that only the owner of the store may read.

    In a folder of this machine its own folders are closed to others before they hold anything, so
    that there is no moment in which others could open it. Elsewhere the store's own rights decide.
    """
    if not isinstance(backend, LocalFolder):
        backend.put(key, content)
        return
    path = backend.path(key)
    _make_closed(path.parents[: key.count("/")][::-1])  # from `server` down
    backend.put(key, content)
    os.chmod(path, 0o600)


def _make_closed(folders: Sequence[Path]) -> None:
    """Make folders where there are none, also while others delete what is the last in them."""
    for left in reversed(range(_RACES)):
        try:
            for folder in folders:
                folder.mkdir(mode=0o700, parents=folder is folders[0], exist_ok=True)
                os.chmod(folder, 0o700)
        except (FileNotFoundError, FileExistsError):
            if not left:
                raise
        else:
            return
