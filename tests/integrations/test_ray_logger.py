"""Ray Tune's trials as runs: real trials on a real Ray, drivers that are interrupted and killed."""

from __future__ import annotations

import copy
import math
import os
import pickle
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient, Run
from podstack.errors import UsageError
from podstack.integrations import ray_workers
from podstack.integrations.ray import PodstackLoggerCallback, setup_podstack
from podstack.integrations.ray_board import Told
from podstack.integrations.ray_trials import Scope
from podstack.testing.podstack_server import RunningServer
from podstack.testing.stage import Stage

ray = pytest.importorskip("ray")
tune = pytest.importorskip("ray.tune")
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(700)]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not know the tests

TOKEN = "marker-of-a-very-secret-token"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Where Ray keeps its experiments."""
    return tmp_path / "results"


@pytest.fixture
def fit(ray_address: str, results: Path) -> Callable[..., Any]:
    """Run a Tuner with one callback: `fit(function, space, callback, scheduler=…, name=…)`."""

    def fit(
        function: Any,
        space: dict[str, Any],
        callback: Any,
        *,
        name: str = "tuned",
        max_failures: int = 0,
        stop: dict[str, Any] | None = None,
        reuse_actors: bool = True,  # a process for each trial takes seconds to start
        **settings: Any,
    ) -> Any:
        return tune.Tuner(
            tune.with_resources(function, {"cpu": 1}),
            param_space=space,
            tune_config=tune.TuneConfig(reuse_actors=reuse_actors, **settings),
            run_config=tune.RunConfig(
                name=name,
                storage_path=str(results),
                callbacks=[callback],
                failure_config=tune.FailureConfig(max_failures=max_failures),
                stop=stop,
                verbose=0,
            ),
        ).fit()

    return fit


def report(values: dict[str, Any]) -> None:
    """Report with a checkpoint that holds the step."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "step.txt").write_text(str(values.get("step")))
        tune.report(values, checkpoint=tune.Checkpoint.from_directory(folder))


def by_param(client: MLOpsClient, name: str) -> dict[Any, Run]:
    return {run.params[name]: run for run in client.list_runs()}


def steps_of(run: Run, metric: str) -> list[int]:
    return [int(step) for step in run.metrics[metric].steps]


# What a trial comes to ---------------------------------------------------------------------


def eight(config: dict[str, Any]) -> None:
    run = setup_podstack(config)
    run.log_metrics({"inside": config["x"]}, step=7)
    for step in range(3):
        loss = math.nan if config["x"] == 3 else config["x"] / (step + 1)
        report({"loss": loss, "eval": {"acc": step}, "note": "text", "step": step})


def test_eight_trials_become_eight_runs_with_all_that_was_reported(
    fit: Callable[..., Any], store: Path, client: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    space = {"x": tune.grid_search(list(range(8))), "optimizer": {"lr": 0.1, "names": ["a"]}}
    callback = PodstackLoggerCallback("store", tags=["nightly"], upload_checkpoints=True)
    fit(eight, space, callback)
    runs = by_param(client, "x")

    assert sorted(runs) == list(range(8))
    assert {run.status for run in runs.values()} == {"completed"}
    assert {run.experiment_id for run in runs.values()} == {"tuned"}
    for x, run in runs.items():
        assert run.params == {"x": x, "optimizer/lr": 0.1, "optimizer/names": ["a"]}
        assert set(run.metrics) == {"loss", "eval/acc", "step", "inside"}
        assert steps_of(run, "loss") == [1, 2, 3]
        assert steps_of(run, "inside") == [7]
        assert run.tags == ["nightly"]
        assert list(run.artifacts) == ["checkpoints/checkpoint_000002/step.txt"]
    assert all(math.isnan(value) for value in runs[3].metrics["loss"].values)
    assert list(runs[2].metrics["loss"].values) == [2.0, 1.0, pytest.approx(2 / 3)]


def unsteady(config: dict[str, Any]) -> None:
    mark = Path(config["marks"], config["kind"])
    before = int(mark.read_text()) if mark.exists() else 0
    mark.write_text(str(before + 1))
    report({"tries": before, "step": before})
    if config["kind"] == "bad" or (config["kind"] == "flaky" and not before):
        raise ValueError(f"this one is {config['kind']}")
    report({"tries": before, "step": before})


def test_a_failing_trial_fails_with_its_error_and_a_retried_one_completes_in_the_same_run(
    fit: Callable[..., Any], store: Path, client: MLOpsClient, tmp_path: Path
) -> None:
    kinds = {"kind": tune.grid_search(["good", "flaky", "bad"]), "marks": str(tmp_path)}
    callback = PodstackLoggerCallback(store, experiment="kinds", upload_checkpoints="all")
    fit(unsteady, kinds, callback, max_failures=1)
    runs = by_param(client, "kind")

    assert len(client.list_runs()) == 3
    assert {kind: run.status for kind, run in runs.items()} == {
        "good": "completed",
        "flaky": "completed",
        "bad": "failed",
    }
    assert "ValueError: this one is bad" in (runs["bad"].error or "")
    assert "\x1b" not in (runs["bad"].error or "")
    assert runs["flaky"].error is None
    assert len(runs["good"].artifacts) == 2
    assert runs["bad"].experiment_id == "kinds"


def slow_or_fast(config: dict[str, Any]) -> None:
    for step in range(1, 5):
        tune.report({"score": config["x"] * step})


def test_a_trial_that_asha_stops_early_is_completed_and_marked_and_one_at_max_t_is_not(
    fit: Callable[..., Any], store: Path, client: MLOpsClient
) -> None:
    scheduler = tune.schedulers.ASHAScheduler(max_t=4, grace_period=1, reduction_factor=2)
    space = {"x": tune.grid_search([4.0, 3.0, 2.0, 1.0])}
    settings = {"metric": "score", "mode": "max", "max_concurrent_trials": 1}
    fit(slow_or_fast, space, PodstackLoggerCallback(store), scheduler=scheduler, **settings)
    runs = by_param(client, "x")

    assert {run.status for run in runs.values()} == {"completed"}
    assert {x: "pruned" in run.tags for x, run in runs.items()} == {
        4.0: False,
        3.0: True,
        2.0: True,
        1.0: True,
    }
    assert len(steps_of(runs[4.0], "score")) == 4
    assert len(steps_of(runs[1.0], "score")) < 4


def test_a_trial_that_meets_its_stop_criterion_is_not_marked(
    fit: Callable[..., Any], store: Path, client: MLOpsClient
) -> None:
    space = {"x": tune.grid_search([1.0, 2.0])}
    fit(slow_or_fast, space, PodstackLoggerCallback(store), stop={"score": 2.0})
    runs = by_param(client, "x")

    assert {len(steps_of(run, "score")) for run in runs.values()} == {1, 2}
    assert [run.tags for run in runs.values()] == [[], []]


# Interrupted, killed, restored -------------------------------------------------------------

DRIVER = """
    import ray, tempfile, pathlib, time
    from ray import tune
    from podstack.integrations.ray import PodstackLoggerCallback, setup_podstack

    def train(config):
        run = setup_podstack()
        begin, last = 0, tune.get_checkpoint()
        if last:
            with last.as_directory() as folder:
                begin = int(pathlib.Path(folder, "step.txt").read_text())
        for step in range(begin + 1, 6):
            with tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "step.txt").write_text(str(step))
                checkpoint = tune.Checkpoint.from_directory(folder)
                tune.report({{"loss": 1 / step, "begin": begin}}, checkpoint=checkpoint)
            run.log_metrics({{"inside": step}}, step=step)
            while step == 2 and not pathlib.Path({go!r}).exists():
                time.sleep(0.05)

    ray.init(log_to_driver=False)
    path = {results!r}
    if tune.Tuner.can_restore(path + "/cut"):
        trainable = tune.with_resources(train, {{"cpu": 1}})
        tuner = tune.Tuner.restore(path + "/cut", trainable, resume_errored=True)
    else:
        tuner = tune.Tuner(
            tune.with_resources(train, {{"cpu": 1}}),
            param_space={{"x": tune.grid_search([1, 2, 3])}},
            run_config=tune.RunConfig(
                name="cut", storage_path=path, callbacks=[PodstackLoggerCallback({store!r})]
            ),
            tune_config=tune.TuneConfig(reuse_actors=True),
        )
    tuner.fit()
    print("fitted", flush=True)
"""


@pytest.fixture
def driver(stage: Stage, results: Path, tmp_path: Path, ray_address: str) -> Iterator[Any]:
    """A driver of its own, whose trials wait at step 2 until `go` exists."""

    def start() -> Any:
        values = {"go": str(tmp_path / "go"), "results": str(results), "store": str(stage.store)}
        return stage.start(DRIVER.format(**values))

    return start


def wait_at_step_two(child: Any, client: MLOpsClient) -> None:
    """Until both trials that run have come so far, in the worker too."""

    def at_two() -> bool:
        waiting = [r for r in client.list_runs() if "inside" in r.metrics]
        return sum(steps_of(run, "inside") == [1, 2] for run in waiting) == 2

    child.wait_until(at_two, "step 2 in both trials")


def assert_continued(client: MLOpsClient, before: set[str]) -> None:
    runs = client.list_runs()

    assert len(runs) == 3
    assert before <= {run.id for run in runs}
    assert {run.status for run in runs} == {"completed"}
    assert all(steps_of(run, "loss") == [1, 2, 3, 4, 5] for run in runs)
    assert all(steps_of(run, "inside") == [1, 2, 3, 4, 5] for run in runs)


def test_ctrl_c_kills_what_runs_and_restore_goes_on_in_the_same_runs(
    driver: Callable[[], Any], client: MLOpsClient, tmp_path: Path
) -> None:
    first = driver()
    wait_at_step_two(first, client)
    first.send(signal.SIGINT)
    first.wait()
    before = {run.id: run.status for run in client.list_runs()}
    (tmp_path / "go").touch()
    ended = driver().wait()

    assert Counter(before.values()) == {"killed": 2}
    assert "fitted" in ended.out, ended.err
    assert_continued(client, set(before))
    begins = [max(client.get_run(run_id).metrics["begin"].values) for run_id in before]
    assert min(begins) >= 1  # from a checkpoint; after kill -9, Ray's own state may be older


def test_restore_after_kill_9_of_the_driver_goes_on_in_the_same_runs_without_any_state(
    driver: Callable[[], Any], client: MLOpsClient, results: Path, tmp_path: Path
) -> None:
    first = driver()
    wait_at_step_two(first, client)
    first.send(signal.SIGKILL)
    first.wait()
    before = {run.id for run in client.list_runs()}
    for state in results.glob("cut/callback-states-*"):
        state.unlink()
    (tmp_path / "go").touch()
    ended = driver().wait()

    assert "fitted" in ended.out, ended.err
    assert_continued(client, before)


# Secrets, workers, copies ------------------------------------------------------------------


def inside(config: dict[str, Any]) -> None:
    with setup_podstack() as run:
        run.log_metrics({"inside": config["x"]})
        told = {name: text for name, text in os.environ.items() if name.startswith("PODSTACK_")}
    tune.report({"loss": 1.0, "secrets": sum("marker" in text for text in told.values())})


def test_workers_log_to_a_server_with_the_drivers_token_which_ray_writes_nowhere(
    fit: Callable[..., Any], tmp_path: Path, results: Path
) -> None:
    with RunningServer(tmp_path / "served", tokens=True) as server:
        token = server.admin
        callback = PodstackLoggerCallback(server.url, api_token=token, experiment="far")
        fit(inside, {"x": tune.grid_search([1, 2])}, callback, reuse_actors=False)
        runs = MLOpsClient(server.url, api_token=token).list_runs()

        assert {run.status for run in runs} == {"completed"}
        assert sorted(run.metrics["inside"].values[0] for run in runs) == [1, 2]
        assert [list(run.metrics["secrets"].values) for run in runs] == [[0], [0]]
        session = Path(ray._private.worker._global_node.get_session_dir_path())
        files = [p for folder in (results, session) for p in folder.rglob("*") if p.is_file()]
        assert any(path.name == "tuner.pkl" for path in files)
        assert [path for path in files if token.encode() in path.read_bytes()] == []


def test_copies_and_pickles_hold_no_token_and_make_no_store(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    callback = PodstackLoggerCallback("store", api_token=TOKEN, experiment="e")
    copied = copy.deepcopy(callback)
    data = ray.cloudpickle.dumps(callback)
    monkeypatch.chdir("/")
    loaded = pickle.loads(data)

    assert TOKEN.encode() not in data
    assert copied._address.settings.api_token == TOKEN
    assert loaded._address.client.uri == str(store)
    assert not store.exists()


def test_without_a_callback_the_run_is_the_workers_own(
    ray_address: str, store: Path, client: MLOpsClient, results: Path
) -> None:
    where = str(store)

    def alone(config: dict[str, Any]) -> None:
        with setup_podstack(config, uri=where) as run:
            run.log_metrics({"loss": 0.5})
            tune.report({"loss": 0.5})
            if config["x"] == 2:
                raise ValueError("not this one")

    space = {"x": tune.grid_search([1, 2])}
    run_config = tune.RunConfig(name="alone", storage_path=str(results), verbose=0)
    tune.Tuner(alone, param_space=space, run_config=run_config).fit()

    assert {x: r.status for x, r in by_param(client, "x").items()} == {1: "completed", 2: "failed"}
    assert {run.experiment_id for run in client.list_runs()} == {"alone"}


def test_outside_of_ray_it_is_a_plain_run(store: Path, client: MLOpsClient) -> None:
    with setup_podstack({"lr": 0.1}, uri=store, experiment="plain") as run:
        run.log_metrics({"loss": 0.5})
    (found,) = client.list_runs("plain")

    assert (found.id, found.status, found.params) == (run.id, "completed", {"lr": 0.1})


def test_a_worker_on_another_machine_is_told_that_it_cannot_reach_a_folder(
    ray_address: str, client: MLOpsClient
) -> None:
    from podstack.extending import settings_of

    told = Told(settings_of(client), Scope("e", "e"), "another-node", is_a_folder=True)

    with pytest.raises(UsageError, match=r"is a folder of the machine that the driver runs on"):
        ray_workers._of_the_callback(ray_workers.Place("e", "1", "one"), told)
