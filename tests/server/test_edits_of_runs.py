"""Writes for the pages on real servers: experiments, runs, notes, and who may do what."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from podstack import MLOpsClient
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import Answer, ask
from podstack.testing.stage import DEADLINE, Stage

HOSTILE = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "=cmd|' /C calc'!A0",
    "${jndi:ldap://x}{{7*7}}%(x)s",
    "\u202egnp.exe\u2028",
    "naïve 🎉 ﬁ",
]


class Pages:
    """A server over a store, and the requests that a page makes of it."""

    def __init__(self, server: RunningServer, store: Path) -> None:
        self.server = server
        self.client = MLOpsClient(store)
        self.runs: list[str] = []

    def send(self, method: str, path: str, body: Any = None, *, token: str = "") -> Answer:
        content = b"" if body is None else orjson.dumps(body)
        kind = {"Content-Type": "application/json"} if content else {}
        url = f"/api/v1/projects/default/{path}"
        return ask(self.server.port, method, url, token=token, headers=kind, body=content)

    def run(self) -> str:
        """An ended run that nobody has changed."""
        return self.runs.pop()

    def until_known(self, run: str) -> None:
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            if self.send("GET", f"runs/{run}").status == 200:
                return
            time.sleep(0.02)
        raise AssertionError(f"{run} is never heard of")


def started(client: MLOpsClient) -> str:
    with client.start_run(capture=False, name="kept") as run:
        pass
    return str(run.id)


@pytest.fixture(scope="module")
def alpha_run(team: Any) -> str:
    """An ended run of alpha that its server has heard of, for all who may not change it."""
    run = started(MLOpsClient(team.server.store, project="alpha"))
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        if team.ask("GET", f"/api/v1/projects/alpha/runs/{run}").status == 200:
            return run
        time.sleep(0.02)
    raise AssertionError(f"{run} is never heard of")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("edits")
    environment = {"PODSTACK_CACHE": str(folder / "cache"), "PODSTACK_USER": "pat"}
    runs = [started(MLOpsClient(folder / "store")) for _ in range(25)]
    with RunningServer(folder / "store", environment=environment) as server:
        made = Pages(server, folder / "store")
        made.runs = runs
        yield made


@pytest.fixture(scope="module")
def untouched(pages: Pages) -> str:
    """A run that every test leaves as it is."""
    return pages.run()


# Experiments ---------------------------------------------------------------------------------


def test_an_experiment_is_made_once_changed_archived_deleted_and_brought_back(pages: Pages) -> None:
    body = {"name": "Digits", "description": HOSTILE[0], "tags": ["a", "b"]}
    made = pages.send("POST", "experiments", body)
    where = f"experiments/{made.json['id']}"

    assert made.status == 201
    assert (made.json["description"], made.json["tags"]) == (HOSTILE[0], ["a", "b"])
    again = pages.send("POST", "experiments", {"name": "Digits"})
    assert (again.status, again.code) == (409, "exists")
    changes = {"name": "Letters", "tags": ["c"], "archived": True}
    changed = pages.send("PATCH", where, changes).json
    assert (changed["name"], changed["tags"], changed["status"]) == ("Letters", ["c"], "archived")
    assert pages.send("PATCH", where, {"deleted": True}).json["deleted"]
    assert made.json["id"] not in listed(pages)
    assert not pages.send("PATCH", where, {"deleted": False}).json["deleted"]
    assert made.json["id"] in listed(pages)
    assert pages.client.get_experiment("Letters").archived
    assert not pages.send("PATCH", where, {"archived": False}).json["archived"]


def listed(pages: Pages) -> list[str]:
    return [row["id"] for row in pages.send("GET", "experiments").json["experiments"]]


def test_a_name_that_another_experiment_has_is_refused(pages: Pages) -> None:
    pages.send("POST", "experiments", {"name": "taken"})
    other = pages.send("POST", "experiments", {"name": "free"}).json["id"]

    assert pages.send("PATCH", f"experiments/{other}", {"name": "taken"}).status == 409
    assert pages.client.get_experiment(other).name == "free"


# Runs ----------------------------------------------------------------------------------------


def test_a_run_is_renamed_tagged_deleted_and_brought_back(pages: Pages) -> None:
    run = pages.run()
    told = pages.send("PATCH", f"runs/{run}", {"name": "best", "tags": ["new", "x"]}).json

    assert (told["name"], told["tags"]) == ("best", ["new", "x"])
    more = pages.send("PATCH", f"runs/{run}", {"add_tags": ["y"], "remove_tags": ["x"]}).json
    assert more["tags"] == ["new", "y"]
    assert pages.send("PATCH", f"runs/{run}", {"deleted": True}).json["deleted"]
    assert not pages.send("PATCH", f"runs/{run}", {"deleted": False}).json["deleted"]
    assert pages.client.get_run(run).tags == ["new", "y"]


def test_many_runs_are_changed_at_once_and_unknown_ones_are_told(pages: Pages) -> None:
    runs = [pages.run() for _ in range(5)]
    told = pages.send("PATCH", "runs", {"ids": [*runs, "nobody"], "add_tags": ["kept"]}).json

    assert told["missing"] == ["nobody"]
    assert {row["id"] for row in told["runs"]} == set(runs)
    assert all(pages.client.get_run(run).tags == ["kept"] for run in runs)
    assert pages.send("PATCH", "runs", {"ids": [f"r{n}" for n in range(1001)]}).status == 422


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_41_59_hostile_words_are_kept_as_they_are(pages: Pages, text: str) -> None:
    run = pages.run()
    told = pages.send("PATCH", f"runs/{run}", {"name": text, "tags": [text]}).json
    notes = pages.send("PUT", f"runs/{run}/notes", {"text": text, "version": ""})

    assert (told["name"], told["tags"], notes.status) == (text, [text], 200)
    found = pages.client.get_run(run)
    assert (found.name, found.tags, found.notes) == (text, [text], text)


WRONG: list[Any] = [
    [],
    "x",
    None,
    {"nmae": "x"},
    {"id": "x"},
    {"user": "root"},
    {"name": 7},
    {"name": ""},
    {"name": "a\0b"},
    {"name": "x" * 1001},
    {"tags": "one"},
    {"tags": [1]},
    {"tags": ["x"] * 1001},
    {"deleted": "yes"},
    {"deleted": 1},
]


@pytest.mark.parametrize("body", WRONG, ids=range(len(WRONG)))
def test_26_60_a_body_that_is_none_is_refused_and_changes_nothing(
    pages: Pages, untouched: str, body: Any
) -> None:
    answer = pages.send("PATCH", f"runs/{untouched}", body)

    assert answer.status in (415, 422), answer.raw
    found = pages.client.get_run(untouched)
    assert (found.name, found.tags, found.deleted) == ("kept", [], False)


@pytest.mark.parametrize("body", [b'{"name": NaN}', b'{"name":"\\ud800"}', b"[" * 100_000, b"{"])
def test_60_what_is_no_json_is_refused(pages: Pages, untouched: str, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    url = f"/api/v1/projects/default/runs/{untouched}"

    assert ask(pages.server.port, "PATCH", url, headers=kind, body=body).status == 422


def test_a_run_that_is_recorded_by_another_process_is_asked_to_stop(pages: Pages) -> None:
    with pages.client.start_run(capture=False) as run:
        pages.until_known(run.id)
        assert pages.send("POST", f"runs/{run.id}/stop").json["stop"] is True
        assert pages.client.get_run(run.id).history("stop")[-1].value is True
    ended = pages.send("POST", f"runs/{pages.run()}/stop")
    assert (ended.status, ended.code) == (409, "ended")


@pytest.mark.slow  # the run looks for a Stop every five seconds
def test_a_stop_ends_a_run_in_another_process(pages: Pages, stage: Stage) -> None:
    script = f"""
        from podstack import MLOpsClient
        run = MLOpsClient({pages.server.store!r}).start_run(run_id="stopme")
        print("up", flush=True)
        while not run.should_stop:
            run.log_metrics({{"x": 1.0}})
            time.sleep(0.02)
        run.finish()
        print("stopped")
    """
    child = stage.start(script)
    child.wait_for_word("up")
    pages.until_known("stopme")
    assert pages.send("POST", "runs/stopme/stop").json["stop"] is True

    assert child.wait().out.endswith("stopped\n")


# Notes ---------------------------------------------------------------------------------------


def test_notes_are_written_over_the_version_that_was_read_only(pages: Pages) -> None:
    run = pages.run()
    url = f"runs/{run}/notes"
    empty = pages.send("GET", url).json
    assert (empty["text"], empty["version"]) == ("", "")
    first = pages.send("PUT", url, {"text": "# one", "version": ""}).json
    pages.client.get_run(run).set_notes("# two")
    late = pages.send("PUT", url, {"text": "# three", "version": first["version"]})

    assert (late.status, late.code, late.json["text"]) == (409, "conflict", "# two")
    again = pages.send("PUT", url, {"text": "# three", "version": late.json["version"]})
    assert again.status == 200
    told = pages.send("GET", url).json
    assert (told["text"], told["by"]) == ("# three", "pat")
    assert pages.client.get_run(run).notes == "# three"
    assert ">three</h" in told["html"]


def test_markdown_is_rendered_inert(pages: Pages) -> None:
    text = "<script>x</script> [a](javascript:x) **b**"
    html = pages.send("POST", "markdown", {"text": text}).json["html"]

    assert "<strong>b</strong>" in html
    assert "<script" not in html
    assert 'href="javascript' not in html


def test_of_two_servers_that_write_notes_at_once_none_loses_what_it_called_kept(
    pages: Pages, tmp_path: Path
) -> None:
    """Six races: an answer of 200 means that the words stand, or were replaced knowingly."""
    environment = {"PODSTACK_CACHE": str(tmp_path / "cache")}
    with RunningServer(pages.server.store, environment=environment, log=tmp_path / "log") as second:
        other = Pages(second, Path(pages.server.store))
        for run in [pages.run() for _ in range(6)]:
            with ThreadPoolExecutor(2) as pool:
                sent = [
                    pool.submit(
                        each.send, "PUT", f"runs/{run}/notes", {"text": text, "version": ""}
                    )
                    for each, text in ((pages, "mine"), (other, "theirs"))
                ]
                answers = [one.result() for one in sent]
            kept = pages.client.get_run(run).notes
            said = [answer.json["text"] for answer in answers if answer.status == 200]
            assert {answer.status for answer in answers} <= {200, 409}
            assert len(said) <= 1
            assert kept in ("mine", "theirs")
            assert all(text == kept for text in said)


# Who -----------------------------------------------------------------------------------------


def test_an_edit_is_told_and_kept_under_the_name_of_whoever_made_it(
    team: Any, alpha_run: str
) -> None:
    url = f"/api/v1/projects/alpha/runs/{alpha_run}"
    for token, name in ((team.editor, "by ed"), (team.admin, "by ada")):
        answer = team.ask("PATCH", url, token, orjson.dumps({"name": name}), **KIND)
        assert answer.status == 200
    told = team.ask("GET", f"{url}/history?path=name").json

    assert [(change["value"], change["by"]) for change in told["changes"][-2:]] == [
        ("by ed", "ed"),
        ("by ada", "ada"),
    ]
    run = MLOpsClient(team.server.store, project="alpha").get_run(alpha_run)
    writer = run.history("name")[-1].writer
    assert run.history(f"authors/{writer}")[-1].value == "ada"


KIND = {"Content_Type": "application/json"}
SPACE = {"lr": {"min": 0.001, "max": 0.1, "distribution": "log_uniform"}}
WRITES = [
    ("POST", "/experiments", {"name": "no"}),
    ("PATCH", "/runs/{run}", {"name": "no"}),
    ("PATCH", "/runs", {"ids": ["{run}"], "deleted": True}),
    ("PUT", "/runs/{run}/notes", {"text": "no", "version": ""}),
    ("POST", "/runs/{run}/alerts", {"condition": "loss > 1"}),
    ("POST", "/sweeps", {"parameters": SPACE, "objective_metric": "loss", "max_trials": 1}),
]


class Ask:
    """One of `WRITES`, made of alpha in various ways; and what must stay as it is."""

    def __init__(self, team: Any, run: str, method: str, path: str, told: Any) -> None:
        self._team, self._method = team, method
        self.path = f"/api/v1/projects/alpha{path}".replace("{run}", run)
        self.told = json.loads(json.dumps(told).replace("{run}", run))
        self._run = MLOpsClient(team.server.store, project="alpha").get_run(run)

    def __call__(self, told: Any, token: str | None = None, path: str = "", **more: str) -> int:
        answer = self._team.ask(
            self._method, path or self.path, token, orjson.dumps(told), **KIND, **more
        )
        return int(answer.status)

    def kept(self) -> object:
        run = self._run
        return run.name, run.notes, [alert.id for alert in run.alerts], run.deleted


@pytest.mark.parametrize(("method", "path", "told"), WRITES)
def test_21_24_37_viewers_strangers_and_bare_cookies_write_nothing(
    team: Any, alpha_run: str, method: str, path: str, told: Any
) -> None:
    ask = Ask(team, alpha_run, method, path, told)
    before = ask.kept()
    session = orjson.dumps({"token": team.editor})
    cookie = team.ask("POST", "/api/v1/session", "", session, **KIND).headers["set-cookie"]

    assert ask(ask.told, team.viewer) == 403
    assert ask(ask.told, team.stranger) == 404
    assert ask(ask.told, "", Cookie=cookie.partition(";")[0]) == 403
    assert ask.kept() == before


def test_a_stranger_finds_no_run_of_alpha_in_a_project_of_its_own(
    team: Any, alpha_run: str
) -> None:
    ask = Ask(team, alpha_run, "PATCH", "/runs/{run}", {"name": "lost"})

    assert ask(ask.told, team.stranger, ask.path.replace("/alpha/", "/beta/")) == 404


@pytest.mark.parametrize(("method", "path", "told"), WRITES)
def test_a_field_that_is_unknown_or_of_another_kind_is_refused(
    team: Any, alpha_run: str, method: str, path: str, told: Any
) -> None:
    ask = Ask(team, alpha_run, method, path, told)
    first = next(iter(told))

    assert ask({**ask.told, "odd": 1}) == 422
    assert ask({**ask.told, first: 7}) == 422
    assert ask([ask.told]) == 422
