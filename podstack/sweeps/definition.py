"""What a sweep is: its space, its objective, how it chooses and when it stops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack.oplog import Fold
from podstack.sweeps.records import JsonValue, Objective, TrialRecord

if TYPE_CHECKING:
    from podstack.sweeps.space import SearchSpace


class Stopping(NamedTuple):
    """When a sweep stops by itself, besides after max_trials.

    target: a value of the objective; reached by any trial that is as good or better.
    patience: completed trials in a row without improvement.
    max_time: seconds since the sweep was created.
    """

    target: float | None = None
    patience: int | None = None
    max_time: float | None = None


class Definition(NamedTuple):
    """What `create_sweep` fixed; only `name` may be edited later."""

    id: str
    name: str
    experiment: str  # its id
    user: str
    created: float  # epoch seconds
    strategy: str  # grid, random or bayesian
    options: Mapping[str, JsonValue]  # of the strategy: {"sampler": "gp"}, {"quasi": true}
    seed: int
    space: SearchSpace
    objective: Objective
    max_trials: int | None
    stopping: Stopping = Stopping()
    pruner: str | None = None
    warm: tuple[TrialRecord, ...] = ()  # earlier results, under numbers of 0 and below

    def as_changes(self) -> dict[str, JsonValue]:
        """Paths and values of the sweep's op log."""
        raise NotImplementedError

    @classmethod
    def of(cls, id: str, fold: Fold) -> Definition:
        """What a sweep's op log says.

        Raises:
            NotFoundError: it says nothing of a sweep.
            DamagedError: it cannot be understood.
        """
        raise NotImplementedError


_ = Any
