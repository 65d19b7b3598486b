"""Series of many runs at once: what is in an answer, what is refused, and joining by step."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from podstack import MLOpsClient
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import Answer, ask


class Asked:
    """A server over two runs: `a` logs loss and lr, `b` loss alone with a NaN in it."""

    def __init__(self, server: RunningServer, store: str) -> None:
        self.port = server.port
        client = MLOpsClient(store)
        client.create_experiment("drawn")
        with client.start_run(experiment="drawn", run_id="a") as run:
            for step in range(100):
                run.log_metrics({"loss": 100.0 - step}, step=step)
                if step % 2:
                    run.log_metrics({"lr": 1.0 / step}, step=step)
        with client.start_run(experiment="drawn", run_id="b") as run:
            for step in range(10):
                run.log_metrics({"loss": math.nan if step == 3 else float(step)}, step=step)
            time.sleep(0.05)
            run.log_metrics({"late": 1.0}, step=0)

    def get(self, **query: Any) -> Answer:
        pairs = {k: json.dumps(v) if isinstance(v, list) else v for k, v in query.items()}
        return ask(self.port, "GET", f"/api/v1/projects/default/series?{urlencode(pairs)}")

    def series(self, **query: Any) -> dict[str, Any]:
        answer = self.get(**query)
        assert answer.status == 200, answer.body
        told: dict[str, Any] = orjson.loads(answer.body)
        return told


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("overlays")
    with RunningServer(folder / "store") as server:
        yield Asked(server, str(folder / "store"))


def test_each_run_has_the_names_that_it_logged_and_missing_runs_are_named(asked: Asked) -> None:
    told = asked.series(runs=["a", "b", "gone", "a"], names=["loss", "lr", "never"])

    assert {run: sorted(names) for run, names in told["series"].items()} == {
        "a": ["loss", "lr"],
        "b": ["loss"],
    }
    assert told["missing"] == ["gone"]


def test_a_spike_and_a_nan_survive_few_buckets(asked: Asked) -> None:
    told = asked.series(runs=["a", "b"], names=["loss"], buckets=2)["series"]

    assert told["a"]["loss"]["count"] == [50, 50]
    assert (min(told["a"]["loss"]["min"]), max(told["a"]["loss"]["max"])) == (1.0, 100.0)
    assert told["b"]["loss"]["odd"] == [1, 0]


def test_a_zoom_has_each_of_its_points(asked: Asked) -> None:
    told = asked.series(runs=["a"], names=["loss"], buckets=50, start=10, stop=19)

    assert told["series"]["a"]["loss"]["x"] == list(range(10, 20))


def test_a_metric_is_laid_over_another_by_step_in_the_order_of_that_one(asked: Asked) -> None:
    told = asked.series(runs=["a", "b"], names=["loss"], x="lr")["series"]
    loss = told["a"]["loss"]

    assert len(loss["x"]) == 50
    assert loss["x"] == sorted(loss["x"])
    assert (loss["x"][-1], loss["mean"][-1]) == (1.0, 99.0)  # step 1
    assert told["b"]["loss"]["x"] == []


def test_a_zoom_over_another_metric_is_in_its_units(asked: Asked) -> None:
    told = asked.series(runs=["a"], names=["loss"], x="lr", start=0.1, stop=0.5)["series"]
    loss = told["a"]["loss"]

    assert (loss["x"][0], loss["x"][-1]) == (1 / 9, 1 / 3)
    assert loss["step"] == [9, 7, 5, 3]


def test_a_zoom_over_time_is_in_seconds(asked: Asked) -> None:
    wall = asked.series(runs=["a"], names=["loss"], axis="wall")["series"]["a"]["loss"]
    relative = asked.series(runs=["a"], names=["loss"], axis="relative")["series"]["a"]["loss"]
    window = {"start": wall["x"][20], "stop": wall["x"][29]}
    zoomed = asked.series(runs=["a"], names=["loss"], axis="wall", **window)["series"]["a"]["loss"]

    assert wall["x"] == wall["time"]
    assert 0 <= relative["x"][0] < relative["x"][-1] < 60
    assert relative["x"] == pytest.approx(
        [moment - wall["x"][0] + relative["x"][0] for moment in wall["x"]], abs=1e-6
    )
    assert zoomed["x"] == [x for x in wall["x"] if window["start"] <= x <= window["stop"]]
    assert zoomed["step"][0] == 20


def test_time_counts_from_the_start_of_the_run_also_where_a_metric_came_late(asked: Asked) -> None:
    began = orjson.loads(ask(asked.port, "GET", "/api/v1/projects/default/runs/b").body)["created"]
    told = asked.series(runs=["b"], names=["loss", "late"], axis="relative")["series"]["b"]

    for one in told.values():
        assert one["x"] == [moment - began for moment in one["time"]]
    assert told["late"]["x"][0] >= told["loss"]["x"][-1] + 0.05


def test_a_line_goes_on_to_the_edges_of_a_zoom(asked: Asked) -> None:
    query = {"runs": ["a"], "names": ["loss"], "around": True}
    told = asked.series(start=10, stop=19, buckets=2, **query)["series"]["a"]["loss"]
    between = asked.series(start=30.2, stop=30.8, **query)["series"]["a"]["loss"]
    whole = asked.series(buckets=300, **query)["series"]["a"]["loss"]

    assert (told["x"], told["count"]) == ([9, 10, 15, 20], [1, 5, 5, 1])
    assert between["x"] == [30, 31]
    assert whole["x"] == list(range(100))


def test_the_buckets_of_a_logarithmic_axis_are_of_one_ratio(asked: Asked) -> None:
    told = asked.series(runs=["a"], names=["loss"], buckets=4, log=True)["series"]["a"]["loss"]
    none = asked.series(runs=["a"], names=["loss"], log=True, around=True, start=-9, stop=0)

    assert told["x"] == [1, 4, 10, 32]  # the first step from 1, 3.2, 9.9 and 31.4 on
    assert none["series"]["a"]["loss"]["x"] == [1]


def test_an_axis_that_there_is_not_is_refused(asked: Asked) -> None:
    assert asked.get(runs=["a"], names=["loss"], axis="sideways").status == 422


@pytest.mark.parametrize(
    "query",
    [
        {"runs": [f"r{n}" for n in range(101)], "names": ["loss"]},
        {"runs": ["a"], "names": [f"m{n}" for n in range(101)]},
        {"runs": [f"r{n}" for n in range(100)], "names": ["m"] * 3, "buckets": 4000},
        {"runs": ["a"], "names": ["loss"], "buckets": 0},
        {"runs": ["a"], "names": ["loss"], "start": "nan"},
    ],
)
def test_a_question_that_is_too_large_or_no_question_is_refused(
    asked: Asked, query: dict[str, Any]
) -> None:
    assert asked.get(**query).status in (400, 422)


def test_nothing_is_said_of_another_project(asked: Asked) -> None:
    answer = ask(asked.port, "GET", "/api/v1/projects/other/series?runs=%5B%22a%22%5D&names=%5B%5D")

    assert orjson.loads(answer.body)["missing"] == ["a"]
