"""What a sweep is: its space, its objective, how it chooses and when it stops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from podstack import clock
from podstack.errors import DamagedError, UsageError
from podstack.names import name_of_run, short
from podstack.oplog import Fold
from podstack.sweeps.records import JsonValue, Objective, TrialRecord, as_word, from_word
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
    """What `create_sweep` fixed."""

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
        stopping = {name: v for name, v in self.stopping._asdict().items() if v is not None}
        if "target" in stopping:
            stopping["target"] = as_word(stopping["target"])
        may_lack = {"max_trials": self.max_trials, "pruner": self.pruner}
        return {
            "name": self.name,
            "experiment": self.experiment,
            "user": self.user,
            "created": self.created,
            "strategy": self.strategy,
            "options": dict(self.options),
            "seed": self.seed,
            "parameters": self.space.as_json(),
            "objective": self.objective._asdict(),
            "stopping": stopping,
            "warm": [_as_json(trial) for trial in self.warm],
            **{name: value for name, value in may_lack.items() if value is not None},
        }

    @classmethod
    def of(cls, id: str, fold: Fold) -> Definition:
        """What a sweep's op log says.

        Raises:
            DamagedError: it cannot be understood.
        """
        try:
            return cls._of(id, fold)
        except (UsageError, KeyError, TypeError, ValueError) as error:
            raise DamagedError(
                f"Sweep {id} cannot be read: its definition is damaged, or of a later version "
                f"({short(str(error))})."
            ) from error

    @classmethod
    def _of(cls, id: str, fold: Fold) -> Definition:
        stopping = dict(fold.get("stopping", {}))
        if "target" in stopping:
            stopping["target"] = from_word(stopping["target"])
        objective = fold.get("objective")
        known = Stopping._fields
        return cls(
            id=id,
            name=str(fold.get("name") or name_of_run(id)),
            experiment=str(fold.get("experiment", "")),
            user=str(fold.get("user", "")),
            created=float(fold.get("created") or clock.stamp_time(fold.first)),
            strategy=str(fold.get("strategy")),
            options=dict(fold.get("options", {})),
            seed=int(fold.get("seed", 0)),
            space=SearchSpace.parse(fold.get("parameters")),
            objective=Objective(str(objective["metric"]), str(objective["direction"])),
            max_trials=fold.get("max_trials"),
            stopping=Stopping(**{name: stopping.get(name) for name in known}),
            pruner=fold.get("pruner"),
            warm=tuple(_from_json(entry) for entry in fold.get("warm", [])),
        )


def _as_json(trial: TrialRecord) -> dict[str, JsonValue]:
    value = None if trial.value is None else as_word(trial.value)
    return {
        "number": trial.number,
        "params": dict(trial.params),
        "status": trial.status,
        "value": value,
        **({"run": trial.run} if trial.run else {}),
    }


def _from_json(entry: Mapping[str, Any]) -> TrialRecord:
    value = entry.get("value")
    return TrialRecord(
        number=int(entry["number"]),
        params=dict(entry["params"]),
        status=str(entry["status"]),
        value=None if value is None else from_word(value),
        run=entry.get("run"),
    )
