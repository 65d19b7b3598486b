"""What an epoch and a batch of Keras cost our callback: beside its own CSVLogger, in one fit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._tables import Figure, Table, figures_table, ratio_at_most

_OURS, _EACH_BATCH = "ours", "ours, each batch"
_CSV, _CSV_RATE, _CSV_BATCH = "CSVLogger", "CSVLogger + rate", "CSVLogger's row + rate"
_BEGINS = ("on_epoch_begin", "on_train_batch_begin")
_ENDS = ("on_epoch_end", "on_train_batch_end")


def tables(*, quick: bool) -> Iterator[Table]:
    count, rounds = (20, 1) if quick else (1_000, 3)
    yield figures_table(
        f"Keras on torch: what each of {count:,} epochs or batches costs its callbacks",
        [*_figures(count, rounds)],
        "All log in the same fit; an epoch has one batch. CSVLogger writes a row for each epoch.",
        "'+ rate': the row holds the learning rate, as ours does, read as Keras' own callbacks do.",
    )


def _figures(count: int, rounds: int) -> Iterator[Figure]:
    epochs = [in_fresh_process(seconds_of, count, 1) for _ in range(rounds)]
    batches = [in_fresh_process(seconds_of, 1, count) for _ in range(rounds)]
    same = ratio_at_most(1.0)
    for taken, ours, theirs, what, target in (
        (epochs, _OURS, _CSV_RATE, "an epoch", same),
        (epochs, _OURS, _CSV, "an epoch", None),
        (batches, _EACH_BATCH, _CSV_BATCH, "a batch, with log_freq='batch'", same),
        (batches, _OURS, _CSV_BATCH, "a batch, with log_freq='epoch'", same),
    ):
        for place, kind in enumerate(("mean", "median")):
            value, baseline = (median(one[name][place] for one in taken) for name in (ours, theirs))
            yield Figure(f"{what}, {kind}", value, "s", baseline, theirs, target)


def seconds_of(epochs: int, batches: int) -> dict[str, tuple[float, float]]:
    """Mean and median of what each epoch, or each batch of the only epoch, costs a callback."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import numpy as np

    from podstack import MLOpsClient
    from podstack.integrations.keras import PodstackCallback

    class WithRate(keras.callbacks.CSVLogger):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            super().on_epoch_end(epoch, {**logs, "learning_rate": rate})

    class EachBatch(WithRate):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            super().on_epoch_end(batch, logs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            pass

    with scratch() as folder:
        callbacks = {
            _OURS: PodstackCallback(uri=folder),
            _EACH_BATCH: PodstackCallback("batch", uri=folder),
            _CSV: keras.callbacks.CSVLogger(f"{folder}/epochs.csv"),
            _CSV_RATE: WithRate(f"{folder}/rates.csv"),
            _CSV_BATCH: EachBatch(f"{folder}/batches.csv"),
        }
        timed = {name: _timed(callback, epochs > 1) for name, callback in callbacks.items()}
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(optimizer="adam", loss="mse", metrics=["mae"])
        data = np.ones((batches, 4)), np.ones((batches, 1))
        model.fit(*data, 1, epochs, 0, list(callbacks.values()))
        ours = MLOpsClient(folder).get_run(callbacks[_OURS].run_id)
        ours.flush()  # so that the background is done with the folder
    return {name: (sum(each) / len(each), median(each)) for name, each in timed.items()}


def _timed(callback: Any, by_epoch: bool) -> list[float]:
    """The seconds that all hooks of an epoch take, or all of a batch."""
    taken: list[float] = []
    for name in _BEGINS + _ENDS if by_epoch else (_BEGINS[1], _ENDS[1]):
        is_first = name == _BEGINS[0 if by_epoch else 1]
        setattr(callback, name, _timing(getattr(callback, name), taken, is_first))
    return taken


def _timing(hook: Any, taken: list[float], is_first: bool) -> Any:
    clock = time.perf_counter

    def timing(*args: Any, **kwargs: Any) -> None:
        started = clock()
        hook(*args, **kwargs)
        seconds = clock() - started
        if is_first:
            taken.append(0.0)
        taken[-1] += seconds

    return timing
