"""Keras 3, on any backend: `model.fit(..., callbacks=[PodstackCallback()])`.

Each epoch's values are recorded under Keras' own names, with the learning rate, at x = the epoch's
index; on request those of batches too, as `batch/loss`, at x = how many batches were before. What
`evaluate` finds outside of `fit` is `test_loss` and so on, at the last epoch's x. Importing this
wraps `Model.fit`, so that an exception which a notebook catches ends the run as failed.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from glob import glob
from logging import getLogger
from typing import Any, Literal

from podstack import Run
from podstack.errors import MissingExtraError
from podstack.integrations import keras_facts
from podstack.integrations.kept_files import KeptFiles, which_to_keep
from podstack.integrations.recording import Recording, tell_of_exceptions

try:
    import keras
except ModuleNotFoundError as error:
    raise MissingExtraError.for_(error, extra="keras") from error


class PodstackCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Record what `fit` and `evaluate` tell.

    Making one touches neither disk nor network; of processes that train together the first writes.
    A further `fit` with the same object goes on in the run, its epochs after those before, unless
    `initial_epoch` says where they begin.

    Args:
        log_freq: "epoch"; "batch" for every batch too; or n, for every n-th batch too. The value
            that Keras has for a batch is the mean since its epoch began.
        log_model: keep as artifacts what each `ModelCheckpoint` beside this callback wrote: True,
            its newest file once training ended, however it did; "all", that of every epoch. Where
            there is none, the trained model. Default: PODSTACK_LOG_MODEL, else False.
        experiment, name: of the run. Default: PODSTACK_EXPERIMENT, PODSTACK_RUN_NAME.
        run_id: go on with this run, or start one of this id. Default: PODSTACK_RUN_ID.
        uri, api_token, project: the store, as for `MLOpsClient`.
        tags: of the run. Default: PODSTACK_TAGS.
        run: log into this run, which the caller opens and ends.
    """

    def __init__(
        self,
        log_freq: Literal["epoch", "batch"] | int = "epoch",
        *,
        log_model: bool | Literal["all"] | None = None,
        experiment: str | None = None,
        name: str | None = None,
        run_id: str | None = None,
        uri: str | os.PathLike[str] | None = None,
        api_token: str | None = None,
        project: str | None = None,
        tags: list[str] | tuple[str, ...] | str = (),
        run: Run | None = None,
    ) -> None:
        super().__init__()
        self._every = keras_facts.batches_of(log_freq)
        self._log_model = which_to_keep(log_model)
        self._recording = Recording(
            run=run, experiment=experiment, name=name, run_id=run_id, tags=tags,
            uri=uri, project=project, api_token=api_token,
        )  # fmt: skip
        self._is_fitting = self._took_part = self._is_alone = False
        self._said: dict[str, Any] = {}  # what `fit` was told in so many words
        self._patterns: list[str] = []  # of the files that are checkpoints
        self._files = KeptFiles()
        self._shift: int | None = None  # from Keras' epoch to ours
        self._next_epoch = self._batches = self._batches_before = 0  # the last: this epoch
        self._bind()

    def _bind(self) -> None:
        if self._every:  # Keras waits for each batch where a class has this hook
            self.on_train_batch_end = self._log_batch

    @property
    def run(self) -> Run:
        """The run, started or gone on with at the first need."""
        return self._recording.run

    @property
    def run_id(self) -> str:
        return self._recording.run_id

    # What Keras tells ------------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        rank, processes = keras_facts.place()
        if rank == 0:
            told = keras_facts.simple({**self._said, **(self.params or {})})
            self._recording.log_params({**keras_facts.facts_of(self.model), "fit": told})
            self._is_fitting = self._took_part = True
            self._is_alone = processes == 1
            self._shift = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self._is_fitting:
            return
        if self._shift is None:  # Keras does not say earlier where this `fit` begins
            self._shift = 0 if epoch else self._next_epoch
            if not self._batches:
                self._batches = self._batches_until(epoch)
        self._batches_before = self._batches
        if self._log_model == "all":  # now every callback is done with the epoch before
            self._keep_files()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._stop_if_asked()

    def _log_batch(self, batch: int, logs: Any = None) -> None:
        """Called after `steps_per_execution` batches, of which `batch` is the last."""
        if not self._is_fitting:
            return
        before, self._batches = self._batches, self._batches_before + batch + 1
        if self._batches // self._every > before // self._every:
            values = {f"batch/{name}": value for name, value in (logs or {}).items()}
            if keras.backend.backend() != "jax":  # whose model must be brought up to date first
                values = keras_facts.learning_rate_of(self.model, "batch/") | values
            self._recording.log(values, self._batches - 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._is_fitting:
            step = epoch + (self._shift or 0)
            self._next_epoch = step + 1
            self._recording.log(keras_facts.learning_rate_of(self.model) | (logs or {}), step)
            self._stop_if_asked()

    def on_train_end(self, logs: Any = None) -> None:
        if self._is_fitting:
            self._is_fitting = False
            self._keep_files()
            if self._log_model and not self._patterns:
                self._keep_model()
            self._recording.end()

    def on_test_end(self, logs: Any = None) -> None:
        """Inside `fit` these come again, as `val_`, at the end of the epoch."""
        if self._is_fitting or keras_facts.place()[0]:
            return
        if not self._recording.has_begun:
            self._recording.log_params(keras_facts.facts_of(self.model))
        values = {f"test_{name}": value for name, value in (logs or {}).items()}
        self._recording.log(values, max(0, self._next_epoch - 1))
        self._recording.end()

    def _wants_batches(self) -> bool:
        return bool(self._every)

    # So `tf_keras`, which is Keras 2, asks which of the hooks it need not call.
    _implements_train_batch_hooks = _wants_batches
    _implements_test_batch_hooks = _implements_predict_batch_hooks = _wants_batches

    # What Keras does not tell ------------------------------------------------------------------

    def fit_begins(self, said: dict[str, Any]) -> None:
        """`fit` was called with these arguments; nothing of them was checked yet."""
        beside = _callbacks_in(said) if self._log_model else []
        checkpoints = [each for each in beside if isinstance(each, keras.callbacks.ModelCheckpoint)]
        self._took_part, self._said = (
            False,
            keras_facts.simple(said),
        )  # not its data, which may be large
        self._patterns = [keras_facts.pattern_of(each.filepath) for each in checkpoints]
        for pattern in self._patterns:
            for path in glob(pattern):
                self._files.pass_over(path)

    def failed(self, error: BaseException) -> None:
        """`fit` ended by `error`."""
        if self._took_part:
            self._is_fitting = False
            self._keep_files()
            self._recording.run  # noqa: B018  # another callback failed after the end: reopen it
            self._recording.fail(error)

    def _stop_if_asked(self) -> None:
        """Not where several train together: one that stops leaves the others waiting for it."""
        if self._recording.should_stop and self._is_fitting and self._is_alone:
            self.model.stop_training = True

    def _batches_until(self, epoch: int) -> int:
        """Those before this epoch, which another process trained."""
        if not epoch or (self.params or {}).get("steps"):
            return epoch and int(epoch * self.params["steps"])
        logged = self.run.summary.get("batch/loss")
        return logged.last_step + 1 if logged else 0

    def _keep_files(self) -> None:
        for pattern in self._patterns:
            found = sorted(glob(pattern), key=os.path.getmtime)
            for path in found if self._log_model == "all" else found[-1:]:
                self._files.hear_of(path, "checkpoints")
        self._files.keep(self._recording)

    def _keep_model(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            try:
                self.model.save(path)
                self.run.log_artifact(path)
            except Exception as error:  # noqa: BLE001  # of the user's model; it is trained by now
                getLogger("podstack").warning("the model cannot be saved: %r", error)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name != "on_train_batch_end"}
        return kept | {"_model": None, "_said": {}, "_is_fitting": False, "_took_part": False}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()


_FIT = inspect.signature(keras.Model.fit)


def _said_to_fit(*args: Any, **kwargs: Any) -> dict[str, Any]:
    try:
        return dict(_FIT.bind(*args, **kwargs).arguments)
    except TypeError:  # Keras says so itself
        return {}


def _callbacks_in(said: dict[str, Any]) -> list[Any]:
    given = said.get("callbacks")
    return keras.tree.flatten(getattr(given, "callbacks", given))  # type: ignore[no-any-return]


def _ours(*args: Any, **kwargs: Any) -> list[PodstackCallback]:
    callbacks = _callbacks_in(_said_to_fit(*args, **kwargs))
    return [each for each in callbacks if isinstance(each, PodstackCallback)]


def _begin(*args: Any, **kwargs: Any) -> None:
    for callback in _ours(*args, **kwargs):
        callback.fit_begins(_said_to_fit(*args, **kwargs))


_owner = next(base for base in keras.Model.__mro__ if "fit" in vars(base))  # that of the backend
tell_of_exceptions(_owner, "fit", _ours, first=_begin)
