"""accelerate: a loop of your own on any number of devices, recorded by one argument."""

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from podstack.integrations.accelerate import PodstackTracker

config = {"lr": 0.003, "batch_size": 32, "epochs": 12, "seed": 7}
set_seed(config["seed"])

tracker = PodstackTracker(experiment="digits with accelerate", name="one hidden layer")
accelerator = Accelerator(log_with=tracker)  # or log_with="podstack"
accelerator.init_trackers("digits", config=config)

images, digits = load_digits(return_X_y=True)
split = train_test_split(images / 16, digits, stratify=digits, random_state=config["seed"])
x_train, x_val = (torch.tensor(part, dtype=torch.float32) for part in split[:2])
y_train, y_val = (torch.tensor(part) for part in split[2:])

model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
model, optimizer, train, val = accelerator.prepare(
    model,
    optimizer,
    DataLoader(TensorDataset(x_train, y_train), config["batch_size"], shuffle=True),
    DataLoader(TensorDataset(x_val, y_val), config["batch_size"]),
)
loss_of = nn.CrossEntropyLoss()

step = 0
for epoch in range(config["epochs"]):
    for x, y in train:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        accelerator.backward(loss)
        optimizer.step()
        accelerator.log({"train/loss": loss, "epoch": epoch}, step=step)
        step += 1

    rights = []
    with torch.no_grad():
        for x, y in val:
            rights.append(accelerator.gather_for_metrics(model(x).argmax(dim=1) == y))
    accelerator.log({"val/accuracy": torch.cat(rights).float().mean()}, step=step - 1)

tracker.log_artifacts(accelerator.save_state("state"), "state")
accelerator.end_training()
