"""A training with a command line of its own, which knows nothing of sweeps: see sweep_agent.yaml.

By hand it is `python sweep_train.py --lr=0.01`. Started by `podstack sweep agent`, its run is the
trial's, and the last val_acc is what the trial is worth.
"""

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from podstack import MLOpsClient

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.003)
parser.add_argument("--hidden", type=int, default=64)
parser.add_argument("--activation", default="relu")
options = parser.parse_args()

pixels, digits = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(
    pixels / 16, digits, stratify=digits, random_state=7
)
model = MLPClassifier(
    (options.hidden,),
    activation=options.activation,
    learning_rate_init=options.lr,
    random_state=7,
)
with MLOpsClient().start_run(params=vars(options)) as run:
    for epoch in range(10):
        model.partial_fit(x_train, y_train, classes=range(10))
        run.log_metrics({"loss": model.loss_, "val_acc": model.score(x_val, y_val)}, step=epoch)
