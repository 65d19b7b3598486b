"""Sweeps on Ray: shared with other Tuners and loops, killed, restored, pruned."""

from __future__ import annotations

import copy
import pickle
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient
from podstack.errors import NotFoundError, UsageError
from podstack.extending import Sweep
from podstack.testing.stage import Stage

ray = pytest.importorskip("ray")
tune = pytest.importorskip("ray.tune")
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(700)]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not know the tests

from podstack.integrations.ray import PodstackSearch, run_sweep, setup_podstack  # noqa: E402

SPACE = {"x": {"min": 0.0, "max": 1.0}, "optimizer": {"lr": {"values": [0.1, 0.2]}}, "fixed": 3}


def new_sweep(client: MLOpsClient, trials: int, **settings: Any) -> Sweep:
    client.create_experiment("searched")
    settings = {"strategy": "random", "direction": "minimize", "seed": 1, **settings}
    return client.create_sweep(
        experiment="searched",
        parameters=SPACE,
        objective_metric="loss",
        max_trials=trials,
        **settings,
    )


def descend(config: dict[str, Any]) -> None:
    for step in range(1, 4):
        tune.report({"loss": config["x"] / step, "lr": config["optimizer"]["lr"]})


def assert_exact(sweep: Sweep, trials: int) -> None:
    """Each number once, all over, no two with the same parameters."""
    records = sweep.refresh().records()

    assert [record.number for record in records] == list(range(1, trials + 1))
    assert all(record.is_over for record in records)
    assert len({record.params["x"] for record in records}) == trials


# The searcher alone: no Ray is started -----------------------------------------------------


def test_asking_again_for_a_trial_gives_the_same_and_others_differ(client: MLOpsClient) -> None:
    search = PodstackSearch(new_sweep(client, 3))
    first, second = search.suggest("a"), search.suggest("b")

    assert search.suggest("a") == first
    assert first != second
    assert set(first) == {"x", "optimizer", "fixed"}


def test_it_waits_while_all_are_taken_and_has_finished_once_the_sweep_is_over(
    client: MLOpsClient,
) -> None:
    sweep = new_sweep(client, 2)
    search = PodstackSearch(sweep)
    search.suggest("a"), search.suggest("b")

    assert search.suggest("c") is None
    search.on_trial_complete("a", {"loss": 1.0, "training_iteration": 1})
    assert search.suggest("c") is None
    search.on_trial_complete("b", {"loss": 2.0, "training_iteration": 1})
    assert search.suggest("c") == "FINISHED"
    assert sweep.refresh().best_value == 1.0


def test_every_kind_of_end_reaches_the_sweep(client: MLOpsClient) -> None:
    sweep = new_sweep(client, 6)
    search = PodstackSearch(sweep)
    for name in "abcdef":
        search.suggest(name)
    search.on_trial_result("a", {"loss": 3.0, "training_iteration": 1})
    search.on_trial_result("a", {"loss": 1.0, "training_iteration": 2})
    search.on_trial_complete("a", {"loss": 1.0, "training_iteration": 2})
    search.on_trial_complete("a", {"loss": 9.0, "training_iteration": 9})
    search.on_trial_complete("b", error=True)
    search.on_trial_complete("c", {"loss": 2.0, "training_iteration": 1})
    search.on_trial_complete("d", {"loss": float("nan"), "training_iteration": 3})
    search.on_trial_complete("e", {"other": 2.0, "training_iteration": 3})
    search.on_trial_complete("f")
    search.on_trial_complete("nobody")
    a, b, c, d, e, f = sweep.refresh().records()

    assert (a.status, a.value, dict(a.reports), a.pruned) == (
        "completed",
        1.0,
        {1: 3.0, 2: 1.0},
        False,
    )
    assert (b.status, b.value) == ("failed", None)
    assert (c.status, c.value, c.pruned) == ("completed", 2.0, True)  # stopped behind a
    assert (d.status, str(d.value), d.pruned) == ("completed", "nan", False)
    assert e.status == "failed"
    assert "without reporting loss" in (e.error or "")
    assert (f.status, f.worker) == ("running", "")
    assert (search.suggest("g") or {})["x"] == f.params["x"]


def test_a_trial_stopped_at_max_t_is_not_pruned(client: MLOpsClient) -> None:
    sweep = new_sweep(client, 2)
    search = PodstackSearch(sweep, max_t=9)
    search.suggest("a"), search.suggest("b")
    search.on_trial_complete("a", {"loss": 1.0, "training_iteration": 9})
    search.on_trial_complete("b", {"loss": 1.0, "training_iteration": 8})

    assert [record.pruned for record in sweep.refresh().records()] == [False, True]


def test_a_restored_searcher_takes_its_trials_over_from_a_driver_that_was_killed(
    client: MLOpsClient, stage: Stage
) -> None:
    sweep = new_sweep(client, 4)
    script = """
        import pickle
        from podstack.integrations.ray import PodstackSearch
        search = PodstackSearch({id!r}, uri={store!r}, api_token="marker")
        open("search.pkl", "wb").write(pickle.dumps(search))
        print(search.suggest("a"))
        search.on_trial_result("a", {{"loss": 5.0, "training_iteration": 1}})
        search.suggest("b")
        search.save("state.pkl")
        search.suggest("late")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = stage.play(script.format(id=sweep.id, store=str(stage.store)))
    data = (stage.folder / "search.pkl").read_bytes()
    search = pickle.loads(data)
    search.restore(str(stage.folder / "state.pkl"))
    a, b, late = sweep.refresh().records()

    assert b"marker" not in data
    assert b"marker" not in (stage.folder / "state.pkl").read_bytes()
    assert (a.generation, b.generation, late.generation) == (1, 1, 0)
    assert str(search.suggest("a")) == ended.out.strip()
    assert (search.suggest("new") or {})["x"] == late.params["x"]
    search.on_trial_complete("a", {"loss": 4.0, "training_iteration": 2})
    assert sweep.refresh().best_value == 4.0


def test_one_that_was_restored_without_its_state_finds_its_trials_by_ray_s_ids(
    client: MLOpsClient, stage: Stage
) -> None:
    sweep = new_sweep(client, 2)
    script = """
        from podstack.integrations.ray import PodstackSearch
        PodstackSearch({id!r}, uri={store!r}).suggest("a")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    stage.play(script.format(id=sweep.id, store=str(stage.store)))
    search = PodstackSearch(sweep)
    search.on_trial_complete("a", {"loss": 4.0, "training_iteration": 2})

    assert [record.value for record in sweep.refresh().records()] == [4.0]


def test_it_copies_and_is_told_what_is_wrong(client: MLOpsClient) -> None:
    search = PodstackSearch(new_sweep(client, 2))

    assert copy.deepcopy(search).sweep_id == search.sweep_id
    assert (search.metric, search.mode) == ("loss", "min")
    assert search.set_search_properties("loss", None, {"n": 1}, stop={"loss": 0}) is False
    with pytest.raises(UsageError, match="is to minimize loss"):
        search.set_search_properties("loss", "max", {})
    with pytest.raises(NotFoundError):
        PodstackSearch("no-such-sweep", uri=client.uri)


# On Ray ------------------------------------------------------------------------------------


def test_run_sweep_gives_every_trial_a_run_and_completes_it(
    ray_address: str, client: MLOpsClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def mixed(config: dict[str, Any]) -> None:
        setup_podstack().log_metrics({"inside": config["x"]})
        if config["optimizer"]["lr"] == 0.1:
            raise ValueError("a bad rate")
        descend(config)

    sweep = new_sweep(client, 8, strategy="bayesian")
    settings = {"num_workers": 2, "storage_path": tmp_path / "results", "reuse_actors": True}
    assert run_sweep(sweep, mixed, **settings) is sweep
    assert_exact(sweep, 8)
    runs = {run.id: run for run in client.list_runs("searched")}

    assert len(runs) == 8
    assert sweep.status == "completed"
    for record in sweep.records():
        run = runs[record.run or ""]
        assert run.params == dict(record.params)
        assert list(run.metrics["inside"].values) == [record.params["x"]]
        assert run.status == record.status
        if record.params["optimizer/lr"] == 0.1:
            assert record.status == "failed"
            assert "a bad rate" in (record.error or "")
        else:
            assert record.value == pytest.approx(record.params["x"] / 3)
            assert len(record.reports) == 3
    assert 0 < sweep.progress.failed < 8


def test_two_tuners_and_a_loop_share_one_sweep_without_a_trial_done_twice(
    ray_address: str, client: MLOpsClient, stage: Stage
) -> None:
    sweep = new_sweep(client, 20)
    script = """
        import ray
        from ray import tune
        from podstack.integrations.ray import PodstackSearch

        def train(config):
            tune.report({{"loss": config["x"], "by": {name!r}}})

        ray.init(log_to_driver=False)
        search = PodstackSearch({id!r}, uri={store!r})
        limit = {{"search_alg": search, "num_samples": -1, "reuse_actors": True}}
        fitted = tune.Tuner(
            tune.with_resources(train, {{"cpu": 0.25}}),
            tune_config=tune.TuneConfig(max_concurrent_trials=4, **limit),
            run_config=tune.RunConfig(name={name!r}, storage_path={results!r}, verbose=0),
        ).fit()
        print("did", len(fitted), flush=True)
    """
    values = {"id": sweep.id, "store": str(stage.store), "results": str(stage.folder / "results")}
    tuners = [stage.start(script.format(name=n, **values), deadline=600) for n in ("one", "two")]
    taken = 0
    while (trial := sweep.suggest()) is not None and taken < 4:
        taken += 1
        trial.complete({"loss": trial["x"]})
    if trial is not None:
        trial.release()
    ended = [tuner.wait() for tuner in tuners]

    assert_exact(sweep, 20)
    did = [int(end.out.split()[-1]) for end in ended]
    assert sum(did) + taken == 20, [end.err for end in ended]
    assert Counter(r.status for r in sweep.records()) == {"completed": 20}


def test_asha_prunes_trials_of_the_sweep_and_leaves_those_that_came_to_the_end(
    ray_address: str, client: MLOpsClient, tmp_path: Path
) -> None:
    sweep = new_sweep(client, 8)
    scheduler = tune.schedulers.ASHAScheduler(max_t=3, grace_period=1, reduction_factor=2)
    folder = tmp_path / "results"
    run_sweep(sweep, descend, scheduler=scheduler, storage_path=folder, reuse_actors=True)
    assert_exact(sweep, 8)
    runs = {run.id: run for run in client.list_runs("searched")}

    assert sweep.progress.completed == 8
    assert 0 < sweep.progress.pruned < 8
    for record in sweep.records():
        steps = len(runs[record.run or ""].metrics["loss"].steps)
        assert record.pruned == (steps < 3) == ("pruned" in runs[record.run or ""].tags)
        assert record.value == pytest.approx(record.params["x"] / steps)


def test_the_sweeps_own_pruner_stops_trials_on_ray(
    ray_address: str, client: MLOpsClient, tmp_path: Path
) -> None:
    sweep = new_sweep(client, 8, pruner="median")
    for value in (0.001, 0.002, 0.003, 0.004, 0.005):  # what others found makes the rest hopeless
        trial = sweep.suggest()
        assert trial is not None
        for step in range(1, 4):
            trial.report(value, step)
        trial.complete({"loss": value})
    run_sweep(sweep, descend, storage_path=tmp_path / "results", reuse_actors=True)
    assert_exact(sweep, 8)

    assert sweep.progress.pruned >= 1


INTERRUPTED = """
    import pathlib, time, ray
    from ray import tune
    from podstack.integrations.ray import PodstackSearch, run_sweep

    def train(config):
        tune.report({{"loss": config["x"]}})
        while not pathlib.Path({go!r}).exists():
            time.sleep(0.05)
        tune.report({{"loss": config["x"] / 2}})

    ray.init(log_to_driver=False)
    path = {results!r}
    if {restores} and tune.Tuner.can_restore(path + "/cut"):
        trainable = tune.with_resources(train, {{"cpu": 1}})
        tune.Tuner.restore(path + "/cut", trainable, resume_errored=True).fit()
    else:
        run_sweep(
            client.get_sweep({id!r}), train, num_workers=2, storage_path=path, name={name!r},
            reuse_actors=True,
        )
    print("fitted", flush=True)
"""


def interrupted(stage: Stage, sweep: Sweep, number: int, *, restores: bool, name: str) -> None:
    """A driver gets the signal once both of its trials have reported; another one goes on."""
    go = stage.folder / "go"
    values = {"go": str(go), "results": str(stage.folder / "results"), "id": sweep.id}
    script = INTERRUPTED.format(restores=restores, name="{name}", **values)
    first = stage.start(script.replace("{name}", "cut"))
    first.wait_until(
        lambda: sum(len(r.reports) == 1 for r in sweep.refresh().records()) == 2, "two reports"
    )
    time.sleep(1)  # Ray saves its state, if it has not
    first.send(number)
    first.wait()
    go.touch()
    ended = stage.play(script.replace("{name}", name))

    assert "fitted" in ended.out, ended.err
    assert_exact(sweep, 4)
    assert Counter(r.status for r in sweep.records()) == {"completed": 4}
    assert all(r.value == pytest.approx(r.params["x"] / 2) for r in sweep.records())


def test_ctrl_c_gives_unfinished_trials_back_and_kills_their_runs(
    ray_address: str, client: MLOpsClient, stage: Stage
) -> None:
    sweep = new_sweep(client, 4)
    interrupted(stage, sweep, signal.SIGINT, restores=False, name="again")

    statuses = Counter(run.status for run in client.list_runs("searched"))
    assert statuses == {"completed": 4, "killed": 2}


def test_tuner_restore_after_kill_9_finishes_the_same_trials_in_the_same_runs(
    ray_address: str, client: MLOpsClient, stage: Stage
) -> None:
    sweep = new_sweep(client, 4)
    interrupted(stage, sweep, signal.SIGKILL, restores=True, name="never")

    runs = client.list_runs("searched")
    assert Counter(run.status for run in runs if run.id in {r.run for r in sweep.records()}) == {
        "completed": 4
    }


PLAIN_WORKER = """
    sweep = client.get_sweep({id!r})
    for _ in range(3):
        trial = sweep.suggest()
        with client.start_run(sweep_trial=trial) as run:
            run.log_metrics({{"loss": trial["x"]}})
"""


@pytest.mark.slow
def test_a_sweep_begun_by_a_loop_goes_on_in_two_processes_and_ends_on_ray_as_one(
    ray_address: str, client: MLOpsClient, stage: Stage
) -> None:
    sweep = new_sweep(client, 16, strategy="bayesian")
    for _ in range(3):
        trial = client.suggest_sweep_params(sweep.id)
        assert trial is not None
        client.complete_sweep_trial(sweep.id, trial.id, {"loss": trial["x"]})
    workers = [stage.start(PLAIN_WORKER.format(id=sweep.id)) for _ in range(2)]
    ended = [worker.wait() for worker in workers]
    run_sweep(
        sweep, descend, num_workers=2, storage_path=stage.folder / "results", reuse_actors=True
    )
    assert_exact(sweep, 16)
    (listed,) = client.list_sweeps()

    assert [end.code for end in ended] == [0, 0]
    assert listed.id == sweep.id
    assert Counter(r.status for r in sweep.records()) == {"completed": 16}
    assert len({r.worker for r in sweep.records()}) >= 3
    assert len(client.list_runs("searched")) == 6 + 7
    assert client.suggest_sweep_params(sweep.id) is None
