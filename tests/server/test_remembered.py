"""What a server remembers of answers: as long as the index stays as it is, and in so many bytes."""

from __future__ import annotations

import gzip
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from podstack import MLOpsClient
from podstack.index.file import existing
from podstack.index.overview import Reached
from podstack.server import readers
from podstack.server.readers import ProjectReader, SharedIndex
from podstack.server.remembered import MOST_BYTES, Remembered
from podstack.server.stores import Stores
from podstack.server.ui.experiments_page import rows_of
from podstack.testing.podstack_server import RunningServer
from podstack.testing.raw_http import ask


@pytest.fixture
def client(tmp_path: Path) -> MLOpsClient:
    client = MLOpsClient(tmp_path / "store")
    with client.start_run(name="one", params={"lr": 0.1}, capture=False) as run:
        run.log_metrics({"loss": 0.5}, step=0)
    return client


@pytest.fixture
def reader(client: MLOpsClient, tmp_path: Path) -> ProjectReader:
    reader = ProjectReader(Stores(str(tmp_path / "store")).of("default"))
    reader.index.refresh()
    return reader


def counted(reader: ProjectReader, remembered: Remembered, size: int = 1) -> Callable[[str], int]:
    """Asks, and says how often the answer was made so far."""
    made: dict[str, int] = {}

    def made_once_more(key: str) -> int:
        made[key] = made.get(key, 0) + 1
        return made[key]

    return lambda key: remembered.of(
        reader.index.edition, key, lambda: made_once_more(key), lambda _: size
    )


def test_an_answer_is_made_once_for_each_state_of_the_index(
    client: MLOpsClient, reader: ProjectReader
) -> None:
    asked = counted(reader, Remembered())
    assert [asked("a"), asked("a"), asked("b")] == [1, 1, 1]
    reader.index.refresh(full=True)
    before = asked("a")
    client.get_run(client.search_runs()[0].id).add_tags("best")
    reader.shared.wrote()
    reader.index.refresh()

    assert asked("a") == before + 1


def test_what_another_process_wrote_into_the_index_ends_it(
    reader: ProjectReader, tmp_path: Path
) -> None:
    asked = counted(reader, Remembered())
    assert [asked("a"), asked("a")] == [1, 1]
    path = existing(reader.store.url)
    assert path is not None
    with sqlite3.connect(path) as other:
        other.execute("UPDATE runs SET name = 'renamed'")
    other.close()

    assert [asked("a"), asked("a")] == [2, 2]


def test_no_more_bytes_are_kept_than_the_bound_and_the_oldest_go(reader: ProjectReader) -> None:
    remembered = Remembered(most_bytes=25)
    asked = counted(reader, remembered, size=10)
    assert [asked("a"), asked("b"), asked("a"), asked("c")] == [1, 1, 1, 1]

    assert remembered.bytes_held == 20
    assert [asked("a"), asked("c"), asked("b")] == [1, 1, 2]
    assert Remembered(most_bytes=5).of(1, "a", lambda: "large", lambda _: 10) == "large"
    assert MOST_BYTES == 64 << 20


def test_a_row_is_looked_up_once_and_again_after_an_edit(
    client: MLOpsClient, reader: ProjectReader
) -> None:
    run = client.search_runs()[0].id
    first = reader.row(run)
    assert reader.row(run) is first
    reader.run(run)
    client.get_run(run).set_name("another")
    reader.shared.wrote()

    assert reader.row(run).name == "another"


def test_the_duration_of_a_run_that_runs_is_as_of_now(
    client: MLOpsClient, reader: ProjectReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.start_run(capture=False) as run:
        reader.shared.wrote()
        created = reader.row(run.id).created
        for later in (1.0, 2.0):
            monkeypatch.setattr(readers, "now", lambda time=created + later: time)
            assert reader.row(run.id).duration == pytest.approx(later)


class CountingIndex(SharedIndex):
    """Counts the questions that look at every metric of every run."""

    asked = 0

    def reached(self) -> dict[str, list[Reached]]:
        self.asked += 1
        return super().reached()


def test_the_list_of_experiments_looks_at_all_metrics_once_for_each_state_of_the_index(
    client: MLOpsClient, reader: ProjectReader
) -> None:
    reader.index = index = CountingIndex(reader.store)
    home = client.create_experiment("home")
    for count in range(1, 3):
        with client.start_run(home.id, capture=False) as run:
            run.log_metrics({"val_acc": count / 2}, step=0)
        index.wrote()
        rows = [rows_of(reader) for _ in range(4)][-1]

        found = next(row for row in rows if row["id"] == home.id)
        assert (found["best"]["value"], found["runs"]) == (count / 2, count)
        assert index.asked == count


def table(server: RunningServer, query: str = "", **headers: str) -> tuple[bytes, dict[str, Any]]:
    answer = ask(server.port, "GET", f"/api/v1/projects/default/table{query}", headers=headers)
    body = answer.body
    packed = answer.headers.get("content-encoding") == "gzip"
    return body, orjson.loads(gzip.decompress(body) if packed else body)


def test_the_table_is_the_same_plain_or_packed_and_new_after_an_edit(
    open_server: RunningServer,
) -> None:
    client = MLOpsClient(open_server.url)
    home = client.create_experiment("remembered")  # the server is also others'
    inside, packed = f"?experiment={home.id}", {"Accept-Encoding": "gzip"}
    with client.start_run(home.id, "one", params={"lr": 0.1}, capture=False) as run:
        run.log_metrics({"loss": 0.5}, step=0)
    while table(open_server, inside)[1]["status"] != [
        "completed"
    ]:  # its last line may still be on its way
        time.sleep(0.05)
    first, told = table(open_server, inside, **packed)
    again, _ = table(open_server, inside, **packed)
    _, plain = table(open_server, inside)
    assert first == again  # byte by byte: it was not made anew
    assert told == plain
    edited = ask(
        open_server.port, "PATCH", f"/api/v1/projects/default/runs/{run.id}",
        headers={"Content-Type": "application/json"}, body=orjson.dumps({"name": "another"}),
    )  # fmt: skip
    assert edited.status == 200

    _, now = table(open_server, inside, **packed)
    assert now["names"] == ["another"]
    assert now["generation"] != told["generation"]
    _, since = table(open_server, f"{inside}&since={told['generation']}")
    assert since["changed"] == [run.id]
