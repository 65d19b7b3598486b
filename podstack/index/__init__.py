"""The index: what a store holds, in tables that can be searched. A cache of whoever reads.

`refresh` brings it up to what the store says now. It may be deleted at any time, is made anew
where it is damaged or belongs to another store, and lives in memory where no file can be written.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import orjson

from podstack.backend import LocalFolder
from podstack.clock import monotonic, now
from podstack.console import Progress
from podstack.errors import BlobMissing
from podstack.expressions import Expression, Order
from podstack.forks import renew_in_child
from podstack.index import answers, rows
from podstack.index.answers import ExperimentRow, Names, RunRow
from podstack.index.changes import ChangeFinder, Changes, Watched
from podstack.index.columnar import Columnar, columnar, stamps
from podstack.index.experiments import ExperimentReader
from podstack.index.file import Busy, IndexFile, is_damage, open_index
from podstack.index.overview import Reached, reached, starts
from podstack.index.runs import RunReader, Sighting
from podstack.keys import STORE
from podstack.store import Store

__all__ = ["ExperimentRow", "Index", "Names", "RunRow"]

Result = TypeVar("Result")

_HOLD = 0.2  # seconds after which a long build lets others write
_LOOKS = 50  # runs that are looked at between two looks at the clock
_AT_ONCE = 16  # requests to a store that is not on this machine


class Index:
    """One project of one store, as tables. Safe from threads, processes and forked children.

    Questions are answered from what the last `refresh` found; the first one refreshes by itself.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._project = store.settings.project
        self._file: IndexFile | None = None
        self._is_copy = False  # a copy in memory, because another process held the file
        self._store_id = ""
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
        self._begin()

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
                raise

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
        copy = self._opened().copy()
        self._reset()
        self._file, self._is_copy = copy, True

    def _replace_file(self, error: sqlite3.DatabaseError, *, again: bool) -> None:
        file = self._file
        if file is not None and is_damage(error):
            file.remove()
        self._reset()
        if again:
            self._file = IndexFile(None)

    def _refresh(self, full: bool) -> None:
        file = self._opened()
        if self._finder is None:
            self._finder = self._new_finder(file)
        changes = self._finder.find(full=full)
        self._look(file, self._finder, changes)
        if self._experiments.changed():
            with file.writing() as connection:
                self._experiments.update(connection, self._project)

    def _opened(self) -> IndexFile:
        if self._file is None:
            self._file = open_index(self._store.url, self._store_id)
        return self._file

    def _reset(self) -> None:
        """Begin with what the file holds."""
        if self._file is not None:
            self._file.close()
        self._file = None
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
        chunks = list(rows.chunks(list(changes.look), _LOOKS))
        progress = Progress("index", len(changes.look), unit="runs")
        pause = threading.Event()
        try:
            while chunks:
                with file.writing() as connection:
                    until = monotonic() + _HOLD
                    while True:
                        chunk = chunks.pop(0)
                        self._look_at(connection, finder, changes, chunk)
                        progress.advance(len(chunk))
                        if not chunks or monotonic() >= until:
                            break
                if chunks:
                    pause.wait(0.001)  # so that others can write too
        finally:
            progress.close()
        self._note(file, finder, changes)

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
        """What stands for all that the index holds: equal as long as every answer is the same.

        Ask for it before the answer, so that what is kept under it is never older than it says.
        """
        with self._lock:
            if self._finder is None:
                self.refresh()
            return self._through_trouble(lambda: self._opened().edition())

    def runs(
        self,
        where: Expression | None = None,
        order: Order | None = None,
        experiment: str | None = None,
        deleted: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[RunRow]:
        """Runs that match, in order; without one, oldest first.

        Args:
            experiment: the id of the one they belong to.
            deleted: also those that are deleted, or whose experiment is.
            limit: at most so many, after the first `offset`.
        """
        sql, args = self._numbers(where, order, experiment, deleted)
        args = (*args, -1 if limit is None else limit, offset)

        def ask(connection: sqlite3.Connection) -> list[RunRow]:
            numbers = [number for number, _ in connection.execute(sql, args)]
            return answers.rows(connection, numbers)

        return self._ask(ask)

    def columns(
        self,
        where: Expression | None = None,
        order: Order | None = None,
        experiment: str | None = None,
        deleted: bool = False,
        limit: int | None = None,
        offset: int = 0,
        ids: Collection[str] | None = None,
    ) -> Columnar:
        """The runs that `runs` would find, as columns; with `ids`, those of them that are named."""
        sql, args = self._numbers(where, order, experiment, deleted)
        args = (*args, -1 if limit is None or ids is not None else limit, offset)

        def ask(connection: sqlite3.Connection) -> Columnar:
            found = connection.execute(sql, args).fetchall()
            wanted = [number for number, run in found if ids is None or run in ids]
            return columnar(connection, wanted)

        return self._ask(ask)

    def _numbers(
        self, where: Expression | None, order: Order | None, experiment: str | None, deleted: bool
    ) -> tuple[str, tuple[Any, ...]]:
        condition, args = self._condition(where, experiment, deleted)
        by, by_args = order.sql() if order is not None else ("", ())
        sql = (
            f"SELECT number, id FROM runs WHERE {condition} "
            f"ORDER BY {by}{', ' if by else ''}runs.created, runs.id LIMIT ? OFFSET ?"
        )
        return sql, (*args, *by_args)

    def stamps(self) -> dict[str, int]:
        """A number for each run, deleted ones too, that changes with what is known of it."""
        return self._ask(lambda connection: stamps(connection, self._project))

    def count(
        self, where: Expression | None = None, experiment: str | None = None, deleted: bool = False
    ) -> int:
        """How many runs `runs` would find."""
        condition, args = self._condition(where, experiment, deleted)
        sql = f"SELECT count(*) FROM runs WHERE {condition}"
        return self._ask(lambda connection: int(connection.execute(sql, args).fetchone()[0]))

    def rows(self, ids: Iterable[str]) -> list[RunRow]:
        """The runs of those ids, in their order; unknown ones are left out."""
        wanted = list(ids)

        def ask(connection: sqlite3.Connection) -> list[RunRow]:
            numbers: dict[str, int] = {}
            for chunk in rows.chunks(wanted):
                numbers |= connection.execute(
                    "SELECT id, number FROM runs WHERE project = ? AND id IN "
                    f"({', '.join('?' * len(chunk))})",
                    (self._project, *chunk),
                ).fetchall()
            return answers.rows(connection, [numbers[run] for run in wanted if run in numbers])

        return self._ask(ask)

    def matching(self, text: str) -> list[str]:
        """The ids of the runs that `text` may mean: by id, else by name, else by its beginning.

        Deleted runs too, for one may want them back.
        """

        def ask(connection: sqlite3.Connection) -> list[str]:
            for test in ("id = ?", "name = ?", "substr(id, 1, length(?)) = ?"):
                args = (self._project, *[text] * test.count("?"))
                sql = f"SELECT id FROM runs WHERE project = ? AND {test} ORDER BY created, id"
                found = [run for (run,) in connection.execute(sql, args)]
                if found:
                    return found
            return []

        return self._ask(ask) if text else []

    def experiments(self) -> list[ExperimentRow]:
        """All experiments, deleted ones too, oldest first."""
        return self._ask(lambda connection: answers.experiments(connection, self._project))

    def starts(self) -> dict[str, list[float]]:
        """By experiment: when its runs began, in order; deleted runs do not count."""
        return self._ask(lambda connection: starts(connection, self._project))

    def reached(self) -> dict[str, list[Reached]]:
        """By experiment: how far its metrics got, the most common one first."""
        return self._ask(lambda connection: reached(connection, self._project))

    def names(self) -> Names:
        """What the runs that are not deleted have, most frequent first."""
        condition, args = self._condition(None, None, False)

        shown = f"SELECT number FROM runs WHERE {condition}"

        def counted(connection: sqlite3.Connection, table: str, column: str) -> dict[str, int]:
            sql = f"SELECT {column}, count(*) AS n FROM {table} WHERE run IN ({shown}) GROUP BY 1"
            return dict(connection.execute(f"{sql} ORDER BY n DESC, 1", args).fetchall())

        tables = (("params", "name"), ("metrics", "name"), ("tags", "tag"))
        return self._ask(lambda c: Names(*(counted(c, *table) for table in tables)))

    def _condition(
        self, where: Expression | None, experiment: str | None, deleted: bool
    ) -> tuple[str, tuple[Any, ...]]:
        parts = ["runs.project = ?"]
        args: list[Any] = [self._project]
        if not deleted:
            parts.append(
                "runs.deleted = 0 AND runs.experiment NOT IN "
                "(SELECT id FROM experiments WHERE project = ? AND deleted = 1)"
            )
            args.append(self._project)
        if experiment is not None:
            parts.append("runs.experiment = ?")
            args.append(experiment)
        if where is not None:
            sql = where.sql()
            parts.append(f"({sql.text})")
            args += sql.args
        return " AND ".join(parts), tuple(args)

    def _ask(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._lock:
            if self._finder is None:
                self.refresh()
            file = self._opened()
        try:
            with file.reading() as connection:
                return question(connection)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            with self._lock:
                if self._file is file:
                    self._replace_file(error, again=False)
                self.refresh()
                with self._opened().reading() as connection:
                    return question(connection)
