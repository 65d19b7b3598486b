"""What a few letters may mean: the latest runs named so, how many there are, and the way to all."""

from __future__ import annotations

from pathlib import Path

import pytest

from podstack import MLOpsClient
from podstack.server.readers import ProjectReader
from podstack.server.stores import Stores
from podstack.server.ui.searching import MOST, found, named_so


@pytest.fixture
def reader(tmp_path: Path) -> ProjectReader:
    """Of a project with eleven runs, of which ten have "it's" in their name."""
    client = MLOpsClient(tmp_path)
    for number in range(10):
        client.start_run(name=f"It's {number}", capture=False).finish()
    client.start_run(name="other", capture=False).finish()
    return ProjectReader(Stores(str(tmp_path)).of("default"))


def test_more_are_counted_than_are_listed(reader: ProjectReader) -> None:
    results = found(reader, " it's ")

    assert len(results["runs"]) == MOST
    assert results["named"] == 10


def test_the_filter_of_all_finds_as_many(reader: ProjectReader, tmp_path: Path) -> None:
    found(reader, "it's")

    assert len(list(MLOpsClient(tmp_path).search_runs(named_so("it's")))) == 10


def test_a_run_found_by_its_id_is_not_counted_as_named_so(reader: ProjectReader) -> None:
    reader.index.refresh()
    run_id = reader.index.runs()[0].id

    assert [row["id"] for row in found(reader, run_id)["runs"]] == [run_id]
    assert found(reader, run_id)["named"] == 0
    assert found(reader, "  ")["named"] == 0
