"""A client of a server sees what a client of the folder sees: rows, series, errors, every bit."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient
from podstack.compact import compact
from podstack.config import Settings
from podstack.errors import NotFoundError, UsageError
from podstack.expressions import ExpressionError, parse_order
from podstack.index import remote
from podstack.index.remote import RemoteIndex
from podstack.store import Store
from podstack.testing.podstack_server import RunningServer
from podstack.testing.stage import DEADLINE


class Meanwhile:
    """A server that somebody else starts a run on before its second answer."""

    def __init__(self, url: str) -> None:
        self._client = MLOpsClient(url)
        self._server = self._client._store._answers
        self._asked = 0

    def ask(self, project: str, question: str, arguments: Mapping[str, Any]) -> Any:
        self._asked += 1
        if self._asked == 2:
            self._client.start_run(run_id="between", capture=False).finish()
        assert self._server is not None
        return self._server.ask(project, question, arguments)


ODD = [float("nan"), float("inf"), float("-inf"), 1e308, -0.0, 5e-324, 0.1, 2.0**53 + 2]


def _fill(client: MLOpsClient) -> None:
    """Resumes that go back, several writers at once, odd values, names with everything in them."""
    draw = random.Random(7)
    client.create_experiment("vision", description="all pictures", tags=["a", "b"])
    for number in range(12):
        with client.start_run(
            experiment="vision" if number % 3 == 0 else None,
            name=f"run {number}",
            tags=["even"] if number % 2 == 0 else ["odd", "it's"],
            params={"lr": draw.random(), "none": None, "deep": {"list": [1, "x", None]}},
            capture=False,
        ) as run:
            for _ in range(200):
                run.log_metrics({"loss": draw.random(), "a/b [c]": draw.choice(ODD)})
        if number % 4 == 0:
            one = client.start_run(run_id=run.id, capture=False)
            two = client.start_run(run_id=run.id, capture=False)
            for step in range(150, 250):
                one.log_metrics({"loss": draw.random()}, step=step)
                two.log_metrics({"loss": draw.random(), "other": step / 3}, step=step - 20)
            one.finish()
            two.finish("failed")
    client.list_runs()[3].delete()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> MLOpsClient:
    client = MLOpsClient(tmp_path_factory.mktemp("remote") / "store")
    _fill(client)
    return client


@pytest.fixture(scope="module")
def there(here: MLOpsClient) -> Iterator[MLOpsClient]:
    with RunningServer(Path(here.uri)) as server:
        yield MLOpsClient(server.url)


def rows(client: MLOpsClient, *args: Any, **options: Any) -> list[str]:
    return [repr(row._replace(duration=0.0)) for row in client.search_runs(*args, **options)]


@pytest.mark.parametrize(
    ("filter", "options"),
    [
        ("", {}),
        ("", {"order_by": "-metrics.loss", "limit": 5, "offset": 3}),
        ("params.lr > 0.3 or not metrics.loss < 0.5", {"order_by": ["status", "-params.lr"]}),
        ("name contains 'run 1' and 'even' in tags", {}),
        ("metrics.`a/b [c]` is nan", {}),
        ("params.lr > 0.3", {"status": "failed", "tags": ["even"]}),
        ("", {"tags": ["it's"], "include_deleted": True}),
        ("", {"experiment": "vision"}),
        ("status != completed or params.none is none", {"limit": 1}),
    ],
)
def test_a_search_finds_the_same_rows_in_the_same_order(
    here: MLOpsClient, there: MLOpsClient, filter: str, options: dict[str, Any]
) -> None:
    assert rows(there, filter, **options) == rows(here, filter, **options)
    assert there.search_runs(filter, **options).total == here.search_runs(filter, **options).total


def test_a_run_that_begins_between_two_pages_makes_no_run_come_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MLOpsClient(tmp_path / "store")
    for number in range(4):
        client.start_run(run_id=f"r{number}", capture=False).finish()
    monkeypatch.setattr(remote, "PAGE", 2)
    with RunningServer(tmp_path / "store") as server:
        index = RemoteIndex(Meanwhile(server.url), "default")
        newest = parse_order("-created")
        everything = [row.id for row in index.runs(order=newest)]
        some = [row.id for row in index.runs(order=newest, limit=3)]

    assert everything == ["r3", "r2", "r1", "r0"]
    assert some == ["between", "r3", "r2"]


def test_it_is_the_server_that_answers(there: MLOpsClient, monkeypatch: Any) -> None:
    """Nothing is listed: what a search costs does not grow with the store."""
    store = there._store
    assert isinstance(store.index, RemoteIndex)
    monkeypatch.setattr(store.backend, "list", None)  # a listing would now fail

    assert len(there.search_runs()) == 11
    assert len(there.list_runs()) == 11
    assert len(there.compare_runs([row.id for row in there.search_runs(limit=3)])) == 3
    assert {e.id for e in there.list_experiments(status="all")} == {"vision", "default"}


def test_every_series_is_the_same_to_the_last_bit(here: MLOpsClient, there: MLOpsClient) -> None:
    for run in here.list_runs():
        mine, theirs = run.metrics, there.get_run(run.id).metrics
        assert list(mine) == list(theirs)
        for name in mine:
            assert repr(theirs[name].raw) == repr(mine[name].raw)
            assert repr(list(theirs[name])) == repr(list(mine[name]))
            assert repr(theirs[name].summary) == repr(mine[name].summary)


def test_a_compacted_run_reads_the_same(tmp_path: Path) -> None:
    client = MLOpsClient(tmp_path / "store")
    with client.start_run(capture=False) as run:
        for step in range(3000):
            run.log_metrics({"loss": step / 7, "odd": ODD[step % len(ODD)]})
    before = {name: repr(series.raw) for name, series in client.get_run(run.id).metrics.items()}
    compact(Store(Settings(uri=client.uri, project="default", mode="online")), [run.id])
    assert list(Path(client.uri).rglob("*.parquet"))

    with RunningServer(Path(client.uri)) as server:
        metrics = MLOpsClient(server.url).get_run(run.id).metrics

        assert {name: repr(series.raw) for name, series in metrics.items()} == before


def test_a_comparison_is_the_same(here: MLOpsClient, there: MLOpsClient) -> None:
    ids = [row.id for row in here.search_runs(limit=5)]

    assert repr(there.compare_runs(ids, baseline=ids[2]).to_dicts()) == repr(
        here.compare_runs(ids, baseline=ids[2]).to_dicts()
    )
    assert there.compare_runs(["run 1", "run 2"]).baseline.name == "run 1"


def test_experiments_and_names_are_the_same(here: MLOpsClient, there: MLOpsClient) -> None:
    assert (
        there.list_experiments(status="all").to_dicts()
        == here.list_experiments(status="all").to_dicts()
    )
    assert there._store.index.names() == here._store.index.names()
    assert there._store.index.matching("run 3") == here._store.index.matching("run 3")


def test_errors_are_the_same(here: MLOpsClient, there: MLOpsClient) -> None:
    calls: list[tuple[Any, type[Exception]]] = [
        (lambda client: client.search_runs("loss >"), ExpressionError),
        (lambda client: client.compare_runs(["run 1", "nothing"]), NotFoundError),
        (lambda client: client.search_runs(limit=0), UsageError),
        (lambda client: client.list_runs()[0].metrics["lost"], NotFoundError),
    ]
    for call, kind in calls:
        with pytest.raises(kind) as mine:
            call(here)
        with pytest.raises(kind) as theirs:
            call(there)
        assert str(theirs.value) == str(mine.value)


def test_what_is_written_through_the_server_is_found_by_the_next_question(
    tmp_path: Path,
) -> None:
    with RunningServer(tmp_path / "store") as server:
        client = MLOpsClient(server.url)
        for number in range(5):
            with client.start_run(name=f"run {number}", capture=False) as run:
                run.log_metrics({"loss": number})
                assert run.flush(DEADLINE)

            found = client.search_runs(f"name = 'run {number}'")
            assert [row.id for row in found] == [run.id]
            assert list(client.get_run(run.id).metrics["loss"].values) == [number]


def test_what_goes_around_the_server_is_found_too(tmp_path: Path) -> None:
    here = MLOpsClient(tmp_path / "store")
    with RunningServer(tmp_path / "store") as server:
        client = MLOpsClient(server.url)
        assert len(client.list_runs()) == 0
        with here.start_run(capture=False):
            pass

        for _ in range(600):  # a look at the store is good for a second
            if client.list_runs():
                break
            time.sleep(0.05)

        assert len(client.list_runs()) == 1
