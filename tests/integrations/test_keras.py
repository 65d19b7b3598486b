"""Keras, on each backend: `_keras_situations.py` trains in a process of its own, this judges.

In the slow lane TensorFlow too, where it is installed; nothing else of podstack needs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import inf, isfinite, isnan
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient, Run

pytestmark = pytest.mark.timeout(700)  # the first test of a backend waits for all its trainings

SITUATIONS = Path(__file__).with_name("_keras_situations.py")
DEADLINE = 600.0
TENSORFLOW = pytest.param(
    "tensorflow",
    marks=[
        pytest.mark.slow,
        pytest.mark.skipif(not find_spec("tensorflow"), reason="tensorflow is not installed"),
    ],
)
everywhere = pytest.mark.parametrize("backend", ["torch", "jax", TENSORFLOW])
on_torch = pytest.mark.parametrize("backend", ["torch"])
on_torch_and_tensorflow = pytest.mark.parametrize("backend", ["torch", TENSORFLOW])


@dataclass(frozen=True)
class Played:
    """What the trainings of one process said and left behind."""

    folder: Path
    err: str

    def said(self, situation: str) -> Any:
        fact = json.loads((self.folder / "facts.json").read_text())[situation]
        assert "raised" not in fact, fact["raised"]
        return fact["said"]

    @property
    def client(self) -> MLOpsClient:
        return MLOpsClient(self.folder / "store")

    def run(self, run_id: str) -> Run:
        return self.client.get_run(run_id)

    def has_run(self, run_id: str) -> bool:
        return run_id in [run.id for run in self.client.list_runs()]


def python(folder: Path, backend: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PODSTACK_") and k != "RANK"}
    own = {
        "KERAS_BACKEND": backend,
        "KERAS_HOME": str(folder / "keras"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "PODSTACK_QUIET": "1",
        "PODSTACK_CAPTURE": "0",
        "PODSTACK_CACHE": str(folder / "cache"),
        "PODSTACK_SPOOL": str(folder / "spool"),
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=kept | own, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Played]:
    @cache
    def play(backend: str, *which: str) -> Played:
        folder = tmp_path_factory.mktemp(backend)
        ended = python(folder, backend, str(SITUATIONS), str(folder), *which)
        assert ended.returncode == 0, ended.stderr
        return Played(folder, ended.stderr)

    return play


@pytest.fixture
def played(player: Callable[..., Played], backend: str) -> Played:
    return player(backend)


def steps(run: Run) -> dict[str, list[int]]:
    return {name: list(map(int, series.steps)) for name, series in run.metrics.items()}


def values(run: Run, metric: str) -> list[float]:
    return list(map(float, run.metrics[metric].values))


# What is logged, and on which x ------------------------------------------------------------------


@everywhere
def test_epochs_are_logged_under_keras_own_names_with_the_values_of_its_history(
    played: Played,
) -> None:
    history, run = played.said("plain")["history"], played.run("plain")

    assert steps(run) == {
        "loss": [0, 1, 2, 3],
        "mae": [0, 1, 2, 3],
        "learning_rate": [0, 1, 2, 3],
        "val_loss": [1, 3],  # validation_freq=2; and no test_loss, though on_test_end came
        "val_mae": [1, 3],
    }
    assert {name: values(run, name) for name in history} == history
    assert (run.status, run.name, run.tags) == ("completed", "first", ["a"])
    assert run.experiment_id == "digits"


@everywhere
def test_optimizer_model_and_fit_are_parameters_as_people_write_them(
    played: Played, backend: str
) -> None:
    run = played.run("plain")

    assert run.params["optimizer/name"] == "adam"
    assert run.params["optimizer/class"] == "Adam"
    assert run.params["optimizer/learning_rate"] == 0.001
    assert run.params["optimizer/weight_decay"] is None
    assert run.params["model/name"] == "tiny"
    assert run.params["model/class"] == "Sequential"
    assert run.params["model/parameters"] == run.params["model/trainable_parameters"] == 19
    assert run.params["model/backend"] == backend
    assert {name: value for name, value in run.params.items() if name.startswith("fit/")} == {
        "fit/epochs": 4,
        "fit/steps": 4,
        "fit/batch_size": 16,
        "fit/shuffle": False,
        "fit/validation_freq": 2,
    }
    assert values(run, "learning_rate") == [0.001] * 4


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_tensorflow_is_not_imported(played: Played) -> None:
    assert played.said("plain")["tensorflow"] == []


@everywhere
def test_a_second_fit_goes_on_and_initial_epoch_is_honoured(played: Played) -> None:
    said, run = played.said("fits_and_evaluations"), played.run("several-fits")
    seen = steps(run)

    assert seen["loss"] == [0, 1, 2, 3, 4]
    assert seen["val_loss"] == [0, 1]
    assert seen["batch/loss"] == list(range(20))
    assert seen["test_loss"] == seen["test_mae"] == [4]
    assert values(run, "test_loss") == pytest.approx([said["found"]["loss"]])
    assert (said["after_first"], run.status) == ("completed", "completed")


@on_torch_and_tensorflow
def test_where_fit_begins_late_so_do_its_epochs_and_batches(played: Played) -> None:
    seen = steps(played.run("initial"))

    assert seen["loss"] == [3, 4]
    assert seen["batch/loss"] == list(range(12, 20))


@everywhere
def test_every_nth_batch_is_logged_over_epochs_beside_the_epochs(played: Played) -> None:
    run, loss = played.run("third"), played.said("every_third_batch")["loss"]
    seen = steps(run)

    assert seen["batch/loss"] == [2, 5]
    assert values(run, "batch/loss") == pytest.approx([loss[2], loss[5]])
    assert seen["loss"] == [0, 1]


@pytest.mark.parametrize("backend", ["jax", TENSORFLOW])
def test_x_counts_batches_also_where_one_execution_takes_several(played: Played) -> None:
    assert steps(played.run("jumps"))["batch/loss"] == [1, 3, 5, 7]
    assert steps(played.run("jumps-thinned"))["batch/loss"] == [3, 5]


@on_torch
def test_x_counts_batches_also_where_gradients_are_accumulated(played: Played) -> None:
    seen = steps(played.run("accumulated"))

    assert (seen["loss"], seen["batch/loss"]) == ([0, 1], list(range(8)))


@on_torch_and_tensorflow
def test_batches_of_data_without_a_length_go_on_after_those_that_were_logged(
    played: Played,
) -> None:
    seen = steps(played.run("unknown-length"))

    assert (seen["loss"], seen["batch/loss"]) == ([0, 1], list(range(8)))


@everywhere
def test_the_learning_rate_is_what_a_schedule_or_a_callback_made_of_it(
    played: Played, backend: str
) -> None:
    decay, own, halving = (played.run(name) for name in ("decay", "own-schedule", "halving"))

    assert played.said("schedules") is None
    assert values(decay, "learning_rate") == pytest.approx([0.05, 0.025])
    assert decay.params["optimizer/learning_rate/config/initial_learning_rate"] == 0.1
    assert values(own, "learning_rate") == pytest.approx([0.5 / 5, 0.5 / 9])
    assert own.params["optimizer/class"] == "SGD"
    assert values(halving, "learning_rate") == pytest.approx([0.1, 0.05])
    if backend == "jax":
        assert "batch/learning_rate" not in decay.metrics
    else:
        assert values(decay, "batch/learning_rate") == pytest.approx(
            [0.1 * 0.5 ** (batch / 4) for batch in range(1, 9)]
        )


@on_torch_and_tensorflow
def test_odd_names_are_kept_and_what_is_no_number_costs_one_warning(played: Played) -> None:
    run = played.run("odd")

    assert set(run.metrics) == {"loss", "größe / x y", "inf", "zero-d", "learning_rate"}
    assert values(run, "inf") == [inf, inf]
    assert values(run, "zero-d") == [2.0, 2.0]
    assert played.said("odd_values") == ["not a number, so not logged: 'text', 'array'"]


@everywhere
def test_the_nan_that_terminate_on_nan_stopped_at_is_stored(played: Played) -> None:
    run = played.run("nan")

    assert steps(run)["loss"] == [0]
    assert isnan(values(run, "loss")[0])
    assert [isfinite(value) for value in values(run, "batch/loss")] == [True, False]
    assert run.status == "completed"


@on_torch_and_tensorflow
def test_evaluate_alone_is_a_run_and_predict_is_none(played: Played) -> None:
    found, run = played.said("evaluation_alone"), played.run("judged")

    assert steps(run) == {"test_loss": [0], "test_mae": [0]}
    assert values(run, "test_loss") == pytest.approx([found["loss"]])
    assert run.params["model/parameters"] == 19
    assert run.status == "completed"
    assert not played.has_run("predicted")


# How runs begin and end --------------------------------------------------------------------------


@everywhere
def test_an_exception_that_a_notebook_catches_ends_the_run_at_once(played: Played) -> None:
    run = played.run("failed")

    assert played.said("exceptions") == {
        "failed": ["failed", True],
        "interrupted": ["killed", True],
        "left": ["failed", True],
    }
    assert run.error is not None
    assert "ValueError: boom" in run.error
    assert "in act" in run.error  # the traceback reaches to where it was raised
    assert steps(run)["loss"] == [0, 1]
    assert played.run("interrupted").error is None


@on_torch
def test_a_callback_that_fails_after_ours_has_ended_the_run_fails_it(played: Played) -> None:
    assert played.said("exception_after_the_end") == "failed"
    assert "too late" in (played.run("late").error or "")


@on_torch
def test_a_fit_that_never_began_makes_no_run(played: Played) -> None:
    assert played.said("wrong_calls") == ["TypeError", "ValueError"]
    assert not played.has_run("never")


@on_torch
def test_a_fit_after_one_that_failed_goes_on_in_its_run(played: Played) -> None:
    run = played.run("again")

    assert played.said("fit_again_after_an_exception") is None
    assert (run.status, run.error, steps(run)["loss"]) == ("completed", None, [0, 1, 2])


@on_torch_and_tensorflow
def test_a_run_of_the_callers_is_ended_by_its_own_block(played: Played) -> None:
    run = played.run("given")

    assert played.said("run_of_the_caller") == ["running", "running"]
    assert (run.status, played.run("given-failed").status) == ("completed", "failed")
    assert steps(run)["loss"] == [0, 1]
    assert "mine" in run.metrics


@on_torch
def test_two_callbacks_after_each_other_are_two_runs(played: Played) -> None:
    for name in ("first", "second"):
        run = played.run(name)
        assert (run.status, steps(run)["loss"]) == ("completed", [0, 1])


@on_torch
def test_early_stopping_completes_the_run(played: Played) -> None:
    run = played.run("early")

    assert steps(run)["loss"] == played.said("early_stopping") == [0, 1]
    assert run.status == "completed"


@everywhere
def test_a_stop_that_somebody_asks_for_ends_fit_within_an_epoch(played: Played) -> None:
    said, run = played.said("stop_from_outside"), played.run("stopped")

    assert said["epochs"] < 300
    assert run.status == "completed"


@on_torch
def test_a_rank_other_than_the_first_makes_no_run(played: Played) -> None:
    assert played.said("other_ranks") is False
    assert not played.has_run("of-rank-1")


@on_torch
def test_a_disabled_client_writes_nothing(played: Played) -> None:
    assert played.said("disabled") is False


@on_torch
def test_a_store_that_cannot_be_written_for_a_while_does_not_stop_training(played: Played) -> None:
    heard, run = played.said("store_unwritable_in_the_middle"), played.run("healed")

    assert steps(run)["loss"] == [0, 1, 2, 3, 4]
    assert steps(run)["batch/loss"] == list(range(20))
    assert (run.status, run.dropped) == ("completed", 0)
    assert steps(played.run("reopened"))["loss"] == [0, 1, 5]
    assert sum("what follows of run reopened is not recorded" in line for line in heard) == 1


@pytest.fixture
def ended(player: Callable[..., Played]) -> Played:
    return player("torch", "ends")


def test_sigterm_kills_the_run_and_sigkill_leaves_it_lost(ended: Played) -> None:
    said = ended.said("ends")

    assert (said["terminated"], said["lost"]) == (-15, -9)
    assert said["status"] == ["killed", "failed"]
    assert steps(ended.run("terminated"))["loss"] == [0, 1, 2]


def test_after_sigkill_the_same_run_goes_on_by_its_id_where_the_backup_stands(
    ended: Played,
) -> None:
    assert ended.said("ends")
    run = ended.run("lost")

    assert run.status == "completed"
    assert steps(run)["loss"] == [0, 1, 2, 3]
    assert steps(run)["batch/loss"] == list(range(16))
    assert len(run.metrics["loss"].raw) == 4  # no epoch was trained twice


@everywhere
def test_backup_and_restore_goes_on_in_the_same_run(played: Played) -> None:
    assert played.said("backup_and_restore") is None
    run = played.run("restored")

    assert (run.status, run.error) == ("completed", None)
    assert steps(run)["loss"] == [0, 1, 2, 3]
    assert steps(run)["batch/loss"] == list(range(16))
    assert len(run.metrics["loss"].raw) == 4


# Files and copies --------------------------------------------------------------------------------


@everywhere
def test_the_files_of_model_checkpoints_beside_it_become_artifacts(played: Played) -> None:
    old, (first, second) = (names := played.said("checkpoints"))[-1], names[1:3]
    each, last = (played.run(f"checkpoints-{which}") for which in ("all", "last"))
    best = "checkpoints/best.weights.h5"

    assert old == "epoch-99-0.10.keras"
    assert set(each.artifacts) == {best, f"checkpoints/{first}", f"checkpoints/{second}"}
    assert len(each.artifacts.versions(best)) == 2
    assert set(last.artifacts) == {best, f"checkpoints/{second}"}


@on_torch
def test_a_training_that_fails_keeps_its_newest_checkpoint(played: Played) -> None:
    run = played.run("checkpoint-failed")

    assert (run.status, list(run.artifacts)) == ("failed", ["checkpoints/failed-2.keras"])


@on_torch
def test_the_environment_asks_for_every_version_of_a_file_that_is_overwritten(
    played: Played,
) -> None:
    run = played.run("overwritten")

    assert list(run.artifacts) == ["checkpoints/same.keras"]
    assert len(run.artifacts.versions("checkpoints/same.keras")) == 3


@everywhere
def test_without_a_model_checkpoint_the_trained_model_is_kept_if_it_can_be_saved(
    played: Played,
) -> None:
    said = played.said("model_itself")

    assert said["same"]
    assert said["heard"] == ["the model cannot be saved: ValueError('not this one')"]
    assert played.run("unsaveable").status == "completed"
    assert list(played.run("unsaveable").artifacts) == []


@everywhere
def test_copies_before_and_after_use_mean_the_same_run_and_hold_no_model_and_no_token(
    played: Played,
) -> None:
    said, run = played.said("copies"), played.run("copied")

    assert said["ids"] == ["copied"] * 5
    assert said["models"] == [True, True]
    assert said["token"] is False
    assert said["size"] < 5_000
    assert steps(run)["loss"] == [0, 1, 2]
    assert steps(run)["batch/loss"] == list(range(12))  # a copy has the hook for batches too
    assert run.status == "completed"


@on_torch_and_tensorflow
def test_a_saved_model_knows_nothing_of_it(played: Played) -> None:
    assert played.said("saved_model") == []


# What it costs Keras -----------------------------------------------------------------------------


@everywhere
def test_keras_waits_for_batches_only_if_they_are_asked_for(played: Played) -> None:
    said = played.said("plain")

    assert said["is_async"] == said["could_be_async"]


@pytest.mark.parametrize("backend", ["jax"])
def test_jax_never_brings_its_model_up_to_date_for_a_batch(played: Played) -> None:
    without, epochs, batches, who_asks = played.said("state_syncs")

    assert (without, epochs, batches) == (0, 0, 0)
    assert who_asks > 0  # so it would have been seen


@on_torch
def test_the_hook_for_batches_is_there_only_if_asked_for_and_wrong_options_are_refused(
    played: Played,
) -> None:
    said = played.said("hooks")

    assert said["is_default"] == [True, False, False]
    assert len(said["refused"]) == 4
    assert said["refused"][0] == (
        "log_freq is 'epoch', 'batch' or a number of batches from 1 on, not 0. "
        "Write PodstackCallback(log_freq=100)."
    )
    assert said["refused"][3] == "log_model is True, False or 'all', not 2."


@on_torch
def test_a_training_loop_by_hand_may_call_it_too(played: Played) -> None:
    run = played.run("by-hand")

    assert (run.status, steps(run)["loss"]) == ("completed", [0])
    assert list(run.artifacts) == ["model.keras"]


@everywhere
def test_no_situation_prints_a_traceback(played: Played) -> None:
    assert "Traceback" not in played.err


# Beside Keras itself -----------------------------------------------------------------------------


def test_without_keras_the_error_names_the_extra(tmp_path: Path) -> None:
    script = "import sys; sys.modules['keras'] = None; import podstack.integrations.keras"
    ended = python(tmp_path, "torch", "-c", script)

    assert "MissingExtraError: keras is not installed" in ended.stderr
    assert "pip install 'podstack[keras]'" in ended.stderr


UPSTREAM = """
import sys
from pathlib import Path

import keras
import pytest

from podstack.integrations.keras import PodstackCallback

backend_fit = keras.Model.fit

def fit(self, *args, callbacks=None, **options):
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        ours = PodstackCallback("batch", log_model="all", uri=sys.argv[1])
        callbacks = [*keras.tree.flatten(callbacks or []), ours]
    return backend_fit(self, *args, callbacks=callbacks, **options)

keras.Model.fit = fit
folder = Path(keras.__file__).parent / "src" / "callbacks"
names = (
    "backup_and_restore", "callback", "csv_logger", "early_stopping", "lambda_callback",
    "learning_rate_scheduler", "model_checkpoint", "reduce_lr_on_plateau", "terminate_on_nan",
)
files = [str(path) for name in names if (path := folder / f"{name}_test.py").exists()]
options = ["-q", "-p", "no:cacheprovider", "--noconftest", "-c", "/dev/null", "-W", "ignore"]
sys.exit(pytest.main([*options, *files]))
"""


@pytest.mark.slow
@everywhere
def test_keras_own_tests_of_its_callbacks_pass_with_ours_beside_them(
    backend: str, tmp_path: Path
) -> None:
    ended = python(tmp_path, backend, "-c", UPSTREAM, str(tmp_path / "store"))
    runs = MLOpsClient(tmp_path / "store").list_runs()

    assert ended.returncode == 0, ended.stdout
    assert len(runs) > 20
    assert {run.status for run in runs} <= {"completed", "failed"}
