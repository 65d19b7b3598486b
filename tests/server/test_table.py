"""The columnar table of runs, asked by HTTP."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from time import sleep
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
            headers=headers,
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


def test_all_columns_are_as_long_as_the_ids(ask: Asked) -> None:
    table = ask(order_by="name")

    assert table["names"] == ["r0", "r1", "r2"]
    assert table["status"] == ["completed"] * 3
    assert table["tags"] == [["even"], [], ["even"]]
    assert table["params"]["lr"] == [0.1, "auto", None]
    assert table["params"]["layers"] == ["[1,2]", None, None]
    assert table["params"]["amp"] == [True, [], None]
    assert table["metrics"]["val_loss"] == {
        "last": [1.0, "NaN", None],
        "min": [1.0, 3.0, None],
        "max": [3.0, 3.0, None],
        "steps": [2, 2, None],
    }
    assert table["directions"] == {"val_loss": "minimize"}
    assert (table["total"], table["next"]) == (3, None)


def test_a_table_is_filtered_and_ordered_by_the_language_of_the_sdk(ask: Asked) -> None:
    assert ask(filter="tags.even", order_by="-name")["names"] == ["r2", "r0"]
    assert ask(filter="params.amp is none")["names"] == ["r1"]


def test_columns_and_parts_are_chosen_by_name(ask: Asked) -> None:
    table = ask(columns=["params.lr", "metrics.val_loss.min_step", "notes"], order_by="name")

    assert list(table["params"]) == ["lr"]
    assert table["metrics"] == {"val_loss": {"min_step": [1, 0, None]}}
    assert table["notes"] == ["", "", ""]
    assert list(ask(parts=["last"])["metrics"]["val_loss"]) == ["last"]


def test_pages_follow_one_another_and_hold_every_run_once(ask: Asked) -> None:
    names: list[str] = []
    cursor = ""
    while cursor is not None:
        page = ask(limit=2, cursor=cursor, order_by="-name")
        names += page["names"]
        cursor = page["next"]

    assert names == ["r2", "r1", "r0"]


def test_a_run_that_begins_between_two_pages_moves_none(folder: Path, ask: Asked) -> None:
    first = ask(limit=2)
    MLOpsClient(folder).start_run(name="later", tags=["late"], capture=False).finish()

    assert ask(limit=2, cursor=first["next"])["names"] == ["r0"]


def test_what_changed_since_is_told_alone(folder: Path, ask: Asked) -> None:
    before = ask()["generation"]
    assert ask.raw(since=before).status == 204
    run = MLOpsClient(folder).start_run(name="newest", capture=False)
    run.finish()
    seen = _once_it_is_seen(ask, before)

    assert run.id in seen["changed"]
    assert seen["names"][0] == "newest"
    assert not {"r0", "r1", "r2"} & set(seen["names"])
    assert seen["generation"] != before


def _once_it_is_seen(ask: Asked, before: str) -> Any:
    """The server looks at the store once a second."""
    while (answer := ask.raw(since=before)).status == 204:
        sleep(0.1)
    return answer.json()


def test_a_generation_of_another_server_is_answered_with_everything(ask: Asked) -> None:
    table = ask(since="0123456789abcdef.7", filter="tags.even")

    assert table["changed"] is None
    assert len(table["ids"]) == 2


def test_json_is_compressed_only_where_that_is_accepted(ask: Asked) -> None:
    packed = ask.raw({"Accept-Encoding": "gzip"}, filter="tags.even", order_by="name")

    assert packed.headers["content-encoding"] == "gzip"
    assert orjson.loads(gzip.decompress(packed.data))["names"] == ["r0", "r2"]
    assert "content-encoding" not in ask.raw({"Accept-Encoding": "identity"}).headers


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
