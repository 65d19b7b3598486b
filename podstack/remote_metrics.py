"""The metrics of a run whose store answers questions: series come one by one, when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

from podstack.backend import AnswersQuestions
from podstack.errors import BackendError, NotFoundError, UsageError
from podstack.index import wire
from podstack.metrics import Metrics
from podstack.series import Columns, Log, Series, Summary, gathered

_MANY = 1_000_000  # points that are read as objects, which are packed, and not as JSON


class RemoteMetrics(Metrics):
    """The same names and values as read from the objects, to the last bit."""

    def __init__(
        self,
        store: AnswersQuestions,
        project: str,
        run: str,
        logs: Callable[[], Sequence[Log]],
    ) -> None:
        """
        Args:
            logs: reads the objects, for what is too long for an answer.
        """
        super().__init__([])
        self._store, self._project, self._read = store, project, logs
        self._question = f"runs/{quote(run, safe='')}"
        self._summaries = self._ask_names()
        self._names = dict.fromkeys(self._summaries)

    def __getitem__(self, name: str) -> Series:
        if name not in self._series:
            if name not in self._names:
                raise NotFoundError.among("metric", name, self._names)
            known = self._summaries[name]
            self._series[name] = Series(name, lambda: self._columns(name), known)
        return self._series[name]

    def _ask_names(self) -> dict[str, Summary]:
        try:
            told = self._store.ask(self._project, f"{self._question}/metrics", {})
        except NotFoundError:
            return {}  # a run that the server has not heard of has logged nothing there
        try:
            return {name: wire.summary_in(facts) for name, facts in told["metrics"].items()}
        except (KeyError, TypeError, AttributeError):
            raise BackendError("The server's answer holds no metrics.") from None

    def _columns(self, name: str) -> Columns:
        if self._summaries[name].steps > _MANY:
            return gathered(name, self._read())
        try:
            told = self._store.ask(
                self._project, f"{self._question}/series", {"names": [name], "raw": True}
            )
        except UsageError:  # superseded points are more than one answer holds
            return gathered(name, self._read())
        try:
            return wire.columns_in(told["series"][name])
        except (KeyError, TypeError):
            raise BackendError(f"The server's answer holds no series {name!r:.80}.") from None
