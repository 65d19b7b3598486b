"""PyTorch: parameters, metrics of every epoch, and the trained weights."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from podstack import MLOpsClient

lr, batch_size, epochs, seed = 0.003, 32, 15, 7
torch.manual_seed(seed)

images, digits = load_digits(return_X_y=True)
split = train_test_split(images / 16, digits, stratify=digits, random_state=seed)
x_train, x_val = (torch.tensor(part, dtype=torch.float32) for part in split[:2])
y_train, y_val = (torch.tensor(part) for part in split[2:])
batches = DataLoader(TensorDataset(x_train, y_train), batch_size, shuffle=True)

model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=lr)
loss_of = nn.CrossEntropyLoss()

client = MLOpsClient()
experiment = client.create_experiment(
    name="digits with pytorch",
    description="A small network on 8 × 8 pictures of digits",
    tags=["pytorch", "digits"],
)
with client.start_run(experiment_id=experiment.id, name="one hidden layer") as run:
    run.log_params({"lr": lr, "batch_size": batch_size, "epochs": epochs, "seed": seed})

    for epoch in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()

        with torch.no_grad():
            train_loss = loss_of(model(x_train), y_train)
            val_loss = loss_of(model(x_val), y_val)
            val_acc = (model(x_val).argmax(dim=1) == y_val).float().mean()
        metrics = {"train_loss": train_loss, "val_loss": val_loss, "val_acc": val_acc}
        run.log_metrics(metrics, step=epoch)  # tensors of one number may stay tensors

    torch.save(model.state_dict(), "model.pt")
    run.log_artifact("model.pt")

print(client.get_run(run.id))
