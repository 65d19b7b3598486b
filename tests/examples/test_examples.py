"""Every example runs as its reader would run it, and what it recorded is read back and checked."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from math import inf, nan, pi
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from podstack import MLOpsClient, Run
from podstack.sweeps.sweep import Sweep

EXAMPLES = Path(__file__).parents[2] / "examples"
DEADLINE = 100.0  # seconds that an example may take on a busy machine


@dataclass(frozen=True, slots=True)
class Played:
    """An example that ran to its end: what it printed, and where."""

    out: str
    err: str
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def client(self) -> MLOpsClient:
        return MLOpsClient(self.store)

    def only_run(self) -> Run:
        (run,) = self.client.list_runs()
        return run


def python(
    folder: Path, *arguments: str, deadline: float = DEADLINE
) -> subprocess.CompletedProcess[str]:
    """Run Python with a store in `folder`, alone on its core; it and its children end in time."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PODSTACK_")}
    environment |= {"PODSTACK_URI": str(folder / "store"), "OMP_NUM_THREADS": "1"}
    environment |= {"PODSTACK_CACHE": str(folder / "cache")}
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,  # so that all of its processes can be ended, and no other
    ) as process:
        try:
            out, err = process.communicate(timeout=deadline)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def play(example: str, folder: Path, *arguments: str, deadline: float = DEADLINE) -> Played:
    ended = python(folder, str(EXAMPLES / example), *arguments, deadline=deadline)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Warning" not in ended.stderr
    return Played(ended.stdout, ended.stderr, folder)


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skip where one is not installed. It is not imported: Keras wants its backend chosen first."""
    missing = [module for module in modules if find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


def fetched(run: Run, path: str, folder: Path) -> bytes:
    """An artifact, downloaded, and compared with the hash that was recorded for it."""
    data = run.artifacts[path].download(folder / "fetched").read_bytes()
    assert run.artifacts[path].sha256 == hashlib.sha256(data).hexdigest()
    return data


def logged_by(run: Run) -> dict[str, list[Any]]:
    """What the script logged, without what was measured of the machine meanwhile."""
    return {n: curve for n, curve in run.metrics.to_dict().items() if not n.startswith("system/")}


def accuracy_of_layers(layers: Sequence[tuple[Any, Any]]) -> float:
    """The share of the validation digits that a network of these (weights, biases) reads right."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, digits = load_digits(return_X_y=True)
    split = train_test_split(pixels / 16, digits, stratify=digits, random_state=7)
    _, activity, _, truth = split
    for weights, biases in layers[:-1]:
        activity = (activity @ weights + biases).clip(min=0)
    weights, biases = layers[-1]
    return float(((activity @ weights + biases).argmax(axis=1) == truth).mean())


def test_every_example_is_played_here() -> None:
    played = set(re.findall(r'play\("(\w+\.py)"', Path(__file__).read_text(encoding="utf-8")))

    assert {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"} == played


# The tour --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play("quickstart.py", tmp_path_factory.mktemp("tour"))


@pytest.fixture
def best(tour: Played) -> Run:
    return max(tour.client.list_runs(), key=lambda run: run.summary["val_acc"].max)


tour_extras = needs("sklearn", "matplotlib")


@tour_extras
def test_the_tour_trains_four_classifiers_that_read_most_digits(tour: Played) -> None:
    runs = tour.client.list_runs()

    assert [run.name for run in runs] == ["linear", "narrow", "deep", "hasty"]
    assert {run.status for run in runs} == {"completed"}
    assert len({str(run.params) for run in runs}) == 4
    for run in runs:
        assert run.summary["val_acc"].max > 0.9
        assert run.summary["val_loss"].min < 0.3
        assert list(run.metrics["val_acc"].steps) == list(range(1, 16))


@tour_extras
def test_the_tour_logs_the_loss_of_every_minibatch(tour: Played) -> None:
    for run in tour.client.list_runs():
        batches = 1347 // run.params["batch_size"]
        loss = run.metrics["batch_loss"]

        assert list(loss.steps) == list(range(1, 15 * batches + 1))
        assert mean(loss.values[-batches:]) < mean(loss.values[:batches]) / 2


@tour_extras
def test_the_tour_keeps_the_weights_of_the_best_epoch(tour: Played, tmp_path: Path) -> None:
    import numpy as np

    for run in tour.client.list_runs():
        with np.load(BytesIO(fetched(run, "checkpoints/model.npz", tmp_path))) as file:
            arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
        half = len(arrays) // 2
        layers = list(zip(arrays[:half], arrays[half:], strict=True))

        assert accuracy_of_layers(layers) == pytest.approx(run.summary["val_acc"].max)


@tour_extras
def test_the_tour_records_which_data_it_used(tour: Played) -> None:
    file = tour.folder / "quickstart-files" / "digits.npz"

    for run in tour.client.list_runs():
        assert run.datasets["digits"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert run.datasets["digits"]["size"] == file.stat().st_size
        assert run.datasets["digits"]["description"].startswith("1,797 digits")


@tour_extras
def test_the_tour_keeps_a_picture_and_notes(tour: Played, tmp_path: Path) -> None:
    from matplotlib.image import imread

    for run in tour.client.list_runs():
        picture = imread(BytesIO(fetched(run, "confusion.png", tmp_path)))
        height, width, _ = picture.shape

        assert min(height, width) > 600
        assert picture.std() > 0.1  # it is not blank
        assert run.notes.startswith(f"## {run.name}\n")
        assert f"**{run.summary['val_acc'].max:.1%}**" in run.notes


@tour_extras
def test_the_tour_says_which_run_stopped_getting_better(tour: Played) -> None:
    fired = {run.name: run.fired_alerts for run in tour.client.list_runs() if run.fired_alerts}

    assert list(fired) == ["hasty"]
    assert "stop earlier, or learn slower" in tour.err


@tour_extras
def test_the_tour_ranks_its_runs(tour: Played, best: Run) -> None:
    head, *rows = tour.out.strip().partition("\n\n")[0].splitlines()
    four = rows[:4]

    assert head.split()[:5] == ["name", "hidden", "lr", "batch_size", "val_acc"]
    assert sorted(row.split()[0] for row in four) == ["deep", "hasty", "linear", "narrow"]
    assert four[0].startswith(best.name)
    assert f"{best.summary['val_acc'].max:.4f}*" in four[0]


@tour_extras
def test_the_three_commands_that_the_tour_names_work(tour: Played, best: Run) -> None:
    commands = re.findall(r"^\S*podstack (?:runs|diff|show) .+$", tour.out, re.MULTILINE)

    printed = []
    for line in commands:
        program, *arguments = line.split()
        ended = python(tour.folder, "-m", "podstack", *arguments)
        assert ended.returncode == 0, ended.stderr
        assert Path(program).name == "podstack"
        printed.append(ended.stdout)
    ranking, difference, shown = printed
    assert ranking.splitlines()[1].startswith(best.name)
    assert "hidden" in difference
    assert "no improvement in val_acc" in shown


@tour_extras
def test_the_three_lines_that_the_tour_ends_with_fetch_the_best_weights(
    tour: Played, best: Run, tmp_path: Path
) -> None:
    *_, first, second, third = tour.out.splitlines()
    ended = python(tmp_path, "-c", f"{first}\n{second}\n{third}\n")

    assert ended.returncode == 0, ended.stderr
    file = tmp_path / "best-digits" / "checkpoints" / "model.npz"
    assert file.read_bytes() == best.artifacts["checkpoints/model.npz"].read_bytes()


@pytest.mark.slow
@tour_extras
def test_the_tour_comes_out_the_same_every_time(tour: Played, tmp_path: Path) -> None:
    again = play("quickstart.py", tmp_path)

    for one, other in zip(tour.client.list_runs(), again.client.list_runs(), strict=True):
        assert logged_by(one) == logged_by(other)


# One question each -----------------------------------------------------------------------------


def test_seven_lines_are_seven_and_record_a_curve(tmp_path: Path) -> None:
    tree = ast.parse((EXAMPLES / "seven_lines.py").read_text(encoding="utf-8"))
    run = play("seven_lines.py", tmp_path).only_run()

    assert ast.get_docstring(tree)
    assert sum(isinstance(node, ast.stmt) for node in ast.walk(tree)) == 7 + 1  # the docstring
    assert run.status == "completed"
    assert run.params == {"decay": 0.9}
    assert list(run.metrics["loss"].values) == [0.9**step for step in range(50)]


@needs("sklearn", "torch", "transformers", "accelerate")
def test_transformers_records_a_training_and_a_model_that_reads_docstrings(tmp_path: Path) -> None:
    run = play("transformers_text.py", tmp_path).only_run()
    steps = run.metrics["train_loss"].steps[-1]
    model = fetched(run, "model/model.safetensors", tmp_path)

    assert (run.name, run.experiment_id, run.status) == ("one layer", "docstrings", "completed")
    assert list(run.metrics["train/loss"].steps) == list(range(5, steps + 1, 5))
    assert len(run.metrics["eval/accuracy"]) == 4
    assert run.summary["eval/accuracy"].last > 0.5  # of six modules
    assert run.params["learning_rate"] == 0.003
    assert len(model) > 4 * run.params["model/num_parameters"]
    assert {"model/config.json", "model/tokenizer.json"} <= set(run.artifacts)


@needs("sklearn", "torch", "accelerate")
def test_accelerate_records_every_batch_and_the_saved_state(tmp_path: Path) -> None:
    run = play("accelerate_digits.py", tmp_path).only_run()
    steps = 12 * (1347 // 32 + 1)

    assert (run.name, run.status, run.params["batch_size"]) == (
        "one hidden layer",
        "completed",
        32,
    )
    assert list(run.metrics["train/loss"].steps) == list(range(steps))
    assert run.summary["val/accuracy"].max > 0.9
    assert fetched(run, "state/model.safetensors", tmp_path)


@needs("sklearn", "torch")
def test_pytorch_records_a_training_and_its_weights(tmp_path: Path) -> None:
    import torch

    played = play("pytorch.py", tmp_path)
    run = played.only_run()
    weights = torch.load(BytesIO(fetched(run, "model.pt", tmp_path)), weights_only=True)
    layers = [(weights[f"{i}.weight"].T.numpy(), weights[f"{i}.bias"].numpy()) for i in (0, 2)]
    experiment = played.client.get_experiment("digits with pytorch")

    assert (run.status, run.name, run.experiment_id) == (
        "completed",
        "one hidden layer",
        experiment.id,
    )
    assert experiment.tags == ["digits", "pytorch"]
    assert experiment.description
    assert run.params == {"lr": 0.003, "batch_size": 32, "epochs": 15, "seed": 7}
    assert list(run.metrics["val_loss"].steps) == list(range(15))
    assert run.summary["val_acc"].max > 0.95
    assert run.summary["train_loss"].last < run.metrics["train_loss"].values[0] / 4
    assert accuracy_of_layers(layers) == pytest.approx(run.summary["val_acc"].last, abs=0.003)
    assert "val_acc" in played.out


@needs("sklearn", "torch", "keras", "h5py")
def test_keras_by_hand_records_a_training_and_its_model(tmp_path: Path) -> None:
    import h5py  # type: ignore[import-untyped]  # it ships no types

    played = play("keras_by_hand.py", tmp_path)
    run = played.only_run()
    with zipfile.ZipFile(BytesIO(fetched(run, "model.keras", tmp_path))) as model:
        weights = h5py.File(BytesIO(model.read("model.weights.h5")), "r")
    layers = [
        (weights[f"layers/{layer}/vars/0"][:], weights[f"layers/{layer}/vars/1"][:])
        for layer in ("dense", "dense_1")
    ]
    experiment = played.client.get_experiment("digits with keras")

    assert (run.status, run.name, run.experiment_id) == (
        "completed",
        "one hidden layer",
        experiment.id,
    )
    assert experiment.tags == ["digits", "keras"]
    assert run.params == {"lr": 0.003, "batch_size": 64, "epochs": 12, "seed": 7}
    assert set(logged_by(run)) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert list(run.metrics["val_loss"].steps) == list(range(12))
    assert run.summary["val_accuracy"].max > 0.95
    assert run.summary["loss"].last < run.metrics["loss"].values[0] / 4
    assert accuracy_of_layers(layers) == pytest.approx(run.summary["val_accuracy"].last, abs=0.003)


@needs("sklearn", "torch", "lightning")
def test_lightning_records_a_training_its_best_checkpoint_and_the_test(tmp_path: Path) -> None:
    import torch

    played = play("lightning_digits.py", tmp_path)
    run = played.only_run()
    (checkpoint,) = run.artifacts
    saved = torch.load(BytesIO(fetched(run, checkpoint, tmp_path)), weights_only=False)
    weights = saved["state_dict"]
    layers = [
        (weights[f"net.{i}.weight"].T.numpy(), weights[f"net.{i}.bias"].numpy()) for i in (0, 2)
    ]
    train_loss = run.metrics["train_loss"]

    assert (run.status, run.name) == ("completed", "one hidden layer")
    assert run.params == {"hidden": 128, "lr": 0.003}
    assert list(train_loss.steps) == list(range(9, 430, 10))
    assert list(run.metrics["val_loss"].steps) == list(range(42, 430, 43))
    assert mean(train_loss.values[-5:]) < train_loss.values[0] / 4
    assert f"step={saved['global_step']}.ckpt" in checkpoint
    assert saved["global_step"] == run.summary["val_loss"].min_step + 1
    assert run.summary["test_acc"].last > 0.95
    assert accuracy_of_layers(layers) == pytest.approx(run.summary["test_acc"].last, abs=0.003)


@needs("sklearn", "torch", "keras", "h5py")
def test_keras_digits_records_its_epochs_its_batches_and_its_best_weights(tmp_path: Path) -> None:
    import h5py

    played = play("keras_digits.py", tmp_path)
    run = played.only_run()
    epochs = len(run.metrics["loss"])
    weights = h5py.File(BytesIO(fetched(run, "checkpoints/best.weights.h5", tmp_path)), "r")
    layers = [
        (weights[f"layers/{layer}/vars/0"][:], weights[f"layers/{layer}/vars/1"][:])
        for layer in ("dense", "dense_1")
    ]

    assert (run.status, run.name, run.tags) == (
        "completed",
        "one hidden layer",
        ["digits", "keras"],
    )
    assert 5 < epochs <= 30
    assert list(run.metrics["val_loss"].steps) == list(range(epochs))
    assert list(run.metrics["batch/loss"].steps) == list(range(4, epochs * 22, 5))
    assert run.metrics["learning_rate"].values[5] == pytest.approx(0.01 * 0.5 ** (6 * 22 / 110))
    assert (run.params["optimizer/class"], run.params["fit/batch_size"]) == ("Adam", 64)
    assert run.summary["test_accuracy"].last_step == epochs - 1
    assert run.summary["test_loss"].last == pytest.approx(run.summary["val_loss"].min, abs=1e-4)
    assert accuracy_of_layers(layers) == pytest.approx(run.summary["test_accuracy"].last, abs=0.003)
    assert run.summary["test_accuracy"].last > 0.95
    assert "val_accuracy" in played.out


def test_a_resumed_run_goes_on_from_its_checkpoint_and_supersedes_its_old_tail(
    tmp_path: Path,
) -> None:
    played = play("resume.py", tmp_path)
    run = played.only_run()
    loss = run.metrics["loss"]

    assert "after the crash: failed, last step 50" in played.out
    assert "after resuming: completed, last step 59" in played.out
    assert run.status == "completed"
    assert list(loss.steps) == list(range(60))
    assert list(run.metrics["attempt"].values) == [1.0] * 40 + [2.0] * 20
    assert list(loss.values) == pytest.approx([49 * 0.9 ** (2 * step) for step in range(60)])
    assert [point.value for point in run.metrics["attempt"].raw if point.step == 45] == [1.0, 2.0]
    assert len(loss.raw) == 51 + 20
    assert run.artifacts["checkpoint.json"].sha256


@needs("duckdb")
def test_duckdb_alone_reads_what_podstack_reads(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store")
    with client.start_run(run_id="crashed", experiment=client.create_experiment("x")) as run:
        for step in range(10):
            loss = 0.9 if step < 8 else 0.1  # the low ones are superseded below
            run.log_metrics({"loss": loss, "empty": nan, "deep/down": inf}, step=step)
    with client.start_run(run_id="crashed") as run:
        for step in range(8, 20):
            run.log_metrics({"loss": 1.0 - step / 100}, step=step)
    played = play("read_with_duckdb.py", tmp_path)
    rows = {
        (run_id, metric): (int(steps), float(last), float(lowest))
        for run_id, metric, steps, last, lowest in table_of(played.out)
    }

    assert {run_id for run_id, _ in rows} == {run.id for run in client.list_runs()}
    assert rows["crashed", "deep/down"] == (10, inf, inf)
    assert str(rows["crashed", "empty"]) == "(10, nan, nan)"
    for run in client.list_runs():
        view = run.summary["loss"]
        assert rows[run.id, "loss"] == pytest.approx((view.steps, view.last, view.min))
    assert rows["crashed", "loss"] == pytest.approx((20, 0.81, 0.81))


def table_of(text: str) -> list[list[str]]:
    """The rows of a table as DuckDB draws it, without the two lines of its head."""
    lines = [line for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines[2:]]


def test_the_duckdb_example_says_what_to_install_where_it_is_missing(tmp_path: Path) -> None:
    example = str(EXAMPLES / "read_with_duckdb.py")
    without = f"import runpy, sys; sys.modules['duckdb'] = None; runpy.run_path({example!r})"
    ended = python(tmp_path, "-c", without)

    assert ended.returncode == 1
    assert ended.stderr == "This example needs DuckDB: pip install duckdb\n"
    assert not (tmp_path / "store").exists()


@needs("sklearn")
def test_cross_validation_is_a_run_with_a_run_below_it_for_each_fold(tmp_path: Path) -> None:
    runs = play("nested_runs.py", tmp_path).client.list_runs()
    (whole,) = [run for run in runs if run.parent_run_id is None]
    folds = [run for run in runs if run.parent_run_id == whole.id]
    scores = [run.summary["accuracy"].last for run in folds]

    assert len(runs) == 6
    assert {run.status for run in runs} == {"completed"}
    assert [run.params["fold"] for run in folds] == [0, 1, 2, 3, 4]
    assert min(scores) > 0.95
    assert whole.summary["accuracy_mean"].last == pytest.approx(mean(scores))
    assert 0 < whole.summary["accuracy_stdev"].last < 0.03


def test_processes_that_log_into_one_run_lose_nothing(tmp_path: Path) -> None:
    played = play("many_processes.py", tmp_path)
    run = played.only_run()
    workers = [run.metrics[f"worker_{rank}/pi"] for rank in range(4)]

    assert run.status == "completed"
    assert len(list(played.store.glob("projects/*/runs/*/metrics/*"))) == 4 + 1  # one per process
    for worker in workers:
        assert list(worker.steps) == list(range(50))
        assert worker.last == pytest.approx(pi, abs=0.05)
    assert len({worker.last for worker in workers}) == 4
    assert run.summary["pi"].last == pytest.approx(mean(worker.last for worker in workers))


def test_a_store_copied_while_a_run_writes_holds_all_that_there_was(tmp_path: Path) -> None:
    played = play("copy_a_store.py", tmp_path)
    original = played.only_run()
    copy = MLOpsClient(tmp_path / "podstack-backup").get_run(original.id)
    before = len(copy.metrics["loss"])

    assert original.status == "completed"
    assert original.metrics["loss"].last == 0.125
    assert 1 <= before < len(original.metrics["loss"])
    assert copy.metrics["loss"].raw == original.metrics["loss"].raw[:before]
    assert copy.name == original.name


# Sweeps ----------------------------------------------------------------------------------------


def the_sweep(played: Played) -> Sweep:
    (sweep,) = played.client.list_sweeps()
    return sweep


@needs("sklearn", "optuna")
def test_the_loop_ends_every_trial_and_prints_the_best_parameters(tmp_path: Path) -> None:
    played = play("sweep_loop.py", tmp_path, "6")
    sweep = the_sweep(played)
    best = sweep.best_params or {}

    assert (sweep.status, sweep.progress.completed) == ("completed", 6)
    assert sweep.best_value == max(record.value or 0.0 for record in sweep.records()) > 0.9
    assert set(best) == {"lr", "hidden", "batch_size", "weight_decay"}
    assert played.out.splitlines()[-5:] == [
        f"best of 6: val_acc {sweep.best_value:.4f} with",
        *(f"  {name} = {value}" for name, value in best.items()),
    ]


@needs("sklearn", "optuna")
def test_processes_share_a_sweep_and_record_a_run_for_each_trial(tmp_path: Path) -> None:
    played = play("sweep_processes.py", tmp_path, "6")
    sweep = the_sweep(played)
    runs = {run.id: run for run in played.client.list_runs()}

    assert (sweep.status, sweep.progress.completed) == ("completed", 6)
    assert {record.run for record in sweep.records()} == set(runs)
    for record in sweep.records():
        curve = runs[str(record.run)].metrics["val_acc"]
        assert len(curve) == 10
        assert (record.value, record.params) == (curve.last, runs[str(record.run)].params)
    assert f"best of 6: val_acc {sweep.best_value:.4f} with {sweep.best_params}" in played.out


@needs("sklearn", "optuna", "ray")
@pytest.mark.ray
@pytest.mark.timeout(700)
def test_ray_ends_every_trial_and_asha_ends_some_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)  # it starts a Ray of its own
    played = play("sweep_ray.py", tmp_path, deadline=600)  # 40 s where nothing else runs
    sweep = the_sweep(played)
    runs = {run.id: run for run in played.client.list_runs()}

    assert (sweep.status, sweep.progress.completed) == ("completed", 12)
    assert {record.run for record in sweep.records()} == set(runs)
    assert 0 < sweep.progress.pruned < 12
    assert (sweep.best_value or 0) > 0.9
    for record in sweep.records():
        curve = runs[str(record.run)].metrics["val_accuracy"]
        assert record.pruned == (len(curve) < 12)
        assert record.value == curve.last
    assert f"best val_accuracy {sweep.best_value:.3f} with {sweep.best_params}" in played.out


@needs("sklearn")
def test_the_program_of_a_sweep_runs_by_hand_too(tmp_path: Path) -> None:
    run = play("sweep_train.py", tmp_path, "--lr=0.01").only_run()

    assert run.params == {"lr": 0.01, "hidden": 64, "activation": "relu"}
    assert run.summary["val_acc"].last > 0.9


@needs("sklearn", "optuna", "yaml")
def test_agents_run_a_program_for_each_trial_of_a_file(tmp_path: Path) -> None:
    file = str(EXAMPLES / "sweep_agent.yaml")
    first = python(tmp_path, "-m", "podstack", "sweep", "agent", file, "--count=2")
    again = python(tmp_path, "-m", "podstack", "sweep", "agent", file, "--count=1")
    shown = python(tmp_path, "-m", "podstack", "sweep", "best", "latest")
    played = Played(shown.stdout, first.stderr, tmp_path)
    sweep = the_sweep(played)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert sweep.progress.completed == 3
    assert {record.run for record in sweep.records()} == {r.id for r in played.client.list_runs()}
    for record in sweep.records():
        run = played.client.get_run(str(record.run))
        assert (run.params, run.summary["val_acc"].last) == (record.params, record.value)
    assert shown.stdout.startswith(f"val_acc {sweep.best_value:.6g} (trial ")


def test_a_line_is_fitted_wherever_the_store_is(tmp_path: Path) -> None:
    played = play("any_store.py", tmp_path)
    (run,) = played.client.list_runs()
    slope, offset = map(float, fetched(run, "line.txt", tmp_path).split())

    assert (slope, offset) == pytest.approx((2.0, 1.0), abs=0.01)
    assert run.metrics["loss"].last < 1e-3 < run.metrics["loss"].values[0]
    assert run.name in played.out
