"""Trainings with Keras, many in one process: `python _keras_situations.py FOLDER [which ...]`.

Keras takes its backend when it is imported, so each backend needs a process of its own, and that
costs seconds. What a situation returns is written to `FOLDER/facts.json` under its name, or the
traceback of what it raised; the runs are in `FOLDER/store`. `test_keras.py` judges both.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import resource
import signal
import sys
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import numpy as np

import podstack.run
from podstack import MLOpsClient, UsageError
from podstack.integrations.keras import PodstackCallback

BACKEND = keras.backend.backend()
FOLDER = Path(sys.argv[1])
STORE = FOLDER / "store"
TOKEN = "very-secret-token"
SITUATIONS: dict[str, Callable[[], Any]] = {}

# Four batches of 16. Without training any jitted step takes long to compile: models are tiny.
X = np.linspace(-1, 1, 64 * 4, dtype="float32").reshape(64, 4)
Y = X.sum(axis=1, keepdims=True)


def situation(*backends: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register it; for these backends only, if any are named."""

    def register(play: Callable[[], Any]) -> Callable[[], Any]:
        if not backends or BACKEND in backends:
            SITUATIONS[play.__name__] = play
        return play

    return register


def new_model(optimizer: Any = None, **compiled: Any) -> Any:
    keras.utils.set_random_seed(7)
    layers = [keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers, name="tiny")
    optimizer = keras.optimizers.Adam(0.001) if optimizer is None else optimizer
    model.compile(optimizer=optimizer, loss="mse", metrics=["mae"], **compiled)
    return model


def callback(run_id: str, *args: Any, **options: Any) -> PodstackCallback:
    return PodstackCallback(*args, run_id=run_id, uri=STORE, **options)


def fit(model: Any, *callbacks: Any, epochs: int = 2, **options: Any) -> Any:
    options = {"batch_size": 16, "shuffle": False, "verbose": 0, **options}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def at_epoch(epoch: int, act: Callable[[dict[str, Any]], Any]) -> Any:
    """A callback that acts at the end of one epoch, on its values."""
    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda now, logs: act(logs) if now == epoch else None
    )


def raising(error: BaseException, epoch: int = 1) -> Any:
    def act(logs: Any) -> None:
        raise error

    return at_epoch(epoch, act)


def status(run_id: str) -> str:
    return MLOpsClient(STORE).get_run(run_id).status


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    os.environ.update(variables)
    yield
    for name in variables:
        del os.environ[name]


@contextmanager
def warnings_of_podstack() -> Iterator[list[str]]:
    heard: list[str] = []

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    logger, handler = logging.getLogger("podstack"), Hearing()
    logger.addHandler(handler)
    logger.propagate = False
    yield heard
    logger.removeHandler(handler)
    logger.propagate = True


# What is logged, and on which x ------------------------------------------------------------------


@situation()
def plain() -> Any:
    model = new_model()
    ours = callback("plain", experiment="digits", name="first", tags=["a"], api_token=TOKEN)
    history = fit(model, ours, epochs=4, validation_data=(X, Y), validation_freq=2).history
    listed = keras.callbacks.CallbackList([ours], model=model)
    bare = keras.callbacks.CallbackList([], model=model)
    return {
        "history": history,
        "tensorflow": sorted(name for name in sys.modules if name == "tensorflow"),
        "is_async": getattr(listed, "_async_train", None),  # Keras 3.5 has none
        "could_be_async": getattr(bare, "_async_train", None),
    }


@situation()
def fits_and_evaluations() -> Any:
    model, ours = new_model(), callback("several-fits", "batch")
    fit(model, ours, validation_data=(X, Y))
    after_first = status("several-fits")
    fit(model, ours, epochs=1)
    fit(model, ours, initial_epoch=3, epochs=5)
    found = model.evaluate(X, Y, callbacks=[ours], verbose=0, return_dict=True)
    return {"after_first": after_first, "found": found}


@situation("torch", "tensorflow")
def initial_epoch() -> None:
    fit(new_model(), callback("initial", "batch"), initial_epoch=3, epochs=5)


@situation()
def every_third_batch() -> Any:
    seen: list[tuple[int, dict[str, float]]] = []
    theirs = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, dict(logs)))
    )
    fit(new_model(), theirs, callback("third", 3))
    return {"loss": [logs["loss"] for _, logs in seen]}


@situation("jax", "tensorflow")
def steps_per_execution() -> None:
    fit(new_model(steps_per_execution=2), callback("jumps", "batch"))
    fit(new_model(steps_per_execution=2), callback("jumps-thinned", 3))


@situation("torch")
def accumulation() -> None:
    adam = keras.optimizers.Adam(0.001, gradient_accumulation_steps=2)
    fit(new_model(adam), callback("accumulated", "batch"))


@situation("torch", "tensorflow")
def unknown_length() -> None:
    def batches() -> Iterator[Any]:
        for i in range(0, 64, 16):
            yield X[i : i + 16], Y[i : i + 16]

    def train(**options: Any) -> None:
        ours = callback("unknown-length", "batch")
        new_model().fit(batches(), callbacks=[ours], verbose=0, **options)

    warnings.simplefilter("ignore", UserWarning)  # that no more batches come
    train(epochs=1)
    train(initial_epoch=1, epochs=2)  # as another process would go on


class Own(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    def __call__(self, step: Any) -> Any:
        return 0.5 / (1.0 + keras.ops.cast(step, "float32"))


@situation()
def schedules() -> None:
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=4, decay_rate=0.5)
    fit(new_model(keras.optimizers.SGD(decay)), callback("decay", "batch"))
    fit(new_model(keras.optimizers.SGD(Own())), callback("own-schedule"))
    halving = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.1 * 0.5**epoch)
    fit(new_model(), callback("halving"), halving)


@situation("torch", "tensorflow")
def odd_values() -> Any:
    def spoil(logs: dict[str, Any]) -> None:
        logs |= {"text": "good", "array": np.ones(3), "inf": float("inf"), "zero-d": np.float32(2)}

    named = new_model()
    named.compile(loss="mse", metrics=[keras.metrics.MeanSquaredError(name="größe / x y")])
    with warnings_of_podstack() as heard:
        fit(named, at_epoch(0, spoil), at_epoch(1, spoil), callback("odd"))
    return heard


@situation()
def not_a_number() -> None:
    ours = callback("nan", "batch")
    broken = np.where(np.arange(64)[:, None] == 20, np.nan, Y)
    new_model().fit(
        X, broken, batch_size=16, epochs=3, shuffle=False, verbose=0,
        callbacks=[keras.callbacks.TerminateOnNaN(), ours],
    )  # fmt: skip


@situation("torch", "tensorflow")
def evaluation_alone() -> Any:
    model = new_model()
    model.predict(X, callbacks=[callback("predicted")], verbose=0)
    return model.evaluate(X, Y, callbacks=[callback("judged")], verbose=0, return_dict=True)


# How runs begin and end --------------------------------------------------------------------------


@situation()
def exceptions() -> Any:
    said = {}
    for name, error in (
        ("failed", ValueError("boom")),
        ("interrupted", KeyboardInterrupt()),
        ("left", SystemExit(3)),
    ):
        try:
            fit(new_model(), callback(name), raising(error))
        except BaseException as caught:  # noqa: BLE001  # a notebook catches all of them
            said[name] = (status(name), caught is error)
    return said


@situation("torch")
def exception_after_the_end() -> Any:
    def fail(logs: Any) -> None:
        raise ValueError("too late")

    theirs = keras.callbacks.LambdaCallback(on_train_end=fail)
    try:
        fit(new_model(), callback("late"), theirs)
    except ValueError:
        return status("late")


@situation("torch")
def wrong_calls() -> Any:
    said = []
    ours = callback("never")
    never_compiled = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    calls: list[tuple[Any, dict[str, Any]]] = [
        (new_model(), {"colour": "red"}),
        (never_compiled, {}),
    ]
    for model, options in calls:
        try:
            fit(model, ours, **options)
        except (TypeError, ValueError) as error:
            said.append(type(error).__name__)
    return said


@situation("torch")
def fit_again_after_an_exception() -> None:
    model, ours = new_model(), callback("again")
    try:
        fit(model, ours, raising(ValueError("boom")))
    except ValueError:
        fit(model, ours, epochs=1)


@situation("torch", "tensorflow")
def run_of_the_caller() -> Any:
    client = MLOpsClient(STORE)
    with client.start_run(run_id="given") as run:
        fit(new_model(), PodstackCallback(run=run))
        between = run.status
        run.log_metrics({"mine": 1.0})
    try:
        with client.start_run(run_id="given-failed") as run:
            try:
                fit(new_model(), PodstackCallback(run=run), raising(ValueError("boom")))
            finally:
                raised = run.status
    except ValueError:
        return [between, raised]


@situation("torch")
def one_after_the_other() -> None:
    for name in ("first", "second"):
        fit(new_model(), callback(name))


@situation("torch")
def early_stopping() -> Any:
    stopping = keras.callbacks.EarlyStopping(monitor="loss", min_delta=1e9, patience=1)
    return fit(new_model(), callback("early"), stopping, epochs=9).epoch


@situation()
def stop_from_outside() -> Any:
    podstack.run._LISTEN_EVERY = 0.0  # the background still looks but once a second
    ours = callback("stopped")

    def ask(logs: Any) -> None:
        MLOpsClient(STORE).get_run("stopped").request_stop()

    slow = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: time.sleep(0.05))
    started = time.monotonic()
    epochs = fit(new_model(), at_epoch(0, ask), slow, ours, epochs=300).epoch
    return {"epochs": len(epochs), "seconds": time.monotonic() - started}


@situation("torch")
def other_ranks() -> Any:
    with environment(RANK="1", WORLD_SIZE="2"):
        model, ours = new_model(), callback("of-rank-1", "batch", log_model=True)
        fit(model, ours, validation_data=(X, Y))
        model.evaluate(X, Y, callbacks=[ours], verbose=0)
        try:
            fit(model, ours, raising(ValueError("boom")))
        except ValueError:
            return ours._recording.is_open


@situation("torch")
def disabled() -> Any:
    with environment(PODSTACK_MODE="disabled"):
        fit(new_model(), PodstackCallback("batch", uri=FOLDER / "nowhere", log_model=True))
    return (FOLDER / "nowhere").exists()


@contextmanager
def no_file_grows() -> Iterator[None]:
    """Every write fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@situation("torch")
def store_unwritable_in_the_middle() -> Any:
    full = no_file_grows()
    with warnings_of_podstack() as heard:
        fit(
            new_model(), at_epoch(1, lambda logs: full.__enter__()), callback("healed", "batch"),
            at_epoch(3, lambda logs: full.__exit__(None, None, None)), epochs=5,
        )  # fmt: skip
        model, ours = new_model(), callback("reopened")
        fit(model, ours)
        with no_file_grows():
            fit(model, ours, epochs=3)
        fit(model, ours, epochs=1)
    return heard


# Files and copies --------------------------------------------------------------------------------


@situation()
def checkpoints() -> Any:
    folder = FOLDER / "checkpoints [1]"  # a name with characters that a pattern would read
    folder.mkdir()
    (folder / "epoch-99-0.10.keras").write_text("of an earlier training")
    each = keras.callbacks.ModelCheckpoint(folder / "epoch-{epoch:02d}-{loss:.2f}.keras")
    best = keras.callbacks.ModelCheckpoint(folder / "best.weights.h5", save_weights_only=True)
    fit(new_model(), callback("checkpoints-all", log_model="all"), each, best)
    fit(new_model(), each, callback("checkpoints-last", log_model=True), best)
    return sorted(os.listdir(folder))


@situation("torch")
def checkpoints_of_a_failure() -> None:
    each = keras.callbacks.ModelCheckpoint(FOLDER / "failed-{epoch}.keras")
    ours = callback("checkpoint-failed", log_model=True)
    try:
        new_model().fit(X, Y, 16, 3, 0, [ours, each, raising(ValueError("boom"))])  # by position
    except ValueError:
        return


@situation("torch")
def overwritten_checkpoint() -> None:
    same = keras.callbacks.ModelCheckpoint(FOLDER / "same.keras")
    with environment(PODSTACK_LOG_MODEL="all"):
        fit(new_model(), same, callback("overwritten"), epochs=3)


class Unsaveable(keras.Sequential):  # type: ignore[misc]
    def save(self, *_: Any, **__: Any) -> None:
        raise ValueError("not this one")


@situation()
def model_itself() -> Any:
    model = new_model()
    fit(model, callback("model", log_model=True))
    path = MLOpsClient(STORE).get_run("model").artifacts["model.keras"].download(FOLDER / "fetched")
    loaded = keras.saving.load_model(path)
    bad = Unsaveable([keras.Input((4,)), keras.layers.Dense(1)])
    bad.compile(loss="mse")
    with warnings_of_podstack() as heard:
        fit(bad, callback("unsaveable", log_model=True))
    same = np.allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)
    return {"same": bool(same), "heard": heard}


@situation()
def backup_and_restore() -> None:
    def train(*others: Any) -> None:
        backup = keras.callbacks.BackupAndRestore(FOLDER / "backup")
        fit(new_model(), callback("restored", "batch"), backup, *others, epochs=4)

    try:
        train(raising(ValueError("boom"), epoch=2))  # the backup of this epoch is made before
    except ValueError:
        train()


@situation()
def copies() -> Any:
    model = new_model()
    ours = callback("copied", "batch", api_token=TOKEN)
    before = [pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours), cloudpickle.dumps(ours)]
    fit(model, ours, epochs=1)
    used = pickle.dumps(ours)
    after = [pickle.loads(used), copy.deepcopy(ours), cloudpickle.loads(cloudpickle.dumps(ours))]
    for other in after:
        fit(model, other, epochs=2, initial_epoch=1)
    fit(model, cloudpickle.loads(before[2]), epochs=3, initial_epoch=2)
    return {
        "ids": [other.run_id for other in (*before[:2], *after)],
        "models": [other._model is None for other in before[:2]],
        "token": TOKEN.encode() in used,
        "size": len(used),
    }


@situation("torch", "tensorflow")
def saved_model() -> Any:
    model = new_model()
    fit(model, callback("saved"))
    path = FOLDER / "saved.keras"
    model.save(path)
    with zipfile.ZipFile(path) as file:
        return [name for name in file.namelist() if b"podstack" in file.read(name).lower()]


# What it costs Keras -----------------------------------------------------------------------------


class Counting(keras.Sequential):  # type: ignore[misc]
    syncs = 0

    def jax_state_sync(self) -> None:
        self.syncs += 1
        super().jax_state_sync()


class Asking(keras.callbacks.Callback):  # type: ignore[misc]
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        assert self.model


@situation("jax")
def state_syncs() -> Any:
    def count(batch_size: int, *callbacks: Any) -> int:
        model = Counting([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(loss="mse")
        fit(model, *callbacks, batch_size=batch_size)
        return model.syncs

    return [
        count(16, *(own(16) for own in more)) - count(64, *(own(64) for own in more))
        for more in (
            [],
            [lambda size: callback(f"syncs-of-{size}")],
            [lambda size: callback(f"syncs-of-batches-of-{size}", "batch")],
            [lambda size: Asking()],
        )
    ]


@situation("torch")
def hooks() -> Any:
    is_default = [getattr(callback("x", f).on_train_batch_end, "_is_default", False)
                  for f in ("epoch", "batch", 10)]  # fmt: skip
    refused = []
    for options in ({"log_freq": 0}, {"log_freq": "step"}, {"log_freq": True}, {"log_model": 2}):
        try:
            callback("x", **options)
        except UsageError as error:
            refused.append(str(error))
    return {"is_default": is_default, "refused": refused}


@situation("torch")
def by_hand() -> None:
    model, ours = new_model(), callback("by-hand", log_model=True)
    listed = keras.callbacks.CallbackList([ours], model=model, epochs=1, steps=1)
    listed.on_train_begin()
    listed.on_epoch_begin(0)
    listed.on_train_batch_begin(0)
    logs = model.train_on_batch(X, Y, return_dict=True)
    listed.on_train_batch_end(0, logs)
    listed.on_epoch_end(0, logs)
    listed.on_train_end(logs)


# Ends that no code of ours survives, in children of their own ------------------------------------


def ends() -> dict[str, int]:
    """Each in a child that is forked before there is a thread; the parent only waits."""

    def terminate(logs: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def kill(logs: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    codes = {}
    for name, act in (("terminated", terminate), ("lost", kill)):
        child = os.fork()
        if not child:
            backup = keras.callbacks.BackupAndRestore(FOLDER / f"backup-{name}")
            fit(new_model(), callback(name, "batch"), backup, at_epoch(2, act), epochs=4)
            os._exit(0)  # it should have died
        codes[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    codes["status"] = [status(name) for name in codes]  # type: ignore[assignment]
    backup = keras.callbacks.BackupAndRestore(FOLDER / "backup-lost")
    fit(new_model(), callback("lost", "batch"), backup, epochs=4)
    return codes


def facts_of(play: Callable[[], Any]) -> Any:
    try:
        return {"said": play()}
    except BaseException:  # noqa: BLE001  # told, and the next situation is played
        return {"raised": traceback.format_exc()}


if __name__ == "__main__":
    chosen = {"ends": ends} if sys.argv[2:] == ["ends"] else SITUATIONS
    facts = {name: facts_of(play) for name, play in chosen.items()}
    (FOLDER / "facts.json").write_text(json.dumps(facts))
