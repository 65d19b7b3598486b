"""Many processes on one sweep, on every kind of store: each trial exactly once, whatever happens.

The default suite has small crowds; `slow` has eight processes with 200 trials, kills at random
moments, a server that is killed, a store that goes away, and clocks that are an hour apart.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient
from podstack.testing.fault_proxy import FaultProxy
from podstack.testing.podstack_server import RunningServer
from podstack.testing.s3_servers import (
    MotoServer,
    RcloneServer,
    S3Server,
    credentials,
    s3_environment,
)
from podstack.testing.stage import Stage
from podstack.testing.sweeping import RIGHT, Crowd, grid, judge, uncovered

LOCAL, MOTO, RCLONE, HTTP = "local", "moto", "rclone", "http"
ALL = [LOCAL, MOTO, RCLONE, HTTP]
KILLED = -signal.SIGKILL
_SHIFTED = """\
import time as _time
_real = _time.time
_time.time = lambda: _real() + {seconds}
"""


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with MotoServer() as server:
        yield server


@pytest.fixture(scope="session")
def rclone() -> Iterator[S3Server]:
    with RcloneServer() as server:
        yield server


@pytest.fixture
def on(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Stage]]:
    """Gives a stage on a store of some kind."""
    closing: list[Any] = []

    def made(kind: str) -> Stage:
        if kind in (MOTO, RCLONE):
            context = s3_environment(monkeypatch)
            context.__enter__()
            closing.append(lambda: context.__exit__(None, None, None))
            server = request.getfixturevalue(kind)
            uri, environment = server.url(server.new_bucket(), "team"), credentials()
        elif kind == HTTP:
            http = RunningServer(tmp_path / "served")
            closing.append(http.stop)
            uri, environment = http.url, {}
        else:
            uri, environment = str(tmp_path / "store"), {}
        patience = {"PODSTACK_SWEEP_PATIENCE": "120"}  # a worker that is stopped lives
        stage = Stage(tmp_path, uri=uri, environment={**environment, **patience})
        closing.append(stage.close)
        return stage

    yield made
    for close in reversed(closing):
        close()


def work_out(stage: Stage, workers: int, size: int, deadline: float) -> Crowd:
    """So many processes do all of a grid, and everything is right."""
    sweep = grid(MLOpsClient(stage.uri), size)
    crowd = Crowd(stage, sweep.id)
    started = crowd.start(workers, deadline=deadline)
    crowd.open()
    for worker in started:
        ended = worker.wait()
        assert ended.code == 0, ended.err
    assert judge(sweep, crowd, size) == RIGHT
    assert uncovered(sweep, size) == set()
    assert all(noted.is_over for noted in crowd.noted())
    assert sweep.status == "completed"
    return crowd


@pytest.mark.parametrize(("kind", "size"), [(LOCAL, 24), (MOTO, 12), (HTTP, 12)])
def test_a_small_crowd_does_each_trial_exactly_once(
    on: Callable[[str], Stage], kind: str, size: int
) -> None:
    work_out(on(kind), workers=3, size=size, deadline=240)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ALL)
def test_eight_processes_do_200_trials_exactly_once(on: Callable[[str], Stage], kind: str) -> None:
    crowd = work_out(on(kind), workers=8, size=200, deadline=500)

    assert len([noted for noted in crowd.noted() if noted.begun]) > 1


def test_a_killed_workers_trial_is_finished_by_another_with_the_same_parameters(
    on: Callable[[str], Stage],
) -> None:
    stage = on(LOCAL)
    sweep = MLOpsClient(stage.uri).create_sweep(
        None, "random", {"x": {"min": 0.0, "max": 1.0}}, "loss", 6
    )
    crowd = Crowd(stage, sweep.id)
    crowd.open()
    first = crowd.start(1, stays_at=2)[0]
    first.wait_until(lambda: crowd.begun() == 2, "its second trial")
    first.send(signal.SIGKILL)
    second = crowd.start(1)[0]

    assert first.wait().code == KILLED
    assert second.wait().code == 0
    assert judge(sweep, crowd, 6)._replace(taken_twice=[]) == RIGHT


def kill_some(
    crowd: Crowd, size: int, *, kills: int, workers: int, deadline: float, seed: int
) -> int:
    """Kill workers at random moments and start others in their place, until all is done."""
    chance = random.Random(seed)
    alive = crowd.start(workers, deadline=deadline)
    crowd.open()
    killed = 0
    while killed < kills and any(not worker.has_ended for worker in alive):
        time.sleep(chance.random() * 1.5)
        victim = chance.choice(alive)
        if victim.has_ended:
            continue
        victim.send(signal.SIGKILL)
        killed += victim.wait().code == KILLED
        alive.remove(victim)
        alive += crowd.start(1, deadline=deadline)
    for worker in alive:
        ended = worker.wait()
        assert ended.code == 0, ended.err
    return killed


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ALL)
def test_killed_workers_leave_no_trial_undone_and_no_other_parameters(
    on: Callable[[str], Stage], kind: str
) -> None:
    stage = on(kind)
    size = 100
    sweep = grid(MLOpsClient(stage.uri), size)
    crowd = Crowd(stage, sweep.id, work=0.4)

    assert kill_some(crowd, size, kills=8, workers=5, deadline=400, seed=7) > 0
    assert judge(sweep, crowd, size)._replace(taken_twice=[]) == RIGHT
    assert uncovered(sweep, size) == set()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ALL)
def test_a_stop_by_hand_ends_all_workers_and_no_trial_is_begun_after(
    on: Callable[[str], Stage], kind: str
) -> None:
    stage = on(kind)
    sweep = grid(MLOpsClient(stage.uri), 400)
    crowd = Crowd(stage, sweep.id, work=0.2)
    workers = crowd.start(4, deadline=240)
    crowd.open()
    workers[0].wait_until(lambda: crowd.begun() >= 12, "a dozen trials")
    sweep.stop("seen enough")
    by_then = crowd.begun()

    for worker in workers:
        assert worker.wait().code == 0
    begun = crowd.begun()
    assert begun <= by_then + len(workers)  # each may have been about to
    assert (sweep.status, sweep.stop_reason) == ("stopped", "seen enough")
    records = sweep.refresh().records()
    assert len(records) == begun
    assert {record.status for record in records} == {"completed"}
    assert sweep.suggest() is None


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_that_is_killed_and_started_again_costs_no_trial(tmp_path: Path) -> None:
    size = 80
    with RunningServer(tmp_path / "served") as server:
        stage = Stage(tmp_path, uri=server.url)
        sweep = grid(MLOpsClient(server.url), size)
        crowd = Crowd(stage, sweep.id, work=0.3)
        workers = crowd.start(4, deadline=300)
        crowd.open()
        for least in (10, 30, 50):
            workers[0].wait_until(lambda least=least: crowd.begun() >= least, "some trials")
            server.kill()
            time.sleep(1.0)
            server.start()
        try:
            assert [worker.wait().code for worker in workers] == [0] * 4
        finally:
            stage.close()
        assert judge(sweep, crowd, size) == RIGHT
        assert uncovered(sweep, size) == set()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_outage_of_the_store_is_waited_for_and_costs_no_trial(
    tmp_path: Path, rclone: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 60
    bucket = rclone.new_bucket()
    port = int(rclone.endpoint.rpartition(":")[2])
    with s3_environment(monkeypatch), FaultProxy(port) as proxy:
        uri = f"s3://{bucket}/team?endpoint={proxy.url}"
        stage = Stage(tmp_path, uri=uri, environment=credentials())
        sweep = grid(MLOpsClient(rclone.url(bucket, "team")), size)
        crowd = Crowd(stage, sweep.id, work=0.3)
        workers = crowd.start(4, deadline=400)
        crowd.open()
        for fault in ("refuse", 503, "lose answer", "reset"):
            least = min(crowd.begun() + 8, size - 4)
            workers[0].wait_until(lambda least=least: crowd.begun() >= least, "more trials")
            proxy.fail(fault)
            time.sleep(5.0)
            proxy.heal()
        try:
            assert [worker.wait().code for worker in workers] == [0] * 4
        finally:
            stage.close()
        assert judge(sweep, crowd, size) == RIGHT
        assert uncovered(sweep, size) == set()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [LOCAL, HTTP])
def test_workers_whose_clocks_are_an_hour_apart_share_a_sweep_all_the_same(
    on: Callable[[str], Stage], kind: str
) -> None:
    stage, size = on(kind), 60
    sweep = grid(MLOpsClient(stage.uri), size)
    crowd = Crowd(stage, sweep.id, work=0.1)
    workers = [
        worker
        for seconds in (-3600, 0, 0, 3600)
        for worker in crowd.start(1, first=_SHIFTED.format(seconds=seconds), deadline=300)
    ]
    crowd.open()

    assert [worker.wait().code for worker in workers] == [0] * 4
    assert judge(sweep, crowd, size) == RIGHT
    assert uncovered(sweep, size) == set()
    assert len([noted for noted in crowd.noted() if noted.begun]) == len(workers)
