"""transformers: `Trainer(callbacks=[PodstackCallback()])`, or `report_to="podstack"`.

Each `train()` from the beginning is a run of its own; one that resumes from a checkpoint goes on
with the run that the checkpoint names. `evaluate()` and `predict()` go into the run of the training
before them. x is `state.global_step`, the number of optimizer steps. Names are those that users of
other trackers know: `train/loss`, `eval/loss`, `test/loss`; the totals of a training stay bare, as
`train_loss` and `train_runtime`. Importing this module registers it, see `register`.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from podstack import Run
from podstack.errors import MissingExtraError, RunClosedError, UsageError
from podstack.extending import new_run_id, verdict_of
from podstack.integrations import transformers_words as words
from podstack.integrations.kept_files import KeptFiles, which_to_keep
from podstack.integrations.recording import Recording, tell_of_exceptions

try:
    from accelerate.utils import broadcast_object_list
    from transformers import Trainer, TrainerCallback
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
    from transformers.trainer_callback import ExportableState
except ModuleNotFoundError as error:
    raise MissingExtraError.for_(error, extra="transformers", also=("accelerate",)) from error

_AGREE_EVERY = 10  # steps: how often processes that train together look for a Stop
_NO_PROJECT = "huggingface"  # what `args.project` is where the user said nothing


class PodstackCallback(TrainerCallback, ExportableState):  # type: ignore[misc]
    """Records what a Trainer logs. Making one touches neither disk nor network.

    Where several processes train together each of them has one, as the Trainer makes them; only
    the first writes, and a Stop that it hears of ends training for all.

    Args:
        run: a run that the caller opens and ends. Default: runs are made here, as needed.
        experiment: its name. Default: `args.project`, else PODSTACK_EXPERIMENT.
        name: of the run; trials of a search get a number behind it, unless `hp_name` names them.
            Default: `args.run_name`, else PODSTACK_RUN_NAME.
        run_id: go on with this run, or start one of this id. Default: PODSTACK_RUN_ID, else what
            the checkpoint says from which training resumes.
        tags: of the run. Default: PODSTACK_TAGS.
        uri, project, api_token: the store, as for `MLOpsClient`.
        log_model: keep as artifacts: True, the model and its tokenizer as training leaves
            them, or the last checkpoint where it fails; "all", also each checkpoint when it is
            saved. "end" and "checkpoint" mean these, too. Default: PODSTACK_LOG_MODEL, else False.

    A trial that a search prunes is completed and tagged `pruned`. A training that an exception
    ends is failed, by Ctrl-C killed, and an evaluation behind it does not change that.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        experiment: str | None = None,
        name: str | None = None,
        run_id: str | None = None,
        tags: list[str] | tuple[str, ...] | str = (),
        uri: str | os.PathLike[str] | None = None,
        project: str | None = None,
        api_token: str | None = None,
        log_model: bool | str | None = None,
    ) -> None:
        store = None if uri is None else os.fspath(uri)
        said: dict[str, Any] = {"experiment": experiment, "name": name, "tags": tags}
        said |= {"uri": store, "project": project}
        self._recording = Recording(run=run, run_id=run_id, api_token=api_token, **said)
        self._log_model = which_to_keep(log_model)
        self._said = {**said, "log_model": self._log_model}
        self._described: str | None = None  # the run whose parameters are logged
        self._is_training = self._has_trained = False
        self._outcome: tuple[str, str | None] = ("completed", None)  # of the last training
        self._trials = 0
        self._files = KeptFiles()

    @property
    def run(self) -> Run:
        """The run, started or gone on with at the first need."""
        return self._recording.run

    @property
    def run_id(self) -> str:
        return self._recording.run_id

    @run_id.setter
    def run_id(self, run_id: str) -> None:
        """Mean this run from now on, unless the user chose one."""
        if not self._recording.has_wanted_id:
            self._recording.go_on_with(run_id)

    def state(self) -> dict[str, Any]:
        """What each checkpoint holds of it: the run, and how to make it again, without secrets."""
        uri = self._said["uri"]
        safe = None if uri and "@" in uri else uri  # there may be a password in it
        return {"args": {**self._said, "uri": safe}, "attributes": {"run_id": self.run_id}}

    # What the Trainer tells ------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        if state.is_world_process_zero:
            if not self._is_training:  # else it is begun again, with a smaller batch
                self._choose_run(state)
            self._is_training = self._has_trained = True
            self._open(args, state, told.get("model"))
        known = state.stateful_callbacks  # each save asks for it; older checkpoints lack it
        if not isinstance(known.get(type(self).__name__), list):
            known[type(self).__name__] = self.state()

    def on_log(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        self._log(told["logs"], args, state, told.get("model"))

    def on_evaluate(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        self._end_again()  # its metrics came with on_log

    def on_predict(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        self._log(told["metrics"], args, state, told.get("model"))
        self._end_again()

    def on_step_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        stop = self._recording.should_stop
        if args.world_size > 1:  # one that stops alone leaves the others waiting for it
            if state.global_step % _AGREE_EVERY:
                return
            (stop,) = broadcast_object_list([stop])
        if stop:
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        if state.is_world_process_zero and self._log_model:
            saved = words.saved_checkpoint(args.output_dir, state.global_step, self.run_id)
            if self._log_model is True:
                self._files = KeptFiles()  # only the last one matters
            if saved:
                self._files.hear_of(saved, "checkpoints")
            if self._log_model == "all":
                self._files.keep(self._recording)

    def on_train_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        if self._is_training:
            is_cut = state.global_step < state.max_steps and not control.should_training_stop
            if is_cut and state.is_hyper_param_search:  # the Trainer raises TrialPruned next
                self._recording.run.add_tags("pruned")
            if self._log_model:
                self._keep_model(args, told.get("model"), told.get("processing_class"))
            self._end("completed", None)

    def failed(self, error: BaseException) -> None:
        """`Trainer.train` was ended by `error`: `register` says how this comes to be known."""
        if self._is_training:
            self._files.keep(self._recording)
            self._end(*verdict_of(error))

    # The run ---------------------------------------------------------------------------------

    def _choose_run(self, state: Any) -> None:
        self._files = KeptFiles()
        if state.is_hyper_param_search:
            self._recording.go_on_with(new_run_id())
            self._trials += 1
        elif state.global_step:
            said = state.stateful_callbacks.get(type(self).__name__)
            self.run_id = said["attributes"]["run_id"] if isinstance(said, dict) else self.run_id
        elif self._has_trained:
            self.run_id = new_run_id()

    def _open(self, args: Any, state: Any, model: Any) -> None:
        """Start the run under the name that it should have; say once what is trained, and how."""
        recording, said = self._recording, self._said
        name = said["name"] or words.unless(args.output_dir, args.run_name)
        if state.is_hyper_param_search:
            name = state.trial_name or f"{name or 'trial'} {self._trials - 1}"
        recording.name = name or recording.name
        group = said["experiment"] or words.unless(_NO_PROJECT, getattr(args, "project", None))
        recording.experiment = group or recording.experiment
        try:
            run = recording.run
        except UsageError:  # the checkpoint's run was purged
            self.run_id = new_run_id()
            run = recording.run
        if self._described != run.id:
            recording.log_params(words.parameters_of(args, state, model))
            self._described = run.id

    def _log(self, values: Mapping[str, Any], args: Any, state: Any, model: Any) -> None:
        if not state.is_world_process_zero:
            return
        try:
            if not self._is_training:
                self._open(args, state, model)
            self._recording.log(words.renamed(values), state.global_step)
        except RunClosedError as closed:  # its `with` block is over
            if self._described is None:
                raise
            logging.getLogger("podstack").warning("not logged: %s", closed)

    def _end(self, status: str, error: str | None) -> None:
        self._is_training, self._outcome = False, (status, error)
        self._recording.end(status, error=error)

    def _end_again(self) -> None:
        """As its training ended: that failed, and an evaluation that goes well changes nothing."""
        if not self._is_training:
            self._recording.end(self._outcome[0], error=self._outcome[1])

    # Files -----------------------------------------------------------------------------------

    def _keep_model(self, args: Any, model: Any, processing_class: Any) -> None:
        """Where the model is none of transformers, or not whole here: the last checkpoint."""
        if args.deepspeed or getattr(args, "fsdp", None) or not hasattr(model, "save_pretrained"):
            self._files.keep(self._recording)
            return
        try:
            with tempfile.TemporaryDirectory() as folder:
                for part in (model, processing_class):
                    if hasattr(part, "save_pretrained"):
                        part.save_pretrained(folder)
                self._recording.run.log_artifacts(folder, "model")
        except (OSError, RunClosedError) as refused:
            logging.getLogger("podstack").warning("the model is not kept: %s", refused)


def register() -> None:
    """Make `report_to="podstack"` known, and let callbacks hear of exceptions. Twice is fine.

    The Trainer tells no callback of an exception. A script that dies of one ends its run as failed
    anyway; a notebook catches it and lives on. So `Trainer.train` is wrapped, once: the wrapper
    does nothing but tell the PodstackCallbacks of that Trainer, and lets the exception pass.
    """
    INTEGRATION_TO_CALLBACK["podstack"] = PodstackCallback
    tell_of_exceptions(Trainer, "train", _callbacks_of)


def _callbacks_of(trainer: Any, *_: Any, **__: Any) -> list[PodstackCallback]:
    return [c for c in trainer.callback_handler.callbacks if isinstance(c, PodstackCallback)]


register()
