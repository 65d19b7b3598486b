"""`podstack ui` as a person starts it: real processes, and a program in the browser's place."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from podstack.server.stores import Stores
from podstack.server.tokens import Tokens
from podstack.testing.raw_http import ask
from podstack.testing.stage import DEADLINE


@contextmanager
def looking(store: str, *options: str, browser: Path | None = None) -> Iterator[tuple[str, int]]:
    """The address it prints, and its port; ended by Ctrl-C, which must end it quietly."""
    shown = {"BROWSER": f"{browser} %s"} if browser else {}
    command = [sys.executable, "-m", "podstack", "ui", "--store", store, *options]
    if browser is None:
        command.append("--no-browser")
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **shown},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:(\d+)\S*", line)
    try:
        assert found is not None, line + process.stdout.read()
        yield found[0], int(found[1])
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode in (0, 130)
    assert rest == ""


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """Writes down the address that it is to open."""
    program = tmp_path / "browser"
    program.write_text(
        f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/part && mv {tmp_path}/part {tmp_path}/opened\n'
    )
    program.chmod(0o755)
    return program


def opened(browser: Path, port: int) -> str:
    ask(port, "GET", "/healthz")  # it answers after the browser was started
    for _ in range(200):
        if (browser.parent / "opened").exists():
            return (browser.parent / "opened").read_text()
        ask(port, "GET", "/healthz")
    pytest.fail("no browser was started")


def test_a_store_that_is_not_there_yet_has_pages(tmp_path: Path) -> None:
    with looking(str(tmp_path / "new"), "--port", "0") as (_, port):
        answer = ask(port, "GET", "/")

    assert (answer.status, answer.headers["location"]) == (302, "/projects/default/experiments")


def test_a_port_that_is_taken_gives_way_to_the_next(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        with looking(str(tmp_path / "store"), "--port", str(wanted)) as (_, port):
            assert wanted < port < wanted + 20
            assert ask(port, "GET", "/healthz").status == 200


def test_the_browser_goes_to_the_project_asked_for(tmp_path: Path, browser: Path) -> None:
    store = str(tmp_path / "store")
    with looking(store, "--port", "0", "--project", "mine", browser=browser) as (address, port):
        assert opened(browser, port) == f"{address}/projects/mine/experiments"


def test_where_there_are_tokens_the_browser_is_let_in_once(tmp_path: Path, browser: Path) -> None:
    store = str(tmp_path / "store")
    stores = Stores(store)
    stores.prepare()
    text, _ = Tokens(stores.backend).create(user="ann", project="*", role="viewer", expires_in=None)
    with looking(store, "--port", "0", browser=browser) as (_, port):
        place = urlsplit(opened(browser, port))
        body = orjson.dumps({"code": place.fragment})
        headers = {"Content-Type": "application/json"}
        answers = [
            ask(port, "POST", "/api/v1/session/code", headers=headers, body=body) for _ in range(2)
        ]

    assert (place.path, place.query) == ("/login", "next=/")
    assert "pst_" not in place.geturl()
    assert text not in place.geturl()
    assert [answer.status for answer in answers] == [200, 401]


def test_a_server_is_opened_where_it_is(tmp_path: Path, browser: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "podstack", "ui", "--store", "http://127.0.0.1:9/team"],
        capture_output=True,
        text=True,
        env={**os.environ, "BROWSER": f"{browser} %s"},
        timeout=DEADLINE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "http://127.0.0.1:9/team" in done.stdout
