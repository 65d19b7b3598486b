"""One trial of a sweep, as the worker holds it that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podstack.sweeps.ledger import Ledger


class Trial(Mapping[str, Any]):
    """The parameters of one trial, as a mapping nested as the user wrote the space.

    Whoever holds it ends it: `complete` or `fail`. Pickled, it becomes a handle that ends the same
    trial from another process.
    """

    def __init__(
        self, ledger: Ledger, number: int, flat_params: Mapping[str, Any], generation: int
    ) -> None:
        self._ledger = ledger
        self.number = number
        self.generation = generation
        self.flat_params = dict(flat_params)

    @property
    def id(self) -> str:
        return str(self.number)

    @property
    def sweep_id(self) -> str:
        return self._ledger.id

    @property
    def params(self) -> dict[str, Any]:
        """The parameters, nested."""
        raise NotImplementedError

    def complete(
        self, metrics: Mapping[str, Any] | None = None, *, value: float | None = None
    ) -> None:
        """End it well, with the metrics, or with the value of the objective alone."""
        raise NotImplementedError

    def fail(self, error: str) -> None:
        """End it as failed, with the reason."""
        raise NotImplementedError

    def report(self, value: float, step: int) -> None:
        """Record an intermediate value of the objective."""
        raise NotImplementedError

    def should_prune(self) -> bool:
        """Whether its reports are so much worse than others' that it may end early."""
        raise NotImplementedError

    def prune(self) -> None:
        """End it early: completed, marked as pruned, with its last report as the value."""
        raise NotImplementedError

    def release(self) -> None:
        """Give it back untouched: it is offered again at once, with the same parameters."""
        raise NotImplementedError

    def __getitem__(self, name: str) -> Any:
        return self.params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.params)

    def __len__(self) -> int:
        return len(self.params)
