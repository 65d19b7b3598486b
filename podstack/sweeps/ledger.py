"""The ledger of a sweep: who has which trial, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podstack.names import COMPLETED
from podstack.store import Store
from podstack.sweeps.definition import Definition
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.trial import Trial


class Ledger:
    """The only writer of a sweep in this process."""

    def __init__(self, store: Store, sweep_id: str) -> None:
        self.id = sweep_id
        self._store = store

    @property
    def definition(self) -> Definition:
        raise NotImplementedError

    def take(self, wait: float = 0.0, *, label: str | None = None) -> Trial | None:
        raise NotImplementedError

    def complete(
        self,
        trial: str | int,
        metrics: Mapping[str, Any] | None = None,
        *,
        status: str = COMPLETED,
        error: str | None = None,
        pruned: bool = False,
    ) -> None:
        raise NotImplementedError

    def report(self, trial: str | int, value: float, step: int) -> None:
        raise NotImplementedError

    def records(self) -> list[TrialRecord]:
        raise NotImplementedError
