"""What a sweep improves is what its experiment is judged by, whatever the metrics are called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from podstack import MLOpsClient
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
                run.log_metrics({"val_acc": 0.5 + number / 10, "zeta": 7.0 + number}, step=0)
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

    assert judged == {"val_acc": "maximize", "zeta": "minimize"}
    assert unsaid == {"val_acc": "maximize"}
