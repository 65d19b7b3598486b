"""Writes for the pages on real servers: alerts, sweeps, views; and what a record tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from podstack import MLOpsClient
from podstack.backend import open_backend
from podstack.sync import sync
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import Answer, ask
from podstack.verify import DAMAGED, WARNING, verify

HOSTILE = "<script>alert(1)</script>\u202e\U0001f600 '\"&"


class Pages:
    """A server over a store with one run, and the requests that a page makes of it."""

    def __init__(self, server: RunningServer, client: MLOpsClient, run: str) -> None:
        self.server, self.client, self.run = server, client, run

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        content = b"" if body is None else orjson.dumps(body)
        kind = {"Content-Type": "application/json"} if content else {}
        url = f"/api/v1/projects/default/{path}"
        return ask(self.server.port, method, url, headers=kind, body=content)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("rest")
    client = MLOpsClient(folder / "store")
    data = folder / "data.csv"
    data.write_text("a,b\n1,2\n")
    with client.start_run(capture=False, params={"lr": 0.1}) as run:
        run.log_params({"lr": 0.2})
        run.log_dataset("train", str(data))
        run.create_alert("loss > 2", "diverged?")
        for step, loss in enumerate([1.0, 3.0, 1.0, 4.0]):
            run.log_metrics({"loss": loss}, step=step)
        print("the last line")
    environment = {"PODSTACK_CACHE": str(folder / "cache"), "PODSTACK_USER": "pat"}
    with RunningServer(folder / "store", environment=environment) as server:
        yield Pages(server, client, run.id)


# Alerts --------------------------------------------------------------------------------------


def test_an_alert_is_tried_made_and_removed(pages: Pages) -> None:
    url = f"runs/{pages.run}/alerts"
    tried = pages.send("POST", f"{url}/test", {"condition": "loss > 3.5"}).json["firings"]
    made = pages.send("POST", url, {"condition": "loss > 3.5", "message": HOSTILE})

    assert [firing["step"] for firing in tried] == [3]
    assert made.status == 201
    kept = {one.condition: one.message for one in pages.client.get_run(pages.run).alerts}
    assert kept["loss > 3.5"] == HOSTILE
    assert pages.send("DELETE", f"{url}/{made.json['id']}").status == 200
    assert len(pages.client.get_run(pages.run).alerts) == 1


BAD = ["__import__('os')", "loss.__class__ > 1", "lambda: 1", "loss > ", "(" * 1900, "9**9**9", ""]


@pytest.mark.parametrize("condition", BAD, ids=range(len(BAD)))
def test_52_53_a_condition_that_is_none_is_422_and_nothing_is_kept(
    pages: Pages, condition: str
) -> None:
    for path in ("alerts", "alerts/test"):
        answer = pages.send("POST", f"runs/{pages.run}/{path}", {"condition": condition})
        assert answer.status == 422, answer.raw
    assert len(pages.client.get_run(pages.run).alerts) == 1


def test_a_condition_that_is_none_is_told_with_its_place(pages: Pages) -> None:
    told = pages.send("POST", f"runs/{pages.run}/alerts", {"condition": "loss <"})

    assert told.status == 422
    assert "loss <" in told.json["error"]["message"]


def test_what_fired_in_a_project_is_told_newest_first(pages: Pages) -> None:
    told = pages.send("GET", "alerts").json

    assert told["alerts"]
    assert told["alerts"][0]["run"] == pages.run
    assert (told["alerts"][0]["message"], told["looked_at"]) == ("diverged?", told["runs"])
    assert len(pages.send("GET", "alerts?limit=1").json["alerts"]) == 1
    assert pages.send("GET", "alerts?limit=100000").status == 422


# Sweeps --------------------------------------------------------------------------------------


GRID = {"x": {"values": [1, 2, 3]}, "y": {"values": ["a", "b"]}}


def sweep_of(parameters: Any, **words: Any) -> dict[str, Any]:
    return {"strategy": "grid", "parameters": parameters, "objective_metric": "loss", **words}


def test_a_sweep_is_checked_made_and_stopped(pages: Pages) -> None:
    body = sweep_of(GRID)
    checked = pages.send("POST", "sweeps/check", body).json
    assert (checked["trials"], checked["errors"], checked["fields"]) == (6, {}, {})
    assert pages.send("POST", "experiments", {"name": "swept"}).status == 201
    named = {**body, "experiment": "swept", "name": HOSTILE}
    id = pages.send("POST", "sweeps", named).json["id"]
    sweep = pages.client.get_sweep(id)

    assert (sweep.name, sweep.experiment_id) == (HOSTILE, "swept")
    assert (sweep.definition.user, sweep.progress.total) == ("pat", 6)
    assert pages.send("GET", f"sweeps/{id}").json["user"] == "pat"
    assert sweep.suggest() is not None
    assert pages.send("POST", f"sweeps/{id}/stop", {"reason": "enough"}).json["status"] == "stopped"
    assert sweep.stop_reason == "enough"
    assert sweep.suggest() is None


def test_58_a_grid_of_2_to_the_300_is_counted_and_not_made(pages: Pages) -> None:
    huge = {f"x{number}": {"values": [0, 1]} for number in range(300)}
    told = pages.send("POST", "sweeps/check", sweep_of(huge, max_trials=5)).json
    alone = pages.send("POST", "sweeps/check", sweep_of(huge)).json

    assert (told["trials"], told["errors"], told["fields"]) == (5, {}, {})
    assert alone["trials"] == str(2**300)
    assert "max_trials" in alone["fields"]["max_trials"]
    assert pages.send("POST", "sweeps", sweep_of(huge)).status == 422


def test_a_random_sweep_has_the_trials_that_it_may_take(pages: Pages) -> None:
    space = {"lr": {"min": 0.001, "max": 0.1, "distribution": "log_uniform"}}
    body = sweep_of(space, strategy="random", max_trials=5)

    assert pages.send("POST", "sweeps/check", body).json == {"trials": 5, "errors": {}}
    assert pages.client.get_sweep(pages.send("POST", "sweeps", body).json["id"]).max_trials == 5


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"lr": {"min": 1, "max": 0}, "b": 1}, ["lr"]),
        ({"lr": {"min": -1.0, "max": 1.0, "distribution": "log_uniform"}, "c": {"values": []}},
         ["c", "lr"]),
        ({}, [""]),
    ],
)  # fmt: skip
def test_each_wrong_parameter_of_a_random_space_is_told(
    pages: Pages, parameters: Any, wrong: list[str]
) -> None:
    told = pages.send("POST", "sweeps/check", sweep_of(parameters, strategy="random")).json

    assert sorted(told["errors"]) == wrong


def test_58_what_is_wrong_with_a_space_is_told_by_parameter(pages: Pages) -> None:
    odd = {
        "lr": {"min": 2, "max": 1},
        "good": {"values": [1]},
        "kind": {"distribution": "__import__('os')", "min": 0, "max": 1},
    }
    errors = pages.send("POST", "sweeps/check", sweep_of(odd)).json["errors"]

    assert set(errors) == {"lr", "kind"}
    assert pages.send("POST", "sweeps", sweep_of(odd)).status == 422
    assert pages.send("POST", "sweeps", {**sweep_of(GRID), "owner": "eve"}).status == 422


# Views ---------------------------------------------------------------------------------------


def test_a_view_is_kept_replaced_listed_by_page_and_removed(pages: Pages) -> None:
    body = {"name": "<b>best</b>", "page": "experiments/default", "query": "q=loss<1&sort=-lr"}
    first = pages.send("POST", "views", body)
    again = pages.send("POST", "views", {**body, "query": "q=x"}).json
    pages.send("POST", "views", {**body, "page": "compare"})
    found = pages.send("GET", "views?page=experiments/default").json["views"]

    assert (first.status, first.json["user"]) == (201, "pat")
    assert [(view["name"], view["query"]) for view in found] == [("<b>best</b>", "q=x")]
    assert len(pages.send("GET", "views").json["views"]) == 2
    assert pages.send("DELETE", f"views/{again['id']}").status == 200
    assert pages.send("DELETE", f"views/{again['id']}").status == 404
    assert pages.send("POST", "views", {**body, "query": "x" * 8001}).status == 422


def test_views_are_verified_and_synced(pages: Pages, tmp_path: Path) -> None:
    pages.send("POST", "views", {"name": "kept", "page": "runs", "query": ""})
    sync(open_backend(pages.server.store), open_backend(str(tmp_path / "copy")))
    copy = MLOpsClient(tmp_path / "copy")
    with RunningServer(tmp_path / "copy", environment={"PODSTACK_CACHE": str(tmp_path)}) as other:
        answer = ask(other.port, "GET", "/api/v1/projects/default/views?page=runs")

    assert [view["name"] for view in answer.json["views"]] == ["kept"]
    assert not [f for f in verify(copy._store) if f.severity in (DAMAGED, WARNING)]


def test_a_view_that_is_damaged_costs_only_itself(pages: Pages) -> None:
    folder = Path(pages.server.store, "projects/default/views")
    folder.mkdir(exist_ok=True)
    line = {"h": "0000019377a1c000", "set": {"views/odd": [1], "views/half": {"name": "x"}}}
    odd = folder / "20261123-221530-001-k3x9q2ma.jsonl"
    odd.write_bytes(orjson.dumps(line) + b"\n\xff\xfe\n{")
    try:
        assert pages.send("GET", "views").status == 200
        assert "odd" not in {view["id"] for view in pages.send("GET", "views").json["views"]}
    finally:
        odd.unlink()


# What a record tells -------------------------------------------------------------------------


def test_the_past_of_a_fact_is_told_with_its_author(pages: Pages) -> None:
    changes = pages.send("GET", f"runs/{pages.run}/history?path=params/lr").json["changes"]

    assert [change["value"] for change in changes] == [0.1, 0.2]
    assert {change["by"] for change in changes} == {pages.client.get_run(pages.run).user}


def test_the_runs_that_used_the_same_data_are_found(pages: Pages) -> None:
    digest = pages.client.get_run(pages.run).datasets["train"]["sha256"]

    found = pages.send("GET", f"datasets/{digest}/runs").json["runs"]
    assert [row["id"] for row in found] == [pages.run]
    assert pages.send("GET", "datasets/0000/runs").json["runs"] == []


def test_environment_and_console_of_a_run_without_any_are_empty(pages: Pages) -> None:
    assert pages.send("GET", f"runs/{pages.run}/environment").status == 200
    assert pages.send("GET", f"runs/{pages.run}/console?tail=5").json == {"text": ""}


# Stores that refuse --------------------------------------------------------------------------


def test_89_a_store_that_cannot_be_written_is_told_as_such_and_still_read(tmp_path: Path) -> None:
    """Another file stands where the edits would go: no right is needed to refuse it."""
    client = MLOpsClient(tmp_path / "store")
    with client.start_run(capture=False) as run:
        pass
    (tmp_path / "store/projects/default/views").write_bytes(b"in the way")
    with RunningServer(tmp_path / "store", environment={"PODSTACK_CACHE": str(tmp_path)}) as server:
        url = "/api/v1/projects/default"
        body = orjson.dumps({"name": "x", "page": "runs", "query": ""})
        kind = {"Content-Type": "application/json"}
        answer = ask(server.port, "POST", f"{url}/views", headers=kind, body=body)

        assert (answer.status, answer.code) == (409, "conflict")
        assert str(tmp_path).encode() not in answer.raw
        assert ask(server.port, "GET", f"{url}/runs/{run.id}").status == 200
