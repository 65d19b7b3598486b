"""Lightning and Fabric: `Trainer(logger=PodstackLogger())`, or `Fabric(loggers=PodstackLogger())`.

One class for `lightning` and for `pytorch_lightning`: its base comes from the one that is loaded,
and the other is never imported. Making, copying or pickling a logger makes no run; rank zero does,
with the first thing that is recorded. Copies, spawned workers and scripts that are run again for
the other ranks mean the same run.
"""

from __future__ import annotations

import logging
import os
import sys
import weakref
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from podstack import Run
from podstack.errors import BackendError, MissingExtraError, UsageError
from podstack.extending import defaults, experiment_id, leave_sigterm, take_back
from podstack.integrations.kept_files import KeptFiles, which_to_keep
from podstack.integrations.lightning_files import folder_of, paths_of
from podstack.integrations.recording import Recording

_DISTRIBUTIONS = ("lightning.pytorch", "pytorch_lightning")


def _distribution() -> str:
    """The one that is loaded; else the one that is installed."""
    loaded = [name for name in _DISTRIBUTIONS if sys.modules.get(name)]
    installed = (name for name in _DISTRIBUTIONS if find_spec(name.partition(".")[0]))
    return loaded[0] if loaded else next(installed, _DISTRIBUTIONS[0])


try:
    _lightning = _distribution()
    _base: Any = import_module(f"{_lightning}.loggers.logger")
    _Callback: Any = import_module(f"{_lightning}.callbacks").Callback
    _rank_zero_only: Any = import_module(f"{_lightning}.utilities.rank_zero").rank_zero_only
except ModuleNotFoundError as error:
    raise MissingExtraError.for_(error, extra="lightning") from error

_ENDINGS = {"success": "completed", "finished": "killed", "aborted": "killed"}  # else: failed


class PodstackLogger(_base.Logger):  # type: ignore[misc]  # Lightning's own, or its twin's
    """Records what Lightning logs, under its names and at its steps.

    Args:
        experiment: its name; made if there is none. Default: PODSTACK_EXPERIMENT.
        name: the run's. Default: PODSTACK_RUN_NAME, else one made from its id.
        save_dir: where Lightning puts its files, below `<experiment>/<run id>/`. Default:
            `lightning_logs`. Where nothing else names a store, it is the store, too.
        run_id: go on with this run, or start one of this id. Default: PODSTACK_RUN_ID.
        uri, api_token, project: the store, as for `MLOpsClient`.
        tags: of the run. Default: PODSTACK_TAGS.
        log_model: keep checkpoints as artifacts: True, those that are there at the end, whatever
            end that is; "all", each when it is saved. Default: PODSTACK_LOG_MODEL, else False.
        prefix: put before each metric's name, with `LOGGER_JOIN_CHAR` between them.
        run: log into this run, which the caller opens and ends.

    Success completes the run, an exception fails it, Ctrl-C or SIGTERM kills it; to log reopens it.
    """

    LOGGER_JOIN_CHAR = "-"

    def __init__(
        self,
        experiment: str | None = None,
        name: str | None = None,
        save_dir: str | os.PathLike[str] | None = None,
        *,
        run_id: str | None = None,
        uri: str | os.PathLike[str] | None = None,
        api_token: str | None = None,
        project: str | None = None,
        tags: list[str] | tuple[str, ...] | str = (),
        log_model: bool | Literal["all"] | None = None,
        prefix: str = "",
        run: Run | None = None,
    ) -> None:
        super().__init__()
        store = uri or (None if defaults().uri else save_dir)
        said: dict[str, Any] = {"experiment": experiment, "name": name, "tags": tags}
        where: dict[str, Any] = {"uri": store, "project": project, "api_token": api_token}
        self._recording = Recording(run=run, run_id=run_id, **said, **where)
        made_of = self._recording.experiment or "default"
        self._name = run.experiment_id if run is not None else experiment_id(made_of)
        self._save_dir = os.fspath(save_dir or "lightning_logs")
        self._prefix = f"{prefix}{self.LOGGER_JOIN_CHAR}" if prefix else ""
        self._log_model = which_to_keep(log_model)
        self._checkpoints = KeptFiles()
        self._was_asked_for = False
        self._trainer: weakref.ref[Any] | None = None
        _join_the_loaded()
        if _is_rank_zero() and not self._recording.has_wanted_id:
            self._recording.hand_down()  # a launcher runs the script again before it calls us
            weakref.finalize(self, take_back, self.run_id)

    @property
    def experiment(self) -> Run:
        """The run, to log into directly. It begins with the first thing that is done with it."""
        if not _is_rank_zero():
            return _base.DummyExperiment()  # type: ignore[no-any-return]
        self._was_asked_for = True
        return self._recording.run if self._recording.is_open else self._recording.later()

    @property
    def run_id(self) -> str:
        return self._recording.run_id

    @property
    def version(self) -> str:
        return self.run_id

    @property
    def name(self) -> str:
        """The experiment's id. It may name a folder, as `version`, the run's id, may."""
        return self._name

    @property
    def save_dir(self) -> str:
        return self._save_dir

    @property
    def root_dir(self) -> str:
        return os.path.join(self._save_dir, self._name)

    @property
    def log_dir(self) -> str:
        return os.path.join(self.root_dir, self.version)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if not _is_rank_zero():
            return
        if self._prefix:
            metrics = {f"{self._prefix}{key}": value for key, value in metrics.items()}
        trainer = None if self._trainer is None else self._trainer()
        if trainer is not None:
            metrics = {**metrics, "trainer/global_step": trainer.global_step}
        self._recording.log(metrics, step)

    def log_hyperparams(self, params: Any = None, *_: Any, **__: Any) -> None:
        """Record a dict, namespace, dataclass or configuration; what else is given says nothing."""
        if _is_rank_zero() and params:
            self._recording.log_params(params)

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Draws nothing, but begins the run.

        When the Trainer calls it, the checkpoint that may name the run has been read, and its own
        handler of SIGTERM comes next.
        """
        if _is_rank_zero() and self._recording.run and not self._recording.is_given:
            leave_sigterm()

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Note where its files are: it comes as a weak proxy, which does not last."""
        if not self._log_model:
            return
        for path in paths_of(checkpoint_callback):
            self._checkpoints.hear_of(path, folder_of(path, checkpoint_callback))
        if self._log_model == "all" or getattr(checkpoint_callback, "save_top_k", None) == -1:
            self._checkpoints.keep(self._recording)

    def finalize(self, status: str) -> None:
        """End the run, if one began. Lightning calls it after each entry point."""
        if not _is_rank_zero():
            return
        if self._recording.is_open:
            self._checkpoints.keep(self._recording)
        if status in _ENDINGS:
            self._recording.end(_ENDINGS[status])
        else:
            self._fail(sys.exc_info()[1])  # Ctrl-C and SIGTERM come as "failed", too

    def _fail(self, error: BaseException | None) -> None:
        try:
            if self._was_asked_for or self._recording.is_stored():
                self._recording.run  # noqa: B018  # opens it: a worker began it, or it is due
        except (BackendError, UsageError) as refused:  # must not take the place of `error`
            logging.getLogger("podstack").warning("the failure is not recorded: %s", refused)
        if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "SIGTERMException":
            self._recording.end("killed")
        elif error is None:
            self._recording.end("failed")
        else:
            self._recording.fail(error)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_trainer": None}


class PodstackLightningCallback(_Callback):  # type: ignore[misc]
    """What a logger cannot see, for each `PodstackLogger` of the Trainer.

    - `trainer.global_step`, by which checkpoints are named, is recorded beside every point.
    - A checkpoint names the run: `fit(ckpt_path=...)` goes on with it, unless the user chose one
      or the logger has recorded something before.
    - A run that is asked to stop ends training after the batch, as early stopping does.
    """

    def __init__(self) -> None:
        self._loggers: list[PodstackLogger] = []

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self._loggers = [each for each in trainer.loggers if isinstance(each, PodstackLogger)]
        for logger in self._loggers:
            logger._trainer = weakref.ref(trainer)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        for logger in self._loggers:
            logger._trainer = None

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "")

    def on_train_batch_end(self, trainer: Any, _: Any, __: Any, ___: Any, batch_idx: int) -> None:
        """All ranks must stop together; where there are several, they agree now and then."""
        every = 1 if trainer.world_size == 1 else max(1, trainer.log_every_n_steps)
        if (batch_idx + 1) % every == 0:
            asked = any(logger._recording.should_stop for logger in self._loggers)
            if trainer.strategy.reduce_boolean_decision(asked, all=False):
                trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"run_ids": [logger.run_id for logger in self._loggers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for logger, run_id in zip(self._loggers, state_dict.get("run_ids", ()), strict=False):
            if not (logger._recording.has_wanted_id or logger._recording.has_begun):
                logger._recording.go_on_with(run_id)


def _is_rank_zero() -> bool:
    return not _rank_zero_only.rank


def _join_the_loaded() -> None:
    """Be a Logger of the other distribution too, whose type checks ask for one."""
    for name in _DISTRIBUTIONS:
        module = sys.modules.get(f"{name}.loggers.logger")
        if module is not None and module is not _base:
            module.Logger.register(PodstackLogger)


_join_the_loaded()
