"""The server's own objects, below `server/`: no object route reaches them."""

from __future__ import annotations

import os

from podstack.backend import Backend, LocalFolder


def put_private(backend: Backend, key: str, content: bytes) -> None:
    """Store an object that only the owner of the store may read.

    In a folder of this machine its own folders are closed to others before they hold anything, so
    that there is no moment in which others could open it. Elsewhere the store's own rights decide.
    """
    if not isinstance(backend, LocalFolder):
        backend.put(key, content)
        return
    path = backend.path(key)
    for folder in reversed(path.parents[: key.count("/")]):  # from `server` down
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
    backend.put(key, content)
    os.chmod(path, 0o600)
