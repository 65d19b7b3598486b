"""A sweep on Ray Tune: twelve trials on the cores of this machine, or on those of a cluster.

Run it with `pip install 'podstack[ray,demo]' optuna`. On a cluster (`ray.init(address="auto")`)
name a store that all machines reach: PODSTACK_URI=s3://… or a podstack server.
"""

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from podstack import MLOpsClient
from podstack.integrations.ray import run_sweep

EPOCHS = 12


def train(config):
    """One trial. What it reports after each epoch lets ASHA end it early."""
    pixels, digits = load_digits(return_X_y=True)
    split = train_test_split(pixels / 16, digits, stratify=digits, random_state=7)
    train_pixels, val_pixels, train_digits, val_digits = split
    model = MLPClassifier(
        (config["hidden"],),
        learning_rate_init=config["optimizer"]["lr"],
        alpha=config["optimizer"]["weight_decay"],
        random_state=7,
    )
    for _ in range(EPOCHS):
        model.partial_fit(train_pixels, train_digits, classes=range(10))
        tune.report({"val_accuracy": model.score(val_pixels, val_digits), "loss": model.loss_})


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False)
    client = MLOpsClient()
    client.create_experiment("digits-on-ray")
    sweep = client.create_sweep(
        experiment="digits-on-ray",
        strategy="bayesian",
        parameters={
            "hidden": {"values": [8, 16, 32, 64]},
            "optimizer": {
                "lr": {"min": 1e-4, "max": 0.1, "distribution": "log_uniform"},
                "weight_decay": {"min": 1e-6, "max": 0.1, "distribution": "log_uniform"},
            },
        },
        objective_metric="val_accuracy",
        direction="maximize",
        max_trials=12,
        seed=7,
    )
    run_sweep(
        sweep,
        train,
        scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=3),
        storage_path="ray-results",
        reuse_actors=True,  # these trials leave nothing behind in their process
    )

    done = sweep.progress
    print(f"{done.completed} of {done.total} trials, {done.pruned} of them ended early")
    print(f"best val_accuracy {sweep.best_value:.3f} with {sweep.best_params}")
