"""What answers questions: one index and some open runs for each project, shared by all requests.

An index looks at the store before it answers, but not more often than once a second, unless
something was written through this server since, or a run or an experiment is asked for that it does
not know: that may have begun a moment ago. Requests that come while it looks share that look.
The first look at ten thousand runs takes seconds: who asks for what there is by then does not wait
for its end (`ProjectReader.so_far`), everybody else does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from copy import copy

from podstack.clock import monotonic, now
from podstack.errors import NotFoundError, PodstackError
from podstack.index import Behind, Index, Questions, RunRow, SoFar
from podstack.metrics import Metrics
from podstack.server.generations import Generations
from podstack.server.kept_metrics import KeptMetrics
from podstack.server.remembered import Remembered, Value
from podstack.server.stores import Stores
from podstack.server.sweep_readers import SharedSweeps
from podstack.store import Store
from podstack.stored_run import StoredRun

FRESH = 1.0  # seconds that a look at the store is good for
PATIENCE = 0.2  # seconds that a page waits for a long look: a thousand runs take twice as long
_GLANCE = 0.02  # seconds
_PROJECTS = 64
_FEW_RUNS = 16  # runs of a project that stay open, however long they are
_MOST_RUNS = 256  # runs of a project that stay open, however short they are
_MOST_BYTES = 256 << 20  # of the lines that the open runs of a project were read from


class SharedIndex(Index):
    """An index that many ask at once. trouble: why the last look failed; empty if it did not."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._written = 0
        self._seen = -1  # how many there were when it last looked
        self._looked = float("-inf")  # when that look began
        self.trouble = ""
        self._going_on: _Look | None = None
        self._starting = threading.Lock()  # around the start of a look

    def renew_in_child(self) -> None:
        super().renew_in_child()
        self._going_on = None  # its thread stayed with the parent
        self._starting = threading.Lock()

    @property
    def written(self) -> int:
        """Writes that passed through this server."""
        return self._written

    @property
    def looked(self) -> float:
        """When its last look began, as `clock.monotonic` tells it."""
        return self._looked

    def wrote(self) -> None:
        self._written += 1

    def refresh(self, full: bool = False) -> None:
        """Look at what changed, unless that was done within a second before the caller came."""
        came, written = monotonic(), self._written
        with self._lock:
            if full or not self._is_fresh(came, written):
                self._look_now(full)

    def refresh_now(self) -> None:
        """Look at what changed, unless a look has begun since the caller came."""
        came = monotonic()
        with self._lock:
            if self._looked < came:
                self._look_now()

    def _look_now(self, full: bool = False) -> None:
        looked, seen = monotonic(), self._written
        try:
            super().refresh(full)
        except PodstackError as error:
            self.trouble = str(error)
            raise
        self._seen, self._looked, self.trouble = seen, looked, ""

    def _is_fresh(self, came: float, written: int) -> bool:
        """Whether it saw all that was written through this server, and the rest a second ago."""
        is_seen = self._seen >= written and came - self._looked < FRESH
        return is_seen and self._complete is not None

    def refresh_within(self, seconds: float) -> Behind | None:
        """The same, but for a long look, of which no more than `seconds` are waited for.

        It goes on in the background; whoever comes while it does shares it.

        Returns:
            How far that look has come; None where all was looked at.

        Raises:
            BackendError: the store does not answer.
        """
        came, written = monotonic(), self._written
        while not self._is_fresh(came, written):
            look = self._joined()
            look.wait(came + seconds, lambda: self.behind is not None)
            if look.is_alive():
                return self.behind or Behind(0, None)
            if look.error is not None:
                raise look.error
        return None

    def _joined(self) -> _Look:
        """The look that goes on, or a new one."""
        with self._starting:
            look = self._going_on
            if look is None or not look.is_alive():
                look = self._going_on = _Look(self.refresh)
                look.start()
            return look


class _Look(threading.Thread):
    """A look at the store that goes on when nobody waits for it any more.

    error: what ended it, for those who wait; whoever comes later learns of it by the `trouble`.
    """

    def __init__(self, refresh: Callable[[], None]) -> None:
        super().__init__(name="podstack-index", daemon=True)
        self._refresh = refresh
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._refresh()
        except Exception as error:  # noqa: BLE001  # it is raised where somebody waits
            self.error = error

    def wait(self, until: float, is_long: Callable[[], bool]) -> None:
        """Wait for its end; no longer than `until`, once it has turned out to be a long one."""
        self.join(max(0.0, until - monotonic()))
        while self.is_alive() and not is_long():
            self.join(_GLANCE)


class ProjectReader:
    """Reads one project. Safe from threads.

    behind: how far a look has come that `index` does not wait for; see `so_far`.
    """

    def __init__(
        self,
        store: Store,
        kept: KeptMetrics | None = None,
        remembered: Remembered | None = None,
    ) -> None:
        self.store = store
        self.shared = SharedIndex(store)
        self.index: Questions = self.shared
        self.behind: Behind | None = None
        self.generations = Generations()
        self._kept = kept or KeptMetrics()
        self._remembered = remembered or Remembered()
        self.sweeps = SharedSweeps(store)
        self._runs: OrderedDict[tuple[str, float], StoredRun] = OrderedDict()  # id, begin
        self._lock = threading.Lock()

    def so_far(self, seconds: float = PATIENCE) -> ProjectReader:
        """This reader, after a look at the store; where that takes long, one of what is there.

        The other one has the same runs and memory, and an index that is not complete: `behind` is
        not None. What was asked of both is told apart by the edition.

        Args:
            seconds: that are waited for a long look.

        Raises:
            BackendError: the store does not answer.
        """
        behind = self.shared.refresh_within(seconds)
        if behind is None:
            return self
        part = copy(self)
        part.index, part.behind = SoFar(self.shared), behind
        return part

    def up_to_now(self) -> ProjectReader:
        """This reader, once all was looked at that was written before the call."""
        self.shared.refresh_now()
        found = copy(self)
        found.index, found.behind = self.shared, None
        return found

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

    def rows(self, run_ids: Sequence[str]) -> list[RunRow]:
        """The runs of those ids, in their order; those that are not in the store are left out."""
        self.index.refresh()
        found = self.index.rows(run_ids)
        if len(found) == len(run_ids):
            return found
        self.shared.refresh_now()
        return self.index.rows(run_ids)

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
        found = self.rows([run_id])
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
        key = (run_id, self.row(run_id).created)  # of another store in the same place, perhaps
        with self._lock:
            run = self._runs.pop(key, None) or StoredRun(self.store, run_id)
            self._runs[key] = run
            self._close_some()
            return run

    def metrics(self, run_id: str, age: float = 0.0) -> AbstractContextManager[Metrics]:
        """All metrics of a run as of now, for a block that takes points from them.

        Args:
            age: seconds that a look at the run may be old, if nothing was written through this
                server since, and the index has not looked at the store since: whoever was told of
                new points and asks for them gets them.

        Raises:
            NotFoundError: there is no such run, or it was purged.
        """
        run, written = self.run(run_id), self.shared.written
        since = self.shared.looked
        return self._kept.of(
            self.store.settings.project, run, written=written, age=age, since=since
        )

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
            reader.shared.wrote()
        elif "/claims/" not in key:  # what a sweep says does not depend on who claims what
            reader.sweeps.wrote()
