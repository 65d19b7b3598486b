"""What the monitor of a sweep asks a server."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from podstack import MLOpsClient
from podstack.sweeps.sweep import Sweep
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask
from podstack.testing.stage import DEADLINE

PARAMETERS = {
    "lr": {"distribution": "log_uniform", "min": 1e-5, "max": 1e-1},
    "optimizer": {"values": ["adam", "sgd"]},
    "momentum": {"min": 0.1, "max": 0.9, "when": {"optimizer": "sgd"}},
}


class Monitor:
    """A server over a store of sweeps with 0, 1, 6, 8 and 12 trials, one of which failed."""

    def __init__(self, server: RunningServer, sweeps: dict[str, Sweep]) -> None:
        self._server, self.sweeps = server, sweeps

    def __call__(self, sweep: str, question: str) -> Any:
        """Status and answer to a question about a sweep."""
        path = f"/api/v1/projects/default/sweeps/{self.sweeps[sweep].id}/{question}"
        found = ask(self._server.port, "GET", path)
        return found.status, json.loads(found.body)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    folder = tmp_path_factory.mktemp("insight")
    sweeps = {f"of {count}": made(folder / "store", count) for count in (0, 1, 6, 8, 12)}
    sweeps["of two parameters"] = of_two_parameters(folder / "store")
    environment = {"PODSTACK_CACHE": str(folder / "cache")}
    with RunningServer(folder / "store", environment=environment) as server:
        yield Monitor(server, sweeps)


def made(store: Path, trials: int) -> Sweep:
    client = MLOpsClient(store)
    sweep = client.create_sweep(
        client.create_experiment("digits").id, "random", PARAMETERS, "loss", 50, seed=3,
        direction="minimize",
    )  # fmt: skip
    for number in range(1, trials + 1):
        trial = sweep.suggest()
        assert trial is not None
        if number == 4:
            trial.fail("out of memory")
        else:
            trial.complete({"loss": abs(trial.flat_params["lr"] - 0.01) * 10 + 0.1})
    return sweep


def of_two_parameters(store: Path) -> Sweep:
    """No parameter depends on another, so fANOVA can tell what mattered."""
    client = MLOpsClient(store)
    space = {"a": {"min": 0.0, "max": 1.0}, "b": {"values": ["x", "y"]}}
    sweep = client.create_sweep(client.create_experiment("e").id, "random", space, "loss", 10)
    for _ in range(6):
        trial = sweep.suggest()
        assert trial is not None
        trial.complete({"loss": trial.flat_params["a"]})
    return sweep


def test_the_outlook_tells_the_history_and_the_best_to_copy(asked: Monitor) -> None:
    status, told = asked("of 8", "outlook")
    assert status == 200
    assert len(told["history"]) == 7
    assert told["history"][-1][2] == told["best"]["value"] == asked.sweeps["of 8"].best_value
    assert told["bests"] == [at for at, value, best in told["history"] if value == best]
    assert "history" not in asked("of 8", "outlook?brief=true")[1]
    assert ast.literal_eval(told["best"]["as"]["python"]) == asked.sweeps["of 8"].best_params
    assert told["seconds_left"] >= 0
    assert told["plateau"] is None


def test_a_sweep_without_trials_has_an_outlook_without_a_best(asked: Monitor) -> None:
    _, told = asked("of 0", "outlook")
    _, mattered = asked("of 0", "importance")
    _, surface = asked("of 0", "contour?x=lr&y=optimizer")
    created = asked.sweeps["of 0"].definition.created
    assert told.pop("last") == pytest.approx(created)
    assert told.pop("now") >= created
    assert told == {"history": [], "bests": [], "seconds_left": None, "plateau": None, "best": None}
    assert mattered["shares"] == []
    assert mattered["reason"]
    assert all(cell is None for row in surface["rows"] for cell in row)


def test_few_trials_give_an_importance_of_low_confidence(asked: Monitor) -> None:
    _, told = asked("of 12", "importance")
    assert told["low_confidence"] is True
    assert told["trials"] == 11
    assert sum(share for _, share in told["shares"]) == pytest.approx(1)


def test_an_importance_is_computed_anew_once_a_trial_has_ended(asked: Monitor) -> None:
    _, before = asked("of 6", "importance")
    trial = asked.sweeps["of 6"].suggest()
    assert trial is not None
    trial.complete({"loss": 0.3})
    after, deadline = before, time.monotonic() + DEADLINE
    while after["trials"] == before["trials"]:  # the server looks at the store once a second
        assert time.monotonic() < deadline
        time.sleep(0.05)
        _, after = asked("of 6", "importance")
    assert (before["trials"], after["trials"]) == (5, 6)


def test_a_contour_has_a_row_for_each_value_of_a_list(asked: Monitor) -> None:
    status, told = asked("of 12", "contour?x=lr&y=optimizer")
    assert status == 200
    assert (told["columns"], len(told["rows"]), len(told["spots"])) == (32, 2, 11)
    values = [value for _, _, value, _ in told["spots"]]
    cells = [cell for row in told["rows"] for cell in row if cell is not None]
    assert min(values) <= min(cells) <= max(cells) <= max(values)


def test_a_contour_tells_what_its_cells_mean_and_round_values_for_its_axes(asked: Monitor) -> None:
    _, told = asked("of 12", "contour?x=lr&y=optimizer")
    across, up = told["axes"]
    assert [value for _, value in across["marks"]] == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert [place for place, _ in across["marks"]] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert across["cells"] == sorted(across["cells"])
    assert len(across["cells"]) == told["columns"]
    assert up == {"cells": ["adam", "sgd"], "marks": [[0.25, "adam"], [0.75, "sgd"]]}


def test_what_runs_had_is_told_as_ranges_of_a_sweep(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path)
    home = client.create_experiment("digits").id
    for lr, batch, name in ((1.2345e-4, 32, "adam"), (0.0198765, 128, "sgd"), (0.01, 64, "adam")):
        params = {"lr": lr, "batch": batch, "opt": {"name": name}, "amp": True, "layers": [1, 2]}
        with client.start_run(home, params=params, capture=False) as run:
            run.log_metrics({"val_loss": 1.0, "grad_norm": 2.0})
    with RunningServer(tmp_path) as server:
        found = ask(server.port, "GET", "/api/v1/projects/default/experiments/digits/ranges")
        lost = ask(server.port, "GET", "/api/v1/projects/default/experiments/digit/ranges")
    told = json.loads(found.body)
    specs = {one["name"]: one["spec"] for one in told["parameters"]}
    assert (told["runs"], lost.status) == (3, 404)
    assert specs == {
        "lr": {"distribution": "log_uniform", "min": 1.23e-4, "max": 0.0199},
        "batch": {"distribution": "int", "min": 32, "max": 128},
        "opt/name": {"values": ["adam", "sgd"]},
        "amp": {"value": True},
    }
    assert {one["name"]: one["direction"] for one in told["metrics"]} == {
        "val_loss": "minimize",
        "grad_norm": None,
    }


def test_what_is_wrong_with_a_sweep_is_told_by_field_and_by_whole_name(tmp_path: Path) -> None:
    MLOpsClient(tmp_path).create_experiment("digits")
    wrong = {
        "strategy": "grid",
        "parameters": {"model": {"depth": {"min": 3, "max": 1}, "act": {"values": ["a"]}}},
        "objective_metric": "odd",
        "max_trials": 0,
        "seed": -1,
        "pruner": "axe",
    }
    endless = {"strategy": "grid", "parameters": {"m": {"lr": {"min": 0.1, "max": 1.0}}}}
    with RunningServer(tmp_path) as server:
        told = checked(server, wrong)
        grid = checked(server, {**endless, "objective_metric": "val_loss"})
    assert list(told["errors"]) == ["model/depth"]
    assert set(told["fields"]) == {"direction", "max_trials", "seed", "pruner"}
    assert (told["trials"], told["direction"]) == (None, None)
    assert list(grid["errors"]) == ["m/lr"]
    assert grid["direction"] == "minimize"


def checked(server: RunningServer, told: dict[str, Any]) -> Any:
    path, kind = "/api/v1/projects/default/sweeps/check", {"Content-Type": "application/json"}
    found = ask(server.port, "POST", path, headers=kind, body=json.dumps(told).encode())
    return json.loads(found.body)


def test_a_contour_of_an_unknown_parameter_names_the_nearest(asked: Monitor) -> None:
    status, told = asked("of 1", f"contour?x={quote('optimiser')}&y=lr")
    assert status == 404
    assert "optimizer" in json.dumps(told)


def test_a_conditional_parameter_shows_only_the_trials_that_have_it(asked: Monitor) -> None:
    having = [
        one for one in asked.sweeps["of 12"].records() if one.counts and "momentum" in one.params
    ]
    _, told = asked("of 12", "contour?x=momentum&y=lr")
    assert len(told["spots"]) == len(having) > 0


def test_an_importance_by_fanova_is_told_too(asked: Monitor) -> None:
    status, told = asked("of two parameters", "importance")

    assert status == 200
    assert told["shares"][0][0] == "a"
