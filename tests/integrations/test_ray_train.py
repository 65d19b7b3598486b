"""Ray Train: one run for a training of several workers, on a real controller."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient, Run
from podstack.testing.stage import DEADLINE

ray = pytest.importorskip("ray")
train = pytest.importorskip("ray.train")
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(700)]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not know the tests

from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer  # noqa: E402

from podstack.integrations.ray import PodstackTrainCallback, setup_podstack  # noqa: E402

TOKEN = "marker-of-a-very-secret-token"


def loop(config: dict[str, Any]) -> None:
    rank = train.get_context().get_world_rank()
    run = setup_podstack()
    for step in range(3):
        run.log_metrics({"inside": rank}, step=step)
        train.report({"loss": 1.0 / (step + 1), "rank": rank})
    if config["bad"] and rank == 1:
        raise ValueError("worker one is bad")


def only_run(client: MLOpsClient) -> Run:
    """The one run, once it has ended: the controller ends a moment after `fit`."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        (run,) = client.list_runs()
        if run.status != "running":
            return run
        time.sleep(0.1)
    raise TimeoutError("the run does not end")


@pytest.mark.parametrize("bad", [False, True])
def test_a_training_of_two_workers_is_one_run_of_what_the_first_reports(
    ray_address: str, store: Path, client: MLOpsClient, tmp_path: Path, bad: bool
) -> None:
    callback = PodstackTrainCallback(uri=store, api_token=TOKEN, tags=["two"])
    trainer = DataParallelTrainer(
        loop,
        train_loop_config={"bad": bad, "optimizer": {"lr": 0.1}},
        scaling_config=train.ScalingConfig(num_workers=2, resources_per_worker={"CPU": 0.5}),
        run_config=train.RunConfig(
            name=f"trained-{int(bad)}", storage_path=str(tmp_path / "trained"), callbacks=[callback]
        ),
    )
    if bad:
        with pytest.raises(train.TrainingFailedError):
            trainer.fit()
    else:
        trainer.fit()
    run = only_run(client)

    assert run.status == ("failed" if bad else "completed")
    assert ("worker one is bad" in (run.error or "")) == bad
    assert (run.name, run.experiment_id, run.tags) == (
        f"trained-{int(bad)}",
        f"trained-{int(bad)}",
        ["two"],
    )
    assert run.params == {"bad": bad, "optimizer/lr": 0.1}
    assert [float(v) for v in run.metrics["loss"].values] == pytest.approx([1.0, 1 / 2, 1 / 3])
    assert list(run.metrics["rank"].values) == [0, 0, 0]
    assert list(run.metrics["inside"].values) == [0, 0, 0]


def test_its_pickle_holds_no_token(store: Path) -> None:
    callback = PodstackTrainCallback(uri=store, api_token=TOKEN)

    assert TOKEN.encode() not in ray.cloudpickle.dumps(callback)
    assert not store.exists()
