"""One sweep, begun in a loop, gone on with by agents and a pool at once: each trial ends once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from podstack import MLOpsClient
from podstack.testing.podstack_server import RunningServer
from podstack.testing.stage import DEADLINE, Stage

TRIALS = 16
SPACE = {
    "x": {"min": 0.0, "max": 1.0},
    "y": {"min": 1e-3, "max": 1.0, "distribution": "log_uniform"},
}
PROGRAM = """
    import argparse
    from podstack import MLOpsClient
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float)
    parser.add_argument("--y", type=float)
    given = parser.parse_args()
    with MLOpsClient().start_run() as run:
        run.log_metrics({"score": given.x - given.y}, step=0)
"""
POOL = """
def objective(trial):
    return trial["x"] - trial["y"]

if __name__ == "__main__":
    client.run_sweep("shared", objective, workers=2)
"""


def agent(uri: str, program: Path) -> subprocess.Popen[bytes]:
    words = ["--store", uri, "sweep", "agent", "shared", "--", sys.executable, str(program)]
    return subprocess.Popen([sys.executable, "-m", "podstack", *words], stderr=subprocess.PIPE)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[RunningServer]:
    pytest.importorskip("uvicorn")
    server = RunningServer(tmp_path / "store", tokens=True)
    yield server
    server.stop()


def play(stage: Stage, client: MLOpsClient, uri: str) -> None:
    client.create_experiment("e")
    client.create_sweep("e", "random", SPACE, "score", TRIALS, "maximize", name="shared", seed=3)
    program = stage.folder / "program.py"
    program.write_text(dedent(PROGRAM))

    for _ in range(3):  # on a laptop
        trial = client.suggest_sweep_params("shared")
        assert trial is not None
        client.complete_sweep_trial("shared", trial.id, {"score": trial["x"] - trial["y"]})
    agents = [agent(uri, program) for _ in range(2)]
    pool = stage.start(POOL)
    ended = [(each.wait(DEADLINE), each.communicate()[1]) for each in agents]
    ended.append((pool.wait().code, pool.err.encode()))
    sweep = client.get_sweep("shared")
    records = sweep.records()

    assert [code for code, _ in ended] == [0, 0, 0], ended
    assert (sweep.status, sweep.progress.completed) == ("completed", TRIALS)
    assert [record.number for record in records] == list(range(1, TRIALS + 1))
    assert {record.generation for record in records} == {0}
    for record in records:
        assert record.value == pytest.approx(record.params["x"] - record.params["y"])
    runs = [record.run for record in records if record.run is not None]
    assert len(runs) == len(set(runs)) == len(client.list_runs()) == TRIALS - 3
    assert {client.get_run(run).status for run in runs} == {"completed"}


def test_a_loop_two_agents_and_a_pool_end_one_sweep_together(
    client: MLOpsClient, stage: Stage
) -> None:
    play(stage, client, str(client.uri))


@pytest.mark.slow
def test_a_loop_two_agents_and_a_pool_share_a_sweep_through_a_server(
    served: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODSTACK_API_TOKEN", served.token("default", "editor"))
    stage = Stage(tmp_path, uri=served.url)
    try:
        play(stage, MLOpsClient(served.url), served.url)
    finally:
        stage.close()
