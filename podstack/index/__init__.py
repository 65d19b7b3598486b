"""The index: what a store holds, in tables that can be searched. A cache of whoever reads.

`refresh` brings it up to what the store says now. It may be deleted at any time, is made anew
where it is damaged or belongs to another store, and lives in memory where no file can be written.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import orjson

from podstack.backend import LocalFolder
from podstack.clock import monotonic, now
from podstack.console import Progress
from podstack.errors import BlobMissing
from podstack.forks import renew_in_child
from podstack.index import rows
from podstack.index.answers import ExperimentRow, Names, RunRow
from podstack.index.changes import ChangeFinder, Changes, Watched
from podstack.index.experiments import ExperimentReader
from podstack.index.file import Busy, IndexFile, is_damage, open_index
from podstack.index.questions import Questions
from podstack.index.runs import RunReader, Sighting
from podstack.keys import STORE
from podstack.store import Store

__all__ = ["Behind", "ExperimentRow", "Index", "Names", "Questions", "RunRow", "SoFar"]

Result = TypeVar("Result")

_HOLD = 0.2  # seconds after which a long build lets others write, and what it found be seen
_FIRST_HOLD = 0.02  # seconds of the first time; then twice as many
_LOOKS = 50  # runs that are looked at between two looks at the clock
_AT_ONCE = 16  # requests to a store that is not on this machine
_MANY = 100  # runs to look at that are called a long look


class Behind(NamedTuple):
    """How far a long look at the store has come.

    done: runs that were looked at once and can be asked for. total: all runs; None where nearly
    all are known, and while they are counted.
    """

    done: int
    total: int | None


class Index(Questions):
    """One project of one store, as tables. Safe from threads, processes and forked children.

    Questions are answered from what the last `refresh` found, also while another one goes on; the
    first one refreshes by itself.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._project = store.settings.project
        self._file: IndexFile | None = None
        self._is_copy = False  # a copy in memory, because another process held the file
        self._store_id = ""
        self._complete: IndexFile | None = None  # what the last refresh left, if it succeeded
        self._behind: Behind | None = None
        self._lock = threading.RLock()  # around everything but a question itself
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        """Know nothing yet of what the file holds, nor of the store."""
        self._finder: ChangeFinder | None = None
        self._runs = RunReader(self._store)
        self._experiments = ExperimentReader(self._store)

    def renew_in_child(self) -> None:
        self._lock = threading.RLock()
        self._complete = self._behind = None
        self._begin()

    @property
    def project(self) -> str:
        return self._project

    @property
    def behind(self) -> Behind | None:
        """How far a long look at the store has come; None where none is going on."""
        return self._behind

    @property
    def at_hand(self) -> IndexFile:
        """What can be asked without waiting: what the last refresh left, else what one writes."""
        return self._complete or self._file or IndexFile(None)

    # Refreshing ----------------------------------------------------------------------------

    def refresh(self, full: bool = False) -> None:
        """Look at what changed in the store.

        In a folder of this machine all that was written before the call is seen. Elsewhere that
        holds for what left a hint; the rest is found within an hour.

        Args:
            full: list every object, as is done once an hour anyway.

        Raises:
            BackendError: the store does not answer.
        """
        with self._lock:
            self._check_store()
            if self._is_copy:
                self._reset()  # the file may be free again
            try:
                self._through_trouble(lambda: self._refresh(full))
            except BaseException:
                self._finder = None  # what it saw last was perhaps not written
                self._complete = None
                raise
            finally:
                self._behind = None
            self._complete = self._file

    def _through_trouble(self, act: Callable[[], Result]) -> Result:
        """Do it with the file; with a new one where that is damaged; at last in memory."""
        for attempt in range(3):
            try:
                return act()
            except Busy:
                self._go_on_with_a_copy()
            except sqlite3.DatabaseError as error:
                self._replace_file(error, again=attempt > 0)
        return act()

    def _go_on_with_a_copy(self) -> None:
        """Another process writes, and does not end: its index as it is serves as a beginning."""
        self._reset(self._opened().copy())
        self._is_copy = True

    def _replace_file(self, error: sqlite3.DatabaseError, *, again: bool) -> None:
        file = self._file
        if file is not None and is_damage(error):
            file.remove()
        self._complete = None
        self._reset(IndexFile(None) if again else None)

    def _refresh(self, full: bool) -> None:
        file = self._opened()
        if self._finder is None:
            self._look_at_experiments(file)  # there are few, and people find their runs by them
            self._behind = Behind(0, None)
            self._finder = self._new_finder(file)
        changes = self._finder.find(full=full)
        self._behind = _behind(changes, self._finder.unknown(changes.look))
        self._look(file, self._finder, changes)
        self._look_at_experiments(file)  # those of new runs too

    def _look_at_experiments(self, file: IndexFile) -> None:
        if self._experiments.changed():
            with file.writing() as connection:
                self._experiments.update(connection, self._project)

    def _opened(self) -> IndexFile:
        if self._file is None:
            self._file = open_index(self._store.url, self._store_id)
        return self._file

    def _reset(self, file: IndexFile | None = None) -> None:
        """Begin with what that file holds; by default with the one of the store."""
        before, self._file = self._file, file
        if before is not None:
            before.close()
        self._is_copy = False
        self._begin()

    def _check_store(self) -> None:
        """Another store may have taken the place of the one that was indexed."""
        try:
            facts = orjson.loads(self._store.backend.get(STORE))
            store_id = str(facts["store"])
        except (BlobMissing, ValueError, KeyError, TypeError):
            store_id = ""
        if store_id != self._store_id:
            self._complete = None
            self._reset()
            self._store_id = store_id

    def _new_finder(self, file: IndexFile) -> ChangeFinder:
        with file.reading() as connection:
            looks = connection.execute(
                "SELECT id, word, folder FROM looks WHERE project = ?", (self._project,)
            )
            known = {run: Watched(word, folder) for run, word, folder in looks}
            prefix = self._store.keys.live
            hints = connection.execute(
                "SELECT key, tag FROM hints WHERE key >= ? AND key < ?", (prefix, prefix + "\x7f")
            )
            listed = connection.execute(
                "SELECT time FROM listings WHERE project = ?", (self._project,)
            ).fetchone()
            return ChangeFinder(self._store, known, dict(hints), listed[0] if listed else 0.0)

    def _look(self, file: IndexFile, finder: ChangeFinder, changes: Changes) -> None:
        if changes.listed:
            finder.sweep()
        latest = list(reversed(changes.look))  # ids are times: what people look for comes first
        chunks = list(rows.chunks(latest, _LOOKS))
        progress = Progress("index", len(changes.look), unit="runs")
        pause, hold = threading.Event(), _FIRST_HOLD
        try:
            while chunks:
                unknown = 0
                with file.writing() as connection:
                    until = monotonic() + hold
                    while True:
                        chunk = chunks.pop(0)
                        unknown += finder.unknown(chunk)
                        self._look_at(connection, finder, changes, chunk)
                        progress.advance(len(chunk))
                        if not chunks or monotonic() >= until:
                            break
                self._advance(unknown)  # only now can it be seen
                hold = min(2 * hold, _HOLD)
                if chunks:
                    pause.wait(0.001)  # so that others can write too
        finally:
            progress.close()
        self._note(file, finder, changes)

    def _advance(self, count: int) -> None:
        if self._behind is not None:
            self._behind = self._behind._replace(done=self._behind.done + count)

    def _look_at(
        self,
        connection: sqlite3.Connection,
        finder: ChangeFinder,
        changes: Changes,
        runs: Sequence[str],
    ) -> None:
        known = rows.sightings(connection, self._project, runs)
        batch = rows.Batch(connection, self._project)
        stamps = finder.stamps(runs)

        def look(run: str) -> Sighting:
            before = known.get(run)
            return self._runs.look(run, before[1] if before else None, changes.look[run])

        for run, folder, seen in zip(runs, stamps, self._mapped(look, runs), strict=True):
            before = known.get(run)
            if before is None or seen != before[1] or finder.folder_of(run) != folder:
                batch.put(run, before, seen, folder)
            finder.saw(run, Watched(seen.word, folder))
        batch.write()

    def _mapped(self, look: Callable[[str], Sighting], runs: Sequence[str]) -> Iterable[Sighting]:
        if isinstance(self._store.backend, LocalFolder) or len(runs) < 2:
            return map(look, runs)
        from concurrent.futures import ThreadPoolExecutor  # 10 ms, for stores that make one wait

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(look, runs))

    def _note(self, file: IndexFile, finder: ChangeFinder, changes: Changes) -> None:
        """What the looks above make true: runs that are gone, hints that were followed."""
        dead, new = finder.hint_changes(changes)
        if changes.gone or dead or new or changes.listed:
            with file.writing() as connection:
                rows.remove_runs(connection, self._project, changes.gone)
                connection.executemany("DELETE FROM hints WHERE key = ?", [(key,) for key in dead])
                connection.executemany("INSERT OR REPLACE INTO hints VALUES (?, ?)", new)
                if changes.listed:
                    connection.execute(
                        "INSERT OR REPLACE INTO listings VALUES (?, ?)", (self._project, now())
                    )
        for run in changes.gone:
            self._runs.forget(run)
        finder.done(changes)

    # Asking --------------------------------------------------------------------------------

    @property
    def edition(self) -> Hashable:
        return self._of_complete(IndexFile.edition)

    def _ask(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        return self._of_complete(partial(_answer, question=question))

    def _of_complete(self, act: Callable[[IndexFile], Result]) -> Result:
        """Ask what the last refresh left; one that is going on is not waited for."""
        file = self._complete
        if file is None:
            with self._lock:
                self.refresh()
                file = self._opened()
        try:
            return act(file)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            with self._lock:
                if self._file is file:
                    self._replace_file(error, again=False)
                self.refresh()
                return act(self._opened())


def _behind(changes: Changes, unknown: int) -> Behind | None:
    """None where there are too few runs to look at to speak of."""
    if unknown > _MANY:
        return Behind(changes.runs - unknown, changes.runs)
    return Behind(0, None) if len(changes.look) > _MANY else None


class SoFar(Questions):
    """What an index holds by now, while it looks at the store for long: nothing is waited for.

    It never refreshes. What it answers lacks what was not looked at yet, and nothing else.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._project = index.project

    def refresh(self, full: bool = False) -> None:
        """Nothing: whoever asks here takes what there is."""

    @property
    def edition(self) -> Hashable:
        return self._index.at_hand.edition()

    def _ask(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        return _answer(self._index.at_hand, question)


def _answer(file: IndexFile, question: Callable[[sqlite3.Connection], Result]) -> Result:
    with file.reading() as connection:
        return question(connection)
