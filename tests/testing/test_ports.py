"""A port that is a test's own while nobody listens on it."""

from __future__ import annotations

import socket
from pathlib import Path

from podstack.testing.fault_proxy import FaultProxy
from podstack.testing.podstack_server import RunningServer
from podstack.testing.ports import keep_port


def _is_anybodys(port: int) -> bool:
    with socket.socket() as other:  # without SO_REUSEADDR, as the system looks for a free port
        try:
            other.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _is_refused(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_a_server_that_is_down_finds_its_port_free_again(store: Path) -> None:
    with RunningServer(store) as server:
        port = server.port
        server.kill()

        assert _is_refused(port)
        assert not _is_anybodys(port)
        server.start()
        assert server.port == port
        assert not _is_refused(port)


def test_a_proxy_that_refuses_finds_its_port_free_again() -> None:
    with FaultProxy(1) as proxy:
        proxy.fail("refuse")

        assert _is_refused(proxy.port)
        assert not _is_anybodys(proxy.port)
        proxy.heal()
        assert not _is_refused(proxy.port)


def test_a_port_goes_back_with_its_owner() -> None:
    class Owner:
        pass

    owner = Owner()
    port = keep_port(owner)

    assert not _is_anybodys(port)
    del owner
    assert _is_anybodys(port)
