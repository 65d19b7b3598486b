"""The columnar table of runs: its pages while runs begin, and what is no question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import urllib3

from podstack import MLOpsClient
from podstack.testing.podstack_server import RunningServer

PARAMS: list[dict[str, Any]] = [
    {"lr": 0.1, "layers": [1, 2], "amp": True},
    {"lr": "auto", "amp": None},
    {},
]


class Asked:
    """Asks one server for tables of one project."""

    def __init__(self, server: RunningServer) -> None:
        self._url = f"{server.url}/api/v1/projects/default/table?"
        self._pool = urllib3.PoolManager()

    def raw(self, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
        words = {
            name: value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in arguments.items()
        }
        return self._pool.request(
            "GET",
            self._url + urlencode(words),
            headers={"Connection": "close", **(headers or {})},  # a kept one ends after 5 s
            retries=False,
            decode_content=False,
        )

    def __call__(self, **arguments: Any) -> Any:
        answer = self.raw(**arguments)
        assert answer.status == 200, answer.data
        return answer.json()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "store"
    client = MLOpsClient(path)
    for number, params in enumerate(PARAMS):
        with client.start_run(
            name=f"r{number}", params=params, tags=["even"] * (number % 2 == 0), capture=False
        ) as run:
            if number < 2:
                for value in (3.0, float("nan") if number else 1.0):
                    run.log_metrics({"val_loss": value})
    return path


@pytest.fixture(scope="module")
def ask(folder: Path) -> Iterator[Asked]:
    cache = {"PODSTACK_CACHE": str(folder.parent / "cache")}
    with RunningServer(folder, environment=cache) as server:
        yield Asked(server)


def test_a_run_that_begins_between_two_pages_moves_none(folder: Path, ask: Asked) -> None:
    first = ask(limit=2)
    MLOpsClient(folder).start_run(name="later", tags=["late"], capture=False).finish()

    assert ask(limit=2, cursor=first["next"])["names"] == ["r0"]


def test_a_run_of_a_machine_whose_clock_is_ahead_moves_none(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store")
    for number in range(4):
        run = client.start_run(name=f"r{number}", capture=False)
        run.finish()
    run._edit({"created": run.created + 3600.0})
    with RunningServer(tmp_path / "store") as server:
        ask, names, cursor = Asked(server), [], ""
        while cursor is not None:
            page = ask(limit=2, cursor=cursor)
            names += page["names"]
            cursor = page["next"]

    assert names == ["r3", "r2", "r1", "r0"]


def test_a_generation_of_another_server_is_answered_with_everything(ask: Asked) -> None:
    table = ask(since="0123456789abcdef.7", filter="tags.even")

    assert table["changed"] is None
    assert len(table["ids"]) == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"filter": "lr >"},
        {"order_by": "tags.x"},
        {"columns": ["lr lr"]},
        {"cursor": "../x"},
        {"cursor": "t9999999.9999999999999999"},
        {"cursor": "t99999999.1"},
        {"limit": 10_001},
        {"experiment": "nobody"},
    ],
    ids=str,
)
def test_an_odd_question_is_refused(ask: Asked, odd: dict[str, Any]) -> None:
    answer = ask.raw(**odd)

    if odd.get("cursor", "").startswith("t9999999."):
        assert answer.json()["ids"] == []  # beyond the end there is nothing
    else:
        assert 400 <= answer.status < 500
