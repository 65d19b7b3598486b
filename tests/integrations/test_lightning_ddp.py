"""Lightning on two processes: workers that it spawns, and a script that it runs again."""

from __future__ import annotations

import pytest

from podstack import MLOpsClient, Run
from podstack.testing.stage import Ended, Stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # eight processes import torch

OPENING = """
import lightning.pytorch as pl, torch, warnings
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers.logger import DummyExperiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch.utils.data import DataLoader, TensorDataset
from podstack import MLOpsClient
from podstack.integrations.lightning import PodstackLightningCallback, PodstackLogger
warnings.simplefilter("ignore")

class Model(pl.LightningModule):
    def __init__(self, during=None):
        super().__init__()
        self.save_hyperparameters({"lr": 0.1})
        self.layer, self.during = torch.nn.Linear(4, 1), during
    def training_step(self, batch, batch_idx):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        self.log("synced", loss, sync_dist=True)
        if self.during is not None:
            self.during(self)
        return loss
    def test_step(self, batch, batch_idx):
        self.log("test_loss", self.layer(batch[0]).pow(2).mean(), sync_dist=True)
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.ones(32, 4)), 2)
    test_dataloader = train_dataloader

class OnlyRankZeroHasTheRun(Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        experiment = trainer.logger.experiment
        assert isinstance(experiment, DummyExperiment) == (not trainer.is_global_zero)
        experiment.set_notes("from rank zero")

def boom_on_rank_1(module):
    if module.global_rank == 1 and module.global_step == 2:
        raise ValueError("boom on rank 1")

def die_on_rank_0(module):
    if module.global_rank == 0 and module.global_step == 2:
        os.kill(os.getpid(), signal.SIGKILL)

def ask_to_stop(module):
    if module.global_rank == 0 and module.global_step == 2:
        run = module.logger.experiment
        run.request_stop()
        run._listen_at = 0.0
        run.tick()

def trainer(logger, strategy, **options):
    return pl.Trainer(accelerator="cpu", devices=2, strategy=strategy, logger=logger, **{
        "log_every_n_steps": 1, "enable_progress_bar": False, "enable_model_summary": False,
        "max_epochs": 1, "num_sanity_val_steps": 0, **options})
"""

SPAWN = (
    OPENING
    + """
if __name__ == "__main__":
    uri = client.uri
    logger = PodstackLogger(run_id="fit", uri=uri, log_model=True)
    model = Model()
    callbacks = [OnlyRankZeroHasTheRun(), PodstackLightningCallback()]
    trainer(logger, "ddp_spawn", callbacks=callbacks).fit(model)
    logger.log_metrics({"after": 1.0})
    logger.finalize("success")
    fresh = PodstackLogger(name="unnamed", uri=uri)
    trainer(fresh, "ddp_spawn", max_epochs=9, enable_checkpointing=False,
            callbacks=[PodstackLightningCallback()]).fit(Model(ask_to_stop))
    for name, during in (("boom", boom_on_rank_1), ("died", die_on_rank_0)):
        logger = PodstackLogger(run_id=name, uri=uri)
        try:
            trainer(logger, "ddp_spawn", enable_checkpointing=False).fit(Model(during))
        except Exception as error:
            print(name, type(error).__name__, logger.experiment.status, flush=True)
    del logger, fresh
    import gc; gc.collect()
    print("left:", [name for name in os.environ if name == "PODSTACK_HANDED_DOWN"])
"""
)


def runs(client: MLOpsClient) -> dict[str, Run]:
    return {run.id: run for run in client.list_runs()}


def test_spawned_workers_record_into_the_parents_run(stage: Stage, client: MLOpsClient) -> None:
    ended: Ended = stage.play(SPAWN, deadline=1400.0)
    found = runs(client)
    fit, boom, died = (found.pop(name) for name in ("fit", "boom", "died"))
    (stopped,) = found.values()

    assert ended.code == 0, ended.err
    assert (fit.status, fit.params, fit.notes) == ("completed", {"lr": 0.1}, "from rank zero")
    assert list(fit.metrics["loss"].steps) == list(range(8))
    assert list(fit.metrics["trainer/global_step"].values) == list(range(1, 9))
    assert "after" in fit.metrics
    assert len(fit.artifacts) == 1
    assert (boom.status, died.status) == ("failed", "failed")
    assert boom.error is not None
    assert "boom on rank 1" in boom.error
    assert died.error is not None
    assert "SIGKILL" in died.error
    assert (stopped.name, stopped.status) == ("unnamed", "completed")
    assert list(stopped.metrics["loss"].steps) == [0, 1, 2]
    assert "left: []" in ended.out


SCRIPT = (
    OPENING
    + """
if __name__ == "__main__":
    logger = PodstackLogger(uri=client.uri)
    print(f"rank {rank_zero_only.rank} means {logger.version}", flush=True)
    model, one = Model(), trainer(logger, "ddp", callbacks=[OnlyRankZeroHasTheRun()])
    one.fit(model)
    print("left:", [name for name in os.environ if name == "PODSTACK_HANDED_DOWN"
          and os.environ[name].startswith(f"{os.getpid()}:")], flush=True)
    one.test(model, verbose=False)
    failing = PodstackLogger(name="failing", uri=client.uri)
    try:
        trainer(failing, "ddp").fit(Model(boom_on_both))
    except ValueError:
        print(f"rank {rank_zero_only.rank} failed", flush=True)
"""
)


def test_a_script_that_is_run_again_for_rank_1_means_the_same_run(
    stage: Stage, client: MLOpsClient
) -> None:
    both = "def boom_on_both(module):\n    raise ValueError('boom')\n"
    ended = stage.play(SCRIPT.replace("if __name__", both + "if __name__", 1), deadline=1400.0)
    first, second = client.list_runs()
    said = sorted(line for line in ended.out.splitlines() if "means" in line)

    assert ended.code == 0, ended.err
    assert said == [f"rank {rank} means {first.id}" for rank in (0, 1)]
    assert (first.status, list(first.metrics["loss"].steps)) == ("completed", list(range(8)))
    assert "test_loss" in first.metrics
    assert (second.name, second.status) == ("failing", "failed")
    assert ended.out.count("left: []") == 2
