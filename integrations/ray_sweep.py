"""Ray Tune as the engine of a sweep: `run_sweep(sweep, function, num_workers=64)`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from podstack.extending import Sweep, new_run_id, say
from podstack.integrations.ray_search import PodstackSearch


def run_sweep(
    sweep: Sweep,
    function: Callable[[dict[str, Any]], Any],
    *,
    num_workers: int | None = None,
    resources: Mapping[str, float] | None = None,
    scheduler: Any = None,
    storage_path: str | os.PathLike[str] | None = None,
    name: str | None = None,
    max_failures: int = 0,
    upload_checkpoints: bool | str | None = None,
    tags: list[str] | tuple[str, ...] | str = (),
    callbacks: Sequence[Any] = (),
    reuse_actors: bool = False,
    verbose: int = 0,
) -> Sweep:
    """Work on a sweep with Ray, until no trial is left that others do not work on.

    Each trial gets a run, which `setup_podstack` gives inside of the function, too. Others may
    work on the sweep at the same time: loops, agents, further Tuners. Ctrl-C ends it; the trials
    that are unfinished then are given back, and to call this again goes on.

    Args:
        sweep: as `create_sweep` or `get_sweep` give it.
        function: called with the parameters of one trial, in a worker of Ray's; it reports the
            sweep's metric by `ray.tune.report({...})`, once or as it goes, or returns a dict.
        num_workers: trials at once. Default: as many as the resources allow.
        resources: of one trial: `{"cpu": 4, "gpu": 0.5}`. Default: one CPU.
        scheduler: of Ray's, such as `ASHAScheduler(max_t=50)`. Default: the sweep's own pruner,
            if it has one, stops trials.
        storage_path: where Ray keeps checkpoints and its own state. Default: Ray's,
            `~/ray_results`; on several machines a shared folder or bucket.
        name: of Ray's experiment. Default: one made from the sweep's id and the time.
        max_failures: how often Ray tries a trial again that failed, in the same run.
        upload_checkpoints: keep as artifacts: True, the last of each trial; "all", each one.
        tags: of the runs.
        callbacks: further callbacks of Ray's.
        reuse_actors: let a worker's process go on with the next trial; seconds less for each, and
            what one trial leaves in memory is there for the next.
        verbose: how much Ray prints, 0 to 2.

    Returns:
        The sweep.
    """
    search = PodstackSearch(sweep, max_t=_max_t_of(scheduler))
    if scheduler is None and sweep.definition.pruner is not None:
        scheduler = SweepPruner(search)
    own_metric = getattr(scheduler, "metric", None)  # Ray refuses to be told twice
    tuner = tune.Tuner(
        tune.with_resources(function, dict(resources or {"cpu": 1})),
        tune_config=tune.TuneConfig(
            metric=None if own_metric else search.metric,
            mode=None if own_metric else search.mode,
            search_alg=search,
            scheduler=scheduler,
            num_samples=-1,  # the sweep says when it is over
            max_concurrent_trials=num_workers,
            reuse_actors=reuse_actors,
        ),
        run_config=tune.RunConfig(
            name=name or f"{sweep.id}-{new_run_id()[:15]}",
            storage_path=None if storage_path is None else os.path.abspath(storage_path),
            failure_config=tune.FailureConfig(max_failures=max_failures),
            callbacks=[
                search.callback(tags=tags, upload_checkpoints=upload_checkpoints),
                *callbacks,
            ],
            verbose=verbose,
        ),
    )
    tuner.fit()
    _tell_of_best(sweep.refresh())
    return sweep


class SweepPruner(FIFOScheduler):  # type: ignore[misc]  # Ray's types are its own
    """Stops a trial where the sweep's own pruner says so, which knows of all its workers."""

    def __init__(self, search: PodstackSearch) -> None:
        super().__init__()
        self._search = search

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self._search.on_trial_result(trial.trial_id, result)
        known = self._search.trial_of(trial.trial_id)
        stops = known is not None and known.should_prune()
        return str(TrialScheduler.STOP if stops else TrialScheduler.CONTINUE)


def _max_t_of(scheduler: Any) -> int:
    """Where a trial's end is its own: below it, all that stops here is pruned."""
    for name in ("_max_t", "_max_t_attr"):  # ASHA's, HyperBand's
        if isinstance(known := getattr(scheduler, name, None), (int, float)):
            return int(known)
    return sys.maxsize


def _tell_of_best(sweep: Sweep) -> None:
    best = sweep.best_trial
    if best is None:
        say(f"sweep {sweep.name}: no trial has a value of {sweep.objective.metric}")
    else:
        metric = sweep.objective.metric
        say(
            f"sweep {sweep.name}: best {metric} {best.value:.6g} of trial {best.number}, "
            f"with {sweep.best_params}"
        )
