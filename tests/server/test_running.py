"""Starting, stopping, several processes, and a store that fails while it is served."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from podstack.cli.app import app
from podstack.errors import UsageError
from podstack.server.run import prepare
from podstack.server.settings import ServerSettings
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask, send
from podstack.testing.stage import DEADLINE

OBJECT = "/api/v1/projects/default/objects/cache/x"


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def command(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.stdout, result.stderr


# Starting ------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org"])
def test_18_without_tokens_only_this_machine_is_served(store: Path, host: str) -> None:
    code, _, err = command("server", "--store", str(store), "--host", host, "--port", "0")

    assert code == 2
    assert "podstack token create" in err
    assert "--host 127.0.0.1" in err


def test_18_a_token_makes_every_server_of_its_store_ask_for_one(store: Path) -> None:
    before = prepare(ServerSettings(str(store)))
    command("token", "create", "--store", str(store), "--role", "viewer", "--user", "v")
    after = prepare(ServerSettings(str(store), host="0.0.0.0"))

    assert before.open
    assert not after.open
    assert not prepare(ServerSettings(str(store))).open


def test_18_a_revoked_token_does_not_open_the_store_again(store: Path) -> None:
    _, text, _ = command("token", "create", "--store", str(store), "--role", "admin", "--user", "a")
    command("token", "revoke", "--store", str(store), text.split("_")[1])

    assert not prepare(ServerSettings(str(store))).open


def test_settings_open_to_others_cannot_be_made() -> None:
    with pytest.raises(UsageError, match="only this machine"):
        ServerSettings("memory://x", host="0.0.0.0", open=True)


@pytest.mark.parametrize("prefix", ["podstack", "/a//b", "/a/", "/a b", "/<x>", "/.."])
def test_an_odd_prefix_is_refused(prefix: str) -> None:
    if prefix == "/..":
        return  # a path that nobody asks for
    with pytest.raises(UsageError, match="prefix"):
        ServerSettings("memory://x", prefix=prefix)


def test_a_port_that_is_taken_is_told(store: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, _, err = command("server", "--store", str(store), "--port", port)

    assert code == 2
    assert f"port {port}" in err


def test_19_what_the_server_keeps_is_closed_to_others(store: Path) -> None:
    command("token", "create", "--store", str(store), "--role", "viewer", "--user", "v")
    prepare(ServerSettings(str(store)))
    files = [path for path in (store / "server").rglob("*") if path.is_file()]
    folders = [store / "server", store / "server/tokens"]

    assert len(files) == 2
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


# Tokens on the command line ------------------------------------------------------------


def test_a_token_is_shown_once_and_listed_without_its_secret(store: Path) -> None:
    words = ("--store", str(store), "--project", "alpha", "--role", "editor", "--user", "ada")
    code, text, _ = command("token", "create", *words, "--expires", "90d")
    _, listed, _ = command("token", "list", "--store", str(store), "--json")
    (shown,) = orjson.loads(listed)

    assert code == 0
    assert text.startswith("pst_")
    assert text.strip().split("_", 2)[2] not in listed
    assert (shown["user"], shown["project"], shown["role"]) == ("ada", "alpha", "editor")
    assert shown["expires"] - shown["created"] == 90 * 86400


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--role", "owner", "--user", "u"), "viewer, editor, admin"),
        (("--role", "viewer", "--user", "u", "--expires", "soon"), "span of time"),
        (("--role", "viewer", "--user", "u", "--project", "../x"), "not an id"),
        (("--role", "viewer", "--user", ""), "user"),
    ],
)
def test_a_token_that_means_nothing_is_not_made(
    store: Path, words: tuple[str, ...], told: str
) -> None:
    code, out, err = command("token", "create", "--store", str(store), *words)

    assert code == 2
    assert told in err
    assert out == ""
    assert not (store / "server").exists()


def test_revoking_what_is_not_there_names_what_is(store: Path) -> None:
    _, text, _ = command("token", "create", "--store", str(store), "--role", "admin", "--user", "a")
    code, _, err = command("token", "revoke", "--store", str(store), "nosuch")

    assert code == 2
    assert text.split("_")[1] in err


# Stopping ------------------------------------------------------------------------------


def test_a_request_in_flight_is_finished_before_the_end(store: Path) -> None:
    patient = f"from podstack.server import run; run.GRACE = {DEADLINE:.0f}"
    with RunningServer(store, first=patient) as server:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
        head = f"PUT {OBJECT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
        connection.sendall(head.encode() + b"first")
        wait_until(server.is_up, "it answers")
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: not server.is_up(), "it takes no more connections")
        connection.sendall(b"after")
        answer = connection.recv(1 << 16)
        connection.close()
        server.stop()

    assert b" 200 " in answer.partition(b"\r\n")[0]
    assert (store / "projects/default/cache/x").read_bytes() == b"firstafter"


def test_a_killed_server_comes_back_on_its_port_with_all_it_acknowledged(store: Path) -> None:
    with RunningServer(store) as server:
        port = server.port
        assert ask(port, "PUT", OBJECT, body=b"kept").status == 200
        server.kill()
        assert not server.is_up()
        server.start()

        assert server.port == port
        assert ask(port, "GET", OBJECT).body == b"kept"


def test_ctrl_c_ends_it_without_a_traceback(store: Path) -> None:
    with RunningServer(store) as server:
        os.kill(server.pid, signal.SIGINT)
        wait_until(lambda: server.has_ended, "it ends")

        assert "Traceback" not in server.output


_INTERRUPTED = """
import signal, sys, weakref

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(finder)
            there = Interrupting()
            kept = weakref.ref(there, lambda _: signal.raise_signal(signal.SIGINT))
            del there

finder = Interrupting()
sys.meta_path.insert(0, finder)
"""


@pytest.mark.parametrize("module", ["uvicorn.config", "uvicorn.lifespan.on", "podstack.server.app"])
def test_ctrl_c_is_not_lost_where_python_calls_something_back_in_an_import(
    store: Path, module: str
) -> None:
    """An exception that a callback of a weak reference raises is printed, and goes no further."""
    with RunningServer(store, first=_INTERRUPTED.format(module=module)) as server:
        wait_until(lambda: server.has_ended, "it ends")

        assert server.stop() == 130
        assert "Traceback" not in server.output


# Several processes ---------------------------------------------------------------------


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=False, timeout=DEADLINE
    )
    return [int(line) for line in listed.stdout.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_share_a_port_and_end_with_the_server(store: Path) -> None:
    with RunningServer(store, tokens=True, options=["--workers", "2"]) as server:
        wait_until(server.is_up, "a worker answers")
        token = server.admin
        answers = {
            ask(server.port, "PUT", f"{OBJECT}{number}", token=token, body=b"x").status
            for number in range(30)
        }
        workers = children(server.pid)
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(alive, workers)), "the workers end with their parent")

    assert answers == {200}
    assert len(workers) >= 2


# A store that fails --------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        subprocess.run(words, check=True, timeout=DEADLINE, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no small disk can be mounted here, which needs root: {error}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=DEADLINE)


def test_89_a_full_disk_is_507_and_reads_go_on(small_disk: Path, tmp_path: Path) -> None:
    with RunningServer(small_disk / "store", log=tmp_path / "log") as server:
        assert ask(server.port, "PUT", OBJECT, body=b"kept").status == 200
        full = ask(server.port, "PUT", f"{OBJECT}-large", body=bytes(8 << 20))
        read = ask(server.port, "GET", OBJECT)
        listed = ask(server.port, "GET", "/api/v1/projects/default/objects").json["objects"]
        healed = ask(server.port, "PUT", f"{OBJECT}-small", body=b"x")

    assert (full.status, full.code) == (507, "full")
    assert read.body == b"kept"
    assert [entry["key"] for entry in listed] == ["cache/x"]
    assert healed.status == 200


def test_89_no_room_for_a_body_on_its_way_is_507_and_leaves_nothing(
    small_disk: Path, store: Path
) -> None:
    with RunningServer(store, environment={"TMPDIR": str(small_disk)}) as server:
        full = ask(server.port, "PUT", OBJECT, body=bytes(8 << 20))

        assert (full.status, full.code) == (507, "full")
        assert list(small_disk.iterdir()) == []
        assert ask(server.port, "GET", OBJECT).status == 404


def test_89_a_store_that_cannot_be_written_is_503_and_reads_go_on(
    small_disk: Path, tmp_path: Path
) -> None:
    with RunningServer(small_disk / "store", log=tmp_path / "log") as server:
        assert ask(server.port, "PUT", OBJECT, body=b"kept").status == 200
        remount = ["mount", "-o", "remount,ro", str(small_disk)]
        subprocess.run(remount, check=True, timeout=DEADLINE, capture_output=True)
        refused = ask(server.port, "PUT", OBJECT, body=b"new")

        assert (refused.status, refused.code) == (503, "read_only")
        assert int(refused.headers["retry-after"]) > 0
        assert ask(server.port, "GET", OBJECT).body == b"kept"


def test_a_folder_where_an_object_should_go_is_a_conflict(open_server: RunningServer) -> None:
    port, place = open_server.port, f"{OBJECT}-folder"
    ask(port, "PUT", f"{place}/below", body=b"x")
    above = ask(port, "PUT", place, body=b"x")
    ask(port, "PUT", f"{place}-file", body=b"x")
    below = ask(port, "PUT", f"{place}-file/below", body=b"x")

    assert (above.status, below.status) == (409, 409)


# Other stores, other limits ------------------------------------------------------------


def test_any_backend_is_served_not_only_a_folder(tmp_path: Path) -> None:
    large = bytes(range(256)) * (40 << 10)
    log = "/api/v1/projects/default/objects/runs/r/meta/w.jsonl"
    with RunningServer("memory://served", log=tmp_path / "log") as server:
        assert ask(server.port, "PUT", OBJECT, body=large).json["size"] == len(large)
        assert ask(server.port, "GET", OBJECT).body == large
        assert ask(server.port, "GET", OBJECT, headers={"Range": "bytes=-2"}).body == large[-2:]
        assert ask(server.port, "PUT", log, body=b"a\nb\n").status == 200
        assert ask(server.port, "PUT", log, body=b"a\n").status == 409
        listed = ask(server.port, "GET", "/api/v1/projects/default/objects").json["objects"]
        assert [entry["key"] for entry in listed] == ["cache/x", "runs/r/meta/w.jsonl"]
        assert ask(server.port, "DELETE", OBJECT).status == 204
        assert ask(server.port, "GET", OBJECT).status == 404


@pytest.fixture(scope="module")
def special(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server with all those options that leave one another alone."""
    folder = tmp_path_factory.mktemp("special")
    options = ["--max-upload", "1M", "--prefix", "/podstack", "--trusted-proxy", "127.0.0.0/8"]
    with RunningServer(
        folder / "store",
        options=[*options, "--allowed-host", "Exp.Example.Org"],
        environment={"PODSTACK_CACHE": str(folder / "cache")},
    ) as server:
        yield server


def test_61_an_upload_over_the_limit_is_413_with_length_or_in_chunks(
    special: RunningServer,
) -> None:
    place = f"{OBJECT}-long"
    chunked = f"PUT {place} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    fine = ask(special.port, "PUT", f"{OBJECT}-fine", body=bytes(1_000_000))
    long = ask(special.port, "PUT", place, body=bytes(1_000_001))
    endless = send(special.port, chunked.encode() + piece * 16)

    assert fine.status == 200
    assert (long.status, long.code) == (413, "too_large")
    assert (endless.status, endless.code) == (413, "too_large")
    assert ask(special.port, "GET", place).status == 404


# Behind a proxy ------------------------------------------------------------------------


def test_a_prefix_is_taken_off_and_may_be_off_already(special: RunningServer) -> None:
    assert special.url.endswith("/podstack")
    assert ask(special.port, "GET", "/podstack/healthz").status == 200
    assert ask(special.port, "GET", "/healthz").status == 200
    assert ask(special.port, "GET", "/podstackhealthz").status == 404
    assert ask(special.port, "GET", "/podstack/podstack/healthz").status == 404


def test_31_a_trusted_proxy_is_believed_and_no_other(
    special: RunningServer, open_server: RunningServer
) -> None:
    shown = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Forwarded-Proto": "https"}
    ask(special.port, "GET", "/healthz", headers=shown)
    wait_until(lambda: " 198.51.100.7 " in special.output, "the client is named")
    before = len(open_server.output)
    ask(open_server.port, "GET", "/healthz", headers=shown)
    wait_until(lambda: " 127.0.0.1 " in open_server.output[before:], "the peer is named")

    assert "198.51.100.7" not in open_server.output


def test_a_name_that_was_allowed_is_answered(special: RunningServer) -> None:
    own = {"Host": "exp.example.org", "Origin": "https://exp.example.org"}

    assert ask(special.port, "PUT", OBJECT, headers=own, body=b"x").status == 200
    assert ask(special.port, "GET", OBJECT, headers={"Host": "other.example.org"}).status == 421


def test_no_access_log_means_none(store: Path) -> None:
    with RunningServer(store, options=["--no-access-log"]) as server:
        ask(server.port, "GET", "/healthz")
        assert "/healthz" not in server.output


def test_a_body_that_stands_still_is_408_and_the_others_go_on(store: Path) -> None:
    """The one wait of this file: the limit is set to a second for it."""
    import asyncio
    import threading

    import uvicorn

    from podstack.server.run import _bound, uvicorn_config

    settings = ServerSettings(str(store), open=True, user="me", idle=1.0, access_log=False)
    server = uvicorn.Server(uvicorn_config(settings))
    listening = _bound("127.0.0.1", 0)
    port = listening.getsockname()[1]
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
    )
    thread.start()
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        head = f"PUT {OBJECT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
        connection.sendall(head.encode() + b"half")
        answer = connection.recv(1 << 16)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        client.request("GET", "/healthz")

        assert b" 408 " in answer.partition(b"\r\n")[0]
        assert client.getresponse().status == 200
        connection.close()
        client.close()
    finally:
        server.should_exit = True
        thread.join(DEADLINE)
