"""The load balancer sends each request to the next server, and changes nothing of it."""

from __future__ import annotations

from pathlib import Path

from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask
from podstack.testing.round_robin import RoundRobin


def test_requests_go_to_the_servers_in_turn(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with (
        RunningServer(store, log=tmp_path / "one") as one,
        RunningServer(store, log=tmp_path / "two") as two,
        RoundRobin([one.port, two.port]) as balancer,
    ):
        answers = [ask(balancer.port, "GET", "/healthz").status for _ in range(6)]
        missing = ask(balancer.port, "GET", "/api/v1/projects/default/runs/none").status

        assert answers == [200] * 6
        assert missing == 404
        assert sorted(balancer.counts.values()) == [3, 4]
