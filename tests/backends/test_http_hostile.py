"""Servers that are none, lie, hang, break off or send one elsewhere: what a client makes of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from podstack.backend import Backend, open_backend
from podstack.errors import (
    AccessDeniedError,
    BackendError,
    BackendUnavailable,
    BlobMissing,
    NotFoundError,
    UsageError,
)

TOKEN = "pst_aaaaaaaaaaaa_" + "s" * 43
KEY = "projects/default/x"


class Scripted:
    """A server on a real socket that answers every request with the same bytes, then closes."""

    def __init__(self) -> None:
        self.answer = b""
        self.first: list[bytes] = []  # answers that go before it
        self.requests: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(240)
                try:
                    self.requests.append(_head(connection))
                    connection.sendall(self.first.pop(0) if self.first else self.answer)
                except OSError:
                    continue  # the client had enough

    def close(self) -> None:
        self._listening.close()


def _head(connection: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65536)
        if not piece or piece[:1] == b"\x16":  # or it speaks TLS
            break
        read += piece
    return read


def http(status: int, body: bytes = b"", *headers: str, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", *headers]
    if not any(line.lower().startswith("content-length") for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def refused(status: int, code: str, *headers: str) -> bytes:
    return http(status, orjson.dumps({"error": {"code": code, "message": "Words."}}), *headers)


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def backend(server: Scripted) -> Backend:
    return open_backend(server.url, {"timeout": 240}, api_token=TOKEN)


def failed(backend: Backend, call: Callable[[Backend], Any]) -> BackendError:
    with pytest.raises(BackendError) as caught:
        call(backend)
    assert TOKEN not in str(caught.value) + repr(caught.value)
    assert caught.value.url == backend.url
    return caught.value


def get(backend: Backend) -> Any:
    return backend.get(KEY)


def put(backend: Backend) -> Any:
    return backend.put(KEY, b"content")


def listing(backend: Backend) -> Any:
    return list(backend.list("projects/default/"))


CALLS = [get, put, listing]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AccessDeniedError),
        (403, AccessDeniedError),
        (408, BackendUnavailable),
        (429, BackendUnavailable),
        (500, BackendUnavailable),
        (503, BackendUnavailable),
        (507, BackendUnavailable),
        (413, BackendError),
        (422, BackendError),
    ],
)
def test_each_refusal_is_one_kind_of_error(
    server: Scripted, backend: Backend, call: Callable[[Backend], Any], status: int, kind: type
) -> None:
    server.answer = refused(status, "word", "Retry-After: 7")

    error = failed(backend, call)

    assert type(error) is kind
    assert len(server.requests) == 1  # who names a pause is not asked again before it
    if isinstance(error, BackendUnavailable):
        assert error.retry_after == 7.0


def test_a_404_of_ours_is_a_missing_blob_and_one_of_a_stranger_is_not(
    server: Scripted, backend: Backend
) -> None:
    server.answer = refused(404, "missing")
    assert isinstance(failed(backend, get), BlobMissing)
    assert isinstance(failed(backend, listing), AccessDeniedError)
    backend.delete(KEY)

    server.answer = http(404, b"<html>nginx</html>", kind="text/html")
    error = failed(backend, get)

    assert not isinstance(error, BlobMissing)
    assert "no podstack server" in str(error)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed_so_that_no_token_leaks(
    server: Scripted, backend: Backend, call: Callable[[Backend], Any], status: int
) -> None:
    elsewhere = Scripted()
    server.answer = http(status, b"", f"Location: {elsewhere.url}/api")

    error = failed(backend, call)

    assert "not followed" in str(error)
    assert elsewhere.requests == []
    elsewhere.close()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "answer",
    [
        http(200, b"<html>Log in</html>", kind="text/html"),
        http(200, b"{garbage"),
        http(200, b"[]"),
        http(200, b"null"),
        http(200, b"[" * 100_000),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00\xff" * 100,
        b"",
        http(200, b"half", "Content-Length: 4000"),
        http(200, b"zz\r\nhalf", "Transfer-Encoding: chunked", "Content-Length-: 1"),
    ],
    ids=range(10),
)
def test_what_no_podstack_server_answers_is_an_error_and_never_a_value(
    server: Scripted, backend: Backend, call: Callable[[Backend], Any], answer: bytes
) -> None:
    server.answer = answer

    failed(backend, call)


@pytest.mark.parametrize(
    "keys",
    [
        ["../../x"],
        ["/etc/passwd"],
        ["a\\..\\b"],
        ["a/../b"],
        ["a//b"],
        ["a\0b"],
        [""],
        ["b", "a"],
        ["a", "a"],
        [7],
        [None],
        [{"key": "a"}],
    ],
    ids=range(12),
)
def test_a_hostile_listing_is_not_believed(
    server: Scripted, backend: Backend, keys: list[Any]
) -> None:
    entries = [k if isinstance(k, dict) else {"key": k, "size": 1, "tag": "t"} for k in keys]
    server.answer = http(200, orjson.dumps({"objects": entries, "next": None}))

    assert "no podstack server" in str(failed(backend, listing))


@pytest.mark.parametrize("sizes", [-1, True, 1.5, "1", None])
def test_sizes_that_are_none_are_not_believed(
    server: Scripted, backend: Backend, sizes: Any
) -> None:
    entry = {"key": "a", "size": sizes, "tag": "t"}
    server.answer = http(200, orjson.dumps({"objects": [entry], "next": None}))

    failed(backend, listing)


@pytest.mark.parametrize("following", ["zzz", "", 7, "a"])
def test_a_listing_that_never_ends_is_left(
    server: Scripted, backend: Backend, following: Any
) -> None:
    """Each page would be the same one: the second is out of order."""
    entry = {"key": "a", "size": 1, "tag": "t"}
    server.answer = http(200, orjson.dumps({"objects": [entry], "next": following}))

    failed(backend, listing)
    assert len(server.requests) <= 2


def test_keys_outside_of_the_prefix_are_not_believed(server: Scripted, backend: Backend) -> None:
    entry = {"key": "live/x", "size": 1, "tag": "t"}
    server.answer = http(200, orjson.dumps({"objects": [entry], "next": None}))

    failed(backend, lambda backend: list(backend.list("projects/default/runs/")))


@pytest.mark.parametrize("names", [["../x"], ["a/b"], [""], ["b", "a"], [7], "text", None])
def test_hostile_folders_and_projects_are_not_believed(
    server: Scripted, backend: Backend, names: Any
) -> None:
    server.answer = http(200, orjson.dumps({"folders": names, "next": None, "projects": names}))

    failed(backend, lambda backend: list(backend.list_dirs("projects/default/")))
    if names != ["b", "a"]:
        failed(backend, lambda backend: list(backend.list("projects/")))


def test_a_longer_or_other_range_than_asked_for_is_not_believed(
    server: Scripted, backend: Backend
) -> None:
    ranged = ("Content-Range: bytes 5-8/100", 'ETag: "t"')
    server.answer = http(206, b"four", *ranged, kind="application/octet-stream")
    assert backend.get(KEY, 5, 9) == b"four"

    failed(backend, lambda backend: backend.get(KEY, 6, 10))
    server.answer = http(206, b"x" * 10_000_000, *ranged, kind="application/octet-stream")
    failed(backend, lambda backend: backend.get(KEY, 5, 9))


def test_reading_is_tried_again_where_a_connection_breaks_or_a_server_stumbles(
    server: Scripted, backend: Backend
) -> None:
    server.first = [b"", http(502, b"<html>", kind="text/html"), b"HTTP/1.1 200"]
    server.answer = http(200, b"content", 'ETag: "t"', kind="application/octet-stream")

    assert backend.get(KEY) == b"content"
    assert len(server.requests) == 4


def test_writing_is_left_to_whoever_ships(server: Scripted, backend: Backend) -> None:
    server.answer = refused(502, "store")

    failed(backend, put)

    assert len(server.requests) == 1


def test_nobody_there_is_unavailable_within_seconds(server: Scripted) -> None:
    server.close()
    backend = open_backend(server.url.replace("127.0.0.1", "127.0.0.1"), api_token=TOKEN)

    assert isinstance(failed(backend, put), BackendUnavailable)


def test_silence_ends_after_the_time_limit(server: Scripted) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}?timeout=0.2"
    backend = open_backend(url)

    assert isinstance(failed(backend, get), BackendUnavailable)
    listening.close()


def test_https_to_a_server_without_it_says_so(server: Scripted) -> None:
    server.answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    backend = open_backend(server.url.replace("http:", "https:"), {"timeout": 240})

    error = failed(backend, get)

    assert not isinstance(error, BackendUnavailable)
    assert "secure connection" in str(error)


def test_refusals_of_questions_are_the_errors_of_the_core(server: Scripted, backend: Any) -> None:
    server.answer = refused(422, "invalid")
    with pytest.raises(UsageError, match="Words"):
        backend.ask("default", "runs", {"filter": ">"})
    server.answer = refused(404, "missing")
    with pytest.raises(NotFoundError, match="Words"):
        backend.ask("default", "runs/x", {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("-5", 0.0), ("1e9", 3600.0), ("nan", None), ("soon", None), ("", None)],
)
def test_retry_after_is_obeyed_within_reason(
    server: Scripted, backend: Backend, text: str, seconds: float | None
) -> None:
    server.answer = refused(429, "slow", f"Retry-After: {text}")

    error = failed(backend, put)

    assert isinstance(error, BackendUnavailable)
    assert error.retry_after == seconds
