"""The runs table's answer and its filter language, asked of a real server.

The cases of tests/ui/filter_cases.json hold the index here and the JavaScript of the pages there.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest

from podstack import MLOpsClient
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import Answer, ask
from podstack.testing.stage import DEADLINE

_SHARED = json.loads((Path(__file__).parents[1] / "ui/filter_cases.json").read_text())


@dataclass(frozen=True)
class Cases:
    """A server over the runs of the shared cases, and how to ask for its table."""

    server: RunningServer
    client: MLOpsClient

    def asked(self, headers: dict[str, str] | None = None, **query: Any) -> Answer:
        words = {
            name: value if isinstance(value, (str, int)) else orjson.dumps(value).decode()
            for name, value in query.items()
        }
        target = f"/api/v1/projects/default/table?{urlencode(words, quote_via=quote)}"
        return ask(self.server.port, "GET", target, headers=headers)

    def table(self, **query: Any) -> Any:
        found = self.asked(**query)
        assert found.status == 200, found.body
        return found.json


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    folder = tmp_path_factory.mktemp("cases")
    client = MLOpsClient(folder / "store")
    experiment = client.create_experiment("cases")
    for told in _SHARED["runs"]:
        _log(client, experiment.id, told)
    environment = {"PODSTACK_CACHE": str(folder / "cache")}
    with RunningServer(folder / "store", environment=environment) as server:
        yield Cases(server, client)


def _log(client: MLOpsClient, experiment: str, told: dict[str, Any]) -> None:
    run = client.start_run(
        experiment_id=experiment,
        name=told["name"],
        params=told["params"],
        tags=told["tags"],
        capture=False,
    )
    for name, values in told["metrics"].items():
        for step, value in enumerate(values):
            run.log_metrics({name: float(value)}, step=step)
    run.finish(told["status"])


@pytest.mark.parametrize(("text", "expected"), _SHARED["cases"])
def test_a_filter_finds_the_runs_that_the_pages_find(
    cases: Cases, text: str, expected: list[str]
) -> None:
    assert cases.table(filter=text, order_by="created")["names"] == expected


@pytest.mark.parametrize(("text", "expected"), _SHARED["orders"])
def test_an_order_is_that_of_the_pages(cases: Cases, text: str, expected: list[str]) -> None:
    assert cases.table(order_by=text)["names"] == expected


@pytest.mark.parametrize("text", [text for text in _SHARED["wrong"] if text])
def test_what_is_no_expression_is_refused_with_its_place(cases: Cases, text: str) -> None:
    found = cases.asked(filter=text)

    assert found.status in (400, 422)
    assert found.json["error"]["message"]


def test_columns_are_as_long_as_ids_and_none_differs_from_missing(cases: Cases) -> None:
    found = cases.table(order_by="created")

    columns = [
        *found["params"].values(),
        *(c for m in found["metrics"].values() for c in m.values()),
    ]
    assert {len(column) for column in [*columns, found["tags"]]} == {len(_SHARED["runs"])}
    assert found["params"]["note"] == [[], None, "none", None, None]
    assert found["params"]["model/depth"] == [None, None, 3, None, None]


def test_figures_that_json_lacks_are_told_as_texts(cases: Cases) -> None:
    found = cases.table(order_by="created")["metrics"]

    assert found["loss"]["last"] == [0.5, "NaN", 1.0, None, None]
    assert found["val_acc"]["max"] == [0.9, 0.95, None, "Infinity", None]


def test_only_the_columns_asked_for_come(cases: Cases) -> None:
    found = cases.table(columns=["params.lr", "metrics.loss.min"])

    assert list(found["params"]) == ["lr"]
    assert {name: list(parts) for name, parts in found["metrics"].items()} == {"loss": ["min"]}


def test_pages_meet_every_run_once(cases: Cases) -> None:
    names, cursor = [], ""
    while True:
        found = cases.table(order_by="name", limit=2, cursor=cursor)
        names += found["names"]
        cursor = found["next"]
        if cursor is None:
            break

    assert names == sorted(run["name"] for run in _SHARED["runs"])
    assert found["total"] == len(names)


def test_the_answer_is_compressed_only_for_those_who_accept_it(cases: Cases) -> None:
    plain = cases.asked()
    packed = cases.asked({"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert orjson.loads(gzip.decompress(packed.body))["ids"] == plain.json["ids"]


def test_asking_again_tells_only_what_changed(cases: Cases) -> None:
    before = cases.table()
    assert cases.asked(since=before["generation"]).status == 204

    run = cases.client.start_run(name="newcomer", capture=False)
    run.finish()
    after = _changed(cases, before["generation"])

    assert after["names"] == ["newcomer"]
    assert after["changed"] == [run.id]


def _changed(cases: Cases, generation: str) -> Any:
    """The first answer that has news: the server looks again within seconds."""
    until = time.monotonic() + DEADLINE
    while (found := cases.asked(since=generation)).status == 204:
        assert time.monotonic() < until, "the server never saw the run"
        time.sleep(0.1)
    return found.json


def test_integers_that_javascript_would_round_are_told_by_their_digits(
    cases: Cases, tmp_path: Path
) -> None:
    """Of 2^60, which a float holds, it would write 1152921504606847000."""
    client = MLOpsClient(tmp_path / "store")
    for seed in ((1 << 53) + 1, 10**18, 1 << 60, (1 << 64) - 1, 7, "x", True, None):
        client.start_run(params={"seed": seed, "lr": 1 << 53}, capture=False).finish()
    with RunningServer(tmp_path / "store") as server:
        here = Cases(server, client)
        found = here.table(order_by="created")
        same = here.table(filter="seed = 9007199254740993")

    assert found["digits"] == ["seed"]
    assert found["params"]["seed"] == [
        *("9007199254740993", 10**18, "1152921504606846976", "18446744073709551615"),
        *(7, "x", True, []),
    ]
    assert found["params"]["lr"] == [1 << 53] * 8
    assert same["ids"] == found["ids"][:1]
    assert cases.table()["digits"] == []


def test_which_way_a_metric_improves_is_told(cases: Cases) -> None:
    found = cases.table()["directions"]

    assert found["loss"] == "minimize"
    assert found["val_acc"] == "maximize"
