"""Sweeps on a server: an editor's token is enough, and nothing stays behind on the worker."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from podstack import MLOpsClient, config
from podstack.sweeps.sweep import Sweep
from podstack.testing.podstack_server import RunningServer
from podstack.testing.stage import Stage

SPACE = {"lr": {"min": 0.0, "max": 1.0}, "act": {"values": ["relu", "tanh"]}}
OPENING = """
sweep = client.get_sweep({sweep!r})
trial = sweep.suggest()
print(trial.number, trial.flat_params, flush=True)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "store", tokens=True) as running:
        yield running


@pytest.fixture
def client(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[MLOpsClient]:
    """It gives back what its tests have taken, as at the end of a process."""
    monkeypatch.setenv("PODSTACK_API_TOKEN", server.token("default", "editor"))
    client = MLOpsClient(server.url)
    yield client
    for sweep in client.list_sweeps():
        sweep._ledger.finish()


@pytest.fixture
def stage(client: MLOpsClient, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path, uri=client.uri, environment={"PODSTACK_FINISH_TIMEOUT": "200"})
    yield stage
    stage.close()


def sweep_of(client: MLOpsClient, trials: int = 3, strategy: str = "random") -> Sweep:
    return client.create_sweep(None, strategy, SPACE, "val_loss", trials, seed=7)


def waiting() -> list[Path]:
    return [path for path in config.spool_folder().glob("*/*/projects/**/*") if path.is_file()]


def spools() -> list[Path]:
    return [path for path in config.spool_folder().glob("*/*") if path.is_dir()]


def test_what_a_worker_did_is_in_the_store_when_it_ends_and_nothing_stays_behind(
    client: MLOpsClient, stage: Stage
) -> None:
    sweep = sweep_of(client)
    ended = stage.play(
        f"""
        while trial := client.suggest_sweep_params({sweep.id!r}):
            client.complete_sweep_trial({sweep.id!r}, trial.id, {{"val_loss": trial["lr"]}})
        """
    )

    assert ended.code == 0, ended.err
    assert sweep.status == "completed", ended.err
    assert [record.status for record in sweep.records()] == ["completed"] * 3
    assert waiting() == []
    assert spools() == []


def test_a_killed_workers_bayesian_trial_keeps_its_parameters(
    client: MLOpsClient, stage: Stage
) -> None:
    sweep = sweep_of(client, strategy="bayesian")
    ended = stage.play(
        OPENING.format(sweep=sweep.id) + "os.kill(os.getpid(), signal.SIGKILL)",
    )
    again = sweep.suggest()

    assert again is not None
    assert f"{again.number} {again.flat_params}" == ended.out.strip(), ended.err
    assert again.generation == 1


def test_a_terminated_worker_gives_its_trial_back(client: MLOpsClient, stage: Stage) -> None:
    sweep = sweep_of(client, 1)
    ended = stage.play(
        OPENING.format(sweep=sweep.id) + "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
        first="import podstack.endings\npodstack.endings.AT_ONCE = 200.0\n",
    )

    assert ended.code == -15, ended.err
    assert [record.worker for record in sweep.records()] == [""]
    assert sweep.suggest() is not None


def test_a_run_of_a_trial_ends_it_in_the_store(client: MLOpsClient, stage: Stage) -> None:
    sweep = sweep_of(client, 1)
    ended = stage.play(
        OPENING.format(sweep=sweep.id)
        + """
with client.start_run(sweep_trial=trial) as run:
    for step in range(5):
        run.log_metrics({"val_loss": 1.0 - step / 10}, step=step)
"""
    )
    (record,) = sweep.records()

    assert (record.status, record.value) == ("completed", 0.6), ended.err
    assert record.run is not None
    assert client.get_run(record.run).params == record.params
    assert spools() == []


@pytest.mark.slow
def test_what_a_worker_could_not_send_counts_once_the_next_one_has_sent_it(
    client: MLOpsClient, stage: Stage, server: RunningServer
) -> None:
    sweep = sweep_of(client, 2)
    worker = stage.start(
        OPENING.format(sweep=sweep.id)
        + """
while not os.path.exists("down"):
    time.sleep(0.01)
trial.complete(value=0.25)
""",
        environment={"PODSTACK_FINISH_TIMEOUT": "1"},
    )
    worker.wait_for_word("lr")
    server.kill()
    (stage.folder / "down").touch()
    ended = worker.wait()
    server.start()

    assert ended.code == 0, ended.err
    assert "not yet in" in ended.err
    assert waiting() != []
    next_one = MLOpsClient(client.uri)
    other = next_one.get_sweep(sweep.id)
    trial = other.suggest()  # which begins to send what others left
    assert trial is not None
    assert next_one._store.delivery is not None
    next_one._store.delivery.adopt(200)  # after what it has begun: another would pass it over

    assert other.refresh().records()[0].value == 0.25


@pytest.mark.slow
def test_a_pickled_trial_ends_in_a_process_that_never_saw_the_store(
    client: MLOpsClient, stage: Stage, server: RunningServer
) -> None:
    sweep = sweep_of(client, 1)
    trial = sweep.suggest()
    (stage.folder / "trial.pickle").write_bytes(pickle.dumps(trial))
    server.kill()
    ended = stage.play(
        """
        import pickle
        trial = pickle.loads(open("trial.pickle", "rb").read())
        trial.complete({"val_loss": 0.5})
        print(trial.params)
        """,
        environment={"PODSTACK_FINISH_TIMEOUT": "1"},
    )
    server.start()
    assert trial is not None
    assert ended.out.strip() == str(trial.params), ended.err
    assert client._store.delivery is not None
    client._store.delivery.adopt(200)

    assert sweep.records()[0].value == 0.5
