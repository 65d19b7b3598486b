"""The stores that pages are looked at with hold what they say."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from podstack import MLOpsClient
from podstack.testing import hostile_texts, ui_store
from podstack.testing.sample_files import write_samples


def test_a_store_for_looking_at_has_runs_of_every_status_and_everything_else(
    store: Path, tmp_path: Path
) -> None:
    client = ui_store.build(store, runs=20, steps=40)
    runs = client.list_runs()
    first = next(run for run in runs if run.name == "resnet-00")

    assert {run.status for run in runs} == {"running", "completed", "failed", "killed"}
    assert [e.status for e in client.list_experiments(status="archived")] == ["archived"]
    assert any(run.parent_run_id for run in runs)
    assert set(first.metrics) == set(ui_store.METRICS)
    assert {path.rpartition("/")[2] for path in first.artifacts} == {
        file.name for file in write_samples(tmp_path / "samples")
    }
    assert len(first.alerts) == 2
    assert {sweep.progress.completed for sweep in client.list_sweeps()} == {40, 12}
    for run in runs:
        run.finish()


def test_hostile_texts_are_stored_as_they_are(store: Path) -> None:
    client = ui_store.hostile(store)

    names = {run.name for run in client.list_runs()}
    assert names == set(hostile_texts.TEXTS)
    assert names <= {experiment.name for experiment in client.list_experiments(status="all")}


def test_many_runs_are_as_podstack_would_have_written_them(store: Path) -> None:
    ui_store.many(store, 50)
    found = MLOpsClient(store).search_runs("params.optimizer = 'adamw' or status = failed")
    run = MLOpsClient(store).list_runs("many")[1]

    assert 5 < len(found) < 50
    assert run.status == "completed"
    assert set(run.metrics) == set(ui_store.METRICS)


def test_a_live_run_grows_until_its_process_is_stopped(store: Path) -> None:
    with ui_store.live(store) as held:
        run = MLOpsClient(store).get_run(held.said)
        while "lr" not in run.metrics or len(run.metrics["lr"].steps) < 2:
            time.sleep(0.05)
        assert run.status == "running"

    assert run.status == "killed"


def test_the_samples_are_of_every_kind_that_is_previewed(tmp_path: Path) -> None:
    kinds = {file.suffix for file in write_samples(tmp_path / "samples")}

    assert kinds >= {".txt", ".py", ".json", ".yaml", ".csv", ".png", ".svg", ".html", ".md"}
    assert kinds >= {".ipynb", ".wav", ".bin"}


def test_a_store_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(RuntimeError, match="kind build was not written"):
        ui_store.Held(tmp_path / "file" / "store", "build")
