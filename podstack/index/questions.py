"""What can be asked of the tables of one project, whoever keeps them up to date."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from podstack.index import answers, rows
from podstack.index.answers import ExperimentRow, Names, RunRow
from podstack.index.columnar import Columnar, columnar, stamps
from podstack.index.overview import Reached, reached, starts

if TYPE_CHECKING:
    from podstack.expressions import Expression, Order

Result = TypeVar("Result")


class Questions(ABC):
    """Answers from what stands in the tables. Safe from threads.

    A subclass says which tables these are, and how new.
    """

    _project: str

    @abstractmethod
    def refresh(self, full: bool = False) -> None:
        """Look at what changed in the store; see `Index.refresh`."""

    @property
    @abstractmethod
    def edition(self) -> Hashable:
        """What stands for all that the tables hold: equal as long as every answer is the same.

        Ask for it before the answer, so that what is kept under it is never older than it says.
        """

    @abstractmethod
    def _ask(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        """The answer of one question to the tables."""

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
