"""The tour: train a classifier of handwritten digits four ways, record it all, compare the runs.

pip install 'podstack[demo]' && python examples/quickstart.py
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from podstack import MLOpsClient, Run

SEED, EPOCHS = 7, 15
VARIANTS: dict[str, dict[str, Any]] = {
    "linear": {"hidden": [], "lr": 0.01, "batch_size": 64},
    "narrow": {"hidden": [16], "lr": 0.003, "batch_size": 32},
    "deep": {"hidden": [128, 64], "lr": 0.003, "batch_size": 32},
    "hasty": {"hidden": [64], "lr": 0.1, "batch_size": 32},
}
COLUMNS = ["name", "params.hidden", "params.lr", "params.batch_size"]
FILES = Path("quickstart-files")  # a run keeps copies of what it logs, so this may be deleted
DATA = FILES / "digits.npz"


def train(run: Run, hidden: list[int], lr: float, batch_size: int) -> None:
    """Train on three quarters of the digits; keep the weights of every best epoch so far."""
    data = np.load(DATA)
    x_train, x_val, y_train, y_val = train_test_split(
        data["pixels"] / 16, data["digits"], stratify=data["digits"], random_state=SEED
    )
    model = MLPClassifier(hidden, learning_rate_init=lr, random_state=SEED)
    shuffle = np.random.default_rng(SEED).permutation
    step, best, best_guess = 0, 0.0, y_val
    for epoch in range(1, EPOCHS + 1):
        for batch in np.array_split(shuffle(len(x_train)), len(x_train) // batch_size):
            model.partial_fit(x_train[batch], y_train[batch], classes=range(10))
            step += 1
            run.log_metrics({"batch_loss": model.loss_}, step=step)

        train_loss = log_loss(y_train, model.predict_proba(x_train))
        train_acc = model.score(x_train, y_train)
        run.log_metrics({"train_loss": train_loss, "train_acc": train_acc}, step=epoch)
        val_loss = log_loss(y_val, model.predict_proba(x_val))
        val_acc = model.score(x_val, y_val)
        run.log_metrics({"val_loss": val_loss, "val_acc": val_acc}, step=epoch)
        if val_acc > best:
            best, best_guess = val_acc, model.predict(x_val)
            np.savez(FILES / "model.npz", *model.coefs_, *model.intercepts_)
            run.log_artifact(FILES / "model.npz", artifact_path="checkpoints")
    draw_confusion(y_val, best_guess, f"{run.name}: {best:.1%} of {len(y_val)} digits read right")
    run.log_artifact(FILES / "confusion.png")
    run.set_notes(f"## {run.name}\n\nBest validation accuracy **{best:.1%}** of {EPOCHS} epochs.")


def draw_confusion(truth: Any, guess: Any, title: str) -> None:
    """Hits in blue, mistakes in orange on a finer scale, so that a single one shows."""
    counts = confusion_matrix(truth, guess)
    hits, ten = np.eye(10, dtype=bool), np.arange(10)
    figure = Figure(figsize=(6, 6.3), layout="constrained")
    axes = figure.subplots()
    for masked, colours, darkest in [(~hits, "Blues", 65), (hits, "Oranges", 8)]:
        cells = np.ma.array(counts, mask=masked)
        axes.pcolormesh(ten, ten, cells, cmap=colours, vmin=0, vmax=darkest, ec="white", lw=3)
    for row, column in np.argwhere(counts):
        ink = "white" if row == column else "black"
        axes.text(column, row, counts[row, column], ha="center", va="center", color=ink)
    axes.set(title=title, xlabel="predicted", ylabel="written", xticks=ten, yticks=ten)
    axes.set(aspect="equal", ylim=(9.5, -0.5))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.savefig(FILES / "confusion.png", dpi=120)


def command() -> str:
    """How the `podstack` command of this Python is called from here."""
    found = Path(sys.executable).with_name("podstack")
    return "podstack" if shutil.which("podstack") == str(found) else os.path.relpath(found)


def main() -> None:
    FILES.mkdir(exist_ok=True)
    pixels, digits = load_digits(return_X_y=True)
    np.savez(DATA, pixels=pixels, digits=digits)
    client = MLOpsClient()
    experiment = client.create_experiment("digits", "Which network reads handwriting?", ["demo"])
    for name, params in VARIANTS.items():
        with client.start_run(experiment_id=experiment.id, name=name) as run:
            run.log_params({**params, "epochs": EPOCHS, "seed": SEED})
            run.log_dataset("digits", DATA, "1,797 digits of 8 × 8 pixels")
            run.create_alert("no improvement in val_acc for 5", "stop earlier, or learn slower")
            train(run, **params)

    ranking = client.search_runs(
        experiment=experiment,
        order_by="-metrics.val_acc.max",
        columns=[*COLUMNS, "metrics.val_acc", "metrics.val_acc.max", "metrics.val_acc.max_step"],
    )
    best, second = ranking[0], ranking[1]
    print(f"\n{ranking}")
    print(f"\nEverything is in {client.uri}. See it in a browser:\n")
    print(f"{command()} ui")
    print("\nOr ask it from the terminal:\n")
    print(f"{command()} runs --order=-metrics.val_acc.max")
    print(f"{command()} diff {second.id} {best.id}")
    print(f"{command()} show {best.id}")
    print("\nTo read the best run and fetch its weights in Python:\n")
    print("from podstack import MLOpsClient")
    print(f"run = MLOpsClient({client.uri!r}).get_run({best.id!r})")
    print("run.artifacts['checkpoints/model.npz'].download('best-digits')")


if __name__ == "__main__":
    main()
