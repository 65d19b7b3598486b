"""The tour: train a classifier of handwritten digits four ways, record it all, compare the runs.

pip install 'podstack[demo]' && python examples/quickstart.py
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from podstack import MLOpsClient, Run
from podstack.series import sparkline

SEED, EPOCHS = 7, 15
VARIANTS: dict[str, dict[str, Any]] = {
    "linear": {"hidden": [], "lr": 0.01, "batch_size": 64},
    "narrow": {"hidden": [16], "lr": 0.003, "batch_size": 32},
    "deep": {"hidden": [128, 64], "lr": 0.003, "batch_size": 32},
    "hasty": {"hidden": [64], "lr": 0.1, "batch_size": 32},
}
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


def print_side_by_side(runs: list[Run], best: Run) -> None:
    """A line for each run, with the parameters that tell them apart."""
    params = [p for p in runs[0].params if len({str(run.params[p]) for run in runs}) > 1]
    rows = [["run", *params, "final val_acc", "best", "epoch", "curve", "seconds", ""]]
    for run in runs:
        accuracy = run.summary["val_acc"]
        row = [run.name, *(str(run.params[p]) for p in params)]
        row += [f"{accuracy.last:.3f}", f"{accuracy.max:.3f}", f"{accuracy.max_step}"]
        row += [sparkline(run.metrics["val_acc"].values), f"{run.duration:.1f}"]
        rows.append([*row, "← best" if run is best else ""])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def main() -> None:
    FILES.mkdir(exist_ok=True)
    pixels, digits = load_digits(return_X_y=True)
    np.savez(DATA, pixels=pixels, digits=digits)
    client = MLOpsClient()
    experiment = client.create_experiment("digits", "Which network reads handwriting?", ["demo"])
    runs = []
    for name, params in VARIANTS.items():
        with client.start_run(experiment_id=experiment.id, name=name) as run:
            run.log_params({**params, "epochs": EPOCHS, "seed": SEED})
            run.log_dataset("digits", DATA, "1,797 digits of 8 × 8 pixels")
            train(run, **params)
        runs.append(run)

    best = max(runs, key=lambda run: run.summary["val_acc"].max)
    print_side_by_side(runs, best)
    print(f"\nEverything is in {client.uri}. To read the best run and fetch its weights:\n")
    print("from podstack import MLOpsClient")
    print(f"run = MLOpsClient({client.uri!r}).get_run({best.id!r})")
    print("run.artifacts['checkpoints/model.npz'].download('best-digits')")


if __name__ == "__main__":
    main()
