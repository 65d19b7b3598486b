"""What answers questions: one index and some open runs for each project, shared by all requests.

An index looks at the store before it answers, but not more often than once a second, unless
something was written through this server since. Requests that come while it looks share that look.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager

from podstack.clock import monotonic, now
from podstack.errors import NotFoundError
from podstack.index import Index, RunRow
from podstack.metrics import Metrics
from podstack.server.generations import Generations
from podstack.server.kept_metrics import KeptMetrics
from podstack.server.remembered import Remembered, Value
from podstack.server.stores import Stores
from podstack.server.sweep_readers import SharedSweeps
from podstack.store import Store
from podstack.stored_run import StoredRun

FRESH = 1.0  # seconds that a look at the store is good for
_PROJECTS = 64
_FEW_RUNS = 16  # runs of a project that stay open, however long they are
_MOST_RUNS = 256  # runs of a project that stay open, however short they are
_MOST_BYTES = 256 << 20  # of the lines that the open runs of a project were read from


class SharedIndex(Index):
    """An index that many ask at once."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._written = 0
        self._seen = -1  # how many there were when it last looked
        self._looked = float("-inf")

    @property
    def written(self) -> int:
        """Writes that passed through this server."""
        return self._written

    def wrote(self) -> None:
        self._written += 1

    def refresh(self, full: bool = False) -> None:
        """Look at what changed, unless that was done since the caller came."""
        written = self._written
        with self._lock:
            if not full and self._seen >= written and monotonic() - self._looked < FRESH:
                return
            seen = self._written
            super().refresh(full)
            self._seen, self._looked = seen, monotonic()


class ProjectReader:
    """Reads one project. Safe from threads."""

    def __init__(
        self,
        store: Store,
        kept: KeptMetrics | None = None,
        remembered: Remembered | None = None,
    ) -> None:
        self.store = store
        self.index = SharedIndex(store)
        self.generations = Generations()
        self._kept = kept or KeptMetrics()
        self._remembered = remembered or Remembered()
        self.sweeps = SharedSweeps(store)
        self._runs: OrderedDict[str, StoredRun] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(
        self,
        question: Hashable,
        make: Callable[[], Value],
        size: Callable[[Value], int],
        edition: Hashable = None,
    ) -> Value:
        """The answer to a question, made once for each edition; see `Remembered.of`.

        Args:
            edition: of what it is made from. Default: the state of the index.
        """
        key = (self.store.settings.project, question)
        return self._remembered.of(edition or self.index.edition, key, make, size)

    def generation(self) -> str:
        """The generation that the runs are in; the index has to be fresh."""
        return self.remembered(
            "generation", lambda: self.generations.look(self.index.stamps()), len
        )

    def row(self, run_id: str) -> RunRow:
        """
        Raises:
            NotFoundError: there is no such run, or it was purged.
        """
        self.index.refresh()
        row = self.remembered(("row", run_id), lambda: self._row(run_id), lambda r: len(repr(r)))
        if row.ended is None:
            return row._replace(duration=max(0.0, now() - row.created))
        return row

    def _row(self, run_id: str) -> RunRow:
        found = self.index.rows([run_id])
        if not found:
            raise NotFoundError.among(
                "run", run_id, (row.id for row in self.index.runs(limit=1000))
            )
        return found[0]

    def run(self, run_id: str) -> StoredRun:
        """
        Raises:
            NotFoundError: there is no such run, or it was purged.
        """
        self.row(run_id)
        with self._lock:
            run = self._runs.pop(run_id, None) or StoredRun(self.store, run_id)
            self._runs[run_id] = run
            self._close_some()
            return run

    def metrics(self, run_id: str, age: float = 0.0) -> AbstractContextManager[Metrics]:
        """All metrics of a run as of now, for a block that takes points from them.

        Args:
            age: seconds that a look at the run may be old, if nothing was written through this
                server since.

        Raises:
            NotFoundError: there is no such run, or it was purged.
        """
        run, written = self.run(run_id), self.index.written
        return self._kept.of(self.store.settings.project, run, written=written, age=age)

    def _close_some(self) -> None:
        """Forget the runs that were asked for longest ago, where all are too much to keep."""
        held = sum(run.bytes_read for run in self._runs.values())
        while len(self._runs) > _FEW_RUNS and (held > _MOST_BYTES or len(self._runs) > _MOST_RUNS):
            held -= self._runs.popitem(last=False)[1].bytes_read


class Readers:
    """The readers of the projects that were asked about lately."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._kept = KeptMetrics()
        self._remembered = Remembered()
        self._open: OrderedDict[str, ProjectReader] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, project: str) -> ProjectReader:
        with self._lock:
            reader = self._open.pop(project, None) or self._opened(project)
            self._open[project] = reader
            while len(self._open) > _PROJECTS:
                self._open.popitem(last=False)
            return reader

    def _opened(self, project: str) -> ProjectReader:
        return ProjectReader(self._stores.of(project), self._kept, self._remembered)

    def wrote(self, project: str, key: str) -> None:
        """An object of a project was written through this server.

        Args:
            key: relative to the project.
        """
        with self._lock:
            reader = self._open.get(project)
        if reader is None:
            return
        if not key.startswith("sweeps/"):
            reader.index.wrote()
        elif "/claims/" not in key:  # what a sweep says does not depend on who claims what
            reader.sweeps.wrote()
