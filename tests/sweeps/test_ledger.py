"""The ledger of a sweep: every trial is had once, ends once, and is offered again if it is lost."""

from __future__ import annotations

import logging
import math
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from podstack import (
    BackendError,
    BackendUnavailable,
    MLOpsClient,
    NotFoundError,
    UsageError,
    WrongTypeError,
)
from podstack.oplog import Op
from podstack.sweeps.states import States
from podstack.sweeps.sweep import Sweep
from podstack.sweeps.trial import Trial
from podstack.testing.faults import FaultyBackend
from podstack.testing.stage import Stage

SPACE = {"lr": {"min": 0.0, "max": 1.0}, "model": {"width": {"values": [8, 16]}}}


def sweep_of(client: MLOpsClient, trials: int | None = 3, **options: Any) -> Sweep:
    return client.create_sweep(None, "random", SPACE, "val_loss", trials, seed=7, **options)


def take(sweep: Sweep, **options: Any) -> Trial:
    trial = sweep.suggest(**options)
    assert trial is not None
    return trial


def settle(*clients: MLOpsClient) -> None:
    """What was written has come to the store, where that is elsewhere."""
    for client in clients:
        if client._store.delivery is not None:
            assert client._store.delivery.flush(200)


def another(client: MLOpsClient, sweep: Sweep) -> Sweep:
    """The sweep as another process sees it: by a client of its own."""
    settle(client)
    return MLOpsClient(client.uri).get_sweep(sweep.id)


@pytest.fixture(params=["local", "memory"])
def client(request: pytest.FixtureRequest, store: Path) -> MLOpsClient:
    return MLOpsClient(store if request.param == "local" else f"memory://{store}")


def test_the_documented_loop_runs_every_trial_once(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    seen = []
    while trial := client.suggest_sweep_params(sweep.id):
        seen.append((trial.id, trial.number))
        client.complete_sweep_trial(sweep.id, trial.id, {"val_loss": trial["lr"]})

    assert seen == [("1", 1), ("2", 2), ("3", 3)]
    assert sweep.status == "completed"
    assert sweep.best_trial is not None
    assert sweep.best_value == min(record.value for record in sweep.records() if record.value)
    assert sweep.best_params is not None
    assert set(sweep.best_params) == {"lr", "model"}
    assert client.suggest_sweep_params(sweep.id) is None


def test_two_clients_share_the_trials_of_one_sweep(client: MLOpsClient) -> None:
    sweep, other = sweep_of(client, 8), MLOpsClient(client.uri)
    two = (sweep, other.get_sweep(sweep.id))
    trials = [take(one) for _ in range(4) for one in two]

    assert sorted(trial.number for trial in trials) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(one.suggest() is None for one in two)
    for trial in trials:
        trial.complete(value=1.0)
    settle(client, other)
    assert all(one.status == "completed" for one in two)


def test_threads_get_trials_of_their_own(client: MLOpsClient) -> None:
    sweep = sweep_of(client, 40)

    def work(_: int) -> list[int]:
        done = []
        while trial := sweep.suggest():
            trial.complete(value=trial["lr"])
            done.append(trial.number)
        return done

    with ThreadPoolExecutor(4) as pool:
        numbers = [number for done in pool.map(work, range(4)) for number in done]

    assert sorted(numbers) == list(range(1, 41))


def test_the_same_seed_gives_the_same_parameters_in_every_process(client: MLOpsClient) -> None:
    one, two = sweep_of(client), sweep_of(client)

    assert [take(one).flat_params for _ in range(3)] == [take(two).flat_params for _ in range(3)]


def test_a_completed_trial_stays_as_it_first_ended(
    client: MLOpsClient, caplog: pytest.LogCaptureFixture
) -> None:
    sweep = sweep_of(client)
    trial = take(sweep)
    trial.complete({"val_loss": 0.5, "acc": 0.9})
    trial.complete({"val_loss": 0.5})
    assert caplog.text == ""

    another(client, sweep).complete(trial.id, {"val_loss": 0.1})

    assert "had ended before" in caplog.text
    (record,) = sweep.records()
    assert (record.value, record.metrics) == (0.5, {"val_loss": 0.5, "acc": 0.9})


def test_of_two_endings_that_crossed_the_first_counts_in_whatever_order_they_are_read() -> None:
    ops = [
        Op("01", "a", {"trials/1/status": "running", "trials/1/params": {"x": 1}}),
        Op("03", "a", {"trials/1/status": "completed", "trials/1/value": 1.0}),
        Op("02", "b", {"trials/1/status": "failed", "trials/1/error": "no"}),
    ]
    for order in (ops, ops[::-1], ops + ops):
        states = States()
        states.add(order)
        (record,) = states.records

        assert (record.status, record.value, record.error) == ("failed", None, "no")
        assert record.params == {"x": 1}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_kept_and_never_the_best(
    client: MLOpsClient, value: float
) -> None:
    sweep = sweep_of(client)
    take(sweep).complete(value=value)
    take(sweep).complete(value=1.0)
    read = another(client, sweep).records()[0].value

    assert read is not None
    assert read == value or math.isnan(read)
    if math.isnan(value):
        assert sweep.best_value == 1.0


def test_a_failed_trial_keeps_the_reason_and_its_number(client: MLOpsClient) -> None:
    sweep = sweep_of(client, 2)
    take(sweep).fail("CUDA out of memory")
    take(sweep).complete(value=1.0)

    assert sweep.records()[0].error == "CUDA out of memory"
    assert sweep.suggest() is None
    assert sweep.progress[:5] == (1, 0, 1, 0, 0)


def test_a_sweep_all_of_whose_first_trials_failed_says_so_once(
    client: MLOpsClient, caplog: pytest.LogCaptureFixture
) -> None:
    sweep = sweep_of(client, 9)
    for _ in range(7):
        take(sweep).fail("Traceback:\nValueError: no such file")

    assert caplog.text.count("have failed so far") == 1
    assert "ValueError: no such file" in caplog.text
    assert sweep.status == "running"


def test_a_trial_without_the_objective_is_refused_and_goes_on(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    trial = take(sweep)

    with pytest.raises(UsageError, match=r"no val_loss.*it has 'loss'"):
        trial.complete({"loss": 1.0})
    with pytest.raises(WrongTypeError, match="val_loss"):
        trial.complete({"val_loss": "low"})
    with pytest.raises(UsageError, match="completed, failed, killed"):
        sweep.complete(trial.id, {"val_loss": 1}, status="done")
    trial.complete({"val_loss": 1})

    assert [record.status for record in sweep.records()] == ["completed"]


def test_an_unknown_trial_is_an_error_that_names_those_that_are(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    take(sweep)

    with pytest.raises(NotFoundError, match=r"No trial of sweep .* '3' \(nearest of 1: 1\)"):
        sweep.complete("3", {"val_loss": 1})
    for wrong in ("one", "-1", "1.5", "1" * 9, True):
        with pytest.raises(UsageError, match=r"trial\.id"):
            sweep.complete(wrong, {"val_loss": 1})


def test_a_released_trial_is_offered_again_at_once_with_its_parameters(
    client: MLOpsClient,
) -> None:
    sweep = sweep_of(client)
    first = take(sweep)
    other = another(client, sweep)
    first.release()
    settle(client)
    assert [record.worker for record in sweep.records()] == [""]
    again = take(other)

    assert (again.number, again.params) == (first.number, first.params)
    assert first.sweep_id == again.sweep_id
    first.complete(value=1.0)
    assert sweep.progress.completed == 1


def test_a_stopped_sweep_gives_out_nothing_and_says_why(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    running = take(sweep)
    client.stop_sweep(sweep.id, "the data was wrong")
    other = another(client, sweep)

    assert other.suggest() is None
    assert (other.status, other.stop_reason) == ("stopped", "the data was wrong")
    running.complete(value=1.0)
    settle(client)
    assert other.progress.completed == 1


def test_a_target_stops_the_sweep_for_everybody(client: MLOpsClient) -> None:
    sweep = sweep_of(client, 9, target=0.2)
    take(sweep).complete(value=0.3)
    take(sweep).complete(value=0.1)

    assert sweep.suggest() is None
    assert another(client, sweep).stop_reason == (
        "Trial 2 reached the target: val_loss = 0.1 <= 0.2."
    )


def test_whoever_waits_gets_the_trial_that_another_gives_back(client: MLOpsClient) -> None:
    sweep = sweep_of(client, 1)
    held = take(sweep)
    other = another(client, sweep)
    assert other.suggest() is None
    got: list[Trial | None] = []
    waiting = threading.Thread(target=lambda: got.append(other.suggest(wait=200)))
    waiting.start()
    held.release()
    waiting.join()

    assert [trial.number for trial in got if trial] == [1]


def test_a_label_is_given_the_same_trial_until_that_is_over(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    first = take(sweep, label="ray-1")
    second = take(sweep, label="ray-2")

    assert take(sweep, label="ray-1").number == first.number
    assert another(client, sweep).suggest(label="ray-1") is None  # a live process has it
    assert second.number != first.number
    first.complete(value=1.0)
    assert sweep.suggest(label="ray-1") is None
    assert [record.label for record in sweep.records()] == ["ray-1", "ray-2"]


def test_reports_are_kept_by_step_and_a_pruned_trial_has_the_last_one(
    client: MLOpsClient,
) -> None:
    sweep = sweep_of(client)
    trial = take(sweep)
    for step, value in ((1, 0.9), (0, 1.5), (10, math.nan), (2, 0.4)):
        trial.report(value, step)
    trial.prune()
    (record,) = another(client, sweep).records()

    assert list(record.reports) == [0, 1, 2, 10]
    assert (record.status, record.pruned) == ("completed", True)
    assert math.isnan(record.value or 0.0)
    assert sweep.best_trial is None
    with pytest.raises(UsageError, match="step"):
        trial.report(1.0, 0.5)  # type: ignore[arg-type]


def test_a_trial_is_shown_as_what_it_is(client: MLOpsClient) -> None:
    trial = take(sweep_of(client))

    assert repr(trial) == f"Trial(1, {trial.params!r})"
    assert dict(trial) == trial.params
    assert list(trial) == ["lr", "model"]
    assert len(trial) == 2
    assert trial["model"]["width"] == trial.flat_params["model/width"]


def test_whoever_goes_on_after_the_end_does_so_as_another_writer(client: MLOpsClient) -> None:
    """As in a notebook whose last cell ended everything, and is then run once more."""
    sweep = sweep_of(client, 4)
    take(sweep).complete(value=1.0)
    held = take(sweep)
    sweep._ledger.finish()
    again = take(sweep)
    again.complete(value=2.0)
    records = another(client, sweep).records()

    assert (again.number, again.params) == (held.number, held.params)
    assert [record.value for record in records] == [1.0, 2.0]
    assert records[0].worker != records[1].worker


def test_a_trial_that_another_process_ended_is_held_no_longer(client: MLOpsClient) -> None:
    sweep = sweep_of(client)
    trial = take(sweep)
    other = MLOpsClient(client.uri)
    other.complete_sweep_trial(sweep.id, trial.id, {"val_loss": 1.0})
    settle(other)
    sweep.refresh()
    sweep._ledger.tick()

    assert sweep._ledger._claims.all_held == []


def test_a_script_that_seeds_its_chance_shares_the_trials_all_the_same(
    client: MLOpsClient,
) -> None:
    sweep, other = sweep_of(client, 12), MLOpsClient(client.uri)
    numbers = []
    for one in (sweep, other.get_sweep(sweep.id)) * 6:
        random.seed(0)
        numbers.append(take(one).number)

    assert sorted(numbers) == list(range(1, 13))


# Processes ------------------------------------------------------------------------------------

WORKER = """
sweep = client.get_sweep({sweep!r})
trial = sweep.suggest()
print(trial.number, trial.flat_params, flush=True)
{then}
"""


def test_a_killed_workers_trial_is_finished_by_another_with_the_same_parameters(
    stage: Stage,
) -> None:
    client = MLOpsClient(stage.uri)
    sweep = sweep_of(client, 2)
    ended = stage.play(WORKER.format(sweep=sweep.id, then="os.kill(os.getpid(), signal.SIGKILL)"))
    trial = take(sweep)

    assert ended.code == -9
    assert f"{trial.number} {trial.flat_params}" == ended.out.strip()
    assert trial.generation == 1
    trial.complete(value=0.5)
    assert take(sweep).number == 2
    assert [record.generation for record in sweep.records()] == [1, 0]


def test_a_process_that_ends_well_gives_its_trial_back(stage: Stage) -> None:
    sweep = sweep_of(MLOpsClient(stage.uri), 1)
    ended = stage.play(WORKER.format(sweep=sweep.id, then=""))
    again = take(sweep)

    assert ended.code == 0, ended.err
    assert f"{again.number} {again.flat_params}" == ended.out.strip()
    assert again.generation == 0


def test_a_process_that_dies_of_an_exception_fails_its_trial(stage: Stage) -> None:
    sweep = sweep_of(MLOpsClient(stage.uri), 1)
    stage.play(WORKER.format(sweep=sweep.id, then="raise ValueError('too wide')"))
    (record,) = sweep.records()

    assert record.status == "failed"
    assert "ValueError: too wide" in (record.error or "")


def test_a_terminated_process_gives_its_trial_back(stage: Stage) -> None:
    sweep = sweep_of(MLOpsClient(stage.uri), 1)
    ended = stage.play(
        WORKER.format(sweep=sweep.id, then="os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)")
    )

    assert ended.code == -15
    assert [record.worker for record in sweep.records()] == [""]
    assert take(sweep).number == 1


def test_a_trial_that_kills_every_worker_is_given_up(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstack.sweeps.dealing.MOST_LOSSES", 0)
    sweep = sweep_of(MLOpsClient(stage.uri), 1)
    stage.play(WORKER.format(sweep=sweep.id, then="os.kill(os.getpid(), signal.SIGKILL)"))

    assert sweep.suggest() is None
    assert "went silent 1 times" in (sweep.records()[0].error or "")
    assert sweep.status == "completed"
    assert "is failed" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_child_has_none_of_its_parents_trials_and_may_end_them(stage: Stage) -> None:
    sweep = sweep_of(MLOpsClient(stage.uri), 3)
    ended = stage.play(
        WORKER.format(
            sweep=sweep.id,
            then="""
child = os.fork()
if child == 0:
    own = sweep.suggest()
    print("child", own.number, flush=True)
    own.complete(value=2.0)
    trial.complete(value=1.0)
    os._exit(0)
os.waitpid(child, 0)
""",
        )
    )

    own = int(ended.out.partition("child ")[2])

    assert own in (2, 3), ended.err
    assert [(r.number, r.status, r.value) for r in sweep.records()] == [
        (1, "completed", 1.0),
        (own, "completed", 2.0),
    ]
    assert len({record.worker for record in sweep.records()}) == 2


# A store that is down -------------------------------------------------------------------------


@pytest.fixture
def far(store: Path) -> tuple[MLOpsClient, FaultyBackend]:
    """A client of a store elsewhere, and what makes that fail."""
    client = MLOpsClient(f"memory://{store}")
    overlay: Any = client._store.backend
    delivery: Any = client._store.delivery
    overlay.store = delivery._remote = delivery._shipper._remote = FaultyBackend(overlay.store)
    return client, overlay.store


def switch_off(faulty: FaultyBackend) -> None:
    for operation in ("put", "get", "list"):
        faulty.fail(operation, BackendUnavailable("nobody answers"), times=None)


def test_a_trial_ends_also_while_the_store_is_down(
    far: tuple[MLOpsClient, FaultyBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, faulty = far
    monkeypatch.setenv("PODSTACK_SWEEP_TIMEOUT", "0.2")
    sweep = sweep_of(client)
    trial = take(sweep)
    switch_off(faulty)
    trial.report(0.5, 1)
    trial.complete(value=0.5)
    with pytest.raises(BackendError, match=r"could be taken for 0 s: nobody answers.*_TIMEOUT"):
        sweep.suggest()
    faulty.heal()
    settle(client)

    assert [record.value for record in another(client, sweep).records()] == [0.5]
    assert take(sweep).number == 2


def test_asking_outlasts_a_short_outage_and_says_so_once(
    far: tuple[MLOpsClient, FaultyBackend],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, faulty = far
    monkeypatch.setenv("PODSTACK_SWEEP_TIMEOUT", "200")
    sweep = sweep_of(client)
    switch_off(faulty)
    is_over = threading.Event()

    def heal() -> None:
        while "waits up to" not in caplog.text and not is_over.wait(0.01):
            pass
        faulty.heal()

    healing = threading.Thread(target=heal)
    healing.start()
    with caplog.at_level(logging.WARNING):
        trial = take(sweep)
    is_over.set()
    healing.join()

    assert trial.number == 1
    assert caplog.text.count("waits up to 200 s") == 1
