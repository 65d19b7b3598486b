"""The index of a store that answers questions itself: nothing is listed, downloaded or kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from podstack.backend import AnswersQuestions
from podstack.errors import BackendError
from podstack.index import wire
from podstack.index.answers import ExperimentRow, Names, RunRow

if TYPE_CHECKING:
    from podstack.expressions import Expression, Order
    from podstack.index.questions import Questions


PAGE = 1000  # runs of one answer
_IDS = 50  # ids of one question


class RemoteIndex:
    """Asks and answers like `Index`, which the server keeps up to date by itself."""

    def __init__(self, store: AnswersQuestions, project: str) -> None:
        self._store, self._project = store, project

    def refresh(self, full: bool = False) -> None:
        """Nothing: the server looks before it answers."""

    def runs(
        self,
        where: Expression | None = None,
        order: Order | None = None,
        experiment: str | None = None,
        deleted: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[RunRow]:
        """Runs that match, in order; see `Index.runs`."""
        found: dict[str, RunRow] = {}
        told = 0  # rows; one that a new run pushed to the next page is told twice
        while limit is None or len(found) < limit:
            size = PAGE if limit is None else min(PAGE, limit - len(found))
            asked = _condition(where, experiment, deleted) | {
                "order_by": "created" if order is None else str(order),
                "limit": size,
                "offset": offset + told,
                "count": False,
            }
            page = [wire.run_in(facts) for facts in self._listed("runs", "runs", asked)]
            told += len(page)
            for row in page:
                found.setdefault(row.id, row)
            if len(page) < size:
                break
        return list(found.values())

    def count(
        self, where: Expression | None = None, experiment: str | None = None, deleted: bool = False
    ) -> int:
        """How many runs `runs` would find."""
        asked = _condition(where, experiment, deleted) | {"limit": 1}
        total = self._asked("runs", asked, "total")
        if not isinstance(total, int):
            raise BackendError("The server does not say how many runs match.")
        return total

    def rows(self, ids: Iterable[str]) -> list[RunRow]:
        """The runs of those ids, in their order; unknown ones are left out."""
        wanted, found = list(ids), []
        for start in range(0, len(wanted), _IDS):
            asked = {"ids": [run[:64] for run in wanted[start : start + _IDS]]}
            found += [wire.run_in(facts) for facts in self._listed("rows", "runs", asked)]
        return found

    def matching(self, text: str) -> list[str]:
        """The ids of the runs that `text` may mean; see `Index.matching`."""
        return [str(run) for run in self._listed("matching", "ids", {"text": text})] if text else []

    def experiments(self) -> list[ExperimentRow]:
        """All experiments, deleted ones too, oldest first."""
        asked = {"deleted": True}
        return [wire.experiment_in(e) for e in self._listed("experiments", "experiments", asked)]

    def names(self) -> Names:
        """What the runs that are not deleted have, most frequent first."""
        return wire.names_in(self._store.ask(self._project, "names", {}))

    def _listed(self, question: str, field: str, arguments: dict[str, Any]) -> Iterator[Any]:
        found = self._asked(question, arguments, field)
        if not isinstance(found, list):
            raise BackendError(f"The server's answer holds no list of {field}.")
        return iter(found)

    def _asked(self, question: str, arguments: dict[str, Any], field: str) -> Any:
        answer = self._store.ask(self._project, question, arguments)
        return answer.get(field) if isinstance(answer, dict) else None


def _condition(where: Expression | None, experiment: str | None, deleted: bool) -> dict[str, Any]:
    return {
        "filter": str(where) if where is not None else None,
        "experiment": experiment,
        "deleted": deleted or None,
    }


if TYPE_CHECKING:
    AnyIndex = Questions | RemoteIndex  # they answer the same
