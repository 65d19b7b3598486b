"""FORMAT.md and the store agree: its SQL reads what the SDK wrote, its tables name all of it."""

from __future__ import annotations

import gzip
import json
import math
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

import podstack
from podstack import MLOpsClient, Run, keys, oplog
from podstack.compact import compact
from podstack.testing.stage import DEADLINE
from podstack.views import Views

FORMAT = (Path(podstack.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")
RUN = "20261123-221530-k3x9q2ma"  # the id that FORMAT.md's SQL names
ODD = "q\"uo'te.s/ü🎉 $.x[0]\\"

Place = tuple[str, int]


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", FORMAT, re.DOTALL | re.MULTILINE)
    return found


SURROUNDINGS = ("code", "packages", "host")


def settled(run: Run) -> None:
    """Ended, and everything the background does for it done."""
    run.finish()
    assert run.flush(timeout=DEADLINE)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MLOpsClient:
    """The default client in an empty folder, so that the document's paths work as they stand."""
    monkeypatch.chdir(tmp_path)
    return MLOpsClient()


@pytest.fixture
def store(client: MLOpsClient) -> Path:
    return Path(client.uri)


def record_runs(client: MLOpsClient) -> list[Run]:
    """Several runs, one of them resumed, which goes back over old steps and other parameters."""
    with client.start_run(run_id=RUN, params={"lr": 0.001, "seed": None, ODD: [1, None]}) as first:
        for step in range(20):
            first.log_metrics({"loss": 1 / (step + 1), ODD: step, "count": 2**53 + step}, step=step)
        first.log_metrics({"loss": math.nan, "high": math.inf, "low": -math.inf}, step=20)
        first.log_metrics({"tiny": 5e-324, "zero": -0.0, "huge": 1.7976931348623157e308}, step=-5)
    settled(first)
    with client.start_run(run_id=RUN, params={"lr": 0.5}) as again:
        for step in range(15, 25):
            again.log_metrics({"loss": float(step), "new": step}, step=step)
        again.log_params({"nested": {"a": {"b": "ü"}, "empty": {}}, "none again": None})
    settled(again)
    with client.start_run(params={"lr": 1, "only here": "NaN", "flag": True}) as other:
        other.log_metrics({"loss": 1})
    settled(other)
    with client.start_run(params={ODD: "text", "lr": math.nan}) as plain:
        plain.log_params({"lr": None})
    settled(plain)
    return [client.get_run(run.id) for run in (first, other, plain)]


def in_segments(client: MLOpsClient) -> None:
    """As it was recorded."""


def compacted(client: MLOpsClient) -> None:
    assert compact(client._store).points > 0


def in_both_forms(client: MLOpsClient) -> None:
    """What killed compactions left is still there, and the run went on in segments."""
    folder = Path(client.uri) / "projects/default/runs" / RUN / "metrics"
    left = {path: path.read_bytes() for path in folder.glob("*/*.jsonl")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("podstack.compact.targets", lambda count, ended: [(0, 1)])
        compacted(client)
    left |= {path: path.read_bytes() for path in folder.glob("*/*.parquet")}
    compacted(client)
    assert len(list(folder.glob("*/*"))) == 2  # one range for each writer
    for path, data in left.items():
        path.write_bytes(data)
    with client.start_run(run_id=RUN) as run:
        run.log_metrics({"loss": 0.125, "new": 3}, step=7)
    settled(run)


FORMS = pytest.mark.parametrize("form", [in_segments, compacted, in_both_forms])


@pytest.fixture
def sql() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    yield connection
    connection.close()


def define(sql: duckdb.DuckDBPyConnection, run: str = RUN) -> None:
    """Run every SQL block of the document, in order, verbatim but for another run's id."""
    for block in blocks("sql"):
        sql.execute(block.replace(RUN, run))


def bits(value: float) -> str:
    """Equal only for the same float64, NaN included and -0.0 told from 0.0."""
    return float(value).hex()


def seen(run: Run) -> list[tuple[str, int, str]]:
    return sorted(
        (name, point.step, bits(point.value)) for name, s in run.metrics.items() for point in s
    )


@FORMS
def test_the_view_in_sql_is_the_view_of_the_sdk(
    form: Callable[[MLOpsClient], None],
    client: MLOpsClient,
    sql: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("podstack.journal.SEGMENT", 300)
    run, other, _ = record_runs(client)
    form(client)

    for one in (run, other):
        define(sql, one.id)
        rows = sql.execute("SELECT key, step, value FROM metrics").fetchall()

        assert sorted((key, step, bits(value)) for key, step, value in rows) == seen(one)


@FORMS
def test_times_and_superseded_points_in_sql_are_those_of_the_sdk(
    form: Callable[[MLOpsClient], None],
    client: MLOpsClient,
    sql: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("podstack.journal.SEGMENT", 300)
    run = record_runs(client)[0]
    form(client)
    define(sql)
    rows = sql.execute(
        "SELECT step, value, time FROM points WHERE key = 'loss' ORDER BY step, clock, writer, line"
    ).fetchall()
    expected = [(p.step, bits(p.value), p.time) for p in run.metrics["loss"].raw]

    assert len(expected) > len(run.metrics["loss"])
    assert [(step, bits(value), time) for step, value, time in rows] == expected


def test_parameters_in_sql_are_those_of_the_sdk(
    client: MLOpsClient, sql: duckdb.DuckDBPyConnection
) -> None:
    runs = record_runs(client)
    define(sql)
    found: dict[str, dict[str, Any]] = {run.id: {} for run in runs}
    for run, name, value in sql.execute("SELECT run, name, value FROM params").fetchall():
        found[run][name] = None if value is None else json.loads(value)

    assert found == {run.id: run.params for run in runs}
    assert found[RUN]["seed"] is None
    assert found[RUN][ODD] == [1, None]


def test_sql_and_sdk_pass_over_the_same_lines(
    client: MLOpsClient, store: Path, sql: duckdb.DuckDBPyConnection
) -> None:
    record_runs(client)
    folder = store / "projects/default/runs" / RUN / "metrics/by-hand"
    folder.mkdir(parents=True)
    good = b'{"s":7,"t":9e9,"v":{"loss":7.5}}\n'
    odd = b'not json\n[]\n{"later":1}\n{"s":8,"t":9e9,"v":{"loss":"much"}}\n'
    (folder / "000000.jsonl").write_bytes(good + odd + b'{"s":9,"t":9e9,"v":{"lo')
    (folder / "000001.jsonl.gz").write_bytes(gzip.compress(b'{"s":9,"t":9e9,"v":{"gz":1}}\n'))
    (folder / "000000.jsonl.gz").write_bytes(gzip.compress(b'{"s":7,"t":9e9,"v":{"loss":0}}\n'))
    (folder / "notes.txt").write_bytes(b"unknown\n")
    define(sql)
    rows = sql.execute("SELECT key, step, value FROM metrics").fetchall()
    run = client.get_run(RUN)

    assert sorted((key, step, bits(value)) for key, step, value in rows) == seen(run)
    assert run.metrics["loss"].values[run.metrics["loss"].steps.tolist().index(7)] == 7.5
    assert run.metrics["gz"].last == 1


def test_sql_keeps_the_order_of_lines_across_large_segments(
    client: MLOpsClient, sql: duckdb.DuckDBPyConnection
) -> None:
    with client.start_run(run_id=RUN) as run:
        for value in range(250_000):  # one step again and again, in two segments
            run.log_metrics({"loss": value}, step=value % 3)
    settled(run)
    define(sql)
    writer_segments = sql.execute("SELECT count(DISTINCT (writer, seq)) FROM points").fetchall()
    rows = sql.execute("SELECT step, value FROM metrics").fetchall()

    assert writer_segments == [(2,)]
    assert rows == [(0, 249_999.0), (1, 249_997.0), (2, 249_998.0)]
    assert rows == [(p.step, p.value) for p in client.get_run(RUN).metrics["loss"]]


# The layout ---------------------------------------------------------------------------------

PLACEHOLDERS = {
    **dict.fromkeys(
        ("project", "experiment", "run", "sweep", "writer"), r"[a-z0-9][a-z0-9._-]{0,63}"
    ),
    "trial": r"[0-9]{6}(\.[1-9][0-9]*)?",
    **dict.fromkeys(("seq", "a", "b"), "[0-9]{6,}"),
    "hash12": "[0-9a-f]{12}",
    "n": "[0-9]+",
    "path": ".+",
}


def layout() -> list[re.Pattern[str]]:
    (block,) = blocks("layout")
    return [as_regex(line.split()[0]) for line in block.splitlines()]


def as_regex(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\[\.gz\]", r"(\.gz)?")
    return re.compile(re.sub(r"<(\w+)>", lambda match: PLACEHOLDERS[match[1]], text))


def whole_session(client: MLOpsClient, folder: Path) -> None:
    """Every call that writes, on two runs and an experiment."""
    model = folder / "model.pt"
    model.write_bytes(b"weights")
    experiment = client.create_experiment("MNIST Ziffern", "a description", ["vision"])
    with client.start_run(
        experiment_id=experiment.id, name="a name", tags=["base"], params={"lr": 0.1, "no": None}
    ) as run:
        run.create_alert("loss > 0.4", "high")
        run.log_metrics({"loss": 0.5, "nested": {"acc": 1}})
        run.log_artifact(model)
        run.log_artifact(model, "deep/er")
        run.log_dataset("train/set", model)
        run.set_notes("# notes")
        run.add_tags("a/b")
        run.remove_tags("base")
    run.flush()
    run.request_stop()
    Views(client._store).save("best", "runs", "q=loss", user="pat")
    run.delete()
    run.restore()
    with client.start_run(run_id=run.id, capture=("console", *SURROUNDINGS)):
        print("text")
    with pytest.raises(ZeroDivisionError), client.start_run(parent_run_id=run.id) as failing:
        _ = 1 / 0
    failing.flush()
    gone = client.start_run()
    gone.purge()
    run.flush()
    compact(client._store, [run.id])
    whole_sweep(client, experiment.id)
    experiment.update(name="new", tags=["b"])
    experiment.archive()
    experiment.delete()


def whole_sweep(client: MLOpsClient, experiment: str) -> None:
    """Every call that writes, on a sweep."""
    space = {"lr": {"min": 0.0, "max": 1.0}, "no": None}
    earlier = client.create_sweep(experiment, "random", space, "loss", 1)
    trial = earlier.suggest()
    assert trial is not None
    with client.start_run(sweep_trial=trial) as run:
        run.log_metrics({"loss": 0.5})
    sweep = client.create_sweep(
        experiment, "random", space, "loss", 5, pruner="median", target=-1, warm_start=earlier
    )
    for label in ("a", "b", "c"):
        trial = sweep.suggest(label=label)
        assert trial is not None
        trial.report(0.5, step=1)
        {"a": trial.prune, "b": lambda t=trial: t.fail("why"), "c": trial.release}[label]()
    sweep.stop("enough")
    sweep.delete()


def keys_of(store: Path) -> list[str]:
    return [p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file()]


def ops_of(store: Path, kind: str) -> list[dict[str, Any]]:
    return [
        orjson.loads(line)
        for path in store.glob(f"projects/*/{kind}")
        for line in path.read_bytes().splitlines()
    ]


def test_every_object_of_a_session_is_in_the_layout(
    client: MLOpsClient, store: Path, tmp_path: Path
) -> None:
    whole_session(client, tmp_path)
    open_run = client.start_run()
    open_run.log_metrics({"loss": 1})
    wait_for_hint(store)
    found = keys_of(store)
    settled(open_run)
    patterns = layout()
    entries = [
        f"projects/default/runs/r/{value['key']}"
        for op in ops_of(store, "runs/*/meta/*.jsonl")
        for path, value in op["set"].items()
        if path.startswith("artifacts/")
    ]
    unknown = [key for key in found + entries if not any(p.fullmatch(key) for p in patterns)]
    unused = [p.pattern for p in patterns if not any(p.fullmatch(key) for key in found + entries)]

    assert unknown == []
    assert unused == []


def wait_for_hint(store: Path) -> None:
    """The background writes one about once a second."""
    pause = threading.Event()
    for _ in range(8000):
        if list(store.glob("projects/*/live/*.json")):
            return
        pause.wait(0.03)
    pytest.fail("no hint within four minutes")


def test_a_hint_has_the_fields_of_the_document(client: MLOpsClient, store: Path) -> None:
    run = client.start_run()
    run.log_metrics({"loss": 0.25}, step=3)
    wait_for_hint(store)
    hint = orjson.loads(next(store.glob("projects/*/live/*.json")).read_bytes())
    (documented,) = [json.loads(b) for b in blocks("json") if '"interval"' in b]
    settled(run)

    (last,) = store.glob("projects/*/live/*")

    assert hint.keys() == documented.keys()
    assert orjson.loads(last.read_bytes()).keys() == documented.keys() | {"ended"}


def test_an_edit_leaves_a_hint_as_the_document_says(client: MLOpsClient, store: Path) -> None:
    run = client.start_run()
    settled(run)
    hints = set(store.glob("projects/*/live/*"))
    client.get_run(run.id).add_tags("late")
    (added,) = set(store.glob("projects/*/live/*")) - hints

    assert added.name.startswith(f"{run.id}.")
    assert re.fullmatch(r'\{"t":[0-9.]+,"ended":true\}', added.read_text())
    assert '{"t":1763935600.5,"ended":true}' in FORMAT


def table(heading: str) -> set[str]:
    """The paths in the first column of the table under `heading`."""
    lines = FORMAT[FORMAT.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return {path for line in lines for path in re.findall(r"`([^`]+)`", line.split("|")[1])}


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("path of a run", "runs/*/meta/*.jsonl"),
        ("path of an experiment", "experiments/*/*.jsonl"),
        ("path of a sweep", "sweeps/*/*.jsonl"),
    ],
)
def test_the_table_of_paths_is_what_the_sdk_writes(
    heading: str, kind: str, client: MLOpsClient, store: Path, tmp_path: Path
) -> None:
    whole_session(client, tmp_path)
    documented = table(heading)
    written = {path for op in ops_of(store, kind) for path in op["set"]}
    rows = {path if path in documented else f"{path.partition('/')[0]}/*" for path in written}

    assert rows - documented == set()
    assert documented - rows - {"summary/dropped"} == set()  # that one needs a disk that refuses


def test_the_table_of_a_trial_is_what_the_sdk_writes(client: MLOpsClient, store: Path) -> None:
    whole_sweep(client, client.create_experiment("e").id)
    ops = ops_of(store, "sweeps/*/*.jsonl")
    below = {p.split("/", 2)[2] for op in ops for p in op["set"] if p.startswith("trials/")}

    rows = {"reports/*" if path.startswith("reports/") else path for path in below}

    assert rows == table("path below trials/n")


def test_a_claim_has_the_fields_of_the_document(client: MLOpsClient, store: Path) -> None:
    sweep = client.create_sweep(None, "random", {"a": {"min": 0, "max": 9}}, "loss", 1)
    trial = sweep.suggest()
    (claim,) = store.glob("projects/*/sweeps/*/claims/000001/*.json")
    section = FORMAT.partition("\n## Claims\n")[2].partition("\n## ")[0]

    assert trial is not None
    assert all(f'"{field}"' in section for field in orjson.loads(claim.read_bytes()))


def test_the_table_of_the_environment_is_what_the_sdk_writes(
    client: MLOpsClient, store: Path
) -> None:
    with client.start_run(run_id="r", capture=SURROUNDINGS) as run:
        pass
    settled(run)
    facts = [path for op in ops_of(store, "runs/r/meta/*.jsonl") for path in op["set"]]
    below = {p.removeprefix("environment/") for p in facts if p.startswith("environment/")}
    (details,) = store.glob("projects/*/runs/r/environment/*.json")
    section = FORMAT.partition("\n## Environment\n")[2].partition("\n## ")[0]

    assert below == table("path below environment")
    assert all(f"`{field}`" in section for field in orjson.loads(details.read_bytes()))


def test_the_fields_of_a_fact_are_those_of_the_table(
    client: MLOpsClient, store: Path, tmp_path: Path
) -> None:
    whole_session(client, tmp_path)
    for op in ops_of(store, "runs/*/meta/*.jsonl"):
        for path, value in op["set"].items():
            field = path.partition("/")[0]
            if isinstance(value, dict) and field != "params" and path != "environment/job":
                shown = path if path == field else f"{field}/*"
                if field == "environment":
                    shown = path.removeprefix("environment/")
                row = next(line for line in FORMAT.splitlines() if line.startswith(f"| `{shown}`"))

                assert set(value) <= set(re.findall(r"\w+", row)), path


def test_the_document_knows_every_reserved_name_as_one_that_readers_ignore() -> None:
    (block,) = blocks("reserved")
    for line in block.splitlines():
        key = re.sub(r"<\w+>", "7", line.split()[0]).replace("[.gz]", "")

        assert keys.segment_of(key) is None
        assert "/meta/" not in key


def test_the_examples_of_the_document_are_lines_that_the_sdk_reads() -> None:
    ops, points_block, _ = blocks("json")
    found, damaged = oplog.decode(ops.encode(), "w")
    fold = oplog.Fold(found)
    batches, unreadable = podstack.points.decode(points_block.encode())

    assert (damaged, unreadable) == (0, 0)
    assert fold.below("params") == {"lr": 0.001, "seed": None}
    assert fold.below("tags") == {}
    assert [list(batch.steps) for batch in batches] == [[120], [121]]
    assert batches[1].values["grad/min"][0] == -math.inf
