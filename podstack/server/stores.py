"""The projects of the one store that a server serves."""

from __future__ import annotations

import threading
from collections import OrderedDict

from podstack.backend import Backend, open_backend
from podstack.config import Settings
from podstack.store import Store

_KEPT = 256  # projects that stay open; one costs a few kB until its index is asked for


class Stores:
    """Opened at first need, and shared by all requests. Safe from threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.backend: Backend = open_backend(url)
        self._open: OrderedDict[str, Store] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, project: str) -> Store:
        """The store as one project of it is read and searched. No I/O happens here."""
        with self._lock:
            store = self._open.pop(project, None)
            if store is None:
                store = Store(Settings(uri=self.url, project=project, mode="online"))
            self._open[project] = store
            while len(self._open) > _KEPT:
                self._open.popitem(last=False)
            return store

    def prepare(self) -> None:
        """Make the store where there is none; see `Store.prepare`."""
        self.of("default").prepare()

    def close(self) -> None:
        self.backend.close()
