"""What a sweep improves is what its experiment is judged by, whatever the metrics are called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from podstack import MLOpsClient
from podstack.index import RunRow
from podstack.series import Summary
from podstack.server.objectives import judge_of_all, most_common
from podstack.sweeps.records import Objective
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Two runs whose accuracy and `zeta` disagree, twice; one experiment has a sweep of `zeta`."""
    folder = tmp_path_factory.mktemp("objectives")
    client = MLOpsClient(folder / "store")
    for name in ("judged", "unsaid"):
        client.create_experiment(name)
        for number in range(2):
            run_id = f"{name}-{number}"
            with client.start_run(run_id=run_id, experiment=name, capture=False) as run:
                logged = {"val_acc": 0.5 + number / 10, "val_loss": 1.0, "zeta": 7.0 + number}
                run.log_metrics(logged, step=0)
    client.create_sweep(
        "judged",
        strategy="random",
        parameters={"lr": {"type": "uniform", "min": 0.0, "max": 1.0}},
        objective_metric="zeta",
        direction="minimize",
        max_trials=2,
    )
    environment = {"PODSTACK_CACHE": str(folder / "cache")}
    with RunningServer(folder / "store", environment=environment) as server:
        yield server


def page_data(server: RunningServer, path: str) -> Any:
    html = ask(server.port, "GET", path).body.decode()
    return orjson.loads(re.search(r'id="page">(.*?)</script>', html, re.DOTALL)[1])["data"]  # type: ignore[index]


def test_the_list_tells_the_best_of_what_a_sweep_improves(served: RunningServer) -> None:
    rows = page_data(served, "/projects/default/experiments")["experiments"]

    best = {row["id"]: row["best"] for row in rows}
    assert best["judged"] == {"name": "zeta", "value": 7.0, "direction": "minimize"}
    assert best["unsaid"] == {"name": "val_acc", "value": 0.6, "direction": "maximize"}


def test_a_run_stands_where_the_sweep_s_objective_puts_it(served: RunningServer) -> None:
    judged = ask(served.port, "GET", "/projects/default/runs/judged-0").body.decode()
    unsaid = ask(served.port, "GET", "/projects/default/runs/unsaid-0").body.decode()

    assert re.search(r"best of 2.*?zeta", judged, re.DOTALL)
    assert re.search(r"2nd of 2.*?val_acc", unsaid, re.DOTALL)


def test_the_table_knows_which_way_the_objective_improves(served: RunningServer) -> None:
    path = "/api/v1/projects/default/table?experiment="
    judged, unsaid = (
        orjson.loads(ask(served.port, "GET", path + name).body)["directions"]
        for name in ("judged", "unsaid")
    )

    named = {"val_acc": "maximize", "val_loss": "minimize"}
    assert judged == named | {"zeta": "minimize"}
    assert unsaid == named


def compared(server: RunningServer, **arguments: str) -> Any:
    path = f"/api/v1/projects/default/compare/columns?{urlencode(arguments)}"
    return orjson.loads(ask(server.port, "GET", path).body)


def test_a_comparison_is_judged_by_what_judges_each_of_its_runs(served: RunningServer) -> None:
    judged, unsaid = (compared(served, experiment=name) for name in ("judged", "unsaid"))
    both = compared(served, runs='["judged-0", "unsaid-0", "unsaid-1"]')

    assert (judged["objective"], judged["directions"]["zeta"]) == ("zeta", "minimize")
    assert unsaid["objective"] == "val_acc"  # a score before a loss, as in the head of each run
    assert unsaid["directions"]["zeta"] is None
    assert both["objective"] == "val_acc"  # the two experiments do not agree


def row(experiment: str, **metrics: float) -> RunRow:
    told = {name: Summary(value, 0, value, 0, value, 0, 1) for name, value in metrics.items()}
    empty = dict.fromkeys(RunRow._fields)
    return RunRow(**{**empty, "experiment_id": experiment, "metrics": told})  # type: ignore[arg-type]


def test_of_several_runs_the_metric_counts_that_most_of_them_have() -> None:
    rows = [
        row("e", train_loss=1.0),
        row("e", train_loss=1.0, val_acc=0.5),
        row("f", train_loss=2.0),
    ]

    assert judge_of_all(rows, {}) == ("train_loss", "minimize")
    assert judge_of_all(rows[1:2], {}) == ("val_acc", "maximize")
    assert judge_of_all(rows, dict.fromkeys("ef", Objective("val_acc", "maximize"))) == (
        "val_acc",
        "maximize",
    )


def test_runs_are_not_judged_by_what_is_no_number_in_any_of_them() -> None:
    rows = [row("e", val_acc=float("nan"), loss=1.0), row("e", val_acc=float("nan"), loss=2.0)]

    assert judge_of_all(rows, {}) == ("loss", "minimize")


def test_runs_that_nothing_judges_have_their_most_common_metric_as_objective() -> None:
    rows = [row("e", height=1.0), row("e", width=1.0, height=2.0)]

    assert judge_of_all(rows, {}) is None
    assert most_common(rows) == "height"
    assert most_common([row("e")]) is None
