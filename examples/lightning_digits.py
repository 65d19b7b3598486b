"""Lightning: one logger and one callback record the training, its checkpoints and the test."""

import warnings

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from podstack import MLOpsClient
from podstack.integrations.lightning import PodstackLightningCallback, PodstackLogger

warnings.filterwarnings("ignore", "(?s).*(num_workers|LeafSpec)")  # advice for larger data


class Digits(pl.LightningModule):
    """A small network on 8 × 8 pictures of digits."""

    def __init__(self, hidden: int, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()  # they become the run's parameters
        self.net = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        loss, _ = self.loss_and_accuracy(*batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        loss, accuracy = self.loss_and_accuracy(*batch)
        self.log_dict({"val_loss": loss, "val_acc": accuracy})

    def test_step(self, batch: list[torch.Tensor]) -> None:
        self.log("test_acc", self.loss_and_accuracy(*batch)[1])

    def loss_and_accuracy(
        self, pixels: torch.Tensor, digits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        guesses = self.net(pixels)
        accuracy = (guesses.argmax(dim=1) == digits).float().mean()
        return nn.functional.cross_entropy(guesses, digits), accuracy

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.hparams["lr"])


pl.seed_everything(7)
images, digits = load_digits(return_X_y=True)
split = train_test_split(images / 16, digits, stratify=digits, random_state=7)
x_train, x_val = (torch.tensor(part, dtype=torch.float32) for part in split[:2])
y_train, y_val = (torch.tensor(part) for part in split[2:])
train = DataLoader(TensorDataset(x_train, y_train), 32, shuffle=True)
held_out = DataLoader(TensorDataset(x_val, y_val), 64)

logger = PodstackLogger("digits with lightning", name="one hidden layer", log_model=True)
trainer = pl.Trainer(
    logger=logger,
    callbacks=[ModelCheckpoint(monitor="val_loss"), PodstackLightningCallback()],
    max_epochs=10,
    log_every_n_steps=10,
    accelerator="cpu",
    enable_progress_bar=False,
)
model = Digits(hidden=128, lr=0.003)
trainer.fit(model, train, held_out)
trainer.test(model, held_out, ckpt_path="best")  # the same run goes on

print(MLOpsClient().get_run(logger.run_id))
