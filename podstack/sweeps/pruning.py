"""Whether a trial may end early, by its reports and those of others. Optuna's rules judge.

A pruner is `median`, `percentile` (below the best quarter), `successive_halving` or `hyperband`,
each with Optuna's defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from podstack.errors import MissingExtraError, UsageError
from podstack.names import COMPLETED, short
from podstack.sweeps.definition import Definition
from podstack.sweeps.records import TrialRecord

PRUNERS = ("median", "percentile", "successive_halving", "hyperband")


def check_pruner(name: object) -> str:
    """
    Raises:
        UsageError: there is no such pruner.
        MissingExtraError: optuna is not installed.
    """
    if name not in PRUNERS:
        raise UsageError(f"pruner is one of {', '.join(PRUNERS)}, not {short(name)}.")
    _optuna()
    return str(name)


def should_prune(definition: Definition, trials: Sequence[TrialRecord], number: int) -> bool:
    """Whether trial `number` may end early, given what all trials reported.

    Raises:
        MissingExtraError: optuna is not installed.
    """
    optuna = _optuna()
    own = next((trial for trial in trials if trial.number == number), None)
    if own is None or not own.reports or definition.pruner is None:
        return False
    study = _study(optuna, definition)
    for trial in trials:
        if trial.reports and (trial.is_over or trial.number == number):
            study.add_trial(_frozen(optuna, trial))
    frozen = next(t for t in study.get_trials(deepcopy=False) if t.user_attrs["n"] == number)
    frozen.number = number  # hyperband deals out its brackets by it
    return bool(study.pruner.prune(study, frozen))


def _study(optuna: Any, definition: Definition) -> Any:
    kinds: dict[str, Callable[[], Any]] = {
        "median": optuna.pruners.MedianPruner,
        "percentile": lambda: optuna.pruners.PercentilePruner(25.0),
        "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
    }
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(
            study_name=definition.id,
            direction=definition.objective.direction,
            pruner=kinds[definition.pruner or ""](),
        )
    finally:
        optuna.logging.set_verbosity(verbosity)


def _frozen(optuna: Any, trial: TrialRecord) -> Any:
    states = optuna.trial.TrialState
    state, value = states.RUNNING, None
    if trial.is_over:
        whole = trial.status == COMPLETED and not trial.pruned and trial.value is not None
        state = states.COMPLETE if whole else states.PRUNED if trial.pruned else states.FAIL
        value = trial.value if whole else None
    if value is not None and value != value:
        state, value = states.FAIL, None
    return optuna.trial.create_trial(
        state=state,
        value=value,
        intermediate_values=dict(trial.reports),
        user_attrs={"n": trial.number},
    )


def _optuna() -> Any:
    try:
        import optuna  # 0.5 s
    except ModuleNotFoundError as cause:
        raise MissingExtraError.for_(cause, extra="sweeps", also=("optuna",)) from cause
    return optuna
