"""What answers for a project knows what began a moment ago, however lately it looked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from podstack import MLOpsClient
from podstack.errors import NotFoundError
from podstack.keeper import keeper
from podstack.server import asking
from podstack.server.asking import experiment_of
from podstack.server.readers import FRESH, ProjectReader
from podstack.server.stores import Stores
from podstack.testing.stage import DEADLINE


@pytest.fixture
def store(tmp_path: Path) -> MLOpsClient:
    """A store with one run."""
    client = MLOpsClient(tmp_path)
    begin(client, "first")
    return client


@pytest.fixture
def looked(store: MLOpsClient, tmp_path: Path) -> ProjectReader:
    """A reader that has just looked at the store: its next look is due in a second."""
    reader = ProjectReader(Stores(str(tmp_path)).of("default"))
    reader.index.refresh()
    return reader


def begin(client: MLOpsClient, run_id: str) -> None:
    client.start_run(run_id=run_id, capture=False).finish()


def test_a_run_that_began_this_second_is_found(store: MLOpsClient, looked: ProjectReader) -> None:
    begin(store, "second")

    assert looked.row("second").id == "second"


def test_it_is_found_among_others(store: MLOpsClient, looked: ProjectReader) -> None:
    begin(store, "second")

    rows = looked.rows(["second", "unknown", "first"])
    assert [row.id for row in rows] == ["second", "first"]


def test_an_experiment_that_began_this_second_is_found(
    store: MLOpsClient, looked: ProjectReader
) -> None:
    store.create_experiment("fresh")

    assert experiment_of(looked, "fresh").name == "fresh"


def test_whoever_was_told_of_new_points_gets_them(
    store: MLOpsClient, looked: ProjectReader
) -> None:
    with store.start_run(run_id="going", capture=False) as run:
        run.log_metrics({"loss": 1.0}, step=0)
        assert run.flush(timeout=DEADLINE)
        with looked.metrics("going", FRESH) as found:
            assert len(found["loss"]) == 1
        run.log_metrics({"loss": 0.5}, step=1)
        assert run.flush(timeout=DEADLINE)
        looked.shared.refresh_now()  # a page hears of the second point, and asks for it at once

        with looked.metrics("going", FRESH) as found:
            assert len(found["loss"]) == 2


def test_a_run_that_is_nowhere_is_named_with_its_neighbours(looked: ProjectReader) -> None:
    with pytest.raises(NotFoundError, match=r"No run 'firts' \(nearest of 1: first\)"):
        looked.row("firts")


def test_the_runs_of_an_experiment_change_with_its_name_and_its_deletion(
    store: MLOpsClient, tmp_path: Path
) -> None:
    experiment = store.create_experiment("vision")
    store.start_run(run_id="seeing", experiment="vision", capture=False).finish()
    reader = ProjectReader(Stores(str(tmp_path)).of("default"))
    edits: list[Callable[[], object]] = [
        lambda: experiment.update(name="sight"),
        experiment.delete,
        experiment.restore,
    ]
    for edit in edits:
        before = told(reader)
        edit()

        assert told(reader) != before
        assert reader.generations.since(before) == {"seeing"}
    before = told(reader)
    experiment.update(description="what is seen")
    assert told(reader) == before


_JOINS = (
    "import sys; from podstack import MLOpsClient\n"
    "run = MLOpsClient(sys.argv[1]).start_run(run_id='shared', capture=False)\n"
    "print('records', flush=True); sys.stdin.read()"
)


def test_a_run_changes_when_the_last_of_its_processes_is_gone_and_has_ended_then(
    store: MLOpsClient, tmp_path: Path
) -> None:
    reader = ProjectReader(Stores(str(tmp_path)).of("default"))
    words = [sys.executable, "-c", _JOINS, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"records\n"
        begin(store, "shared")  # ends while the other one goes on
        before = told(reader)
        assert reader.row("shared").ended is None
        process.kill()
    after = told(reader)

    assert after != before
    assert reader.generations.since(before) == {"shared"}
    row = reader.row("shared")
    assert row.status == "completed"
    assert row.ended is not None
    assert row.duration == row.ended - row.created


def test_a_run_of_another_store_in_the_same_place_is_read_anew(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    MLOpsClient(folder).start_run(run_id="one", params={"old": 1}, capture=False).finish()
    reader = ProjectReader(Stores(str(folder)).of("default"))
    assert reader.run("one").params == {"old": 1}
    assert keeper.wait(DEADLINE)  # a finished run is sealed in the background
    shutil.rmtree(folder)
    MLOpsClient(folder).start_run(run_id="one", params={"new": 2}, capture=False).finish()

    assert reader.up_to_now().row("one").params == {"new": 2}
    assert reader.run("one").params == {"new": 2}


def test_of_experiments_of_one_name_the_one_that_is_not_deleted_is_meant(
    store: MLOpsClient, looked: ProjectReader
) -> None:
    made = [store.create_experiment(name) for name in ("a", "b", "c", "d")]
    for experiment in made:
        experiment.update(name="the same")
    made[0].delete()
    made[3].delete()
    reader = looked.up_to_now()

    assert experiment_of(reader, "the same").id == "b"
    assert store.get_experiment("the same").id == "b"
    made[1].delete()
    made[2].delete()
    assert experiment_of(reader.up_to_now(), "the same").id == "a"
    assert store.get_experiment("the same").id == "a"


def told(reader: ProjectReader) -> str:
    """The generation of all that is in the store by now."""
    return reader.up_to_now().generation()


def test_an_experiment_in_which_a_run_goes_on_was_active_just_now_however_often_it_is_asked_for(
    store: MLOpsClient, looked: ProjectReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = count(1e9)
    monkeypatch.setattr(asking, "now", lambda: next(times))
    store.create_experiment("busy")
    run = store.start_run(run_id="on", experiment="busy", capture=False)
    reader = looked.up_to_now()
    first, second = (experiment_of(reader, "busy") for _ in range(2))
    run.finish()
    ended = experiment_of(reader.up_to_now(), "busy")

    assert (first.running, second.running, ended.running) == (1, 1, 0)
    assert (first.last_activity, second.last_activity) == (1e9, 1e9 + 1)
