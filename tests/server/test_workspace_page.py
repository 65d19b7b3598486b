"""The page of an experiment's charts over HTTP, and how many runs a server keeps open for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from podstack import MLOpsClient
from podstack.server import readers
from podstack.server.readers import ProjectReader
from podstack.server.stores import Stores
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask


def charts(server: RunningServer, experiment: str) -> tuple[int, dict[str, Any]]:
    path = f"/projects/default/experiments/{experiment}/charts"
    answer = ask(server.port, "GET", path, headers={"Accept": "text/html"})
    found = re.search(rb'<script type="application/json" id="page">(.*?)</script>', answer.body)
    return answer.status, orjson.loads(found[1])["data"] if found else {}


def filled(folder: str, runs: int, steps: int = 3) -> list[str]:
    client = MLOpsClient(folder)
    client.create_experiment("charted")
    ids = []
    for number in range(runs):
        with client.start_run(experiment="charted", params={"lr": number}) as run:
            for step in range(steps):
                run.log_metrics({"train/loss": 1.0 / (1 + step)}, step=step)
        ids.append(run.id)
    return ids


def kept_of(store: str, ids: list[str]) -> list[bool]:
    """Which of some runs are still open after all were read in turn, and one looked at the last."""
    reader = ProjectReader(Stores(store).of("default"))
    opened = {run: reader.run(run) for run in ids}
    for run in opened.values():
        assert len(run.metrics["train/loss"]) == 3
    reader.run(ids[-1])
    kept = {run: reader.run(run) is opened[run] for run in reversed(ids)}  # the oldest may go
    return [kept[run] for run in ids]


def test_the_page_carries_the_runs_of_its_experiment(open_server: RunningServer) -> None:
    ids = filled(open_server.url, 2)
    status, data = charts(open_server, "charted")

    assert status == 200
    assert set(ids) <= set(data["columns"]["runs"]["id"])
    assert "train/loss" in data["columns"]["metrics"]


def test_an_experiment_that_is_not_there_has_no_charts(open_server: RunningServer) -> None:
    assert charts(open_server, "not-there")[0] == 404


def test_short_runs_stay_open_up_to_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_FEW_RUNS", 1)
    monkeypatch.setattr(readers, "_MOST_RUNS", 3)  # 256 runs would take a minute to write
    ids = filled(str(tmp_path / "store"), 4)

    assert kept_of(str(tmp_path / "store"), ids) == [False, True, True, True]


def test_long_runs_are_closed_down_to_a_few_by_the_bytes_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_FEW_RUNS", 2)
    monkeypatch.setattr(readers, "_MOST_BYTES", 100)  # less than one of them
    ids = filled(str(tmp_path / "store"), 4)

    assert kept_of(str(tmp_path / "store"), ids) == [False, False, True, True]
