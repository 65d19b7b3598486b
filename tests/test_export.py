"""Runs as files: every point and every fact, no formula, all or nothing."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from podstack import MLOpsClient
from podstack.compact import compact
from podstack.errors import BackendError, UsageError
from podstack.export import Exported, export_runs
from podstack.testing.stage import DEADLINE

ODD = {"=cmd|' /C calc'!A0": 1.0, "+1": 2.0, "@x": 3.0, "-y": 4.0, "\tz": 5.0, 'q"u,o\nte': 6.0}


@pytest.fixture
def runs(client: MLOpsClient) -> list[str]:
    with client.start_run(run_id="a", params={"lr": 0.5, "=p": "=1+1", "deep": [1, None]}) as run:
        for step in range(5):
            run.log_metrics({"loss": -1.5 / (step + 1), "acc": step}, step=step)
        run.log_metrics({"loss": math.nan, "high": math.inf, "low": -math.inf, "zero": -0.0}, 9)
        run.log_metrics({"loss": 7.0}, step=0)  # supersedes
        run.log_metrics(ODD, step=1)
    with client.start_run(run_id="b", name="-name", tags=["x"], params={"lr": 2, "on": True}):
        pass
    run.flush(timeout=DEADLINE)
    return ["a", "b"]


def expected(client: MLOpsClient) -> list[tuple[str, str, int, str, float]]:
    return [
        ("a", name, point.step, float(point.value).hex(), point.time)
        for name, series in client.get_run("a").metrics.items()
        for point in series
    ]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def from_csv(path: Path) -> list[tuple[str, str, int, str, float]]:
    return [
        (
            row["run"],
            row["name"].removeprefix("'"),
            int(row["step"]),
            float(row["value"]).hex(),
            float(row["time"]),
        )
        for row in read_csv(path)
    ]


def from_json(path: Path) -> list[tuple[str, str, int, str, float]]:
    rows = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    return [(r["run"], r["name"], r["step"], float(r["value"]).hex(), r["time"]) for r in rows]


def from_parquet(path: Path) -> list[tuple[str, str, int, str, float]]:
    rows = pyarrow.parquet.read_table(path).to_pylist()
    return [(r["run"], r["name"], r["step"], r["value"].hex(), r["time"].timestamp()) for r in rows]


READERS: dict[str, Callable[[Path], list[tuple[str, str, int, str, float]]]] = {
    "csv": from_csv,
    "json": from_json,
    "parquet": from_parquet,
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("is_compacted", [False, True], ids=["segments", "compacted"])
def test_every_point_of_the_view_is_exported(
    kind: str, is_compacted: bool, client: MLOpsClient, runs: list[str], tmp_path: Path
) -> None:
    if is_compacted:
        assert compact(client._store).points > 0
    out = tmp_path / f"points.{kind}"
    done = export_runs(client, runs, kind, out)
    found, wanted = READERS[kind](out), expected(client)

    assert [row[:4] for row in found] == [row[:4] for row in wanted]
    assert [row[4] for row in found] == pytest.approx([row[4] for row in wanted], abs=1e-6)
    assert done == Exported(2, 2, len(wanted))


def test_in_csv_and_json_times_are_exact(
    client: MLOpsClient, runs: list[str], tmp_path: Path
) -> None:
    for kind in ("csv", "json"):
        export_runs(client, runs, kind, tmp_path / kind)

        assert READERS[kind](tmp_path / kind) == expected(client)


def test_a_text_that_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe_and_a_number_does_not(
    client: MLOpsClient, runs: list[str], tmp_path: Path
) -> None:
    export_runs(client, runs, "csv", tmp_path / "points")
    export_runs(client, runs, "csv", tmp_path / "table", what="runs")
    points, table = read_csv(tmp_path / "points"), read_csv(tmp_path / "table")
    names = {row["name"] for row in points}

    assert {f"'{name}" for name in ODD if name[0] in "=+@-\t"} <= names
    assert not [name for name in names if name.startswith(("=", "+", "@", "-", "\t"))]
    assert {row["value"] for row in points if row["name"] == "low"} == {"-Infinity"}
    assert [row["value"] for row in points if row["name"] == "loss"][1] == "-0.75"
    assert table[0]["params.=p"] == "'=1+1"
    assert table[1]["name"] == "'-name"
    assert table[0]["metrics.loss.min"].startswith("-")


def test_the_table_of_runs_has_facts_params_and_metrics(
    client: MLOpsClient, runs: list[str], tmp_path: Path
) -> None:
    for kind in READERS:
        assert export_runs(client, runs, kind, tmp_path / kind, what="runs").rows == 2
    rows: list[dict[str, Any]] = json.loads((tmp_path / "json").read_text(encoding="utf-8"))
    table = pyarrow.parquet.read_table(tmp_path / "parquet")
    cells = read_csv(tmp_path / "csv")

    assert [row["id"] for row in rows] == ["a", "b"] == table["id"].to_pylist()
    assert rows[0]["params.deep"] == [1, None]
    assert cells[0]["params.deep"] == "[1,null]" == table["params.deep"].to_pylist()[0]
    assert (rows[1]["params.on"], cells[1]["params.on"]) == (True, "true")
    assert table["params.on"].to_pylist() == [None, True]
    assert table["params.lr"].to_pylist() == [0.5, 2.0]
    assert (rows[0]["metrics.loss"], cells[0]["metrics.loss"]) == ("NaN", "NaN")
    assert "metrics.loss" not in rows[1]
    assert str(table["created"].type) == "timestamp[us, tz=UTC]"


@pytest.mark.parametrize("kind", READERS)
def test_runs_without_points_give_a_whole_file_without_rows(
    kind: str, client: MLOpsClient, runs: list[str], tmp_path: Path
) -> None:
    export_runs(client, ["b"], kind, tmp_path / "out")

    assert READERS[kind](tmp_path / "out") == []


def test_a_file_that_is_there_is_replaced_only_if_asked(
    client: MLOpsClient, runs: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")

    with pytest.raises(UsageError, match="is there already"):
        export_runs(client, runs, "csv", out)
    assert out.read_text() == "mine"
    assert export_runs(client, runs, "csv", out, replace=True).rows > 0
    assert out.read_text() != "mine"


def test_an_export_that_fails_leaves_nothing(
    client: MLOpsClient, runs: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()

    def stop(so_far: Exported) -> None:
        raise KeyboardInterrupt

    for kind in READERS:
        with pytest.raises(KeyboardInterrupt):
            export_runs(client, runs, kind, folder / "x", progress=stop)
    assert list(folder.iterdir()) == []


def test_progress_is_told_after_each_metric(
    client: MLOpsClient, runs: list[str], tmp_path: Path
) -> None:
    seen: list[Exported] = []
    done = export_runs(client, runs, "csv", tmp_path / "x", progress=seen.append)

    assert len(seen) > len(runs)
    assert seen == sorted(seen)
    assert seen[-1] == done


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"format": "xml"}, UsageError, "csv, json, parquet"),
        ({"what": "all"}, UsageError, "points or runs"),
        ({"out": "."}, UsageError, "is a folder"),
        ({"out": "missing/x"}, BackendError, "Cannot write"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_a_reason(
    change: dict[str, str], error: type[Exception], message: str,
    client: MLOpsClient, runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    arguments = {"format": "csv", "out": "x", "what": "points"} | change

    with pytest.raises(error, match=message):
        export_runs(client, runs, arguments["format"], arguments["out"], what=arguments["what"])
