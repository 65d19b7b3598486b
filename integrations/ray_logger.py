"""Ray Tune: `RunConfig(callbacks=[PodstackLoggerCallback()])`, a run for every trial.

Works on the driver. A trial's run is found by the trial's id, so a retry, a checkpoint of another
trial (PBT), and `Tuner.restore`, also after a kill -9 of the driver, go on in the same run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from podstack import MLOpsClient
from podstack.errors import MissingExtraError
from podstack.extending import captured, defaults
from podstack.integrations.kept_files import which_to_keep
from podstack.integrations.ray_address import StoreAddress
from podstack.integrations.recording import Recording

try:
    from ray.tune.logger import LoggerCallback
except ModuleNotFoundError as error:
    raise MissingExtraError.for_(error, extra="ray", also=("pyarrow", "pandas")) from error

from podstack.integrations import ray_board
from podstack.integrations.ray_trials import Scope, TrialRun, numbers_of, run_id_of, warn
from podstack.integrations.ray_words import error_of, keep_checkpoint, meets_criterion


class PodstackLoggerCallback(LoggerCallback):  # type: ignore[misc]  # Ray's types are its own
    """Records what trials report, at x = `training_iteration`, nested names joined with `/`.

    A trial that fails ends its run as failed, with the error; while Ray retries it, the run is
    running. One that the scheduler stopped before its end is completed and tagged `pruned`.
    Ctrl-C ends the runs of unfinished trials as killed; `Tuner.restore` reopens them.

    Making one touches neither disk nor network. What Ray pickles of it holds no secrets: after
    `Tuner.restore` a token comes from PODSTACK_API_TOKEN.

    Args:
        uri, project, api_token, mode, storage_options: the store, as for `MLOpsClient`.
        experiment: its name. Default: PODSTACK_EXPERIMENT, else the name of Ray's experiment.
        tags: of every run. Default: PODSTACK_TAGS.
        log_config: record each trial's config as parameters.
        upload_checkpoints: keep as artifacts: True, the last checkpoint of each trial, however it
            ended; "all", each one. Default: PODSTACK_LOG_MODEL, else False.
        max_t: the scheduler's own, if it has one: a trial that it stops there is not pruned.
            Default: a trial is, if another one went further.
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] | None = None,
        *,
        project: str | None = None,
        experiment: str | None = None,
        api_token: str | None = None,
        mode: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        tags: list[str] | tuple[str, ...] | str = (),
        log_config: bool = True,
        upload_checkpoints: bool | str | None = None,
        max_t: int | None = None,
    ) -> None:
        super().__init__()
        self._address = StoreAddress(
            uri, project=project, api_token=api_token, mode=mode, storage_options=storage_options
        )
        self._experiment = experiment or defaults().experiment
        self._tags = tags
        self._log_config = log_config
        self._checkpoints = which_to_keep(upload_checkpoints)
        self._max_t = max_t
        self._known: dict[str, str] = {}  # trial id: run id, those of earlier processes too
        self._reached: dict[str, int] = {}  # trial id: its last iteration
        self._forget()

    def _forget(self) -> None:
        """Be as before a `fit`: what belongs to one, and to one process."""
        self._runs: dict[str, TrialRun] = {}
        self._stopped: dict[str, int] = {}  # trial id: the iteration at which Ray stopped it
        self._thread: ThreadPoolExecutor | None = None
        self._board: ray_board.Board | None = None

    @property
    def run_ids(self) -> dict[str, str]:
        """The run of each trial that was started, by the trial's id."""
        return dict(self._known)

    # What Ray tells ------------------------------------------------------------------------

    def setup(self, *args: Any, **info: Any) -> None:
        """Before the first trial; `set_state` came before it.

        Raises:
            BackendError: the store does not answer, or lets us not in: better now than later.
        """
        client = self._address.client
        if self._experiment:
            client.create_experiment(self._experiment)
        if self._address.is_a_folder_here and ray_board.nodes() > 1:
            warn(
                "the store %s is a folder of this machine, and the cluster has %d machines: what "
                "trials report is recorded, but setup_podstack works on this one only. Name a "
                "store that all of them reach: s3://…, a podstack server, a shared folder.",
                client.uri,
                ray_board.nodes(),
            )
        self._board = ray_board.Board()

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Let workers know as soon as a trial says of which experiment it is."""
        if self._board is not None and trials:
            self._tell_workers(trials[0].experiment_dir_name, self._scope_of(trials[0]))

    def log_trial_start(self, trial: Any) -> None:
        run = self._run_of(trial)
        run.has_ended = False
        self._stopped.pop(trial.trial_id, None)
        config = repr(trial.config)
        if self._log_config and run.config != config:  # else it was started again
            run.config, values = config, dict(trial.config)
            run.do(lambda recording: recording.log_params(values))
        else:
            run.do(lambda recording: recording.run)

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        step = int(result.get("training_iteration", iteration))
        self._run_of(trial).log(numbers_of(result), step)
        self._reached[trial.trial_id] = step
        if result.get("done") and not meets_criterion(trial, result):
            self._stopped[trial.trial_id] = step  # its function would have gone on

    def log_trial_save(self, trial: Any) -> None:
        if self._checkpoints == "all":
            self._keep_checkpoint(trial)

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        if failed:
            self._end(trial, "failed", error_of(trial), False)
        else:
            self._end(trial, "completed", None, self._is_pruned(trial.trial_id))

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """End what is unfinished as killed, and wait until all is recorded."""
        for trial_id, run in self._runs.items():
            if not run.has_ended:
                self._ended(run, trial_id, "killed", None, False)
                run.end("killed")
            elif self._is_pruned(trial_id):  # which others showed that went further since
                run.aside(partial(_tag_as_pruned, self._address.client, run.run_id))
        if self._thread is not None:
            self._thread.shutdown()
        for run in self._runs.values():
            run.tell_of_rest()
        if self._board is not None:
            self._board.leave()
        self._forget()

    def get_state(self) -> dict[str, Any]:
        return {"known": dict(self._known), "reached": dict(self._reached)}

    def set_state(self, state: dict[str, Any]) -> None:
        self._known, self._reached = dict(state["known"]), dict(state["reached"])

    # The runs ------------------------------------------------------------------------------

    def _run_of(self, trial: Any) -> TrialRun:
        """The trial's run, which is opened on the thread. Its result may come before its start."""
        known = self._runs.get(trial.trial_id)
        if known is None:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "podstack-ray")
            scope = self._scope_of(trial)
            recording = self._recording_of(trial, run_id_of(trial.trial_id, scope), scope)
            known = self._runs[trial.trial_id] = TrialRun(recording, self._thread)
            self._known[trial.trial_id] = known.run_id
            self._tell_workers(trial.experiment_dir_name, scope)
        return known

    def _scope_of(self, trial: Any) -> Scope:
        name = trial.experiment_dir_name
        return Scope(self._experiment or name, name)

    def _recording_of(self, trial: Any, run_id: str, scope: Scope) -> Recording:
        return Recording(
            run_id=run_id,
            experiment=scope.experiment,
            name=str(trial),
            tags=self._tags,
            client=self._address.client,
            capture=captured("code", "packages", "host"),  # the rest is elsewhere, in the worker
        )

    def _tell_workers(self, experiment: str, scope: Scope) -> None:
        if self._board is None:  # a driver of somebody's own, who did not call `setup`
            self._board = ray_board.Board()
        here = ray_board.node_id(), self._address.is_a_folder_here
        self._board.tell(experiment, ray_board.Told(self._address.settings, scope, *here))

    def _keep_checkpoint(self, trial: Any) -> None:
        checkpoint = trial.checkpoint
        if checkpoint is not None:
            self._run_of(trial).do(partial(keep_checkpoint, checkpoint))

    def _end(self, trial: Any, status: str, error: str | None, pruned: bool) -> None:
        run = self._run_of(trial)
        if self._checkpoints is True:
            self._keep_checkpoint(trial)
        if pruned:
            del self._stopped[trial.trial_id]  # it is told
            run.do(lambda recording: recording.run.add_tags("pruned"))
        self._ended(run, trial.trial_id, status, error, pruned)
        run.end(status, error)

    def _ended(
        self, run: TrialRun, trial_id: str, status: str, error: str | None, pruned: bool
    ) -> None:
        """For whoever keeps book of trials: how one ends, before its run does."""

    def _is_pruned(self, trial_id: str) -> bool:
        """Whether Ray stopped it before the end that others come to."""
        stopped = self._stopped.get(trial_id)
        if stopped is None:
            return False
        if self._max_t is not None:
            return stopped < self._max_t
        return stopped < max(self._reached.values())

    def __getstate__(self) -> dict[str, Any]:
        none: dict[str, Any] = {"_runs": {}, "_stopped": {}, "_thread": None, "_board": None}
        return {**vars(self), **none}


def _tag_as_pruned(client: MLOpsClient, run_id: str) -> None:
    client.get_run(run_id).add_tags("pruned")
