"""A trial in the hand: its run, its pickles, its reports."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient, UsageError
from podstack.errors import BackendUnavailable
from podstack.sweeps.sweep import Sweep
from podstack.sweeps.trial import Trial
from podstack.testing.faults import FaultyBackend
from podstack.testing.stage import Stage

SPACE = {"lr": {"min": 0.0, "max": 1.0}, "model": {"width": {"values": [8, 16]}}}


def sweep_of(client: MLOpsClient, trials: int = 3, **options: Any) -> Sweep:
    return client.create_sweep(None, "random", SPACE, "val_loss", trials, seed=7, **options)


def take(sweep: Sweep) -> Trial:
    trial = sweep.suggest()
    assert trial is not None
    return trial


# Its run --------------------------------------------------------------------------------------


def test_a_run_for_a_trial_logs_its_parameters_and_completes_it(client: MLOpsClient) -> None:
    sweep = sweep_of(client, experiment=client.create_experiment("digits"))
    trial = take(sweep)
    with client.start_run(sweep_trial=trial, params={"epochs": 3}) as run:
        for step, value in enumerate((0.9, 0.4, 0.6)):
            run.log_metrics({"val_loss": value, "acc": 1 - value}, step=step)
    (record,) = sweep.records()
    read = client.get_run(run.id)

    assert (record.status, record.value, record.run) == ("completed", 0.6, run.id)
    assert read.params == {**trial.flat_params, "epochs": 3}
    assert read.experiment_id == "digits"
    assert read._fold().get("sweep") == {"id": sweep.id, "trial": 1}


def test_a_run_for_a_trial_may_have_an_experiment_of_its_own(client: MLOpsClient) -> None:
    other = client.create_experiment("other")
    run = client.start_run(sweep_trial=take(sweep_of(client)), experiment=other)
    run.finish()

    assert run.experiment_id == "other"


def test_the_last_value_is_that_of_the_largest_step(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    with client.start_run(sweep_trial=take(sweep)) as run:
        run.log_metrics({"val_loss": 0.1}, step=9)
        run.log_metrics({"val_loss": 0.2}, step=3)

    assert sweep.records()[0].value == 0.1


def test_a_run_that_fails_fails_its_trial_with_the_traceback(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    with pytest.raises(ZeroDivisionError), client.start_run(sweep_trial=take(sweep)):
        _ = 1 / 0
    (record,) = sweep.records()

    assert (record.status, record.value) == ("failed", None)
    assert "ZeroDivisionError" in (record.error or "")


def test_a_run_that_is_interrupted_kills_its_trial(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    with pytest.raises(KeyboardInterrupt), client.start_run(sweep_trial=take(sweep)):
        raise KeyboardInterrupt

    assert sweep.records()[0].status == "killed"


def test_a_run_without_the_objective_fails_its_trial_and_says_why(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    with client.start_run(sweep_trial=take(sweep)) as run:
        run.log_metrics({"loss": 0.1})
    (record,) = sweep.records()

    assert record.status == "failed"
    assert "without logging val_loss" in (record.error or "")
    assert run.status == "completed"


def test_a_run_whose_objective_is_nan_completes_its_trial_without_being_the_best(
    client: MLOpsClient,
) -> None:
    sweep = sweep_of(client)
    with client.start_run(sweep_trial=take(sweep)) as run:
        run.log_metrics({"val_loss": math.nan})
    (record,) = sweep.records()

    assert record.status == "completed"
    assert math.isnan(record.value or 0.0)
    assert sweep.best_trial is None


def test_a_trial_that_was_ended_before_its_run_stays_as_it_was(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    trial = take(sweep)
    with client.start_run(sweep_trial=trial) as run:
        run.log_metrics({"val_loss": 0.1})
        trial.complete(value=0.05)

    assert sweep.records()[0].value == 0.05


def test_a_trial_that_was_given_back_is_not_ended_by_its_run(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    trial = take(sweep)
    run = client.start_run(sweep_trial=trial)
    trial.release()
    run.finish("killed")
    again = take(MLOpsClient(client.uri).get_sweep(sweep.id))

    assert (again.number, again.params) == (trial.number, trial.params)
    assert sweep.records()[0].status == "running"


def test_only_a_trial_may_be_given_as_one(client: MLOpsClient, store: Path) -> None:
    with pytest.raises(UsageError, match=r"start_run\(sweep_trial=trial\)"):
        client.start_run(sweep_trial={"lr": 0.1})  # type: ignore[arg-type]

    assert not store.exists()


def test_a_run_ends_its_trial_also_while_the_store_is_down(store: Path) -> None:
    client = MLOpsClient(f"memory://{store}")
    sweep = sweep_of(client)
    overlay: Any = client._store.backend
    delivery: Any = client._store.delivery
    faulty = FaultyBackend(overlay.store)
    overlay.store = delivery._remote = delivery._shipper._remote = faulty
    run = client.start_run(sweep_trial=take(sweep))
    run.log_metrics({"val_loss": 0.25})
    for operation in ("put", "get", "list"):
        faulty.fail(operation, BackendUnavailable("nobody answers"), times=None)
    run.finish(timeout=0.1)
    faulty.heal()
    assert client._store.delivery is not None
    assert client._store.delivery.flush(200)

    assert MLOpsClient(client.uri).get_sweep(sweep.id).records()[0].value == 0.25


ENDS = """
sweep = client.get_sweep({sweep!r})
trial = sweep.suggest()
run = client.start_run(sweep_trial=trial)
run.log_metrics({{"val_loss": 0.5}})
{then}
"""


@pytest.mark.parametrize(
    ("then", "status", "value"),
    [
        ("", "completed", 0.5),
        ("raise ValueError('no')", "failed", None),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", "killed", None),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", "killed", None),
        ("os.kill(os.getpid(), signal.SIGKILL)", "running", None),
    ],
)
def test_a_trial_ends_as_its_run_does_when_the_process_ends(
    stage: Stage, then: str, status: str, value: float | None
) -> None:
    sweep = sweep_of(MLOpsClient(stage.uri))
    stage.play(ENDS.format(sweep=sweep.id, then=then))
    (record,) = sweep.records()

    assert (record.status, record.value) == (status, value)
    assert record.run is not None
    if status == "running":
        assert take(sweep).number == 1


# Pickles --------------------------------------------------------------------------------------


def test_a_pickled_trial_is_ended_by_another_process(stage: Stage) -> None:
    sweep = sweep_of(MLOpsClient(stage.uri))
    trial = take(sweep)
    (stage.folder / "trial.pickle").write_bytes(pickle.dumps(trial))
    ended = stage.play(
        """
        import pickle
        trial = pickle.loads(open("trial.pickle", "rb").read())
        print(trial.number, dict(trial), trial.generation)
        trial.report(0.7, 1)
        trial.complete({"val_loss": 0.5})
        """
    )
    (record,) = sweep.records()

    assert ended.out.strip() == f"1 {trial.params} 0", ended.err
    assert (record.status, record.value, record.reports) == ("completed", 0.5, {1: 0.7})
    trial.complete(value=0.5)  # of the same value: nothing to say


def test_a_pickled_trial_holds_no_token_that_the_environment_has(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_API_TOKEN", "secret-of-mine")
    client = MLOpsClient(store)
    data = pickle.dumps(take(sweep_of(client)))

    assert b"secret-of-mine" not in data
    assert pickle.loads(data)._ledger.settings.api_token == "secret-of-mine"


# Reports --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pruner", ["median", "percentile", "successive_halving", "hyperband"])
def test_a_pruner_ends_what_is_worse_than_the_others(
    client: MLOpsClient, pruner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # the brackets of hyperband are drawn by the sweep's id
        patch.setattr("podstack.names.new_run_id", lambda: "20260101-000000-drawn")
        sweep = sweep_of(client, 40, pruner=pruner)
    pruned = []
    for place in range(30):
        trial = take(sweep)
        value = 0.1 if place < 20 else 9.0
        for step in range(1, 30):
            trial.report(value, step)
            if trial.should_prune():
                pruned.append(place)
                trial.prune()
                break
        else:
            trial.complete(value=value)

    if pruner == "hyperband":  # one of its brackets may lack a good trial
        assert set(range(20, 30)).issuperset(pruned)
        assert len(pruned) >= 5
    else:
        assert pruned == list(range(20, 30))
    assert all(sweep.records()[place].pruned for place in pruned)


def test_without_a_pruner_nothing_is_pruned(client: MLOpsClient) -> None:
    trial = take(sweep_of(client))
    trial.report(1e9, 1)

    assert trial.should_prune() is False


def test_a_trial_without_reports_is_not_pruned(client: MLOpsClient) -> None:
    assert take(sweep_of(client, pruner="median")).should_prune() is False
