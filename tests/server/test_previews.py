"""The files of a run for a browser: whatever one holds or is called, none runs on this site."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from podstack import MLOpsClient
from podstack.artifacts import Artifact
from podstack.keeper import keeper
from podstack.server import previews
from podstack.server.app import create_app
from podstack.server.media import attachment
from podstack.server.settings import ServerSettings
from podstack.server.ui import artifact_page
from podstack.testing.asked_directly import Told, asked_directly
from podstack.testing.raw_http import Answer
from podstack.testing.sample_files import picture
from podstack.testing.stage import DEADLINE

ATTACK = b"<html xmlns='http://www.w3.org/1999/xhtml'><script>stolen(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>stolen(1)</script></svg>'
FILES = {
    "a.html": ATTACK,
    "a.xhtml": ATTACK,
    "a.svg": SVG,
    "a.xml": b"<?xml version='1.0'?>" + ATTACK,
    "a.js": b"stolen(1)",
    "a.mjs": b"stolen(1)",
    "a.pdf": b"%PDF-1.7 /JavaScript (stolen(1))",
    "a.swf": b"FWS\x06stolen",
    "a.mht": b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" + ATTACK,
    "a.ipynb": json.dumps(
        {
            "nbformat": 4,
            "cells": [
                {"cell_type": "markdown", "source": ATTACK.decode()},
                {
                    "cell_type": "code",
                    "source": ATTACK.decode(),
                    "outputs": [
                        {"output_type": "display_data", "data": {"text/html": ATTACK.decode()}},
                        {
                            "output_type": "display_data",
                            "data": {"image/png": "PHNjcmlwdD4=", "text/plain": ATTACK.decode()},
                        },
                    ],
                },
            ],
        }
    ).encode(),
    "a.md": ATTACK,
    "a.csv": b"a,b\n" + ATTACK + b",2\n",
    "a.json": json.dumps({ATTACK.decode(): ATTACK.decode()}).encode(),
    "plain": ATTACK,
    "page.png": ATTACK,
}
NAMES = (
    'a"; filename="b.exe',
    "a;b='c'.txt",
    "\u202egnp.exe",
    "a%0d%0aSet-Cookie: x=1",
    "a\r\nSet-Cookie: x=1\r\n\r\n<script>",
    "a\u2028b\x85c\x00d",
    "../../etc/passwd",
    "..\\..\\a.bat",
    "x" * 4_000 + ".csv",
    "é" * 4_000,
    "名前 🧪.txt",
    "",
    "...",
    "\ud800",
)


class Files:
    """Asks for the files of one run."""

    def __init__(self, team: Any, run: str) -> None:
        self._team, self._run = team, run

    def __call__(self, path: str, shown: str = "file", **headers: str) -> Answer:
        where = f"/api/v1/projects/alpha/runs/{self._run}/files/{quote(path)}?as={shown}"
        answer: Answer = self._team.ask("GET", where, **headers)
        return answer

    def page(self, path: str) -> Answer:
        """The page that previews a file."""
        where = f"/projects/alpha/runs/{self._run}/artifacts/{quote(path)}"
        answer: Answer = self._team.ask("GET", where, Accept="text/html")
        return answer


@pytest.fixture(scope="module")
def files(team: Any, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder: Path = tmp_path_factory.mktemp("files")
    for name, content in {**FILES, "true.png": picture(4, 4)}.items():
        (folder / name).write_bytes(content)
    with MLOpsClient(team.server.store, project="alpha").start_run(capture=False) as run:
        run.log_artifacts(folder)
    found = Files(team, run.id)
    deadline = time.monotonic() + DEADLINE
    while found("a.js").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_bytes_to_save_whatever_it_is(name: str, files: Files) -> None:
    told = files(name)

    assert (told.status, told.body) == (200, FILES[name])
    assert told.headers["content-type"] == "application/octet-stream"
    assert told.headers["content-disposition"].startswith("attachment;")
    assert told.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", [name for name in FILES if name != "a.svg"])
def test_only_bytes_that_are_a_picture_are_shown_as_one(name: str, files: Files) -> None:
    assert files(name, "media").status == 415
    assert files("true.png", "media").headers["content-type"] == "image/png"


@pytest.mark.parametrize("name", ["a.svg", "true.png"])
def test_a_picture_opened_as_a_page_runs_and_loads_nothing(name: str, files: Files) -> None:
    told = files(name, "media")
    policy = told.headers["content-security-policy"]

    assert told.status == 200
    assert "sandbox;" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "allow-" not in policy
    assert told.headers["x-content-type-options"] == "nosniff"


def test_a_logged_page_is_shown_without_this_sites_origin_and_network(files: Files) -> None:
    policy = files("a.html", "page").headers["content-security-policy"]

    assert "sandbox allow-scripts;" in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy


@pytest.mark.parametrize("name", ["a.js", "a.svg", "a.xhtml", "plain", "page.png"])
def test_only_a_html_file_is_shown_as_a_page(name: str, files: Files) -> None:
    assert files(name, "page").status == 415


@pytest.mark.parametrize("shown", ["file", "media", "page"])
@pytest.mark.parametrize("name", ["a.js", "a.mjs", "a.svg", "a.html"])
def test_no_file_becomes_a_service_worker(name: str, shown: str, files: Files) -> None:
    told = files(name, shown, Service_Worker="script")

    assert (told.status, told.code) == (403, "worker")
    assert "javascript" not in told.headers["content-type"]


@pytest.mark.parametrize("name", FILES)
def test_a_preview_shows_a_file_as_text_or_as_a_picture(name: str, files: Files) -> None:
    told = files.page(name)

    assert told.status == 200
    assert b"<script>stolen" not in told.body
    assert b"allow-same-origin" not in told.body
    assert "unsafe-inline" not in told.headers["content-security-policy"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_makes_one_short_line_of_a_header(name: str) -> None:
    line = attachment(name)
    kind, plain, wide = line.split("; ")
    offered = unquote(wide.removeprefix("filename*=UTF-8''"))

    assert kind == "attachment"
    assert plain.startswith('filename="')
    assert plain.endswith('"')
    assert plain.count('"') == 2
    assert line.isascii()
    assert line.isprintable()
    assert 0 < len(offered) <= 200
    assert not set(offered) & set("/\\\r\n\x00\x85\u202e\u2028")


def test_a_name_that_is_cut_keeps_its_ending() -> None:
    assert attachment("x" * 4_000 + ".csv").endswith("x.csv")


@pytest.mark.parametrize("name", ["a%0d%0aSet-Cookie:%20x=1", "a\r\nSet-Cookie: x=1"])
def test_a_path_that_breaks_lines_adds_no_header(name: str, files: Files) -> None:
    told = files(name)

    assert told.status in (400, 404)
    assert "set-cookie" not in told.headers


def directly(store: Path, path: str) -> Told:
    """The answer about the run `r`, whose address replaces `{}`, without a server."""
    gate = create_app(ServerSettings(str(store), open=True, user="me"))
    return asked_directly(gate, path.format("/projects/default/runs/r"))


@pytest.fixture
def halved(tmp_path: Path) -> Path:
    """A store with a run `r`, of one of whose two files the content is not there."""
    for name in ("here.txt", "away.txt"):
        (tmp_path / name).write_bytes(b"a few words")
    with MLOpsClient(tmp_path / "store").start_run(run_id="r", capture=False) as run:
        run.log_artifact(tmp_path / "here.txt")
        run.log_artifact(tmp_path / "away.txt")
    assert keeper.wait(DEADLINE)
    (content,) = (tmp_path / "store").rglob("away.txt")
    content.unlink()
    return tmp_path / "store"


def test_a_file_that_is_not_hashed_yet_is_shown(
    tmp_path: Path, held_keeper: threading.Event
) -> None:
    (tmp_path / "a.txt").write_bytes(b"a few words")
    with MLOpsClient(tmp_path / "store").start_run(run_id="r", capture=False) as run:
        run.log_artifact(tmp_path / "a.txt")
        told = directly(tmp_path / "store", "{}/artifacts/a.txt")

    assert told.status == 200
    assert b"a few words" in told.body
    assert b"not hashed yet" in told.body


def test_of_a_file_whose_content_is_still_elsewhere_the_page_says_so(halved: Path) -> None:
    told = directly(halved, "{}/artifacts/away.txt")

    assert told.status == 200
    assert b"Not here yet" in told.body
    assert b">Download</a>" not in told.body


def test_an_archive_holds_what_is_there_and_names_the_rest(halved: Path) -> None:
    told = directly(halved, "/api/v1{}/archive")
    archive = zipfile.ZipFile(io.BytesIO(told.body))

    assert archive.namelist() == ["here.txt", "not-in-the-store.txt"]
    assert archive.read("here.txt") == b"a few words"
    assert archive.read("not-in-the-store.txt") == b"away.txt\n"


@pytest.mark.parametrize(
    ("shown", "content"),
    [
        ("/api/v1{}/files/true.png?as=media", picture(4, 4)),
        ("{}/artifacts/true.png", b"preview-image"),
    ],
    ids=["media", "page"],
)
def test_a_file_that_gets_its_place_between_two_looks_is_shown(
    shown: str,
    content: bytes,
    tmp_path: Path,
    held_keeper: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "true.png").write_bytes(picture(4, 4))
    store, known = tmp_path / "store", previews.version_of
    with MLOpsClient(store).start_run(run_id="r", capture=False) as run:
        run.log_artifact(tmp_path / "true.png")

        def known_just_before(*asked: Any) -> Artifact:
            file = known(*asked)
            held_keeper.set()
            assert run.flush(DEADLINE)
            return file

        for module in (previews, artifact_page):
            monkeypatch.setattr(module, "version_of", known_just_before)
        told = directly(store, shown)

    assert told.status == 200
    assert content in told.body
