"""Ray's workers: `run = setup_podstack(config)` in a trial's function, or in that of Ray Train.

Nothing need be set by hand: the driver's `PodstackLoggerCallback` told this job where the store
is. With it the run is the one that the callback records into, and ends; without it the run is the
worker's own, of the same id after a retry, and a `with` block ends it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import ray
import ray.train
import ray.tune

from podstack import MLOpsClient, Run
from podstack.errors import UsageError
from podstack.extending import attached, client_of, defaults
from podstack.integrations.ray_board import Told, node_id, told_of
from podstack.integrations.ray_trials import Scope, run_id_of
from podstack.integrations.recording import Recording

TRAIN = "train"  # the id of a training with Ray Train, where Ray Tune has trials


class Place(NamedTuple):
    """Where in Ray this process stands."""

    experiment: str  # Ray's; empty outside of Ray
    trial: str = ""  # its id; that of the only run of a training with Ray Train
    name: str = ""  # of the trial
    rank: int = 0


def setup_podstack(
    config: Mapping[str, Any] | None = None,
    *,
    experiment: str | None = None,
    name: str | None = None,
    tags: list[str] | tuple[str, ...] | str = (),
    uri: str | os.PathLike[str] | None = None,
    project: str | None = None,
    api_token: str | None = None,
    mode: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Run:
    """The run of the trial that this process trains, to log into directly.

    Beside a `PodstackLoggerCallback` (or a `PodstackTrainCallback`) the arguments need not be
    given, and the driver's are used: `run.finish()` or a `with` block sends what was logged and
    leaves the end to the callback. What Ray is told by `tune.report` needs no logging here.

    Among processes that train together with Ray Train, the first logs; the others get a run that
    records nothing. Outside of Ray it is a plain run.

    Args:
        config: recorded as parameters, unless the callback does so.
        experiment, name, tags: of the run, where it is made here. Default: the environment, else
            the names of Ray's experiment and of the trial.
        uri, project, api_token, mode, storage_options: the store, as for `MLOpsClient`.

    Raises:
        UsageError: the driver's store is a folder, and this is another machine.
        BackendError: the store does not answer.
    """
    place = where_we_are()
    if place.rank:
        return MLOpsClient(mode="disabled").start_run()
    told = _told(place) if uri is None else None
    if told is not None:
        return _of_the_callback(place, told)
    client = MLOpsClient(
        uri, project=project, api_token=api_token, mode=mode, storage_options=storage_options
    )
    return _of_our_own(place, client, experiment, name, tags, config or {})


def where_we_are() -> Place:
    """What Ray says of this process, quietly."""
    if not ray.is_initialized():
        return Place("", rank=defaults().rank)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray warns who asks outside of a trial
        tune = ray.tune.get_context()
        if tune.get_trial_id():
            return Place(tune.get_experiment_name(), tune.get_trial_id(), tune.get_trial_name())
    try:
        train = ray.train.get_context()
    except RuntimeError:  # Ray's word for: this is no worker
        return Place("")
    name = train.get_experiment_name()
    return Place(name, TRAIN, name, train.get_world_rank())


def _told(place: Place) -> Told | None:
    if not place.trial:
        return None
    return told_of(TRAIN if place.trial == TRAIN else place.experiment)


def _of_the_callback(place: Place, told: Told) -> Run:
    if told.is_a_folder and told.node != node_id():
        raise UsageError(
            f"The store {told.settings.uri} is a folder of the machine that the driver runs on, "
            "and this worker runs on another. What it reports to Ray is recorded there; to log "
            "from here, name a store that both reach: s3://…, a podstack server, a shared folder."
        )
    scope = told.scope
    if place.trial == TRAIN:
        scope = Scope(scope.experiment or place.experiment, place.experiment)
    return attached(client_of(told.settings), run_id_of(place.trial, scope))


def _of_our_own(
    place: Place,
    client: MLOpsClient,
    experiment: str | None,
    name: str | None,
    tags: list[str] | tuple[str, ...] | str,
    config: Mapping[str, Any],
) -> Run:
    experiment = experiment or defaults().experiment or place.experiment or None
    run_id = None
    if place.trial:
        run_id = run_id_of(place.trial, Scope(experiment or "", place.experiment))
    recording = Recording(
        run_id=run_id, experiment=experiment, name=name or place.name, tags=tags, client=client
    )
    recording.log_params(config)
    return recording.run
