"""From what a user says of a sweep to its definition, everything checked before a trial runs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from podstack import clock, config, directions, keys, names
from podstack.console import say
from podstack.directions import MAXIMIZE, MINIMIZE
from podstack.errors import UsageError, WrongTypeError
from podstack.names import COMPLETED, short
from podstack.parameters import flat_parameters
from podstack.scalars import scalar
from podstack.sweeps import pruning
from podstack.sweeps.definition import Definition, Stopping
from podstack.sweeps.ledger import Ledger
from podstack.sweeps.records import JsonValue, Objective, TrialRecord
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.strategies import make_strategy
from podstack.sweeps.sweep import Sweep

STRATEGIES = ("grid", "random", "bayesian")
MOST_WARM = 10_000  # trials of earlier sweeps and runs

Warm = Any  # a Sweep, a sweep's id, or runs: what `MLOpsClient` hands on as records or runs


class Wanted(NamedTuple):
    """The arguments of `MLOpsClient.create_sweep`, as they were given."""

    strategy: str | None
    parameters: Mapping[str, Any] | None
    search_space: Mapping[str, Any] | None
    objective_metric: str | None
    direction: str | None
    max_trials: int | None
    name: str | None
    seed: int | None
    sampler: str | None
    target: float | None
    patience: int | None
    max_time: float | None
    pruner: str | None


def definition_of(
    wanted: Wanted, experiment: str, warm: Iterable[TrialRecord], remarks: list[str]
) -> Definition:
    """What the sweep will be.

    Args:
        experiment: its id.
        warm: earlier results; those that lie outside of the space are left out.
        remarks: gets what was decided and not said, for the person at the terminal.

    Raises:
        UsageError: an argument cannot be, or nothing would ever end the sweep; it is named.
        MissingExtraError: optuna is needed and not installed.
    """
    id = names.new_run_id()
    space = _space(wanted)
    objective = _objective(wanted, remarks)
    strategy = _strategy(wanted.strategy, remarks)
    seed = _seed(wanted)
    definition = Definition(
        id=id,
        name=names.name_of_run(id) if wanted.name is None else _name(wanted.name),
        experiment=experiment,
        user=config.user(),
        created=clock.now(),
        strategy=strategy,
        options=_options(strategy, wanted.sampler),
        seed=int.from_bytes(os.urandom(4), "big") if seed is None else seed,
        space=space,
        objective=objective,
        max_trials=_max_trials(wanted),
        stopping=_stopping(wanted),
        pruner=_pruner(wanted),
        warm=_fitting(space, warm, remarks),
    )
    _check_that_it_ends(definition)
    return definition


def problems(wanted: Wanted) -> dict[str, str]:
    """What is wrong with each of a sweep's arguments by itself, all at once: argument → why.

    Its parameters, and what only all arguments together show, are not looked at.
    """
    found = {}
    for name, check in _CHECKS.items():
        try:
            check(wanted)
        except UsageError as error:
            found[name] = str(error)
    return found


def create(ledger: Ledger, definition: Definition) -> Sweep:
    """Put it into the store."""
    ledger.create(definition)
    return Sweep(ledger)


def announce(definition: Definition, url: str, remarks: Iterable[str]) -> None:
    """What was decided, and where it is."""
    for remark in remarks:
        say(remark)
    objective = definition.objective
    size = "" if definition.max_trials is None else f", {definition.max_trials} trials"
    say(
        f"sweep {definition.name} → {url} · {definition.strategy}{size}, "
        f"{objective.direction} {objective.metric} · id {definition.id}"
    )


def _name(name: object) -> str:
    return names.check_name("sweep", name)


def _space(wanted: Wanted) -> SearchSpace:
    if wanted.parameters is not None and wanted.search_space is not None:
        raise UsageError("Give either parameters or search_space, not both: they mean the same.")
    given = wanted.parameters if wanted.parameters is not None else wanted.search_space
    if given is None:
        raise UsageError(
            "A sweep needs its parameters, such as parameters={'lr': {'min': 0.001, 'max': 0.1}}."
        )
    return SearchSpace.parse(given)


def _objective(wanted: Wanted, remarks: list[str]) -> Objective:
    metric = _metric(wanted)
    if wanted.direction is not None:
        return Objective(metric, _direction(wanted.direction))
    found = directions.direction_of(metric)
    if found is None:
        raise UsageError(
            f"The name {short(metric)} does not say which way it is better. "
            "Say direction='minimize' or direction='maximize'."
        )
    remarks.append(f"{metric} is to {found}, as its name says; direction= says otherwise")
    return Objective(metric, found)


def _metric(wanted: Wanted) -> str:
    if wanted.objective_metric is None:
        raise UsageError("A sweep needs the metric that it improves: objective_metric='val_loss'.")
    return names.check_name("metric", wanted.objective_metric)


def _direction(direction: object) -> str:
    known = {"min": MINIMIZE, "max": MAXIMIZE, MINIMIZE: MINIMIZE, MAXIMIZE: MAXIMIZE}
    if not isinstance(direction, str) or direction not in known:
        raise UsageError(f"direction is minimize or maximize, not {short(direction)}.")
    return known[direction]


def _strategy(strategy: object, remarks: list[str]) -> str:
    if strategy is None:
        chosen = "bayesian" if find_spec("optuna") else "random"
        why = "" if chosen == "bayesian" else "; bayesian needs pip install 'podstack[sweeps]'"
        remarks.append(f"the strategy is {chosen}{why}")
        return chosen
    if strategy not in STRATEGIES:
        raise UsageError(f"strategy is one of {', '.join(STRATEGIES)}, not {short(strategy)}.")
    return str(strategy)


def _options(strategy: str, sampler: object) -> dict[str, JsonValue]:
    """`sampler` in the words of the strategy; `make_strategy` knows which there are."""
    if sampler is None:
        return {}
    if strategy == "random" and sampler in ("quasi", "uniform"):
        return {"quasi": sampler == "quasi"}
    if strategy != "bayesian" or not isinstance(sampler, str):
        known = {"random": "quasi or uniform", "bayesian": "tpe or gp"}.get(strategy, "left out")
        raise UsageError(f"sampler with {strategy} is {known}, not {short(sampler)}.")
    return {"sampler": sampler}


def _stopping(wanted: Wanted) -> Stopping:
    return Stopping(_target(wanted), _patience(wanted), _max_time(wanted))


def _target(wanted: Wanted) -> float | None:
    target = None if wanted.target is None else scalar("target", wanted.target)
    if target is not None and math.isnan(target):
        raise UsageError("target is a number that a trial can reach, not NaN.")
    return target


def _patience(wanted: Wanted) -> int | None:
    return _whole("patience", wanted.patience, least=1, most=keys.MAX_TRIAL)


def _max_time(wanted: Wanted) -> float | None:
    max_time = None if wanted.max_time is None else scalar("max_time", wanted.max_time)
    if max_time is not None and not 0 < max_time < math.inf:
        raise UsageError(f"max_time is a number of seconds above 0, not {short(max_time)}.")
    return max_time


def _seed(wanted: Wanted) -> int | None:
    return _whole("seed", wanted.seed, least=0, most=2**32 - 1)


def _max_trials(wanted: Wanted) -> int | None:
    return _whole("max_trials", wanted.max_trials, least=1, most=keys.MAX_TRIAL)


def _pruner(wanted: Wanted) -> str | None:
    return None if wanted.pruner is None else pruning.check_pruner(wanted.pruner)


def _check_direction(wanted: Wanted) -> None:
    """Only where there is a metric: without one that is what is wrong."""
    try:
        _metric(wanted)
    except UsageError:
        return
    _objective(wanted, [])


def _whole(what: str, value: object, *, least: int, most: int) -> int | None:
    if value is None:
        return None
    whole = getattr(value, "__index__", None)
    if isinstance(value, bool) or whole is None:
        raise WrongTypeError(f"{what} is a whole number, not {short(value)}.")
    number = int(whole())
    if not least <= number <= most:
        raise UsageError(f"{what} is a whole number from {least:,} to {most:,}, not {number:,}.")
    return number


_CHECKS: Mapping[str, Callable[[Wanted], object]] = {
    "name": lambda wanted: None if wanted.name is None else _name(wanted.name),
    "strategy": lambda wanted: _strategy(wanted.strategy, []),
    "sampler": lambda wanted: _options(_strategy(wanted.strategy, []), wanted.sampler),
    "objective_metric": _metric,
    "direction": _check_direction,
    "max_trials": _max_trials,
    "seed": _seed,
    "target": _target,
    "patience": _patience,
    "max_time": _max_time,
    "pruner": _pruner,
}


def _check_that_it_ends(definition: Definition) -> None:
    strategy = make_strategy(
        definition.strategy,
        definition.space,
        definition.objective,
        seed=definition.seed,
        options=definition.options,
    )
    size = strategy.size
    if size is not None and size > keys.MAX_TRIAL and definition.max_trials is None:
        raise UsageError(
            f"The {definition.strategy} has {_count(size)} points; a sweep has at most "
            f"{keys.MAX_TRIAL:,} trials. Say how many: max_trials=…, or use another strategy."
        )
    if size is None and definition.max_trials is None and definition.stopping == Stopping():
        raise UsageError(
            f"Nothing would end this sweep: {definition.strategy} always has another trial. "
            "Say max_trials=50, or a target, a patience or a max_time."
        )


def _count(size: int) -> str:
    return f"{size:,}" if size < 10**15 else f"about 10^{len(str(size)) - 1}"


# Warm starts ---------------------------------------------------------------------------------


def _fitting(
    space: SearchSpace, trials: Iterable[TrialRecord], remarks: list[str]
) -> tuple[TrialRecord, ...]:
    """Those that lie in the space, under the numbers 0, -1, …; the latest where there are many."""
    given = list(trials)
    fitting = [trial for trial in given if space.contains(trial.params)][-MOST_WARM:]
    if len(fitting) < len(given):
        left_out = len(given) - len(fitting)
        remarks.append(f"{left_out} of {len(given)} earlier trials do not fit the space")
    return tuple(
        TrialRecord(
            number=-place,
            params=trial.params,
            status=trial.status,
            value=trial.value,
            run=trial.run,
        )
        for place, trial in enumerate(fitting)
    )


def of_sweep(sweep: Sweep, objective_metric: str | None) -> list[TrialRecord]:
    """What a sweep's trials say of a metric."""
    metric = objective_metric or sweep.objective.metric
    found = []
    for trial in sweep.records():
        own = metric == sweep.objective.metric
        value = trial.value if own else trial.metrics.get(metric)
        if trial.status == COMPLETED and not trial.pruned and value is not None:
            found.append(trial._replace(value=value))
    return found


def of_runs(runs: Iterable[Any], metric: str, space: SearchSpace) -> list[TrialRecord]:
    """What completed runs say of a metric: their parameters that the space has, the last value."""
    found = []
    for run in runs:
        summary = run.summary
        if run.status != COMPLETED or metric not in summary:
            continue
        params = flat_parameters(run.params)
        own = {name: params[name] for name in space.names if name in params}
        value = float(summary[metric].last)
        found.append(TrialRecord(0, own, COMPLETED, value, run=run.id))
    return found
