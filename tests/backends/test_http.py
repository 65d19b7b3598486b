"""A podstack server as a store: the contract, over a real server over a folder."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from podstack.backend import AnswersQuestions, Backend, LocalStore, open_backend
from podstack.errors import (
    AccessDeniedError,
    BackendError,
    BackendUnavailable,
    BlobMissing,
    UsageError,
)
from podstack.testing.backend_suite import BackendSuite, Peek
from podstack.testing.podstack_server import RunningServer
from podstack.testing.prefixed import PrefixedBackend

_numbers = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("http") / "store") as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that asks for tokens."""
    store = tmp_path_factory.mktemp("guarded") / "store"
    with RunningServer(store, tokens=True) as running:
        yield running


@pytest.fixture
def project() -> str:
    """One that no other test has used."""
    return f"suite-{next(_numbers)}"


class TestHttpBackend(BackendSuite):
    @pytest.fixture
    def backend(self, server: RunningServer, project: str) -> Iterator[Backend]:
        backend = open_backend(server.url)
        yield PrefixedBackend(backend, f"projects/{project}/")
        backend.close()

    @pytest.fixture
    def peek(self, server: RunningServer, project: str) -> Peek:
        def peek(key: str) -> bytes | None:
            path = Path(server.store) / "projects" / project / key
            return path.read_bytes() if path.is_file() else None

        return peek


# The whole store -----------------------------------------------------------------------------


def test_the_whole_store_is_listed_project_by_project(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "store") as server:
        there, here = open_backend(server.url), open_backend(server.store)
        for key in ("projects/a/x", "projects/a-b/x", "projects/a.b/y/z", "projects/b/x"):
            here.put(key, b"content")

        keys = [info.key for info in there.list()]

        assert keys == [info.key for info in here.list() if not info.key.startswith("server/")]
        assert keys[0] == "podstack.json"
        assert [i.key for i in there.list("projects/a")] == [k for k in keys if "/a" in k]
        assert [i.key for i in there.list(start_after="projects/a/x")] == ["projects/b/x"]
        assert list(there.list_dirs()) == ["projects"]
        assert list(there.list_dirs("projects/")) == ["a", "a-b", "a.b", "b"]
        assert there.get("podstack.json") == here.get("podstack.json")


def test_putting_podstack_json_keeps_the_servers_own(server: RunningServer) -> None:
    backend = open_backend(server.url)
    before = backend.get("podstack.json")

    backend.put("podstack.json", b'{"podstack":1,"store":"mine"}')

    assert backend.get("podstack.json") == before
    with pytest.raises(BackendError, match="keeps projects/ only"):
        backend.put("server/tokens/x.json", b"{}")
    with pytest.raises(BlobMissing):
        backend.get("server/tokens/x.json")


def test_it_has_the_power_to_answer_and_is_no_folder(server: RunningServer) -> None:
    backend = open_backend(server.url)

    assert isinstance(backend, AnswersQuestions)
    assert not isinstance(backend, LocalStore)


def test_a_log_that_would_shrink_is_there_already(server: RunningServer, project: str) -> None:
    backend = open_backend(server.url)
    key = f"projects/{project}/runs/r/meta/w.jsonl"
    backend.put(key, b"one\ntwo\n")

    backend.put(key, b"one\n")

    assert backend.get(key) == b"one\ntwo\n"


# Tokens --------------------------------------------------------------------------------------


def test_a_missing_or_wrong_token_is_denied_with_the_cure(guarded: RunningServer) -> None:
    wrong = "pst_" + "a" * 12 + "_" + "b" * 43

    for token in (None, wrong):
        backend = open_backend(guarded.url, api_token=token)
        with pytest.raises(AccessDeniedError, match=r"PODSTACK_API_TOKEN.*podstack token create"):
            backend.get("projects/default/x")
        with pytest.raises(AccessDeniedError) as caught:
            backend.put("projects/default/x", b"x")
        with pytest.raises(AccessDeniedError):
            list(backend.list("projects/default/"))
        assert wrong not in str(caught.value) + repr(backend) + backend.url


def test_a_reader_may_not_write_and_other_projects_are_closed(guarded: RunningServer) -> None:
    reader = open_backend(guarded.url, api_token=guarded.token("default", "viewer"))

    with pytest.raises(AccessDeniedError, match="higher role"):
        reader.put("projects/default/x", b"x")
    with pytest.raises(AccessDeniedError, match="reaches no such project"):
        list(reader.list("projects/other/"))
    with pytest.raises(BlobMissing):
        reader.get("projects/other/x")
    assert list(reader.list_dirs("projects/")) == []


# Addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://user:secret@host", "no user and no password"),
        ("http://host?api_token=pst_x", "PODSTACK_API_TOKEN"),
        ("http://host?timeout=soon", "timeout is a number"),
        ("http://host:99999", "no server's URL"),
        ("http://", "no server's URL"),
        ("http://host#top", "no server's URL"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        open_backend(url)

    assert "secret" not in str(caught.value)


def test_a_server_behind_a_path_is_found_there(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "store", options=("--prefix", "/podstack")) as server:
        backend = open_backend(server.url)
        backend.put("projects/default/a b/ü?#", b"content")

        assert server.url.endswith("/podstack")
        assert backend.get("projects/default/a b/ü?#") == b"content"
        assert [info.key for info in backend.list("projects/default/")] == [
            "projects/default/a b/ü?#"
        ]


# Connections ---------------------------------------------------------------------------------


def test_a_kept_connection_that_the_server_closed_costs_no_write(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "store") as server:
        backend = open_backend(server.url)
        backend.put("projects/default/x", b"before")

        server.kill()
        server.start()
        backend.put("projects/default/x", b"after")

        assert backend.get("projects/default/x") == b"after"


def test_a_forked_child_has_connections_of_its_own(server: RunningServer, project: str) -> None:
    backend = open_backend(server.url)
    key = f"projects/{project}/x"
    backend.put(key, b"x" * 100_000)

    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            good = all(backend.get(key) == b"x" * 100_000 for _ in range(30))
            os._exit(0 if good else 1)
        children.append(child)
    assert all(backend.get(key) == b"x" * 100_000 for _ in range(30))

    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4


def test_a_proxy_of_the_environment_is_used_and_no_proxy_respected(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = server.url.rpartition(":")[2]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    behind = open_backend("http://store.example", {"timeout": 240})
    with pytest.raises(BackendError) as caught:  # our server is no proxy for other names
        behind.get("podstack.json")
    assert "no podstack server" in str(caught.value) or "421" in str(caught.value)

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert open_backend(server.url).get("podstack.json")


def test_a_file_is_sent_with_little_memory(tmp_path: Path) -> None:
    """300 MB, with a limit on what the process may have in memory."""
    with open(tmp_path / "big", "wb") as file:
        file.truncate(300_000_000)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from podstack.backend import open_backend\n"
        "backend = open_backend(sys.argv[1]); backend.put('projects/default/small', b'x')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "backend.put('projects/default/big', Path(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    with RunningServer(tmp_path / "store") as server:
        done = subprocess.run(
            [sys.executable, "-c", code, server.url, str(tmp_path / "big")],
            capture_output=True,
            check=True,
            timeout=240,
        )

        assert int(done.stdout) < 30_000  # kB
        assert (Path(server.store) / "projects/default/big").stat().st_size == 300_000_000


# TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody has signed, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -out {made} -keyout {key}"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, *words.split(), *names], check=True, capture_output=True)
    return made, key


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[str]:
    """The address of a TLS server that answers like a podstack server without projects."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    body = b'{"podstack":1,"store":"x"}'

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    running.handle_error = lambda *_: None  # type: ignore[method-assign]  # refused handshakes
    running.socket = context.wrap_socket(running.socket, server_side=True)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()
    thread.join(240)


def test_a_certificate_of_a_stranger_is_refused_and_the_cure_named(secure: str) -> None:
    with pytest.raises(BackendError, match=r"no secure connection.*ca_bundle") as caught:
        open_backend(secure).get("podstack.json")

    assert not isinstance(caught.value, BackendUnavailable)  # asking again does not help


def test_a_certificate_of_the_bundle_is_trusted(
    secure: str, certificate: tuple[Path, Path]
) -> None:
    backend = open_backend(f"{secure}?ca_bundle={certificate[0]}")

    assert backend.get("podstack.json") == b'{"podstack":1,"store":"x"}'
    assert backend.url == secure
