"""Edits over HTTP: who may make them, whose they are, and that everybody sees them at once."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from podstack import MLOpsClient
from podstack.run import Run
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import Answer
from podstack.testing.stage import Stage

JSON = {"Content_Type": "application/json"}
HOSTILE = "<script>alert(1)</script>\u202e\U0001f600 '\"&"
LR = {"lr": {"min": 0.001, "max": 0.1, "distribution": "log_uniform"}}


class Project:
    """Asks below /api/v1/projects/alpha."""

    def __init__(self, team: Any) -> None:
        self.team = team

    def __call__(
        self, method: str, path: str, told: Any = None, token: str | None = None
    ) -> Answer:
        body = b"" if told is None else json.dumps(told).encode()
        headers = {} if told is None else JSON
        where = f"/api/v1/projects/alpha{path}"
        answer: Answer = self.team.ask(method, where, token, body, **headers)
        return answer


@pytest.fixture
def alpha(team: Any) -> Project:
    return Project(team)


def client_of(server: RunningServer, project: str = "alpha") -> MLOpsClient:
    return MLOpsClient(server.store, project=project)


@pytest.fixture
def run(team: Any) -> Run:
    with client_of(team.server).start_run(params={"lr": 0.1}) as run:
        for step in range(10):
            run.log_metrics({"loss": 1.0 / (step + 1)}, step=step)
    wait_until_served(team, run.id)
    return run


def wait_until_served(team: Any, run: str) -> None:
    wait_until(team, run, lambda told: "status" in told)


def wait_until(team: Any, run: str, is_so: Callable[[Any], bool]) -> None:
    """The server looks once a second at what did not pass through it."""
    deadline = time.monotonic() + 30
    while not is_so(team.ask("GET", f"/api/v1/projects/alpha/runs/{run}").json):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def name() -> str:
    return f"e{uuid.uuid4().hex[:8]}"


# Experiments ---------------------------------------------------------------------------------


def test_an_experiment_is_made_changed_hidden_and_brought_back(team: Any, alpha: Project) -> None:
    called = name()
    made = alpha("POST", "/experiments", {"name": called, "description": HOSTILE, "tags": ["a"]})
    where = f"/experiments/{made.json['id']}"
    changed = alpha("PATCH", where, {"name": f"{called}-2", "tags": ["b"], "archived": True})
    hidden = alpha("PATCH", where, {"deleted": True})
    listed = alpha("GET", "/experiments").json["experiments"]
    back = alpha("PATCH", where, {"deleted": False, "archived": False})

    assert (made.status, made.json["description"], made.json["tags"]) == (201, HOSTILE, ["a"])
    assert (changed.json["name"], changed.json["tags"]) == (f"{called}-2", ["b"])
    assert (changed.json["archived"], hidden.json["deleted"]) == (True, True)
    assert made.json["id"] not in [row["id"] for row in listed]
    assert (back.json["deleted"], back.json["archived"]) == (False, False)
    assert client_of(team.server).get_experiment(made.json["id"]).name == f"{called}-2"


def test_a_name_that_is_taken_is_a_conflict(alpha: Project) -> None:
    called = name()
    assert alpha("POST", "/experiments", {"name": called}).status == 201

    again = alpha("POST", "/experiments", {"name": called})

    assert (again.status, again.code) == (409, "exists")


# Runs ----------------------------------------------------------------------------------------


def test_a_run_is_renamed_tagged_deleted_and_restored(alpha: Project, run: Run) -> None:
    where = f"/runs/{run.id}"
    told = alpha("PATCH", where, {"name": HOSTILE, "add_tags": ["x", "y"]}).json
    less = alpha("PATCH", where, {"remove_tags": ["x"], "deleted": True}).json
    back = alpha("PATCH", where, {"deleted": False}).json

    assert (told["name"], told["tags"]) == (HOSTILE, ["x", "y"])
    assert (less["tags"], less["deleted"], back["deleted"]) == (["y"], True, False)


def test_an_edit_is_its_callers_and_stands_in_the_history(alpha: Project, run: Run) -> None:
    alpha("PATCH", f"/runs/{run.id}", {"name": "by ed"})
    change = run.history("name")[-1]

    assert change.value == "by ed"
    assert run.history(f"authors/{change.writer}")[-1].value == "ed"


def test_many_runs_are_changed_at_once_and_unknown_ones_are_told(alpha: Project, run: Run) -> None:
    told = alpha("PATCH", "/runs", {"ids": [run.id, "nobody"], "add_tags": ["many"]}).json

    assert [row["tags"] for row in told["runs"]] == [["many"]]
    assert told["missing"] == ["nobody"]


def test_a_stop_reaches_a_run_in_another_process(team: Any, alpha: Project, stage: Stage) -> None:
    script = f"""
        from podstack import MLOpsClient
        run = MLOpsClient({team.server.store!r}, project="alpha").start_run(run_id="stopme")
        print("up", flush=True)
        while not run.should_stop:
            run.log_metrics({{"x": 1.0}})
            time.sleep(0.02)
        run.finish()
        print("stopped")
    """
    child = stage.start(script)
    child.wait_for_word("up")
    wait_until_served(team, "stopme")
    told = alpha("POST", "/runs/stopme/stop")
    ended = child.wait()
    wait_until(team, "stopme", lambda told: told["status"] == "completed")
    again = alpha("POST", "/runs/stopme/stop")

    assert told.json["stop"] is True
    assert ended.out.endswith("stopped\n")
    assert (again.status, again.code) == (409, "ended")


# Notes ---------------------------------------------------------------------------------------


def test_of_two_who_write_notes_the_second_sees_the_firsts(alpha: Project, run: Run) -> None:
    where = f"/runs/{run.id}/notes"
    empty = alpha("GET", where).json
    first = alpha("PUT", where, {"text": "first", "version": empty["version"]})
    second = alpha("PUT", where, {"text": "second", "version": empty["version"]})
    third = alpha("PUT", where, {"text": "third", "version": second.json["version"]})

    assert (empty["text"], empty["version"]) == ("", "")
    assert (first.status, first.json["by"]) == (200, "ed")
    assert (second.status, second.json["text"]) == (409, "first")
    assert (third.status, run.notes) == (200, "third")


def test_markdown_comes_back_as_html_that_runs_nothing(alpha: Project) -> None:
    told = alpha("POST", "/markdown", {"text": "**b** <script>alert(1)</script>"}).json["html"]

    assert "<strong>b</strong>" in told
    assert "<script" not in told


# Alerts --------------------------------------------------------------------------------------


def test_an_alert_is_tried_made_and_removed(alpha: Project, run: Run) -> None:
    where = f"/runs/{run.id}/alerts"
    tried = alpha("POST", f"{where}/test", {"condition": "loss < 0.3"}).json["firings"]
    made = alpha("POST", where, {"condition": "loss < 0.3", "message": HOSTILE})
    kept = list(run.alerts)
    gone = alpha("DELETE", f"{where}/{made.json['id']}")

    assert [firing["step"] for firing in tried] == [3]
    assert (made.status, kept[0].condition, kept[0].message) == (201, "loss < 0.3", HOSTILE)
    assert (gone.status, list(run.alerts)) == (200, [])


def test_a_condition_that_is_none_is_told_with_its_place(alpha: Project, run: Run) -> None:
    told = alpha("POST", f"/runs/{run.id}/alerts", {"condition": "loss <"})

    assert told.status == 422
    assert "loss <" in told.json["error"]["message"]


# Sweeps --------------------------------------------------------------------------------------


def test_a_sweep_is_checked_made_and_stopped(team: Any, alpha: Project) -> None:
    assert alpha("POST", "/experiments", {"name": "swept"}).status in (201, 409)
    told = {"strategy": "random", "parameters": LR, "objective_metric": "loss", "max_trials": 5}
    checked = alpha("POST", "/sweeps/check", told).json
    made = alpha("POST", "/sweeps", {**told, "experiment": "swept", "name": HOSTILE}).json
    sweep = client_of(team.server).get_sweep(made["id"])
    stopped = alpha("POST", f"/sweeps/{made['id']}/stop", {"reason": "enough"}).json

    assert checked == {"trials": 5, "errors": {}, "fields": {}, "direction": "minimize"}
    assert (sweep.name, sweep.max_trials) == (HOSTILE, 5)
    assert stopped["status"] == "stopped"
    assert client_of(team.server).suggest_sweep_params(made["id"]) is None
    assert alpha("GET", f"/sweeps/{made['id']}").json["user"] == "ed"


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"lr": {"min": 1, "max": 0}, "b": 1}, ["lr"]),
        ({"lr": {"min": -1.0, "max": 1.0, "distribution": "log_uniform"}, "c": {"values": []}},
         ["c", "lr"]),
        ({}, [""]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_space_is_told_by_parameter(
    alpha: Project, parameters: Any, wrong: list[str]
) -> None:
    told = {"strategy": "random", "parameters": parameters, "objective_metric": "loss"}

    assert sorted(alpha("POST", "/sweeps/check", told).json["errors"]) == wrong


def test_a_grid_of_2_to_the_300_is_counted_at_once(alpha: Project) -> None:
    grid = {f"p{n}": {"values": [0, 1]} for n in range(300)}
    told = {"strategy": "grid", "parameters": grid, "objective_metric": "loss"}
    found = alpha("POST", "/sweeps/check", told).json

    assert found["trials"] == str(2**300)
    assert "max_trials" in found["fields"]["max_trials"]


# Everything ----------------------------------------------------------------------------------

WRITES = [
    ("POST", "/experiments", {"name": "no"}),
    ("PATCH", "/runs/{run}", {"name": "no"}),
    ("PATCH", "/runs", {"ids": ["{run}"], "deleted": True}),
    ("PUT", "/runs/{run}/notes", {"text": "no", "version": ""}),
    ("POST", "/runs/{run}/alerts", {"condition": "loss > 1"}),
    ("POST", "/sweeps", {"parameters": LR, "objective_metric": "loss", "max_trials": 1}),
]


@pytest.mark.parametrize(("method", "path", "told"), WRITES)
def test_a_viewer_changes_nothing_and_a_stranger_sees_nothing(
    team: Any, alpha: Project, run: Run, method: str, path: str, told: Any
) -> None:
    before = (run.name, run.notes, list(run.alerts), run.deleted)
    told = json.loads(json.dumps(told).replace("{run}", run.id))
    where = path.replace("{run}", run.id)

    assert alpha(method, where, told, team.viewer).status == 403
    assert alpha(method, where, told, team.stranger).status == 404
    assert (run.name, run.notes, list(run.alerts), run.deleted) == before


@pytest.mark.parametrize(("method", "path", "told"), WRITES)
def test_a_field_that_is_unknown_or_of_another_kind_is_refused(
    alpha: Project, run: Run, method: str, path: str, told: Any
) -> None:
    where = path.replace("{run}", run.id)
    first = next(iter(told))

    assert alpha(method, where, {**told, "odd": 1}).status == 422
    assert alpha(method, where, {**told, first: 7}).status == 422
    assert alpha(method, where, [told]).status == 422
