"""A podstack server as a store: the contract, over a real server over a folder."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from podstack.backend import AnswersQuestions, Backend, LocalStore, open_backend
from podstack.errors import AccessDeniedError, BackendError, BlobMissing, UsageError
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
