"""What a training step of Lightning costs its loggers: ours beside Lightning's, in one fit."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from statistics import median
from typing import Any

from tests.benchmarks._folders import scratch
from tests.benchmarks._fresh import in_fresh_process
from tests.benchmarks._tables import Figure, Table, figures_table, ratio_at_most


def tables(*, quick: bool) -> Iterator[Table]:
    steps, rounds, sizes = (50, 1, (1,)) if quick else (2_000, 3, (1, 10))
    yield figures_table(
        f"Lightning: what each of {steps:,} training steps costs its loggers",
        [figure for scalars in sizes for figure in _figures(steps, scalars, rounds)],
        "All three log in the same fit. A mean holds what is written now and then, a median not.",
    )


def _figures(steps: int, scalars: int, rounds: int) -> Iterator[Figure]:
    taken = [in_fresh_process(seconds_of_a_step, steps, scalars) for _ in range(rounds)]
    for place, kind in enumerate(("mean", "median")):
        costs = {name: median(one[name][place] for one in taken) for name in taken[0]}
        for other in ("CSVLogger", "TensorBoardLogger"):
            what = f"{scalars} logged, {kind}"
            yield Figure(
                what, costs["PodstackLogger"], "s", costs[other], other, ratio_at_most(1.0)
            )


def seconds_of_a_step(steps: int, scalars: int) -> dict[str, tuple[float, float]]:
    """Mean and median, for each logger, of its part in logging a step: `log_metrics` and `save`."""
    warnings.simplefilter("ignore")
    import lightning.pytorch as pl
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    from podstack.integrations.lightning import PodstackLogger

    with scratch() as folder:
        loggers = [PodstackLogger(uri=folder), CSVLogger(folder), TensorBoardLogger(folder)]
        timed = {type(logger).__name__: _timed(logger) for logger in loggers}
        trainer = pl.Trainer(
            accelerator="cpu", max_steps=steps, logger=loggers, log_every_n_steps=1,
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(_model(scalars), _batches(steps))
    return {name: (sum(taken) / steps, median(taken)) for name, taken in timed.items()}


def _timed(logger: Any) -> list[float]:
    """The seconds of each step, which begins with `log_metrics` and may end with a `save`."""
    taken: list[float] = []
    log_metrics, save, clock = logger.log_metrics, logger.save, time.perf_counter

    def timed_log(metrics: Any, step: Any = None) -> None:
        started = clock()
        log_metrics(metrics=metrics, step=step)
        taken.append(clock() - started)

    def timed_save() -> None:
        started = clock()
        save()
        if taken:
            taken[-1] += clock() - started

    logger.log_metrics, logger.save = timed_log, timed_save
    return taken


def _model(scalars: int) -> Any:
    import lightning.pytorch as pl
    import torch

    class Model(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self.layer(batch[0]).pow(2).mean()
            self.log_dict({f"loss_{n}": loss for n in range(scalars)})
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    return Model()


def _batches(steps: int) -> Any:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(torch.ones(steps, 4)), 1)
