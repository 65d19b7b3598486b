"""Writes for the pages on real servers: experiments, runs, notes, and who may do what."""

from __future__ import annotations

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
        for _ in range(1000):
            if self.send("GET", f"runs/{run}").status == 200:
                return
            time.sleep(0.02)
        raise AssertionError(f"{run} is never heard of")


def started(client: MLOpsClient) -> str:
    with client.start_run(capture=False, name="kept") as run:
        pass
    return str(run.id)


def one_run(team: Any) -> str:
    """An ended run of alpha that its server has heard of."""
    run = started(MLOpsClient(team.server.store, project="alpha"))
    for _ in range(1000):
        if team.ask("GET", f"/api/v1/projects/alpha/runs/{run}").status == 200:
            return run
        time.sleep(0.02)
    raise AssertionError(f"{run} is never heard of")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("edits")
    environment = {"PODSTACK_CACHE": str(folder / "cache"), "PODSTACK_USER": "pat"}
    runs = [started(MLOpsClient(folder / "store")) for _ in range(50)]
    with RunningServer(folder / "store", environment=environment) as server:
        made = Pages(server, folder / "store")
        made.runs = runs
        yield made


# Experiments ---------------------------------------------------------------------------------


def test_an_experiment_is_made_once_changed_archived_deleted_and_brought_back(pages: Pages) -> None:
    body = {"name": "Digits", "description": "small", "tags": ["a", "b"]}
    made = pages.send("POST", "experiments", body)
    id = made.json["id"]

    assert made.status == 201
    assert (made.json["description"], made.json["tags"]) == ("small", ["a", "b"])
    assert pages.send("POST", "experiments", {"name": "Digits"}).status == 409
    changes = {"name": "Letters", "tags": ["c"], "archived": True}
    changed = pages.send("PATCH", f"experiments/{id}", changes).json
    assert (changed["name"], changed["tags"], changed["status"]) == ("Letters", ["c"], "archived")
    assert pages.send("PATCH", f"experiments/{id}", {"deleted": True}).json["deleted"]
    assert not pages.send("PATCH", f"experiments/{id}", {"deleted": False}).json["deleted"]
    assert pages.client.get_experiment("Letters").archived


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
def test_26_60_a_body_that_is_none_is_refused_and_changes_nothing(pages: Pages, body: Any) -> None:
    run = pages.run()
    answer = pages.send("PATCH", f"runs/{run}", body)

    assert answer.status in (415, 422), answer.raw
    assert pages.client.get_run(run).name == "kept"


@pytest.mark.parametrize("body", [b'{"name": NaN}', b'{"name":"\\ud800"}', b"[" * 100_000, b"{"])
def test_60_what_is_no_json_is_refused(pages: Pages, body: bytes) -> None:
    run = pages.run()
    kind = {"Content-Type": "application/json"}
    url = f"/api/v1/projects/default/runs/{run}"

    assert ask(pages.server.port, "PATCH", url, headers=kind, body=body).status == 422


def test_a_run_that_is_recorded_by_another_process_is_asked_to_stop(pages: Pages) -> None:
    with pages.client.start_run(capture=False) as run:
        pages.until_known(run.id)
        assert pages.send("POST", f"runs/{run.id}/stop").json["stop"] is True
        assert pages.client.get_run(run.id).history("stop")[-1].value is True
    ended = pages.run()
    assert pages.send("POST", f"runs/{ended}/stop").code == "ended"


# Notes ---------------------------------------------------------------------------------------


def test_notes_are_written_over_the_version_that_was_read_only(pages: Pages) -> None:
    run = pages.run()
    url = f"runs/{run}/notes"
    assert pages.send("GET", url).json["version"] == ""
    first = pages.send("PUT", url, {"text": "# one", "version": ""}).json
    pages.client.get_run(run).set_notes("# two")
    late = pages.send("PUT", url, {"text": "# three", "version": first["version"]})

    assert (late.status, late.code, late.json["text"]) == (409, "conflict", "# two")
    again = pages.send("PUT", url, {"text": "# three", "version": late.json["version"]})
    assert again.status == 200
    told = pages.send("GET", url).json
    assert (told["text"], told["by"]) == ("# three", "pat")
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


def test_an_edit_is_told_under_the_name_of_whoever_made_it(team: Any) -> None:
    run = one_run(team)
    for token, name in ((team.editor, "by ed"), (team.admin, "by ada")):
        url, body = f"/api/v1/projects/alpha/runs/{run}", orjson.dumps({"name": name})
        assert team.ask("PATCH", url, token, body, Content_Type="application/json").status == 200
    told = team.ask("GET", f"/api/v1/projects/alpha/runs/{run}/history?path=name").json

    assert [(change["value"], change["by"]) for change in told["changes"][-2:]] == [
        ("by ed", "ed"),
        ("by ada", "ada"),
    ]


def test_21_24_37_viewers_strangers_and_bare_cookies_write_nothing(team: Any) -> None:
    run = one_run(team)
    url, body = f"/api/v1/projects/alpha/runs/{run}", b'{"name":"lost"}'
    kind = {"Content_Type": "application/json"}
    session = orjson.dumps({"token": team.editor})
    cookie = team.ask("POST", "/api/v1/session", "", session, **kind).headers["set-cookie"]
    shown = cookie.partition(";")[0]

    assert team.ask("PATCH", url, team.viewer, body, **kind).status == 403
    assert team.ask("PATCH", url, team.stranger, body, **kind).status == 404
    beta = url.replace("/alpha/", "/beta/")
    assert team.ask("PATCH", beta, team.stranger, body, **kind).status == 404
    assert team.ask("PATCH", url, "", body, Cookie=shown, **kind).status == 403
    assert MLOpsClient(team.server.store, project="alpha").get_run(run).name == "kept"
