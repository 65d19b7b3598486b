"""What goes over a whole store knows sweeps: sync, verify, compact, purge and export."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest

from podstack import MLOpsClient, keys
from podstack.backend import Backend, open_backend
from podstack.compact import compact
from podstack.export import export_runs
from podstack.keeper import keeper
from podstack.sweeps.sweep import Sweep
from podstack.sync import sync
from podstack.testing.stage import Stage
from podstack.testing.store_files import stored, write_op
from podstack.testing.sweeping import Crowd, grid
from podstack.verify import DAMAGED, INFO, WARNING, verify


@pytest.fixture
def sweep(client: MLOpsClient) -> Sweep:
    """Four trials: one with a run, one completed, one given back, one that this process has."""
    sweep = client.create_sweep(None, "grid", {"x": {"values": [1, 2, 3, 4]}}, "loss")
    first, second, third, fourth = (sweep.suggest() for _ in range(4))
    assert first is not None
    assert second is not None
    assert third is not None
    assert fourth is not None
    with client.start_run(sweep_trial=first, capture=False) as run:
        run.log_metrics({"loss": 0.5})
    second.complete({"loss": float("nan")})
    third.release()
    assert keeper.wait(240)  # the run is sealed in the background
    return sweep


def claims(store: Path) -> dict[str, bytes]:
    return {key: data for key, data in stored(store).items() if keys.claim_of(key)}


# Sync ----------------------------------------------------------------------------------------


def test_a_sync_copies_sweeps_with_their_claims_and_a_second_one_nothing(
    store: Path, tmp_path: Path, sweep: Sweep
) -> None:
    source, target = open_backend(str(store)), open_backend(str(tmp_path / "copy"))
    report = sync(source, target)
    again = sync(source, target)

    assert report.is_complete
    assert report.kinds["sweeps"] == len([key for key in stored(store) if "/sweeps/" in key])
    assert again.objects == 0
    assert claims(tmp_path / "copy") == claims(store)
    assert len(claims(store)) == 4
    assert repr(MLOpsClient(tmp_path / "copy").get_sweep(sweep.id).records()) == repr(
        sweep.records()
    )


def test_a_sync_to_a_store_elsewhere_and_back_keeps_a_sweep(
    store: Path, tmp_path: Path, sweep: Sweep
) -> None:
    between: Backend = open_backend(f"memory://{uuid.uuid4().hex}")
    sync(open_backend(str(store)), between)
    sync(between, open_backend(str(tmp_path / "back")))

    back = MLOpsClient(tmp_path / "back").get_sweep(sweep.name)
    assert repr(back.records()) == repr(sweep.records())
    assert sync(open_backend(str(store)), between).objects == 0


def test_a_run_and_its_trial_are_linked_in_the_copy_too(
    store: Path, tmp_path: Path, sweep: Sweep
) -> None:
    sync(open_backend(str(store)), open_backend(str(tmp_path / "copy")))
    there = MLOpsClient(tmp_path / "copy")
    record = there.get_sweep(sweep.id).records()[0]

    assert record.run is not None
    assert there.get_run(record.run).params["x"] == record.params["x"] == 1
    assert there.get_run(record.run).status == "completed"


def test_a_sweep_goes_on_in_a_copy_that_was_made_while_a_worker_had_a_trial(
    stage: Stage, client: MLOpsClient, tmp_path: Path
) -> None:
    """The worker is killed after the copy: its trial is offered again there, as any is."""
    sweep = grid(client, 8)
    crowd = Crowd(stage, sweep.id, work=0.2)
    crowd.open()
    worker = crowd.start(1, stays_at=3)[0]
    worker.wait_until(lambda: crowd.begun() == 3, "its third trial")
    sync(open_backend(str(stage.store)), open_backend(str(tmp_path / "copy")))
    worker.end()
    there = MLOpsClient(tmp_path / "copy").get_sweep(sweep.id)
    while (trial := there.suggest(wait=200)) is not None:
        trial.complete({"loss": sum(trial.flat_params.values())})

    assert sorted(record.value or 0.0 for record in there.records()) == [*map(float, range(8))]


# Verify --------------------------------------------------------------------------------------


def findings(store: Path) -> list[Any]:
    return [f for f in verify(MLOpsClient(store)._store) if f.severity in (DAMAGED, WARNING, INFO)]


def test_verify_finds_nothing_in_a_sweep_that_is_whole(store: Path, sweep: Sweep) -> None:
    assert [found for found in findings(store) if "/sweeps/" in found.key] == []


def test_verify_names_a_sweeps_log_that_is_damaged(
    store: Path, tmp_path: Path, sweep: Sweep
) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "copy"))
    log = sorted((copy / f"projects/default/sweeps/{sweep.id}").glob("2*.jsonl"))[-1]
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 4
    log.write_bytes(data)

    found = [found for found in findings(copy) if "/sweeps/" in found.key]
    assert [(one.severity, one.key) for one in found] == [
        (DAMAGED, log.relative_to(copy).as_posix())
    ]


def test_verify_names_claims_that_cannot_be_read_and_facts_that_cannot_be(
    store: Path, sweep: Sweep
) -> None:
    folder = store / f"projects/default/sweeps/{sweep.id}"
    claim = folder / "claims/000009/2-stranger.json"
    claim.parent.mkdir()
    claim.write_bytes(b"\x00\xff")
    write_op(folder, {"trials/2/status": "wonderful", "max_trials": 5}, writer="2-stranger")
    torn = store / "projects/default/sweeps/lost"
    write_op(torn, {"trials/1/status": "running"}, writer="2-stranger")

    found = {(one.severity, one.key.rpartition("/sweeps/")[2]) for one in findings(store)}
    assert {
        (WARNING, f"{sweep.id}/claims/000009/2-stranger.json"),
        (DAMAGED, f"{sweep.id}/2-stranger.jsonl"),
        (DAMAGED, "lost/"),
    } <= found


# Compact, purge, export ----------------------------------------------------------------------


def test_compaction_leaves_sweeps_as_they_are(
    store: Path, client: MLOpsClient, sweep: Sweep
) -> None:
    before = {key: data for key, data in stored(store).items() if "/sweeps/" in key}
    list(compact(client._store))

    assert {key: data for key, data in stored(store).items() if "/sweeps/" in key} == before


def test_a_purged_run_leaves_its_trial_with_its_result(client: MLOpsClient, sweep: Sweep) -> None:
    record = sweep.records()[0]
    assert record.run is not None
    client.get_run(record.run).delete()
    client.get_run(record.run).purge()

    assert sweep.refresh().records()[0] == record


def test_an_export_holds_the_runs_of_a_sweep_with_their_parameters(
    client: MLOpsClient, sweep: Sweep, tmp_path: Path
) -> None:
    run = sweep.records()[0].run
    assert run is not None
    export_runs(client, [run], "json", tmp_path / "runs.json", what="runs")

    (row,) = orjson.loads((tmp_path / "runs.json").read_bytes())
    assert (row["params.x"], row["status"]) == (1, "completed")
