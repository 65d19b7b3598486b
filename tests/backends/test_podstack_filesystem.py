"""`podstack://` through fsspec, as pandas, DuckDB and plain Python use it, over a real server."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pandas
import pytest

from podstack import MLOpsClient
from podstack.errors import AccessDeniedError, BlobMissing
from podstack.testing.podstack_server import RunningServer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with one run, and the run's id."""
    folder = tmp_path_factory.mktemp("filesystem")
    table = folder / "table.parquet"
    pandas.DataFrame({"x": range(50_000), "y": [i / 2 for i in range(50_000)]}).to_parquet(table)
    with MLOpsClient(folder / "store").start_run(capture=False) as run:
        for step in range(100):
            run.log_metrics({"loss": 1 / (step + 1)})
        run.log_artifact(table)
    return folder / "store", run.id


@pytest.fixture(scope="module")
def server(run: tuple[Path, str]) -> Iterator[RunningServer]:
    with RunningServer(run[0]) as running:
        yield running


@pytest.fixture
def top(server: RunningServer, run: tuple[Path, str]) -> str:
    return f"podstack://127.0.0.1:{server.port}/projects/default/runs/{run[1]}"


@pytest.fixture
def files(top: str) -> Any:
    return fsspec.core.url_to_fs(top)[0]


def test_fsspec_opens_an_object_and_reads_it_block_by_block(
    top: str, files: Any, run: tuple[Path, str]
) -> None:
    (path,) = files.glob(f"{top}/metrics/*/000000.jsonl")
    content = next((run[0] / "projects").rglob("metrics/*/000000.jsonl")).read_bytes()

    with fsspec.open(f"podstack://{path}", block_size=100) as file:
        assert file.read(10) == content[:10]
        file.seek(-20, 2)
        assert file.read() == content[-20:]
    assert files.cat_file(path, 5, 15) == content[5:15]


def test_folders_are_listed_walked_and_told_apart_from_files(top: str, files: Any) -> None:
    names = {Path(name).name for name in files.ls(top, detail=False)}

    assert names == {"artifacts", "meta", "metrics"}
    assert files.isdir(top)
    assert all(files.isfile(name) and files.size(name) > 0 for name in files.find(top))
    assert {"projects"} == {Path(n).name for n in files.ls(top.split("/projects")[0], False)} - {
        "podstack.json"
    }
    with pytest.raises(BlobMissing):
        files.info(f"{top}/nothing")
    with pytest.raises(FileNotFoundError):
        files.ls(f"{top}/nothing")


def test_pandas_reads_what_a_run_logged(top: str, files: Any) -> None:
    (table,) = files.glob(f"{top}/artifacts/*/table.parquet")
    (points,) = files.glob(f"{top}/metrics/*/000000.jsonl")

    assert pandas.read_parquet(f"podstack://{table}")["x"].sum() == sum(range(50_000))
    assert list(pandas.read_json(f"podstack://{points}", lines=True)["s"]) == list(range(100))


def test_duckdb_queries_a_server(top: str, files: Any) -> None:
    connection = duckdb.connect()
    connection.register_filesystem(files)

    found = connection.execute(
        f"SELECT count(*), max(x) FROM read_parquet('{top}/artifacts/*/table.parquet')"
    ).fetchone()

    assert found == (50_000, 49_999)


def test_files_are_written_sent_and_removed(top: str, files: Any, tmp_path: Path) -> None:
    base = top.replace("/default/", "/written/")
    (tmp_path / "file").write_bytes(b"from a file")

    files.pipe_file(f"{base}/artifacts/a", b"one")
    files.put_file(str(tmp_path / "file"), f"{base}/artifacts/b")
    with fsspec.open(f"{base}/artifacts/c", "wb") as file:
        file.write(b"by parts, ")
        file.write(b"whole at the end")
    files.rm(f"{base}/artifacts/a")

    assert not files.exists(f"{base}/artifacts/a")
    assert files.cat_file(f"{base}/artifacts/b") == b"from a file"
    assert files.cat_file(f"{base}/artifacts/c") == b"by parts, whole at the end"


def test_the_token_comes_from_the_environment_or_an_option_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunningServer(tmp_path / "store", tokens=True) as server:
        token, url = server.admin, f"podstack://127.0.0.1:{server.port}/projects/default/x"
        with fsspec.open(url, "wb", api_token=token) as file:
            file.write(b"content")
        with pytest.raises(AccessDeniedError, match="PODSTACK_API_TOKEN"):
            fsspec.open(url).open()
        monkeypatch.setenv("PODSTACK_API_TOKEN", token)
        assert fsspec.open(url).open().read() == b"content"

        files = fsspec.filesystem("podstack", host=url.split("/")[2], api_token=token)

        assert files.cat_file("projects/default/x") == b"content"
        assert token not in repr(files) + files.to_json() + str(files.storage_options)
        assert pickle.loads(pickle.dumps(files)).cat_file("projects/default/x") == b"content"
