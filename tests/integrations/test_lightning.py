"""Lightning: real Trainers and a real small model; what its logger and its callback record."""

from __future__ import annotations

import copy
import gc
import itertools
import logging
import os
import pickle
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers.logger import Logger as FabricLogger
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers.logger import DummyExperiment, Logger
from lightning.pytorch.tuner import Tuner
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import OmegaConf
from torch.utils.data import DataLoader, TensorDataset

from podstack import MLOpsClient, Run, UsageError
from podstack.integrations.lightning import PodstackLightningCallback, PodstackLogger
from podstack.testing.stage import DEADLINE, Stage

pytestmark = [
    # Advice for real trainings, which a training of a second has no use for.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*is smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before"),
    # Lightning's and torch's own use of what they deprecate.
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*weights_only"),
]


class Model(pl.LightningModule):
    """Four weights, and a hook that a test may put into its training step."""

    def __init__(self, lr: float = 0.1, during: Callable[[int], None] | None = None) -> None:
        super().__init__()
        self.save_hyperparameters("lr")
        self.lr = lr
        self.during = during
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        if self.during is not None:
            self.during(self.global_step)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.layer(batch[0]).pow(2).mean())

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_loss", self.layer(batch[0]).pow(2).mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.lr)

    def train_dataloader(self) -> DataLoader[Any]:
        return batches(8)

    def val_dataloader(self) -> DataLoader[Any]:
        return batches(2)

    def test_dataloader(self) -> DataLoader[Any]:
        return batches(2)


def batches(count: int) -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.ones(2 * count, 4)), 2)


def trainer(logger: Any, **options: Any) -> pl.Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    plain = {"accelerator": "cpu", "max_epochs": 1, "log_every_n_steps": 1}
    return pl.Trainer(
        **{"enable_checkpointing": False, **quiet, **plain, **options, "logger": logger}
    )


def steps(run: Run, name: str) -> list[int]:
    return [int(step) for step in run.metrics[name].steps]


def values(run: Run, name: str) -> list[float]:
    return [float(value) for value in run.metrics[name].values]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.pop("PODSTACK_HANDED_DOWN", None)  # of loggers that were made and never used


@pytest.fixture
def logger(store: Path) -> PodstackLogger:
    return PodstackLogger("digits", uri=store)


@pytest.fixture
def recorded(logger: PodstackLogger, client: MLOpsClient) -> Callable[[], Run]:
    """The one run of the store, which must be the logger's."""

    def read() -> Run:
        (run,) = client.list_runs()
        assert run.id == logger.run_id
        return run

    return read


# What is logged, and on which x -----------------------------------------------------------------


def test_a_fit_is_one_completed_run_with_lightnings_names_and_steps(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    trainer(logger, max_epochs=2).fit(Model())
    run = recorded()

    assert (run.status, run.experiment_id, run.params) == ("completed", "digits", {"lr": 0.1})
    assert set(run.metrics) == {"loss", "val_loss", "epoch"}
    assert steps(run, "loss") == list(range(16))
    assert steps(run, "val_loss") == [7, 15]  # and nothing of the sanity check
    assert values(run, "epoch") == [0.0] * 8 + [1.0] * 8


def test_fit_validate_and_test_are_one_run(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    model, one = Model(), trainer(logger)
    one.fit(model)
    one.validate(model, verbose=False)
    one.test(model, verbose=False)
    run = recorded()

    assert run.status == "completed"
    assert set(run.metrics) == {"loss", "val_loss", "test_loss", "epoch"}
    assert steps(run, "test_loss") == [8]


def test_a_validation_alone_is_logged_at_0(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    trainer(logger).validate(Model(), verbose=False)

    assert steps(recorded(), "val_loss") == [0]


def test_x_counts_what_accumulated_batches_make(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    trainer(logger, accumulate_grad_batches=4, max_epochs=2).fit(Model())

    assert steps(recorded(), "loss") == [0, 1, 2, 3]


def test_every_nth_step_is_logged_where_that_is_asked_for(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    monitor = LearningRateMonitor(logging_interval="step")
    trainer(logger, log_every_n_steps=3, callbacks=[monitor]).fit(Model())
    run = recorded()

    assert steps(run, "loss") == [2, 5]
    assert steps(run, "lr-SGD") == [2, 5]


class TwoOptimizers(Model):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(batch, batch_idx)
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            optimizer.zero_grad()
            self.manual_backward(loss, retain_graph=True)
            optimizer.step()
        return loss

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD([weight], 0.1) for weight in self.parameters()]


def test_two_optimizers_do_not_stretch_x_and_the_callback_tells_of_both(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    trainer(logger, callbacks=[PodstackLightningCallback()]).fit(TwoOptimizers())
    run = recorded()

    assert steps(run, "loss") == list(range(8))
    assert values(run, "trainer/global_step") == [float(2 * n + 2) for n in range(8)]


class StepsOfItsOwn(Model):
    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.log("step", torch.tensor(100.0 * batch_idx))
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("each", float(batch_idx), on_step=True, on_epoch=True)


def test_a_logged_step_becomes_x_and_validation_batches_count_on(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    trainer(logger, max_epochs=2).fit(StepsOfItsOwn())
    run = recorded()

    assert steps(run, "loss") == [100 * n for n in range(8)]  # the second epoch supersedes
    assert len(run.metrics["loss"].raw) == 16
    assert steps(run, "each_step") == [0, 1, 2, 3]
    assert steps(run, "each_epoch") == [7, 15]


class OddNames(Model):
    NAMES: ClassVar[list[str]] = ["val/loss", "точность %", "a b", "x" * 200]

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        for name in self.NAMES:
            self.log(name, float([1, "nan", "inf", "-inf"][batch_idx % 4]))
        return super().training_step(batch, batch_idx)


def test_odd_names_and_numbers_that_are_none_are_kept(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    trainer(logger, limit_train_batches=4).fit(OddNames())
    run = recorded()

    for name in OddNames.NAMES:
        assert str(values(run, name)) == "[1.0, nan, inf, -inf]"


def test_every_scalar_is_taken_and_a_text_costs_one_warning(
    logger: PodstackLogger, recorded: Callable[[], Run], caplog: pytest.LogCaptureFixture
) -> None:
    given = {
        "tensor": torch.tensor(0.5),
        "one": torch.tensor([0.5]),
        "bf16": torch.tensor(0.5, dtype=torch.bfloat16, requires_grad=True),
        "numpy": np.float32(0.5),
        "bool": True,
        "none": None,
        "text": "good",
    }
    with caplog.at_level(logging.WARNING, "podstack"):
        logger.log_metrics(given, step=3)
        logger.log_metrics(given, step=np.int64(1))  # type: ignore[arg-type]
    logger.finalize("success")
    run = recorded()

    assert set(run.metrics) == {"tensor", "one", "bf16", "numpy", "bool"}
    assert steps(run, "tensor") == [1, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "not a number, so not logged: 'none', 'text'"
    ]


def test_a_prefix_stands_before_each_name(store: Path, client: MLOpsClient) -> None:
    logger = PodstackLogger(uri=store, prefix="fold1")
    logger.log_metrics({"loss": 1.0}, step=0)
    logger.finalize("success")

    assert list(client.get_run(logger.run_id).metrics) == ["fold1-loss"]


# Hyperparameters ---------------------------------------------------------------------------------


@dataclass
class Width:
    wide: int = 3
    deep: int | None = None


def test_hyperparameters_of_every_kind_are_typed_and_nothing_is_called(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    calls: list[int] = []
    config = OmegaConf.create({"a": 2, "b": "${a}", "c": "???", "d": [1, {"e": None}], "f": {}})
    logger.log_hyperparams({"lr": 0.1, "cfg": config, "width": Width(), "ns": Namespace(x=True)})
    logger.log_hyperparams(
        {
            "call": lambda: calls.append(1),
            "net": torch.nn.ReLU,
            "dtype": torch.float16,
            "none": None,
        }
    )
    logger.log_hyperparams({"empty": [], "nothing": {}, "blocks": [{"k": 1}], "lr": 0.2})
    logger.log_hyperparams(Namespace(api_token="hush", many="x" * 10_000))
    logger.log_hyperparams(None)
    logger.finalize("success")
    params = recorded().params

    assert {name: params[name] for name in params if name.startswith("cfg")} == {
        "cfg/a": 2, "cfg/b": 2, "cfg/c": "???", "cfg/d": [1, {"e": None}], "cfg/f": {},
    }  # fmt: skip
    assert (params["width/wide"], params["width/deep"], params["ns/x"]) == (3, None, True)
    assert params["call"].endswith("<lambda>")
    assert calls == []
    assert (params["net"], params["dtype"]) == ("torch.nn.modules.activation.ReLU", "torch.float16")
    assert (params["none"], params["empty"], params["nothing"]) == (None, [], {})
    assert params["blocks"] == [{"k": 1}]
    assert params["lr"] == 0.2
    assert params["api_token"] != "hush"
    assert len(params["many"]) == 10_000


def test_a_hyperparameter_that_cannot_be_stored_costs_only_itself(
    logger: PodstackLogger, recorded: Callable[[], Run], caplog: pytest.LogCaptureFixture
) -> None:
    logger.log_hyperparams({"lr": 0.1, "huge": "x" * 2_000_000})
    logger.finalize("success")

    assert recorded().params == {"lr": 0.1}
    assert "cannot be stored: 'huge'" in caplog.text


def test_a_configuration_that_a_module_saves_is_recorded_resolved(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    class Configured(Model):
        def __init__(self, cfg: Any, steps: tuple[int, ...]) -> None:
            super().__init__()
            self.save_hyperparameters()

    trainer(logger).fit(Configured(OmegaConf.create({"lr": 0.1, "same": "${lr}"}), (1, 2)))

    assert recorded().params == {"lr": 0.1, "cfg/lr": 0.1, "cfg/same": 0.1, "steps": [1, 2]}


# When a run comes to be --------------------------------------------------------------------------


def test_no_run_comes_of_making_copying_and_trying(logger: PodstackLogger, store: Path) -> None:
    pickle.loads(pickle.dumps(logger))
    copy.deepcopy(logger)
    trainer(logger, fast_dev_run=True).fit(Model())
    one = trainer(logger)
    Tuner(one).lr_find(Model(), num_training=5, update_attr=False)
    logger.finalize("success")

    assert (bool(logger), hasattr(logger, "__iter__")) == (True, False)
    assert not store.exists()


@pytest.mark.filterwarnings("ignore:.*The `batch_size` arg")
def test_looking_for_a_batch_size_makes_no_run(logger: PodstackLogger, store: Path) -> None:
    class Sized(Model):
        batch_size = 2

        def train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(TensorDataset(torch.ones(16, 4)), self.batch_size)

    Tuner(trainer(logger)).scale_batch_size(Sized(), max_trials=2, steps_per_trial=1)

    assert not store.exists()


def test_another_rank_records_nothing(
    logger: PodstackLogger, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger.log_metrics({"x": 1.0}, 0)
    logger.log_hyperparams({"x": 1.0})
    logger.log_graph(None)
    logger.finalize("failed")

    assert isinstance(logger.experiment, DummyExperiment)
    assert not store.exists()


def test_the_experiment_is_the_run_itself(
    logger: PodstackLogger, recorded: Callable[[], Run], tmp_path: Path
) -> None:
    early = logger.experiment
    early.set_notes("from outside")
    (tmp_path / "file.txt").write_text("hello")

    def log_a_file(step: int) -> None:
        logger.experiment.log_artifact(tmp_path / "file.txt")

    trainer(logger).fit(Model(during=log_a_file))
    run = recorded()

    assert isinstance(early, Run)
    assert isinstance(logger.experiment, Run)
    assert early.id == pickle.loads(pickle.dumps(early)).id == run.id
    assert (run.notes, list(run.artifacts)) == ("from outside", ["file.txt"])


def test_a_run_that_is_finished_by_hand_is_reopened_by_what_is_logged(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    model, one = Model(), trainer(logger)
    one.fit(model)
    assert logger.experiment.status == "completed"  # to ask reopens nothing
    logger.log_metrics({"mine": 1.0})
    logger.experiment.finish()
    one.test(model, verbose=False)
    run = recorded()

    assert run.status == "completed"
    assert {"mine", "test_loss"} < set(run.metrics)


def test_folds_on_one_logger_lose_nothing(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    for _ in range(2):
        trainer(logger).fit(Model())

    assert len(recorded().metrics["loss"].raw) == 16


def test_two_loggers_after_each_other_are_two_runs(store: Path, client: MLOpsClient) -> None:
    for name in ("first", "second"):
        trainer(PodstackLogger(name=name, uri=store)).fit(Model())

    assert [(run.name, run.status) for run in client.list_runs()] == [
        ("first", "completed"),
        ("second", "completed"),
    ]


def test_a_run_of_the_callers_is_not_ended(client: MLOpsClient) -> None:
    with client.start_run(name="mine") as run:
        logger = PodstackLogger(run=run)
        trainer(logger).fit(Model())

        assert (run.status, logger.experiment, logger.version) == ("running", run, run.id)
    assert steps(run, "loss") == list(range(8))
    assert run.status == "completed"


def test_several_loggers_beside_each_other(store: Path, client: MLOpsClient) -> None:
    loggers = [PodstackLogger(uri=store), PodstackLogger(uri=store, prefix="b")]
    trainer(loggers).fit(Model())

    assert [len(run.metrics) for run in client.list_runs()] == [3, 3]


# Copies ------------------------------------------------------------------------------------------

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda it: pickle.loads(pickle.dumps(it)),
    "cloudpickle": lambda it: pickle.loads(cloudpickle.dumps(it)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_from_before_and_after_the_first_use_mean_one_run(
    logger: PodstackLogger, recorded: Callable[[], Run], copied: Callable[[Any], Any]
) -> None:
    before = copied(logger)
    logger.log_metrics({"x": 0.0}, step=0)
    after = copied(logger)
    before.log_metrics({"x": 1.0}, step=1)
    after.log_metrics({"x": 2.0}, step=2)
    for each in (before, after, logger):
        each.finalize("success")
    run = recorded()

    assert before.version == after.version == run.id
    assert (values(run, "x"), run.status) == ([0.0, 1.0, 2.0], "completed")


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_trainer_with_the_logger_and_the_callback_can_be_copied(
    store: Path, client: MLOpsClient, copied: Callable[[Any], Any]
) -> None:
    logger = PodstackLogger(uri=store, api_token="very-secret")
    one = trainer(logger, callbacks=[PodstackLightningCallback()], log_every_n_steps=100)
    one.fit(Model())
    other = copied(one)
    other.logger.log_metrics({"acc": 1.0})
    other.logger.finalize("success")
    (run,) = client.list_runs()

    assert (run.id, other.logger.name) == (logger.version, logger.name)
    assert "acc" in run.metrics
    assert b"very-secret" not in cloudpickle.dumps(one)


# Endings -----------------------------------------------------------------------------------------


def boom(step: int) -> None:
    if step == 2:
        raise ValueError("boom")


def interrupt(step: int) -> None:
    if step == 2:
        raise KeyboardInterrupt


def test_an_exception_fails_the_run_with_its_traceback(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    with pytest.raises(ValueError, match="boom"):
        trainer(logger).fit(Model(during=boom))
    run = recorded()

    assert run.status == "failed"
    assert run.error is not None
    assert 'raise ValueError("boom")' in run.error
    assert steps(run, "loss") == [0, 1]


def test_ctrl_c_kills_the_run(logger: PodstackLogger, recorded: Callable[[], Run]) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit):
            trainer(logger).fit(Model(during=interrupt))
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning leaves it ignored
    run = recorded()

    assert (run.status, run.error) == ("killed", None)


def test_a_failure_before_anything_was_recorded_is_recorded(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    class Unready(Model):
        def setup(self, stage: str) -> None:
            raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        trainer(logger).fit(Unready())

    assert recorded().status == "failed"


def test_a_job_that_goes_on_later_is_killed_until_it_does(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    logger.log_metrics({"x": 1.0}, 0)
    logger.finalize("finished")
    assert recorded().status == "killed"
    logger.log_metrics({"x": 2.0}, 1)
    assert recorded().status == "running"
    logger.finalize("success")

    assert (recorded().status, values(recorded(), "x")) == ("completed", [1.0, 2.0])


def test_a_failure_that_lightning_tells_without_an_exception(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    logger.log_metrics({"x": 1.0}, 0)
    logger.finalize("failed")

    assert recorded().status == "failed"


def replace_by_a_file(store: Path) -> None:
    """Although the background writes to the store and may make it anew."""
    for attempt in itertools.count():
        store.rename(store.with_name(f"gone{attempt}"))
        try:
            store.write_text("no folder any more")
        except IsADirectoryError:
            continue
        return


def test_training_and_a_test_finish_where_the_store_goes_away_in_the_middle(
    logger: PodstackLogger, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def lose_the_store(step: int) -> None:
        if step == 2:
            replace_by_a_file(store)

    model, one = Model(during=lose_the_store), trainer(logger)
    with caplog.at_level(logging.WARNING, "podstack"):
        one.fit(model)
        one.test(model, verbose=False)

    assert one.global_step == 8
    assert f"what follows of run {logger.run_id} is not recorded" in caplog.text


def test_disabled_nothing_is_written(
    logger: PodstackLogger, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_MODE", "disabled")
    model, one = Model(), trainer(logger, callbacks=[PodstackLightningCallback()])
    one.fit(model)
    one.test(model, verbose=False)

    assert not store.exists()


HELPERS = """
import lightning.pytorch as pl, torch, warnings
from lightning.fabric import Fabric
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset
from podstack.integrations.lightning import PodstackLightningCallback, PodstackLogger
warnings.simplefilter("ignore")
class Model(pl.LightningModule):
    def __init__(self, during=None):
        super().__init__()
        self.layer, self.during = torch.nn.Linear(4, 1), during
    def training_step(self, batch, batch_idx):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        if self.during is not None:
            self.during(self.global_step)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.ones(16, 4)), 2)
def trainer(logger, **options):
    return pl.Trainer(accelerator="cpu", logger=logger, log_every_n_steps=1, **{
        "max_epochs": 1, "enable_progress_bar": False, "enable_model_summary": False, **options})
"""


def test_sigterm_is_lightnings_to_handle_and_kill_9_leaves_a_run_to_go_on_with(
    stage: Stage, store: Path, client: MLOpsClient, tmp_path: Path
) -> None:
    child = stage.start(
        HELPERS
        + """
def send(number):
    return lambda step: step == 2 and os.kill(os.getpid(), number)
saving = ModelCheckpoint(dirpath="saved", save_on_exception=True)
logger = PodstackLogger(run_id="sigterm", uri=client.uri, log_model=True)
try:
    trainer(logger, callbacks=[saving]).fit(Model(send(signal.SIGTERM)))
except SystemExit as error:
    print("graceful", error.code)
saving = ModelCheckpoint(dirpath="kill9", every_n_train_steps=1, save_top_k=1)
logger = PodstackLogger(run_id="kill9", uri=client.uri, log_model="all")
trainer(logger, callbacks=[saving]).fit(Model(send(signal.SIGKILL)))
"""
    )
    ended = child.wait()
    dead = client.get_run("kill9")
    (checkpoint,) = (tmp_path / "kill9").iterdir()
    status = dead.status
    kept = list(dead.artifacts)
    trainer(PodstackLogger(run_id="kill9", uri=store)).fit(Model(), ckpt_path=checkpoint)

    assert (ended.code, ended.out) == (-signal.SIGKILL, "graceful None\n")
    terminated = client.get_run("sigterm")
    assert (terminated.status, steps(terminated, "loss")) == ("killed", [0, 1, 2])
    assert list(terminated.artifacts) == ["checkpoints/saved/epoch=0-step=3.ckpt"]
    assert status == "failed"
    assert kept[-1] == f"checkpoints/kill9/{checkpoint.name}"
    assert (dead.status, steps(dead, "loss")) == ("completed", list(range(8)))


# Checkpoints -------------------------------------------------------------------------------------


def test_no_checkpoint_is_kept_unless_that_is_asked_for(
    logger: PodstackLogger, recorded: Callable[[], Run]
) -> None:
    trainer(logger, enable_checkpointing=True).fit(Model())

    assert list(recorded().artifacts) == []
    (saved,) = Path(logger.log_dir, "checkpoints").iterdir()
    assert saved.name == "epoch=0-step=8.ckpt"


@pytest.mark.parametrize(
    ("log_model", "names"),
    [
        (True, {"epoch=2-step=24.ckpt", "last.ckpt"}),
        (
            "all",
            {"epoch=0-step=8.ckpt", "epoch=1-step=16.ckpt", "epoch=2-step=24.ckpt", "last.ckpt"},
        ),
    ],
)
def test_checkpoints_that_rotate_are_kept_at_the_end_or_each_in_time(
    store: Path, client: MLOpsClient, log_model: Any, names: set[str]
) -> None:
    logger = PodstackLogger(uri=store, log_model=log_model)
    saving = ModelCheckpoint(save_top_k=1, save_last=True)
    trainer(logger, enable_checkpointing=True, callbacks=[saving], max_epochs=3).fit(Model())
    run = client.get_run(logger.run_id)
    newest = run.artifacts["checkpoints/epoch=2-step=24.ckpt"].read_bytes()

    assert set(run.artifacts) == {f"checkpoints/{name}" for name in names}
    assert newest == Path(saving.best_model_path).read_bytes()


def test_where_all_are_to_stay_they_are_kept_during_training(
    store: Path, client: MLOpsClient
) -> None:
    logger = PodstackLogger(uri=store, log_model=True)
    seen: list[int] = []
    saving = ModelCheckpoint(save_top_k=-1, every_n_train_steps=2)

    def look(step: int) -> None:
        seen.append(len(client.get_run(logger.run_id).artifacts))

    trainer(logger, enable_checkpointing=True, callbacks=[saving]).fit(Model(during=look))

    assert seen == [0, 0, 1, 1, 2, 2, 3, 3]


def test_all_checkpoint_callbacks_are_kept_also_when_training_fails(
    store: Path, client: MLOpsClient, tmp_path: Path
) -> None:
    logger = PodstackLogger(uri=store, log_model=True)
    callbacks = [
        ModelCheckpoint(tmp_path / "a", every_n_train_steps=1),
        ModelCheckpoint(tmp_path / "b", filename="{val/loss}-x", save_on_exception=True),
    ]
    with pytest.raises(ValueError, match="boom"):
        trainer(logger, enable_checkpointing=True, callbacks=callbacks).fit(Model(during=boom))
    run = client.get_run(logger.run_id)

    assert run.status == "failed"
    assert len(run.artifacts) == 2
    assert {path.split("/")[1] for path in run.artifacts} == {"a", "b"}


def test_the_environment_may_ask_for_checkpoints(
    store: Path, client: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_LOG_MODEL", "all")
    monkeypatch.setenv("PODSTACK_URI", str(store))
    logger = PodstackLogger(save_dir="elsewhere")
    trainer(logger, enable_checkpointing=True).fit(Model())

    assert len(client.get_run(logger.run_id).artifacts) == 1
    assert sorted(path.name for path in Path("elsewhere").iterdir()) == ["default"]
    with pytest.raises(UsageError, match="log_model is True, False or 'all', not 'some'"):
        PodstackLogger(log_model="some")  # type: ignore[arg-type]


# Names and folders -------------------------------------------------------------------------------


def test_names_and_folders_are_stable_and_never_none(tmp_path: Path) -> None:
    for logger in (
        PodstackLogger(),
        PodstackLogger("Größe: a/b", uri="memory://somewhere", save_dir=tmp_path),
        PodstackLogger("digits", "first", run_id="mine"),
    ):
        texts = [logger.name, logger.version, logger.save_dir, logger.root_dir, logger.log_dir]
        again = [logger.name, logger.version, logger.save_dir, logger.root_dir, logger.log_dir]

        assert texts == again
        assert all(type(text) is str and text for text in texts)
        assert "/" not in logger.name + logger.version
        assert logger.log_dir == os.path.join(logger.save_dir, logger.name, logger.version)
        assert trainer(logger).log_dir == logger.save_dir


def test_save_dir_is_the_store_where_nothing_else_names_one(store: Path) -> None:
    trainer(PodstackLogger(save_dir=store), enable_checkpointing=True).fit(Model())
    (run,) = MLOpsClient(store).list_runs()

    assert (store / "default" / run.id / "checkpoints" / "epoch=0-step=8.ckpt").is_file()


def test_a_handed_down_id_goes_with_the_run_however_it_ends(store: Path) -> None:
    logger = PodstackLogger(uri=store)
    name = "PODSTACK_HANDED_DOWN"
    assert os.environ[name] == f"{os.getpid()}:{logger.run_id}"
    trainer(logger).fit(Model())
    assert name not in os.environ
    failing = PodstackLogger(uri=store)
    with pytest.raises(ValueError, match="boom"):
        trainer(failing).fit(Model(during=boom))
    assert name not in os.environ
    unused = PodstackLogger(uri=store)
    assert name in os.environ
    del unused
    gc.collect()
    assert name not in os.environ
    PodstackLogger(uri=store, run_id="mine")

    assert name not in os.environ  # the script says it to its children itself


# The command line, the other distribution, Fabric ------------------------------------------------


def test_lightnings_command_line_takes_the_logger_by_its_path(
    store: Path, client: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # Lightning's own use of it
    where = "podstack.integrations.lightning"
    LightningCLI(
        Model,
        args=[
            "fit", "--seed_everything=false", "--model.lr=0.5",
            "--trainer.accelerator=cpu", "--trainer.max_epochs=1",
            "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false",
            f"--trainer.logger={where}.PodstackLogger", f"--trainer.logger.uri={store}",
            "--trainer.logger.experiment=digits", "--trainer.logger.log_model=all",
            f"--trainer.callbacks+={where}.PodstackLightningCallback",
        ],
    )  # fmt: skip
    (run,) = client.list_runs("digits")

    assert (run.status, run.params["lr"]) == ("completed", 0.5)
    assert list(run.artifacts) == ["checkpoints/epoch=0-step=8.ckpt"]
    assert Path("lightning_logs", "config.yaml").is_file()


def test_it_is_a_logger_for_lightning_and_for_fabric(logger: PodstackLogger) -> None:
    assert isinstance(logger, Logger)
    assert isinstance(logger, FabricLogger)


def test_without_lightning_the_error_names_the_extra() -> None:
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['lightning', 'pytorch_lightning']))\n"
        "import podstack.integrations.lightning"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert ended.stderr.splitlines()[-1].endswith("Run: pip install 'podstack[lightning]'")


@pytest.mark.slow
def test_one_class_serves_both_distributions_and_imports_only_the_loaded_one(stage: Stage) -> None:
    ended = stage.play(
        """
        import warnings
        warnings.simplefilter("ignore")
        import pytorch_lightning as pl
        from podstack.integrations.lightning import PodstackLightningCallback, PodstackLogger
        assert not [name for name in sys.modules if name.partition(".")[0] == "lightning"]
        assert issubclass(PodstackLogger, pl.loggers.Logger)
        from pytorch_lightning.demos.boring_classes import BoringModel
        logger = PodstackLogger(run_id="r", uri=client.uri)
        class Model(BoringModel):
            def training_step(self, batch, batch_idx):
                out = super().training_step(batch, batch_idx)
                self.log("loss", out["loss"])
                return out
        pl.Trainer(accelerator="cpu", max_steps=3, logger=logger, log_every_n_steps=1,
                   callbacks=[PodstackLightningCallback()], enable_progress_bar=False).fit(Model())
        import lightning.pytorch
        other = PodstackLogger(run_id="r2", uri=client.uri)
        assert isinstance(other, lightning.pytorch.loggers.Logger)
        assert isinstance(other, lightning.fabric.loggers.Logger)
        """,
    )
    run = stage.run()

    assert ended.code == 0, ended.err
    assert (run.status, steps(run, "trainer/global_step")) == ("completed", [0, 1, 2])


def test_fabric_logs_and_reads_back(logger: PodstackLogger, recorded: Callable[[], Run]) -> None:
    fabric = Fabric(accelerator="cpu", loggers=logger)
    fabric.launch()
    for step in range(3):
        fabric.log("loss", torch.tensor(0.5), step=step)
        fabric.log_dict({"a": 1, "b": 2.0}, step=step)
    fabric.log("unnumbered", 1.0)
    run = recorded()

    assert run.status == "running"
    logger.finalize("success")
    assert (steps(run, "a"), steps(run, "loss")) == ([0, 1, 2], [0, 1, 2])
    assert set(run.metrics) == {"loss", "a", "b", "unnumbered"}


def test_fabric_never_says_the_end_and_the_process_does(stage: Stage, client: MLOpsClient) -> None:
    """Forked, so that Lightning is imported once."""
    ended = stage.play(
        HELPERS
        + """
def train(ending):
    logger = PodstackLogger(run_id=ending, uri=client.uri)
    fabric = Fabric(accelerator="cpu", loggers=logger)
    fabric.launch()
    fabric.log("loss", 0.5, step=0)
    if ending == "failed":
        raise ValueError("boom")
    if ending == "ctrl-c":
        raise KeyboardInterrupt
    if ending == "sigterm":
        os.kill(os.getpid(), signal.SIGTERM)
children = []
for ending in ("completed", "failed", "ctrl-c", "sigterm"):
    child = os.fork()
    if not child:
        train(ending)
        break
    children.append(child)
else:
    for child in children:
        os.waitpid(child, 0)
"""
    )

    assert ended.code == 0, ended.err
    assert {run.id: run.status for run in client.list_runs()} == {
        "completed": "completed",
        "failed": "failed",
        "ctrl-c": "killed",
        "sigterm": "killed",
    }


# The companion -----------------------------------------------------------------------------------


def test_a_checkpoint_alone_reopens_its_run(store: Path, client: MLOpsClient) -> None:
    first = PodstackLogger(uri=store)
    together: dict[str, Any] = {"enable_checkpointing": True}
    trainer(first, callbacks=[PodstackLightningCallback()], **together).fit(Model())
    saved = Path(first.log_dir, "checkpoints", "epoch=0-step=8.ckpt")
    second = PodstackLogger(uri=store)
    trainer(second, callbacks=[PodstackLightningCallback()], max_epochs=2).fit(
        Model(), ckpt_path=saved
    )
    (run,) = client.list_runs()

    assert first.version == second.version == run.id
    assert (run.status, steps(run, "loss")) == ("completed", list(range(16)))
    assert steps(run, "trainer/global_step") == list(range(16))

    chosen = PodstackLogger(uri=store, run_id="chosen")
    trainer(chosen, callbacks=[PodstackLightningCallback()], max_epochs=2).fit(
        Model(), ckpt_path=saved
    )
    assert chosen.version == "chosen"
    assert steps(client.get_run("chosen"), "loss") == list(range(8, 16))


def test_a_logger_that_has_recorded_keeps_its_run_whatever_is_loaded(
    store: Path, client: MLOpsClient
) -> None:
    foreign = PodstackLogger(uri=store)
    companion = PodstackLightningCallback()
    trainer(foreign, callbacks=[companion], enable_checkpointing=True).fit(Model())
    saved = Path(foreign.log_dir, "checkpoints", "epoch=0-step=8.ckpt")
    own, model = PodstackLogger(uri=store), Model()
    one = trainer(own, callbacks=[PodstackLightningCallback()])
    one.fit(model)
    one.test(model, ckpt_path=saved, verbose=False)

    assert "test_loss" in client.get_run(own.run_id).metrics
    assert len(client.list_runs()) == 2


def test_a_stop_that_somebody_asks_for_ends_training(
    logger: PodstackLogger, recorded: Callable[[], Run], client: MLOpsClient
) -> None:
    def ask(step: int) -> None:
        if step == 2:
            client.get_run(logger.run_id).request_stop()
            run = logger.experiment
            run._listen_at = 0.0  # the background would look within 5 s
            run.tick()

    one = trainer(logger, max_epochs=5, callbacks=[PodstackLightningCallback()])
    one.fit(Model(during=ask))
    run = recorded()

    assert one.global_step == 3
    assert (run.status, steps(run, "loss")) == ("completed", [0, 1, 2])


def test_the_callback_does_without_a_logger_of_ours() -> None:
    one = trainer(False, callbacks=[PodstackLightningCallback()])
    one.fit(Model())

    assert one.global_step == 8


# As Lightning tries its own loggers --------------------------------------------------------------


class History(PodstackLogger):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.history: list[tuple[int | None, list[str]]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        super().log_metrics(metrics, step)
        self.history.append((step, sorted(metrics)))


def test_the_order_of_what_comes_in_a_fit_and_a_test(tmp_path: Path) -> None:
    logger = History(save_dir=tmp_path)
    model = Model()
    options = {"limit_train_batches": 1, "limit_val_batches": 1, "log_every_n_steps": 1}
    one = trainer(logger, default_root_dir=tmp_path, **options)
    one.fit(model)
    one.test(model, verbose=False)

    assert logger.history == [
        (0, ["epoch", "loss"]),
        (0, ["epoch", "val_loss"]),
        (1, ["epoch", "test_loss"]),
    ]


class RankZeroHasTheRun(Callback):
    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        experiment = trainer.logger.experiment

        assert isinstance(experiment, DummyExperiment) == (not trainer.is_global_zero)


def test_during_a_fit_rank_zero_holds_the_run(logger: PodstackLogger) -> None:
    trainer(logger, callbacks=[RankZeroHasTheRun()]).fit(Model())
