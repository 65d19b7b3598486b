"""Ray Train: `ray.train.RunConfig(callbacks=[PodstackTrainCallback()])`, one run for a training.

Works on the controller of Ray Train 2 (Ray's default since 2.51), which takes callbacks of no other
kind. What worker 0 reports is recorded, at x = how many reports were before it.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import ray

from podstack.errors import MissingExtraError
from podstack.extending import attached, captured, client_of, defaults, new_run_id, verdict_of
from podstack.integrations.ray_address import StoreAddress
from podstack.integrations.recording import Recording

try:
    from ray.train import UserCallback
except (ModuleNotFoundError, ImportError) as error:
    if not isinstance(error, ModuleNotFoundError):
        raise ImportError("PodstackTrainCallback needs Ray 2.51 or later.") from error
    raise MissingExtraError.for_(error, extra="ray", also=("pyarrow", "pandas")) from error

from podstack.integrations import ray_board
from podstack.integrations.ray_trials import Scope, run_id_of, warn
from podstack.integrations.ray_words import keep_checkpoint
from podstack.integrations.ray_workers import TRAIN, where_we_are

_PAUSE = 1.0  # seconds between two looks at the controller's state


class PodstackTrainCallback(UserCallback):  # type: ignore[misc]  # Ray's types are its own
    """Records a training that Ray Train distributes, from its first report on.

    An exception in a worker ends the run as failed, with the traceback; where Ray tries again, its
    next report reopens it. Ctrl-C kills it. Of a good end Ray tells no callback: within a second
    or two the run is completed, by the state of the controller. Made in a function of Ray Tune's
    it records into the trial's run, and leaves the end to the trial.

    Making one touches neither disk nor network. Its pickle holds no token: the controller and the
    workers are told it by the driver, in memory.

    Args:
        experiment: its name. Default: PODSTACK_EXPERIMENT, else the name of Ray's `RunConfig`.
        name: of the run. Default: PODSTACK_RUN_NAME, else that of Ray's `RunConfig`.
        tags: of the run. Default: PODSTACK_TAGS.
        upload_checkpoints: keep each reported checkpoint as artifacts.
        uri, project, api_token, mode, storage_options: the store, as for `MLOpsClient`.
    """

    def __init__(
        self,
        *,
        experiment: str | None = None,
        name: str | None = None,
        tags: list[str] | tuple[str, ...] | str = (),
        upload_checkpoints: bool = False,
        uri: str | os.PathLike[str] | None = None,
        project: str | None = None,
        api_token: str | None = None,
        mode: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._address = StoreAddress(
            uri, project=project, api_token=api_token, mode=mode, storage_options=storage_options
        )
        self._experiment = experiment or defaults().experiment
        self._name = name or defaults().run_name
        self._tags = tags
        self._upload_checkpoints = upload_checkpoints
        self._trial = where_we_are()  # of Ray Tune, if there is one
        self._told_as = new_run_id()  # what the board knows the store's address by
        self._recording: Recording | None = None

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any
    ) -> None:
        recording = self._open(run_context)
        recording.log(metrics[0])
        if checkpoint is not None and self._upload_checkpoints:
            try:
                keep_checkpoint(checkpoint, recording)
            except (OSError, ValueError) as refused:
                warn("a checkpoint is not kept: %s", refused)

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        rank, error = min(worker_exceptions.items())
        recording = self._open(run_context)
        recording.run  # noqa: B018  # opens it, where nothing was reported
        _, text = verdict_of(error)
        recording.end("failed", error=f"worker {rank} of the training:\n{text}")

    def _open(self, run_context: Any) -> Recording:
        if self._recording is None:
            self._recording = self._of_the_trial() or self._of_our_own(run_context.run_config.name)
            _end_with_the_controller(self._recording)
            if isinstance(run_context.train_loop_config, Mapping):
                self._recording.log_params(run_context.train_loop_config)
        return self._recording

    def _of_the_trial(self) -> Recording | None:
        told = ray_board.told_of(self._trial.experiment) if self._trial.trial else None
        if told is None:
            return None
        run_id = run_id_of(self._trial.trial, told.scope)
        return Recording(run=attached(client_of(told.settings), run_id))

    def _of_our_own(self, name: str) -> Recording:
        told = ray_board.told_of(self._told_as)
        experiment = self._experiment or name
        return Recording(
            run_id=run_id_of(TRAIN, Scope(experiment, name)),
            experiment=experiment,
            name=self._name or name,
            tags=self._tags,
            client=self._address.client if told is None else client_of(told.settings),
            capture=captured("code", "packages", "host"),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles it on the driver, for the controller: the time to tell where the store is."""
        if ray.is_initialized() and self._recording is None and not self._trial.trial:
            here = ray_board.node_id(), self._address.is_a_folder_here
            scope = Scope(self._experiment or "", "")
            told = ray_board.Told(self._address.settings, scope, *here)
            board = ray_board.Board()
            board.tell(self._told_as, told)
            board.tell(TRAIN, told)  # for the workers, who know its name only
        return {**vars(self), "_recording": None}


_STATUSES = {"FinishedState": "completed", "AbortedState": "killed"}  # of Ray's; else: failed


def _end_with_the_controller(recording: Recording) -> None:
    """End the run once this process, the controller, has come to an end of the training.

    It goes on to live until the driver ends. One that is gone before was interrupted.
    """
    controller = ray.get_runtime_context().current_actor
    atexit.register(recording.end, "killed")
    threading.Thread(target=_watch, args=(controller, recording), daemon=True).start()


def _watch(controller: Any, recording: Recording) -> None:
    while not (state := ray.get(controller.get_state.remote())).is_terminal():
        time.sleep(_PAUSE)
    recording.end(_STATUSES.get(type(state).__name__, "failed"))
