"""What a sweep is: its space, its objective, how it chooses and when it stops."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

import orjson

from podstack import clock
from podstack.directions import MAXIMIZE, MINIMIZE
from podstack.errors import DamagedError, UsageError
from podstack.keys import MAX_TRIAL
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
        except _DAMAGE as error:
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
        return cls(
            id=id,
            name=str(fold.get("name") or name_of_run(id)),
            experiment=str(fold.get("experiment", "")),
            user=str(fold.get("user", "")),
            created=_finite(fold.get("created")) or clock.stamp_time(fold.first),
            strategy=str(fold.get("strategy")),
            options=_options(fold.get("options", {})),
            seed=int(fold.get("seed", 0)),
            space=SearchSpace.parse(_shallow(fold.get("parameters"))),
            objective=Objective(str(objective["metric"]), _direction(objective["direction"])),
            max_trials=_count(fold.get("max_trials")),
            stopping=Stopping(
                stopping.get("target"),
                _count(stopping.get("patience")),
                _finite(stopping.get("max_time")),
            ),
            pruner=_text(fold.get("pruner")),
            warm=tuple(_from_json(entry) for entry in fold.get("warm", [])),
        )


# What a store may hold instead of a definition ends in one of these.
_DAMAGE = (
    UsageError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
)


def _direction(word: object) -> str:
    if word not in (MINIMIZE, MAXIMIZE):
        raise ValueError(f"{short(word)} is no direction")
    return str(word)


def _shallow(value: JsonValue) -> JsonValue:
    """What could be written again; a stranger's may be nested deeper than that.

    Raises:
        TypeError: it is.
    """
    orjson.dumps(value)
    return value


def _options(value: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    for option in value.values():
        if not isinstance(option, (str, int, float)):
            raise ValueError(f"{short(option)} is no option")
    return dict(value)


def _count(value: object) -> int | None:
    if value is None or (type(value) is int and 0 < value <= MAX_TRIAL):
        return value
    raise ValueError(f"{short(value)} is no count of trials")


def _finite(value: object) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not isfinite(float(value)):  # type: ignore[arg-type]
        raise ValueError(f"{short(value)} is no number of seconds")
    return float(value)  # type: ignore[arg-type]


def _scalar(value: JsonValue) -> JsonValue:
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise ValueError(f"{short(value)} is no parameter")


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{short(value)} is no text")


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
        params={name: _scalar(value) for name, value in entry["params"].items()},
        status=str(entry["status"]),
        value=None if value is None else from_word(value),
        run=entry.get("run"),
    )
