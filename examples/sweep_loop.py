"""A search for the best parameters: ask for a trial, train, say how good it was."""

import sys

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from podstack import MLOpsClient

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 20

pixels, digits = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(
    pixels / 16, digits, stratify=digits, random_state=7
)


def train(lr: float, hidden: int, batch_size: int, weight_decay: float) -> float:
    """The share of the validation digits that a small network reads right after 8 epochs."""
    model = MLPClassifier(
        (hidden,), learning_rate_init=lr, batch_size=batch_size, alpha=weight_decay, random_state=7
    )
    for _ in range(8):
        model.partial_fit(x_train, y_train, classes=range(10))
    return float(model.score(x_val, y_val))


client = MLOpsClient()
experiment = client.create_experiment("digits, searched")
sweep = client.create_sweep(
    experiment.id,
    strategy="bayesian",
    parameters={
        "lr": {"min": 1e-4, "max": 0.3, "distribution": "log_uniform"},
        "hidden": {"min": 8, "max": 128},
        "batch_size": {"values": [16, 32, 64, 128]},
        "weight_decay": {"min": 1e-6, "max": 1e-1, "distribution": "log_uniform"},
    },
    objective_metric="val_acc",
    max_trials=TRIALS,
    seed=1,
)

# This script may be started again while it runs, here or on any machine that sees the store:
# with client.get_sweep(…) instead of create_sweep they share the trials.
while trial := client.suggest_sweep_params(sweep_id=sweep.id):
    accuracy = train(**trial)
    client.complete_sweep_trial(sweep.id, trial.id, metrics={"val_acc": accuracy})
    print(f"trial {trial.number:2}: val_acc {accuracy:.4f}  {trial.params}")

print(f"best of {sweep.progress.completed}: val_acc {sweep.best_value:.4f} with")
for name, value in sweep.best_params.items():
    print(f"  {name} = {value}")
