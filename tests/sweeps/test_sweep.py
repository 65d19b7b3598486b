"""Making, finding, listing and reading sweeps by the client."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from podstack import (
    BackendError,
    MissingExtraError,
    MLOpsClient,
    NotFoundError,
    UsageError,
    WrongTypeError,
)
from podstack.sweeps.sweep import Progress, Sweep

SPACE = {"lr": {"min": 1e-4, "max": 1e-1, "distribution": "log_uniform"}, "layers": 2}
GRID = {"a": {"values": [1, 2, 3]}, "b": {"values": ["x", "y"]}}


def sweep_of(client: MLOpsClient, trials: int | None = 3, **options: Any) -> Sweep:
    return client.create_sweep(None, "random", SPACE, "val_loss", trials, **options)


def finish(sweep: Sweep, *values: float) -> None:
    for value in values:
        trial = sweep.suggest()
        assert trial is not None
        trial.complete(value=value)


# Making ---------------------------------------------------------------------------------------


def test_the_documented_call_makes_a_sweep_that_every_client_finds(client: MLOpsClient) -> None:
    experiment = client.create_experiment("digits")
    made = client.create_sweep(
        experiment.id, strategy="random", parameters=SPACE, objective_metric="val_acc", max_trials=9
    )
    sweep = MLOpsClient(client.uri).get_sweep(made.id)

    assert sweep.definition == made.definition
    assert (sweep.experiment_id, sweep.strategy, sweep.max_trials) == ("digits", "random", 9)
    assert sweep.objective == ("val_acc", "maximize")
    assert sweep.parameters["layers"] == {"distribution": "constant", "value": 2}
    assert (sweep.status, sweep.stop_reason, sweep.records()) == ("running", None, [])
    assert (sweep.best_trial, sweep.best_params, sweep.best_value) == (None, None, None)


def test_a_sweep_without_an_experiment_goes_into_the_default_one(client: MLOpsClient) -> None:
    assert sweep_of(client).experiment_id == "default"


def test_every_option_is_kept_in_the_store(client: MLOpsClient) -> None:
    made = client.create_sweep(
        None,
        "bayesian",
        search_space=SPACE,
        objective_metric="score of mine",
        direction="max",
        experiment=client.create_experiment("e"),
        name="first try",
        seed=3,
        sampler="tpe",
        target=math.inf,
        patience=7,
        max_time=3600,
        pruner="median",
    )
    read = MLOpsClient(client.uri).get_sweep(made.id).definition

    assert read == made.definition
    assert (read.name, read.seed, read.options) == ("first try", 3, {"sampler": "tpe"})
    assert read.stopping == (math.inf, 7, 3600.0)
    assert (read.pruner, read.objective.direction) == ("median", "maximize")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": None}, "needs its parameters"),
        ({"parameters": {"lr": {"min": 1, "max": 0}}}, "lr"),
        ({"search_space": SPACE}, "either parameters or search_space"),
        ({"objective_metric": None}, "objective_metric"),
        ({"objective_metric": "size"}, "direction='minimize' or direction='maximize'"),
        ({"direction": "down"}, "direction is minimize or maximize, not 'down'"),
        ({"strategy": "magic"}, "strategy is one of grid, random, bayesian, not 'magic'"),
        ({"max_trials": 0}, "max_trials is a whole number from 1 to 999,999, not 0"),
        ({"max_trials": 10**6}, "max_trials"),
        ({"max_trials": None}, "Nothing would end this sweep.*max_trials=50"),
        ({"seed": -1}, "seed"),
        ({"target": math.nan}, "target"),
        ({"patience": 0}, "patience"),
        ({"max_time": 0}, "max_time"),
        ({"max_time": math.inf}, "max_time"),
        ({"sampler": "gp"}, "sampler with random is quasi or uniform"),
        ({"sampler": "magic", "strategy": "bayesian"}, "magic"),
        ({"pruner": "mean"}, "pruner is one of median"),
        ({"name": ""}, "sweep name"),
        ({"warm_start": 7}, "warm_start is a sweep"),
        ({"strategy": "grid"}, "lr"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name_and_nothing_is_stored(
    client: MLOpsClient, store: Path, options: dict[str, Any], message: str
) -> None:
    given = {"strategy": "random", "parameters": SPACE, "objective_metric": "loss", "max_trials": 2}
    with pytest.raises(UsageError, match=message):
        client.create_sweep(**{**given, **options})

    assert not store.exists()


@pytest.mark.parametrize("options", [{"max_trials": 2.5}, {"max_trials": True}, {"seed": "x"}])
def test_a_number_of_the_wrong_type_is_refused(client: MLOpsClient, options: Any) -> None:
    given = {"strategy": "random", "parameters": SPACE, "objective_metric": "loss", "max_trials": 2}
    with pytest.raises(WrongTypeError, match="is a whole number"):
        client.create_sweep(**{**given, **options})


def test_a_typo_in_the_experiment_makes_nothing(client: MLOpsClient, store: Path) -> None:
    client.create_experiment("digits")
    with pytest.raises(NotFoundError, match="digits"):
        client.create_sweep("digit", "random", SPACE, "loss", 3)

    assert client.list_sweeps() == []


def test_the_direction_is_taken_from_the_name_and_said_aloud(
    client: MLOpsClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PODSTACK_QUIET")
    sweep = sweep_of(client)
    said = capsys.readouterr().err

    assert "val_loss is to minimize, as its name says" in said
    assert f"id {sweep.id}" in said


def test_without_a_strategy_it_is_bayesian_where_optuna_is_installed(
    client: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made() -> str:
        return client.create_sweep(parameters=SPACE, objective_metric="loss", max_trials=1).strategy

    assert made() == "bayesian"
    monkeypatch.setattr("podstack.sweeps.creating.find_spec", lambda name: None)
    assert made() == "random"


def test_a_grid_has_all_its_points_once_and_no_more_than_asked_for(client: MLOpsClient) -> None:
    whole = client.create_sweep(None, "grid", GRID, "loss")
    some = client.create_sweep(None, "grid", GRID, "loss", 4)
    more = client.create_sweep(None, "grid", GRID, "loss", 40)
    points = []
    while trial := whole.suggest():
        trial.complete(value=1.0)
        points.append((trial["a"], trial["b"]))

    assert sorted(points) == [(a, b) for a in (1, 2, 3) for b in ("x", "y")]
    assert [sweep.progress.total for sweep in (whole, some, more)] == [6, 4, 6]


def test_a_grid_beyond_all_counting_is_answered_at_once(client: MLOpsClient) -> None:
    space = {f"p{place}": {"values": [0, 1]} for place in range(300)}
    with pytest.raises(UsageError, match=r"about 10\^90 points.*max_trials"):
        client.create_sweep(None, "grid", space, "loss")
    sweep = client.create_sweep(None, "grid", space, "loss", 2)
    finish(sweep, 1.0, 2.0)

    assert sweep.status == "completed"


def test_a_store_that_cannot_be_written_is_told_at_the_creation(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="Cannot write to the store"):
        sweep_of(MLOpsClient(tmp_path / "file" / "store"))


# Warm starts ----------------------------------------------------------------------------------


def test_a_sweep_starts_from_what_another_found(client: MLOpsClient) -> None:
    earlier = sweep_of(client)
    finish(earlier, 0.5, math.inf)
    trial = earlier.suggest()
    assert trial is not None
    trial.fail("no")
    for given in (earlier, earlier.id):
        later = client.create_sweep(None, "bayesian", SPACE, "val_loss", 5, warm_start=given)
        warm = MLOpsClient(client.uri).get_sweep(later.id).definition.warm

        assert [(one.number, one.value) for one in warm] == [(0, 0.5), (-1, math.inf)]
        assert warm[0].params == earlier.records()[0].params
        assert later.records() == []
        assert later.suggest() is not None


def test_a_sweep_starts_from_runs_whose_parameters_lie_in_its_space(client: MLOpsClient) -> None:
    for lr, loss in ((1e-2, 0.5), (5.0, 0.1), (1e-3, 0.7)):
        with client.start_run(params={"lr": lr, "layers": 2, "other": "x"}) as run:
            run.log_metrics({"val_loss": loss + 1})
            run.log_metrics({"val_loss": loss})
    with client.start_run(params={"lr": 1e-2, "layers": 2}):
        pass
    sweep = sweep_of(client, warm_start=client.list_runs())

    assert [(one.params["lr"], one.value) for one in sweep.definition.warm] == [
        (1e-2, 0.5),
        (1e-3, 0.7),
    ]
    assert all(one.run for one in sweep.definition.warm)


# Finding --------------------------------------------------------------------------------------


def test_an_unknown_sweep_is_an_error_that_names_the_nearest(client: MLOpsClient) -> None:
    sweep = sweep_of(client, name="digits")
    for call in (
        lambda: client.get_sweep("digit"),
        lambda: client.suggest_sweep_params("digit"),
        lambda: client.complete_sweep_trial("digit", "1", {}),
        lambda: client.stop_sweep("digit"),
    ):
        with pytest.raises(NotFoundError, match=r"No sweep 'digit' \(nearest of 2: digits"):
            call()
    with pytest.raises(NotFoundError, match=sweep.id):
        client.get_sweep(sweep.id[:-1])
    with pytest.raises(UsageError, match="sweep name must be a string"):
        client.get_sweep(7)  # type: ignore[arg-type]


def test_a_sweep_is_found_by_its_name_unless_several_have_it(client: MLOpsClient) -> None:
    first = sweep_of(client, name="digits")
    assert client.get_sweep("digits").id == first.id
    second = sweep_of(client, name="digits")

    with pytest.raises(UsageError, match=f"2 sweeps are named 'digits': .*{second.id}"):
        client.get_sweep("digits")


def test_sweeps_are_listed_by_experiment_and_deleted_ones_are_hidden(client: MLOpsClient) -> None:
    client.create_experiment("a")
    one, two = sweep_of(client, experiment="a"), sweep_of(client)
    gone = sweep_of(client, experiment="a")
    gone.delete()

    assert [sweep.id for sweep in client.list_sweeps()] == [one.id, two.id]
    assert [sweep.id for sweep in client.list_sweeps("a")] == [one.id]
    assert gone.suggest() is None
    gone.restore()
    assert gone.suggest() is not None
    assert [sweep.id for sweep in client.list_sweeps(experiment="a")] == [one.id, gone.id]


def test_a_damaged_sweep_costs_only_itself(
    client: MLOpsClient, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = sweep_of(client), sweep_of(client)
    (log,) = (store / "projects/default/sweeps" / bad.id).glob("*.jsonl")
    log.write_text(
        log.read_text().replace('"strategy"', '"strategie"').partition(',"c":')[0] + "}\n"
    )
    fresh = MLOpsClient(store)

    assert [sweep.id for sweep in fresh.list_sweeps()] == [good.id]
    with pytest.raises(NotFoundError):
        fresh.get_sweep(bad.id)


# Reading --------------------------------------------------------------------------------------


def test_progress_counts_trials_by_how_they_stand(client: MLOpsClient) -> None:
    sweep = sweep_of(client, 8)
    finish(sweep, 0.5, 0.25)
    trials = [sweep.suggest() for _ in range(4)]
    assert all(trials)
    trials[0].fail("no")  # type: ignore[union-attr]
    sweep.complete(trials[1].id, status="killed")  # type: ignore[union-attr]
    trials[2].prune()  # type: ignore[union-attr]
    progress = sweep.progress

    assert progress._replace(elapsed=0.0) == Progress(
        completed=3,
        running=1,
        failed=1,
        killed=1,
        pruned=1,
        total=8,
        best_value=0.25,
        elapsed=0.0,
        remaining=3,
    )
    assert progress.elapsed > 0


def test_history_tells_the_best_so_far(client: MLOpsClient) -> None:
    sweep = sweep_of(client, 5)
    finish(sweep, 0.5, math.nan, 0.7, 0.2)
    shown = [(number, round(value, 3), best) for number, value, best in sweep.history()]

    assert str(shown) == "[(1, 0.5, 0.5), (2, nan, 0.5), (3, 0.7, 0.5), (4, 0.2, 0.2)]"


def test_a_stopped_sweep_that_had_ended_is_completed(client: MLOpsClient) -> None:
    sweep = sweep_of(client, 1)
    finish(sweep, 1.0)
    sweep.stop()

    assert sweep.status == "completed"
    assert sweep_of(client).refresh().stop_reason is None


# Modes ----------------------------------------------------------------------------------------


def test_disabled_gives_parameters_and_writes_nothing(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store", mode="disabled")
    sweep = sweep_of(client, 2)
    numbers = []
    while trial := client.suggest_sweep_params(sweep.id):
        with client.start_run(sweep_trial=trial) as run:
            run.log_metrics({"val_loss": 1.0})
        client.complete_sweep_trial(sweep.id, trial.id, {"val_loss": trial["lr"]})
        numbers.append(trial.number)

    assert numbers == [1, 2]
    assert [one.id for one in client.list_sweeps()] == [sweep.id]
    with pytest.raises(NotFoundError, match="disabled"):
        client.get_sweep("another")
    assert list(tmp_path.iterdir()) == []


def test_offline_refuses_a_sweep_that_nobody_could_share(tmp_path: Path) -> None:
    client = MLOpsClient(f"memory://{tmp_path}", mode="offline")
    for call in (lambda: sweep_of(client), lambda: client.suggest_sweep_params("s")):
        with pytest.raises(UsageError, match=r"mode='offline'.*mode='online'"):
            call()
    assert sweep_of(MLOpsClient(tmp_path / "store", mode="offline")).suggest() is not None


def test_without_optuna_only_the_bayesian_strategy_is_missing(
    client: MLOpsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)

    assert sweep_of(client, pruner="median").suggest() is not None
    with pytest.raises(MissingExtraError, match="sweeps"):
        client.create_sweep(None, "bayesian", SPACE, "loss", 1)
