"""The first look at many runs: what can be asked while it goes on, and what becomes of that."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from podstack import MLOpsClient
from podstack.backend import LocalStore
from podstack.errors import BackendError
from podstack.index import SoFar
from podstack.server.asking import experiment_of
from podstack.server.readers import ProjectReader
from podstack.server.stores import Stores
from podstack.testing import ui_store
from podstack.testing.faults import FaultyLocalStore, SlowLocalStore
from podstack.testing.held_server import HeldServer
from podstack.testing.raw_http import ask
from podstack.testing.stage import DEADLINE

RUNS = 300
SOME = 120  # runs that are seen before the look is held up


class HeldStore(SlowLocalStore):
    """Waits before it reads an object, once some were read, until `go` is set."""

    def __init__(self, store: LocalStore, passing: int) -> None:
        super().__init__(store, 0.0, ("get",))
        self.passing = passing
        self.is_held = False
        self.go = threading.Event()

    def _before(self, operation: str) -> None:
        if operation != "get":
            return
        self.passing -= 1
        if self.passing < 0:
            self.is_held = True
            assert self.go.wait(DEADLINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("_HOLD", "_FIRST_HOLD"):  # each chunk is committed at once
        monkeypatch.setattr(f"podstack.index.{name}", 0.0)
    ui_store.many(tmp_path / "store", RUNS)
    return tmp_path / "store"


def opened(folder: Path) -> tuple[ProjectReader, LocalStore]:
    store = Stores(str(folder)).of("default")
    assert isinstance(store.backend, LocalStore)
    return ProjectReader(store), store.backend


@pytest.fixture
def held(folder: Path) -> Iterator[tuple[ProjectReader, HeldStore]]:
    """A reader whose first look waits after `SOME` runs, of two objects each."""
    reader, backend = opened(folder)
    slow = HeldStore(backend, 2 * SOME)
    reader.store.backend = slow
    yield reader, slow
    slow.go.set()
    reader.index.refresh()


def some(reader: ProjectReader) -> ProjectReader:
    """What there is, once more than nothing is committed and the look is held up."""
    found = reader.so_far(0.0)
    while found.behind is None or found.behind.done < 100:
        time.sleep(0.01)
        found = reader.so_far(0.0)
    return found


def test_the_latest_runs_and_all_experiments_are_there_at_once(
    held: tuple[ProjectReader, HeldStore],
) -> None:
    part = some(held[0])
    found = sorted(row.id for row in part.index.runs())

    whole = sorted(held[0].store.reader.run_ids())
    assert part.behind is not None
    assert part.behind.total == RUNS
    assert 50 <= len(found) < RUNS
    assert found == whole[-len(found) :]
    assert [row.id for row in part.index.experiments()] == ["many"]


def test_what_is_said_to_be_done_can_be_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, _ = opened(folder)
    advance = reader.shared._advance
    found: list[tuple[int, int]] = []

    def noted(count: int) -> None:
        advance(count)
        assert reader.shared.behind is not None
        found.append((reader.shared.behind.done, SoFar(reader.shared).count()))

    monkeypatch.setattr(reader.shared, "_advance", noted)
    reader.index.refresh()

    assert found == [(done, done) for done in range(50, RUNS + 1, 50)]


def test_who_does_not_ask_for_a_part_gets_all_runs(held: tuple[ProjectReader, HeldStore]) -> None:
    reader, slow = held
    some(reader)
    counted: list[int] = []

    def count() -> None:
        reader.index.refresh()
        counted.append(reader.index.count())

    asking = threading.Thread(target=count)
    asking.start()
    part = some(reader).index.count()
    asked_before = list(counted)
    slow.go.set()
    asking.join(DEADLINE)

    assert part < RUNS
    assert (asked_before, counted) == ([], [RUNS])
    assert reader.so_far(DEADLINE) is reader


def test_nothing_that_was_made_from_a_part_is_kept_as_the_whole(
    held: tuple[ProjectReader, HeldStore],
) -> None:
    reader, slow = held
    part = some(reader)

    def counted(asked: ProjectReader) -> int:
        return asked.remembered("runs", lambda: len(asked.index.runs()), lambda _: 8)

    first = counted(part)
    slow.go.set()
    reader.index.refresh()

    assert first < RUNS
    assert counted(reader) == RUNS


def test_a_cursor_of_a_part_leads_to_all_the_others(held: tuple[ProjectReader, HeldStore]) -> None:
    reader, slow = held
    part = some(reader)
    generation = part.generation()
    shown = {row.id for row in part.index.runs()}
    slow.go.set()
    reader.index.refresh()
    reader.generation()

    changed = reader.generations.since(generation)
    assert changed is not None
    assert changed | shown == set(reader.store.reader.run_ids())


def test_an_experiment_that_came_meanwhile_is_waited_for(
    held: tuple[ProjectReader, HeldStore], folder: Path
) -> None:
    reader, slow = held
    part = some(reader)
    MLOpsClient(folder).create_experiment("later")
    threading.Timer(0.1, slow.go.set).start()

    assert experiment_of(part, "later").name == "later"


def test_a_listing_of_all_that_is_known_is_not_told_as_indexing(folder: Path) -> None:
    reader, backend = opened(folder)
    reader.index.refresh()
    for log in folder.rglob("meta/*.jsonl"):  # so that each is read again
        os.utime(log, (1.8e9, 1.8e9))
    reader.store.backend = slow = HeldStore(backend, SOME)
    listing = threading.Thread(target=lambda: reader.index.refresh(full=True))
    listing.start()
    while not slow.is_held:
        time.sleep(0.01)
    reader.shared.wrote()  # so that it has to look
    part = reader.so_far(0.0)
    slow.go.set()
    listing.join(DEADLINE)

    assert part.behind == (0, None)
    assert part.index.count() == RUNS


def test_a_look_that_fails_says_so_and_goes_on_at_the_next(folder: Path) -> None:
    reader, backend = opened(folder)
    faulty = FaultyLocalStore(backend)
    faulty.fail("get", BackendError("the disk is gone"), call=2 * SOME)
    reader.store.backend = faulty
    with pytest.raises(BackendError, match="disk is gone"):
        reader.so_far(DEADLINE)
    trouble = reader.shared.trouble
    read = faulty.calls["get"]
    faulty.heal()
    whole = reader.so_far(DEADLINE)

    assert trouble == "the disk is gone"
    assert (whole.behind, whole.index.count(), reader.shared.trouble) == (None, RUNS, "")
    assert faulty.calls["get"] - read < 2 * (RUNS - 50) + 10  # what was committed stays


def test_who_asks_for_all_hears_of_a_failure_that_began_in_the_background(folder: Path) -> None:
    reader, backend = opened(folder)
    faulty = FaultyLocalStore(backend)
    faulty.fail("get", BackendError("the disk is gone"), times=None)
    reader.store.backend = faulty
    with pytest.raises(BackendError, match="disk is gone"):
        reader.so_far(DEADLINE)

    with pytest.raises(BackendError, match="disk is gone"):
        reader.index.count()


def test_another_replica_is_held_up_by_nobody(
    held: tuple[ProjectReader, HeldStore], folder: Path
) -> None:
    """The first one waits in the middle of a write; the second one reads all by itself."""
    some(held[0])
    other, _ = opened(folder)
    other.index.refresh()

    assert other.index.count() == RUNS
    assert some(held[0]).index.count() < RUNS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_looks_by_itself(held: tuple[ProjectReader, HeldStore]) -> None:
    reader, slow = held
    some(reader)
    while not slow.is_held:  # else the look may be in the middle of SQLite, and so in the child
        time.sleep(0.01)
    child = os.fork()
    if not child:
        code = 1
        try:
            slow.go = threading.Event()
            slow.go.set()
            whole = reader.so_far(DEADLINE)
            code = 0 if whole.behind is None and whole.index.count() == RUNS else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert some(reader).index.count() < RUNS


@pytest.fixture
def served(tmp_path: Path) -> Iterator[HeldServer]:
    ui_store.many(tmp_path / "store", RUNS)
    with HeldServer(tmp_path / "store", "20231114-221320-00000100") as server:
        yield server
        server.go()


def get(server: HeldServer, target: str) -> Any:
    found = ask(server.port, "GET", f"/api/v1/projects/default/{target}")
    assert found.status == 200, found.body
    return orjson.loads(found.body)


def until(look: Callable[[], Any]) -> Any:
    while not (found := look()):
        time.sleep(0.01)
    return found


def test_the_table_is_whole_unless_a_part_is_asked_for(served: HeldServer) -> None:
    def held_up() -> Any:
        now = get(served, "indexing")["indexing"]
        return now if now and now["done"] >= 150 else None

    until(held_up)
    part = get(served, "table?partial=true&experiment=many")
    again = get(served, f"table?partial=true&experiment=many&since={part['generation']}")
    experiments = get(served, "experiments?partial=true")
    threading.Timer(0.1, served.go).start()
    whole = get(served, "table?experiment=many")

    assert part["indexing"]["total"] == RUNS
    assert len(part["ids"]) == part["total"] < RUNS
    assert (again["ids"], again["indexing"]["total"]) == ([], RUNS)
    assert [row["id"] for row in experiments["experiments"]] == ["many"]
    assert len(whole["ids"]) == RUNS
    assert "indexing" not in whole
    assert get(served, "indexing") == {"indexing": None, "trouble": ""}
