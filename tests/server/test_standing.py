"""The place of a run among others: as of now, of those that count, and the same on every page."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient
from podstack.server.beside import standing_out
from podstack.server.readers import ProjectReader
from podstack.server.standing import best_beside, place_of, standing_of
from podstack.server.stores import Stores
from podstack.server.ui.experiments_page import rows_of

Log = Callable[..., None]


@pytest.fixture
def client(tmp_path: Path) -> MLOpsClient:
    client = MLOpsClient(tmp_path)
    client.create_experiment("judged")
    return client


@pytest.fixture
def log(client: MLOpsClient) -> Log:
    """Logs one call of metrics to a run of the experiment."""

    def log(run_id: str, **metrics: float) -> None:
        with client.start_run(run_id=run_id, experiment="judged", capture=False) as run:
            run.log_metrics(metrics)

    return log


@pytest.fixture
def reader(client: MLOpsClient, tmp_path: Path) -> ProjectReader:
    return ProjectReader(Stores(str(tmp_path)).of("default"))


def place(reader: ProjectReader, run_id: str) -> str:
    return place_of(standing_of(reader, reader.up_to_now().row(run_id)))


def told(reader: ProjectReader, run_id: str) -> Any:
    return standing_out(reader.up_to_now(), run_id)["standing"]


def test_a_sweep_that_comes_later_says_anew_what_ended_runs_are_judged_by(
    client: MLOpsClient, log: Log, reader: ProjectReader
) -> None:
    log("one", val_acc=0.5, zeta=1.0)
    log("two", val_acc=0.6, zeta=2.0)
    assert (told(reader, "one")["metric"], told(reader, "one")["place"]) == ("val_acc", 2)
    sweep = client.create_sweep(
        "judged",
        strategy="random",
        parameters={"lr": {"type": "uniform", "min": 0.0, "max": 1.0}},
        objective_metric="zeta",
        direction="minimize",
        max_trials=2,
    )
    reader.sweeps.wrote()

    assert (told(reader, "one")["metric"], told(reader, "one")["place"]) == ("zeta", 1)
    sweep.delete()
    reader.sweeps.wrote()
    assert (told(reader, "one")["metric"], told(reader, "one")["place"]) == ("val_acc", 2)


def test_a_place_that_is_reckoned_is_of_the_run_as_it_is(log: Log, reader: ProjectReader) -> None:
    log("one", val_acc=0.5)
    log("two", val_acc=0.6)
    assert told(reader, "one")["value"] == 0.5
    log("one", val_acc=0.7)

    assert (told(reader, "one")["value"], told(reader, "one")["place"]) == (0.7, 1)
    assert told(reader, "two")["place"] == 2


def test_a_deleted_run_has_no_place_among_those_that_are_left(
    client: MLOpsClient, log: Log, reader: ProjectReader
) -> None:
    for number in range(3):
        log(f"r{number}", val_acc=number / 10)
    client.get_run("r0").delete()

    assert place(reader, "r0") == ""
    assert told(reader, "r0") is None
    assert place(reader, "r1") == "2nd of 2"


def test_equally_good_runs_share_a_place_and_minus_zero_is_zero(
    log: Log, reader: ProjectReader
) -> None:
    for run_id, loss in (("plus", 0.0), ("minus", -0.0), ("more", 1.0)):
        log(run_id, loss=loss)

    assert [place(reader, run) for run in ("plus", "minus", "more")] == [
        "best of 3",
        "best of 3",
        "3rd of 3",
    ]


@pytest.mark.parametrize(("metric", "odd"), [("val_acc", inf), ("val_loss", -inf)])
def test_what_is_infinite_is_the_best_of_nothing_on_any_page(
    log: Log, reader: ProjectReader, metric: str, odd: float
) -> None:
    log("odd", **{metric: odd})
    log("none", **{metric: nan})
    for run_id, value in (("one", 0.5), ("two", 0.5)):
        log(run_id, **{metric: value, "epoch": 1.0})

    assert (place(reader, "one"), place(reader, "odd"), place(reader, "none")) == (
        "best of 2",
        "",
        "",
    )
    best = best_beside(reader, reader.row("odd"))
    assert best is None
    best = best_beside(reader, reader.row("two"))
    assert best is not None
    assert best.id == "one"
    (experiment,) = rows_of(reader)
    assert (experiment["best"]["name"], experiment["best"]["value"]) == (metric, 0.5)
