"""The proxy that fails on purpose, before a real server of this process."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from podstack.errors import UsageError
from podstack.testing.fault_proxy import FaultProxy, Seen
from podstack.testing.stage import DEADLINE


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    got: ClassVar[list[bytes]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append(body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def got() -> list[bytes]:
    """The bodies that reached the server of this test."""
    return []


@pytest.fixture
def proxy(got: list[bytes]) -> Iterator[FaultProxy]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Echo,), {"got": got}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with FaultProxy(server.server_port) as proxy:
        yield proxy
    server.shutdown()
    server.server_close()


def put(proxy: FaultProxy, body: bytes = b"hello", timeout: float = DEADLINE) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    try:
        connection.request("PUT", "/x", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_what_is_not_made_to_fail_passes_on_one_connection(proxy: FaultProxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=DEADLINE)
    for body in (b"one", b"", b"x" * 300_000):
        connection.request("PUT", "/x", body)
        assert connection.getresponse().read() == body
    connection.request("PUT", "/x", iter([b"in ", b"pieces"]), encode_chunked=True)
    assert connection.getresponse().read() == b"in pieces"
    connection.close()

    assert proxy.count() == proxy.count("PUT") == 4
    assert proxy.seen[0] == Seen("PUT", "/x", "pass")


@pytest.mark.parametrize("kind", ["refuse", "reset", "garbage", "half close", "lose answer"])
def test_a_fault_gives_no_answer_and_ends_when_it_heals(
    proxy: FaultProxy, got: list[bytes], kind: str
) -> None:
    proxy.fail(kind)
    with pytest.raises((OSError, http.client.HTTPException)):
        put(proxy)
    assert ([b"hello"] if kind == "lose answer" else []) == got

    proxy.heal()

    assert put(proxy) == (200, b"hello")


def test_refused_is_refused_by_the_system(proxy: FaultProxy) -> None:
    proxy.fail("refuse")

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), DEADLINE).close()


def test_a_reset_is_one(proxy: FaultProxy) -> None:
    proxy.fail("reset")

    with pytest.raises(ConnectionResetError):
        put(proxy)


def test_a_black_hole_takes_the_request_and_lets_go_when_it_heals(
    proxy: FaultProxy, got: list[bytes]
) -> None:
    proxy.fail("black hole")
    with pytest.raises(TimeoutError):
        put(proxy, timeout=0.3)
    before = proxy.count()

    def heal() -> None:
        while proxy.count() == before:
            time.sleep(0.01)
        proxy.heal()

    healing = threading.Thread(target=heal)
    healing.start()
    with pytest.raises((OSError, http.client.HTTPException)):
        put(proxy)
    healing.join()
    assert got == []
    assert put(proxy) == (200, b"hello")


def test_a_request_that_is_struck_just_before_it_heals_is_let_go(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Healed between the decision that it falls into the black hole and the fall."""
    proxy.fail("black hole")
    fall = proxy._do_instead

    def healed_before(*struck: Any) -> None:
        proxy.heal()
        fall(*struck)

    monkeypatch.setattr(proxy, "_do_instead", healed_before)
    with pytest.raises(http.client.RemoteDisconnected):
        put(proxy, timeout=20)


def test_half_of_a_request_reaches_the_server_and_half_of_an_answer_the_client(
    proxy: FaultProxy, got: list[bytes]
) -> None:
    proxy.fail_next(1, "cut request")
    with pytest.raises((OSError, http.client.HTTPException)):
        put(proxy, b"x" * 1000)
    proxy.fail_next(1, "cut answer")
    with pytest.raises((OSError, http.client.HTTPException)):
        put(proxy, b"y" * 1000)

    assert b"x" * 1000 not in got
    assert b"y" * 1000 in got


def test_a_status_is_answered_at_once_and_may_name_a_pause(
    proxy: FaultProxy, got: list[bytes]
) -> None:
    proxy.fail(503, retry_after=7)
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=DEADLINE)
    connection.request("PUT", "/x", b"hello")
    answer = connection.getresponse()
    connection.close()

    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    assert (got, proxy.seen[-1].fate) == ([], 503)


def test_the_next_few_of_one_method_fail_in_turn(proxy: FaultProxy) -> None:
    proxy.fail_next(1, 404, method="GET")
    proxy.fail_next(2, 500, method="PUT")
    proxy.fail_next(1, 503)

    assert [put(proxy)[0] for _ in range(4)] == [500, 500, 503, 200]


def test_a_delay_and_a_slow_line_take_their_time(proxy: FaultProxy) -> None:
    for kind, least in (("delay", 0.3), ("throttle", 0.9)):
        proxy.fail(kind, seconds=0.3, rate=2000)
        began = time.monotonic()
        assert put(proxy, b"z" * 1000) == (200, b"z" * 1000)
        assert time.monotonic() - began >= least


def test_flapping_both_fails_and_passes(proxy: FaultProxy) -> None:
    proxy.fail("flap")
    fates: set[int] = set()
    while len(fates) < 2:
        try:
            fates.add(put(proxy)[0])
        except OSError:
            fates.add(0)

    assert fates == {0, 200}


def test_a_fault_that_is_none_is_refused(proxy: FaultProxy) -> None:
    with pytest.raises(UsageError, match=r"No fault 'blackhole': a status, or one of refuse"):
        proxy.fail("blackhole")
    with pytest.raises(UsageError, match=r"strikes all requests or none"):
        proxy.fail_next(1, "refuse")
