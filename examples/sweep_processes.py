"""The same search in processes of this machine, with a run and a curve for each trial."""

import sys
from collections.abc import Mapping
from typing import Any

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from podstack import MLOpsClient, Run

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 24


def train(trial: Mapping[str, Any], run: Run) -> None:
    """One trial. Its parameters are in the run already; the last val_acc is what it is worth."""
    pixels, digits = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(
        pixels / 16, digits, stratify=digits, random_state=7
    )
    model = MLPClassifier(
        (trial["hidden"],), learning_rate_init=trial["lr"], alpha=trial["decay"], random_state=7
    )
    for epoch in range(10):
        model.partial_fit(x_train, y_train, classes=range(10))
        run.log_metrics({"loss": model.loss_, "val_acc": model.score(x_val, y_val)}, step=epoch)


def main() -> None:
    client = MLOpsClient()
    experiment = client.create_experiment("digits, searched by four")
    sweep = client.create_sweep(
        experiment.id,
        "bayesian",
        {
            "lr": {"min": 1e-4, "max": 0.3, "distribution": "log_uniform"},
            "hidden": {"min": 8, "max": 128},
            "decay": {"min": 1e-6, "max": 1e-1, "distribution": "log_uniform"},
        },
        "val_acc",
        max_trials=TRIALS,
        seed=1,
    )
    client.run_sweep(sweep.id, train, workers=4)

    best = sweep.best_trial
    print(f"best of {sweep.progress.completed}: val_acc {best.value:.4f} with {sweep.best_params}")
    print(client.search_runs(experiment=experiment, order_by="-metrics.val_acc", limit=5))


if __name__ == "__main__":  # a worker imports this file
    main()
