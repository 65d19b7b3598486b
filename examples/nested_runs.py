"""Cross-validation: one run for the whole, and below it a run for each fold."""

from statistics import mean, stdev

from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

from podstack import MLOpsClient

FOLDS = 5
pixels, digits = load_digits(return_X_y=True)
params = {"C": 2.0, "gamma": 0.001}

client = MLOpsClient()
experiment = client.create_experiment("cross-validation")
with client.start_run(experiment_id=experiment.id, name="svm", params=params) as whole:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=7).split(pixels, digits)
    for number, (train, held_out) in enumerate(folds):
        with client.start_run(
            experiment_id=experiment.id,
            name=f"svm, fold {number}",
            params={**params, "fold": number},
            parent_run_id=whole.id,
        ) as run:
            model = SVC(**params).fit(pixels[train], digits[train])
            run.log_metrics({"accuracy": model.score(pixels[held_out], digits[held_out])})

    children = [run for run in experiment.list_runs() if run.parent_run_id == whole.id]
    scores = [run.summary["accuracy"].last for run in children]
    whole.log_metrics({"accuracy_mean": mean(scores), "accuracy_stdev": stdev(scores)})

for run in children:
    print(f"{run.name}  {run.summary['accuracy'].last:.3f}")
print(f"{whole.name}: {mean(scores):.3f} ± {stdev(scores):.3f}")
