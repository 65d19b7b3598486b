"""A search space and its trials as Optuna's samplers want to see them.

Of Optuna only what it documents for writers of samplers and storages is used: `BaseStorage`, here
a list that is read; `sample_relative`, asked for one group of parameters after the other, where a
group is what shares its condition (Optuna's own `group=True` finds such groups by looking at every
trial; we know them). No study of Optuna's is kept, and its logging is not touched.

Spaces are translated so that nothing is lost: a list becomes the places in it (to Optuna 1 and
True are one value), a range with steps the number of the step, a bell curve the share of draws
below a value, so that its model starts from the bell curve too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from threading import Lock
from typing import Any, NamedTuple, NoReturn

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from podstack.names import COMPLETED, RUNNING
from podstack.parameters import JsonValue
from podstack.sweeps.bayesian import STARTUP
from podstack.sweeps.conditions import Condition
from podstack.sweeps.distributions import (
    Categorical,
    Distribution,
    IntLogUniform,
    IntUniform,
    LogNormal,
    LogUniform,
    Normal,
    QUniform,
    Uniform,
)
from podstack.sweeps.records import Objective, TrialRecord
from podstack.sweeps.space import SearchSpace

_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)  # samplers do not look at times
_EXPERIMENTS = int(optuna.__version__.partition(".")[0]) < 5  # what we use warned until 5.0
_QUIET = Lock()  # filters of warnings belong to the whole process


class _Coded(NamedTuple):
    """A distribution in Optuna's terms, and the way there and back."""

    distribution: BaseDistribution
    encode: Callable[[Any], float]
    decode: Callable[[Any], JsonValue]


class _Group(NamedTuple):
    """Parameters that are there at the same time, and so are modelled together."""

    names: tuple[str, ...]
    open: dict[str, BaseDistribution]  # those of which there is something to choose


class Model:
    """A sampler over one space, asked anew for each trial. May be shared by threads."""

    def __init__(self, space: SearchSpace, objective: Objective, sampler: str) -> None:
        self._space = space
        self._direction = StudyDirection[objective.direction.upper()]
        self._sampler = sampler
        coded = {name: _coded(each) for name, each in space.distributions.items()}
        self._coded = {name: each for name, each in coded.items() if each is not None}
        self._groups = [self._group(names) for names in _together(space)]
        self._ended: dict[int, tuple[TrialRecord, FrozenTrial]] = {}

    def _group(self, names: list[str]) -> _Group:
        coded = {name: self._coded[name] for name in names if name in self._coded}
        return _Group(tuple(names), {name: each.distribution for name, each in coded.items()})

    def ask(
        self,
        number: int,
        others: Sequence[TrialRecord],
        seed: int,
        unit: Callable[[str], float],
    ) -> dict[str, JsonValue]:
        """Parameters for trial `number`.

        Args:
            others: all other trials, sorted by number.
            unit: a number in (0, 1) for each name, for what is not modelled: a group of which too
                few trials are known.
        """
        known = [self._frozen(record) for record in others if record.params]
        trials = [trial for trial in known if trial.params]  # the others are of another space
        sampler = _new_sampler(self._sampler, seed % (1 << 32))
        chosen: dict[str, JsonValue] = {}
        for group in self._groups:
            if not self._space.is_active(group.names[0], chosen):
                continue
            found = self._sampled(sampler, number, trials, group.open) if group.open else {}
            for name in group.names:
                if name in found:
                    chosen[name] = self._coded[name].decode(found[name])
                else:
                    chosen[name] = self._space.distributions[name].at(unit(name))
        return self._space.in_order(chosen)

    def _sampled(
        self,
        sampler: BaseSampler,
        number: int,
        trials: list[FrozenTrial],
        distributions: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        if self._sampler == "gp":  # which wants all of a group from every trial
            trials = [t for t in trials if distributions.keys() <= t.params.keys()]
        view = _SeenTrials(trials, self._direction)
        study = optuna.create_study(storage=view, sampler=sampler, direction=self._direction)
        current = _trial(number, TrialState.RUNNING, {}, {})
        return sampler.sample_relative(study, current, distributions)

    def _frozen(self, record: TrialRecord) -> FrozenTrial:
        """A trial as Optuna keeps it; that of an ended one is kept."""
        kept = self._ended.get(record.number)
        if kept is not None and (kept[0] is record or kept[0] == record):
            return kept[1]
        frozen = self._translated(record)
        if record.status != RUNNING:
            self._ended[record.number] = (record, frozen)
        return frozen

    def _translated(self, record: TrialRecord) -> FrozenTrial:
        params = {
            name: coded.encode(record.params[name])
            for name, coded in self._coded.items()
            if self._space.distributions[name].contains(record.params.get(name))
        }
        distributions = {name: self._coded[name].distribution for name in params}
        state, reports = self._state(record), dict(record.reports)
        if state is TrialState.PRUNED and not reports and record.value is not None:
            reports = {0: record.value}
        value = record.value if state is TrialState.COMPLETE else None
        return _trial(record.number, state, params, distributions, value, reports)

    def _state(self, record: TrialRecord) -> TrialState:
        if record.status == RUNNING:
            return TrialState.RUNNING
        if record.status != COMPLETED:
            return TrialState.FAIL
        if record.pruned:
            return TrialState.PRUNED
        usable = record.counts and (self._sampler != "gp" or math.isfinite(record.value or 0.0))
        return TrialState.COMPLETE if usable else TrialState.FAIL


def _together(space: SearchSpace) -> list[list[str]]:
    """Names by their condition, each group after the one on which it depends."""
    groups: dict[Condition | None, list[str]] = {}
    for name in space.drawing_order:
        groups.setdefault(space.conditions.get(name), []).append(name)
    return list(groups.values())


def _coded(distribution: Distribution) -> _Coded | None:
    """A distribution in Optuna's terms; None where there is nothing to choose."""
    if isinstance(distribution, (Uniform, LogUniform)):
        rounded = distribution.nearest if isinstance(distribution, LogUniform) else float
        low, high, log = distribution.min, distribution.max, isinstance(distribution, LogUniform)
        return _Coded(FloatDistribution(low, high, log=log), float, rounded)
    if isinstance(distribution, (IntUniform, IntLogUniform)):
        log = isinstance(distribution, IntLogUniform)
        return _Coded(IntDistribution(distribution.min, distribution.max, log=log), int, int)
    if isinstance(distribution, QUniform):
        steps = IntDistribution(0, distribution.steps - 1)
        return _Coded(steps, distribution.index_of, distribution.step)
    if isinstance(distribution, (Normal, LogNormal)):
        return _Coded(FloatDistribution(0.0, 1.0), distribution.unit_of, distribution.at)
    if isinstance(distribution, Categorical) and distribution.points > 1:
        places = CategoricalDistribution(tuple(range(distribution.points)))
        return _Coded(places, distribution.place_of, distribution.point)
    return None


def _trial(
    number: int,
    state: TrialState,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    value: float | None = None,
    reports: dict[int, float] | None = None,
) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=value,
        datetime_start=_BEGINNING,
        datetime_complete=_BEGINNING if state.is_finished() else None,
        params=params,
        distributions=distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values=reports or {},
    )


def _new_sampler(name: str, seed: int) -> BaseSampler:
    with _without_experimental_warnings():
        if name == "gp":
            return GPSampler(seed=seed, n_startup_trials=STARTUP)
        return TPESampler(
            seed=seed, n_startup_trials=STARTUP, multivariate=True, constant_liar=True
        )


@contextmanager
def _without_experimental_warnings() -> Iterator[None]:
    """Until Optuna 5 what we use was called experimental, at every construction."""
    if not _EXPERIMENTS:
        yield
        return
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


class _SeenTrials(BaseStorage):
    """One study of one list of trials, for a sampler to read. What it writes goes nowhere."""

    def __init__(self, trials: list[FrozenTrial], direction: StudyDirection) -> None:
        self._trials, self._direction = trials, direction

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [t for t in self._trials if states is None or t.state in states]

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        return 0

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return [self._direction]

    def get_study_id_from_name(self, study_name: str) -> int:
        return 0

    def get_study_name_from_id(self, study_id: int) -> str:
        return ""

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """A sampler's note for other processes that share a storage; ours share none."""

    def _no_use(self, *arguments: object, **named: object) -> NoReturn:
        raise NotImplementedError("a sampler only reads")

    delete_study = get_all_studies = set_study_user_attr = set_study_system_attr = _no_use
    create_new_trial = set_trial_param = set_trial_state_values = get_trial = _no_use
    set_trial_intermediate_value = set_trial_user_attr = _no_use
