"""The index says what the runs say, whatever happened to them, to it, and to who else uses it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack import MLOpsClient, Run, clock, processes, summaries
from podstack.backend import BlobInfo, LocalStore
from podstack.compact import compact
from podstack.config import settings as settings_for
from podstack.errors import BackendError
from podstack.expressions import parse, parse_order
from podstack.index import Index, RunRow
from podstack.keeper import keeper
from podstack.overlay import Overlay
from podstack.points import decode
from podstack.series import assemble
from podstack.store import Store
from podstack.testing.faults import FaultyLocalStore
from podstack.testing.stage import DEADLINE, Stage
from podstack.testing.store_files import write_op

GONE = {**processes.this_process(), "pid": 999_999_999, "role": "main", "interval": 10.0}


def reader(store: Path | str, project: str | None = None) -> Index:
    """The index as a process sees it that has not looked before."""
    return Store(settings_for(store, None, project, None)).index


def row_of(run: Run) -> dict[str, Any]:
    """What a run says of itself, by the fields of a row; its own experiment aside."""
    return {
        "id": run.id, "name": run.name, "status": run.status, "lost_since": run.lost_since,
        "experiment_id": run.experiment_id, "user": run.user, "created": run.created,
        "ended": run.ended, "parent": run.parent_run_id, "tags": run.tags, "params": run.params,
        "metrics": dict(run.summary), "notes": run.notes, "error": run.error,
        "deleted": run.deleted,
    }  # fmt: skip


def shown(facts: dict[str, Any]) -> list[str]:
    """As text, for NaN is not NaN; dicts sorted by name."""
    return [
        f"{name}: {sorted(value.items()) if isinstance(value, dict) else value!r}"
        for name, value in sorted(facts.items())
    ]


def assert_same(index: Index, store: Path) -> None:
    """Every run of the store has its row, and no other row is there."""
    index.refresh()
    client = MLOpsClient(store)
    rows = {row.id: row for row in index.runs(deleted=True)}
    there = [run for run in client._store.reader.run_ids() if Run(client._store, run)._fold().stamp]

    assert sorted(rows) == sorted(there)
    for run, row in rows.items():
        facts = row._asdict()
        wanted = row_of(client.get_run(run))
        assert shown({name: facts[name] for name in wanted}) == shown(wanted)


def segment(store: Path, run: str, writer: str, seq: int = 0) -> Path:
    path = store / f"projects/default/runs/{run}/metrics/{writer}/{seq:06d}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def add_points(path: Path, *points: tuple[int, float], **values: Any) -> None:
    """Lines of one metric `x`, each a (step, value) logged at the time 1000 + step."""
    with path.open("ab") as file:
        for step, value in points:
            v = values or {"x": value}
            file.write(orjson.dumps({"s": step, "t": 1000.0 + step, "v": v}) + b"\n")


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def meta(store: Path, run: str) -> Path:
    return store / "projects/default/runs" / run / "meta"


def make_run(client: MLOpsClient, run_id: str | None = None, **params: Any) -> Run:
    with client.start_run(run_id=run_id, params=params) as run:
        for step in range(5):
            run.log_metrics({"loss": 1 / (step + 1), "acc": step / 5})
    return run


@pytest.fixture
def index(client: MLOpsClient) -> Index:
    return client._store.index


# What it holds --------------------------------------------------------------------------------


def odd_store(client: MLOpsClient, store: Path, tmp_path: Path) -> None:
    """One run for each oddity."""
    client.create_experiment("odd ones", tags=["t"])
    with client.start_run(
        "odd ones",
        run_id="all.of.it",
        name="né",
        tags=["b", "a/b"],
        parent_run_id=make_run(client).id,
    ) as run:
        run.log_params({"a": {"b": None}, "f": 0.1, "i": 2**53 + 1, "u": 2**64 - 1, "t": ""})
        run.log_params({"y": True, "l": [1, {"z": None}], "e": {}, "inf": float("inf")})
        for step, value in enumerate((float("nan"), float("inf"), -1e308, 5e-324, float("-inf"))):
            run.log_metrics({"x": value, "only/nan": float("nan"), f"n{step}": step})
        run.log_metrics({"x": 1}, step=-(2**63))
        run.set_notes("# notes")
    make_run(client, "all.of")  # the beginning of another's id
    with client.start_run(run_id="back") as run:
        for step in range(20):
            run.log_metrics({"x": step, "y": -step})
    with client.start_run(run_id="back") as run:  # a resume that goes back over old steps
        for step in range(7, 12):
            run.log_metrics({"x": 100 - step}, step=step)
    for writer, offset in (("w-1", 0), ("w-2", 1)):  # two writers of the same steps
        add_points(segment(store, "back", writer), *[(step, step + offset) for step in range(9)])
    with pytest.raises(ZeroDivisionError), client.start_run(run_id="failed") as run:
        1 / 0  # noqa: B018
    for run_id in ("deleted", "purged", "torn", "flipped"):
        make_run(client, run_id)
    client.get_run("deleted").delete()
    keeper.wait(DEADLINE)
    client.get_run("purged").purge()
    for name in ("torn", "flipped"):
        (log,) = (store / f"projects/default/runs/{name}/metrics").rglob("*.jsonl")
        data = log.read_bytes()
        log.write_bytes(data + b'{"s":9,"t' if name == "torn" else data.replace(b"0.2", b"0.3"))
    strange = store / "projects/default/runs/strange"
    write_op(
        strange / "meta",
        {
            "status": "completed",
            "created": "soon",
            "name": 5,
            "error": [],
            "parent": 7,
            "tags/t": 1,
            "deleted": 0,
            "unknown/x": {"y": 1},
        },
    )
    (strange / "meta" / "notes.txt").write_text("unknown")
    (strange / "else" / "x").mkdir(parents=True)
    add_points(segment(store, "strange", "w"), (3, 1.0))
    (strange / "metrics/w/readme").write_text("unknown")
    (store / "projects/default/runs/Not An Id/meta").mkdir(parents=True)
    (store / "projects/default/runs/nothing-in-it").mkdir(parents=True)
    write_op(meta(store, "lost"), {"writers/w": GONE, "status": "running"})
    shutil.copytree(meta(store, "back").parent, meta(store, "copied").parent)


def test_a_row_says_what_the_run_says(
    client: MLOpsClient, store: Path, tmp_path: Path, index: Index
) -> None:
    odd_store(client, store, tmp_path)

    assert_same(index, store)
    assert_same(reader(store), store)  # from the file alone
    index.refresh(full=True)
    assert_same(index, store)


def test_what_grows_between_two_looks_is_seen_the_same(
    client: MLOpsClient, store: Path, tmp_path: Path, index: Index
) -> None:
    """After each step, by one reader that goes on and one that looks for the first time."""
    run = client.start_run(run_id="r", params={"lr": 1})
    a, b = segment(store, "r", "a"), segment(store, "r", "b")

    def both(first: list[tuple[int, float]], second: list[tuple[int, float]]) -> None:
        add_points(a, *first)
        add_points(b, *second)

    later: list[Callable[[], object]] = [
        lambda: run.log_metrics({"x": 1.0, "y": 2.0}, step=1),
        lambda: run.log_metrics({"x": 3.0}, step=2),
        lambda: run.log_metrics({"x": float("nan")}, step=3),
        lambda: run.log_metrics({"x": 0.5}, step=2),  # back
        lambda: add_points(a, (10, 5.0), (12, -5.0)),
        lambda: add_points(b, (11, 7.0), (13, 8.0)),
        lambda: both([(20, 1.0), (22, 2.0)], [(21, 3.0), (23, 4.0)]),
        lambda: both([(30, 1.0)], [(30, 3.0)]),  # the same step by two
        lambda: add_points(a, (40, 1.0), (40, 2.0), (41, 0.0)),  # twice by one
        lambda: add_points(segment(store, "r", "a", 1), (50, 9.0)),
        lambda: add_points(a, (60, 0.0), new=1.5),
        lambda: append(a, b'{"s":70,"t":1,"v":{"x":8}'),
        lambda: append(a, b"}\n"),
        lambda: run.log_params({"lr": 2, "more": None}),
        lambda: run.add_tags("t", "u"),
        lambda: run.remove_tags("t"),
        lambda: run.finish("failed", error="e" * 20_000),
        lambda: keeper.wait(DEADLINE),
        lambda: client.get_run("r").delete(),
        lambda: client.get_run("r").restore(),
    ]  # fmt: skip
    for change in later:
        change()
        if run.error is not None:
            index.refresh()
            assert index.rows(["r"])[0].error == run.error[-10_000:]
            write_op(meta(store, "r"), {"error": "short"})
            client.get_run("r").set_name("n")  # leaves a hint
        assert_same(index, store)
    assert_same(reader(store), store)


def test_old_bytes_are_not_read_again(client: MLOpsClient, store: Path, index: Index) -> None:
    run = client.start_run(run_id="r")
    path = segment(store, "r", "w")
    add_points(path, (0, 1.0), (1, 5.0))
    index.refresh()
    path.write_bytes(b"?" * (path.stat().st_size - 1) + b"\n")
    add_points(path, (2, 3.0))
    index.refresh()
    (row,) = index.rows(["r"])
    run.finish()

    assert row.metrics["x"] == (3.0, 2, 1.0, 0, 5.0, 1, 3)


def test_a_segment_that_shrank_is_read_anew(client: MLOpsClient, store: Path, index: Index) -> None:
    run = client.start_run(run_id="r")
    path = segment(store, "r", "w")
    add_points(path, (0, 1.0), (1, 5.0))
    index.refresh()
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])

    assert_same(index, store)
    path.unlink()
    assert_same(index, store)
    run.finish()


@pytest.mark.filterwarnings("ignore")
def test_a_seal_that_comes_late_takes_a_segment_out(
    client: MLOpsClient, store: Path, index: Index
) -> None:
    with client.start_run(run_id="r") as run:
        run.log_metrics({"y": 1.0})
        add_points(segment(store, "r", "w"), (0, 1.0))
        index.refresh()
        before = index.rows(["r"])[0].metrics
        write_op(meta(store, "r"), {"seals/w": [[1, 1]]})
        index.refresh()

    assert before.keys() == {"x", "y"}
    assert index.rows(["r"])[0].metrics.keys() == {"y"}
    assert_same(index, store)


POINTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["x", "y"]),
        st.integers(0, 8) | st.integers(9, 40),
        st.sampled_from([0.0, 1.0, -1.0, 2.5, float("nan"), float("inf"), float("-inf")]),
    ),
    max_size=12,
)


def logs_of(points: list[tuple[str, str, int, float]]) -> list[tuple[str, list[Any]]]:
    """Per writer, one line a point, logged at rising times."""
    words = {float("inf"): "Infinity", float("-inf"): "-Infinity"}
    lines: dict[str, bytes] = {}
    for time, (writer, name, step, value) in enumerate(points):
        said: Any = "NaN" if value != value else words.get(value, value)
        line = orjson.dumps({"s": step, "t": time, "v": {name: said}}) + b"\n"
        lines[writer] = lines.get(writer, b"") + line
    return [(writer, decode(lines[writer])[0]) for writer in sorted(lines)]


@given(old=POINTS, new=POINTS)
@settings(max_examples=300, deadline=None)
def test_what_can_be_merged_is_what_all_points_say(old: list[Any], new: list[Any]) -> None:
    whole = logs_of(old + new)
    names = {name for _, name, _, _ in old + new}
    wanted = {name: assemble(name, whole).summary for name in names}
    known = summaries.summarised(logs_of(old))
    both = summaries.merged(known, logs_of(new))
    rises = all(
        step > max([s for _, n, s, _ in old if n == name], default=-1) for _, name, step, _ in new
    )

    assert repr(sorted(summaries.summarised(whole).items())) == repr(sorted(wanted.items()))
    if both is not None:
        assert repr(sorted(both.items())) == repr(sorted(wanted.items()))
    if rises and {writer for writer, *_ in new} <= {"a"}:
        assert both is not None


def test_a_compacted_run_keeps_its_row(client: MLOpsClient, store: Path, index: Index) -> None:
    pytest.importorskip("pyarrow")
    make_run(client, "r")
    keeper.wait(DEADLINE)
    index.refresh()
    before = index.rows(["r"])
    compact(client._store)

    assert list(store.rglob("*.parquet"))
    assert_same(index, store)
    assert index.rows(["r"])[0].metrics == before[0].metrics
    with client.start_run(run_id="r") as run:
        run.log_metrics({"loss": -1.0})
        assert_same(index, store)
    shutil.rmtree(os.environ["PODSTACK_CACHE"])
    assert_same(reader(store), store)


# Status ---------------------------------------------------------------------------------------


def test_a_lost_run_is_found_and_comes_back(store: Path, client: MLOpsClient, index: Index) -> None:
    write_op(meta(store, "r"), {"writers/w": GONE, "status": "running"})
    index.refresh()
    (lost,) = index.runs()
    alive = {**GONE, **processes.this_process()}
    write_op(meta(store, "r"), {"writers/v": alive}, writer="v")
    index.refresh()
    (back,) = index.runs()

    assert (lost.status, lost.ended) == ("failed", lost.lost_since)
    assert lost.lost_since == pytest.approx(clock.now(), abs=600)
    assert (back.status, back.lost_since, back.ended) == ("running", None, None)
    assert back.duration >= 0


def test_a_run_is_lost_as_soon_as_its_process_is(stage: Stage, index: Index) -> None:
    child = stage.start(
        """
        run = client.start_run(run_id="r")
        print("recording", flush=True)
        time.sleep(600)
        """
    )
    child.wait_for_word("recording")
    index.refresh()
    (before,) = index.runs()
    child.end()
    index.refresh()
    (after,) = index.runs()

    assert (before.status, after.status) == ("running", "failed")
    assert after.lost_since is not None


# What changed ---------------------------------------------------------------------------------


def test_every_edit_is_seen_by_a_reader_that_is_there(client: MLOpsClient, store: Path) -> None:
    index = reader(store)
    index.refresh()
    make_run(client, "r")
    seen = []
    edits: list[Callable[[Run], None]] = [
        lambda run: run.add_tags("t"),
        lambda run: run.set_name("other"),
        Run.delete,
        Run.restore,
        Run.purge,
    ]
    for edit in edits:
        edit(client.get_run("r"))
        index.refresh()
        seen.append([(row.name, row.tags, row.deleted) for row in index.runs(deleted=True)])

    name = seen[0][0][0]
    assert seen == [[(name, ["t"], False)], [("other", ["t"], False)], [("other", ["t"], True)],
                    [("other", ["t"], False)], []]  # fmt: skip


def test_start_and_end_of_a_run_are_seen_at_once(
    client: MLOpsClient, store: Path, held_keeper: threading.Event
) -> None:
    """While the background of the process that records does nothing."""
    index = reader(store)
    index.refresh()
    states = []
    run = client.start_run(run_id="r")
    acts: list[Callable[[], None]] = [
        lambda: None, lambda: run.log_metrics({"x": 1}), run.finish
    ]  # fmt: skip
    for act in acts:
        act()
        index.refresh()
        states += [(row.status, list(row.metrics)) for row in index.runs()]
    with client.start_run(run_id="r"):
        index.refresh()
        states += [(row.status, list(row.metrics)) for row in index.runs()]
    held_keeper.set()

    assert states == [
        ("running", []), ("running", ["x"]), ("completed", ["x"]), ("running", ["x"])
    ]  # fmt: skip


def test_what_came_without_a_hint_is_seen_by_a_new_reader(
    client: MLOpsClient, store: Path, tmp_path: Path
) -> None:
    make_run(client, "r")
    keeper.wait(DEADLINE)
    settle(store)
    reader(store).refresh()
    write_op(meta(store, "r"), {"tags/copied": True})
    shutil.rmtree(store / "projects/default/live")
    shutil.copytree(meta(store, "r").parent, meta(store, "s").parent)
    index = reader(store)
    index.refresh()

    assert [(row.id, row.tags) for row in index.runs()] == [("r", ["copied"]), ("s", ["copied"])]


def settle(store: Path) -> None:
    """Make all folders of a store look as if they had last changed long ago."""
    for folder in [store, *(path for path in store.rglob("*") if path.is_dir())]:
        os.utime(folder, (1e9, 1e9))


def test_a_run_copied_into_the_store_is_seen_without_a_hint(
    client: MLOpsClient, store: Path, index: Index
) -> None:
    make_run(client, "r")
    keeper.wait(DEADLINE)
    index.refresh()
    shutil.copytree(meta(store, "r").parent, meta(store, "s").parent)
    index.refresh()
    both = [row.id for row in index.runs()]
    shutil.rmtree(meta(store, "r").parent)
    index.refresh()

    assert sorted(both) == ["r", "s"]
    assert [row.id for row in index.runs()] == ["s"]


def test_a_full_refresh_sees_what_grew_in_place_without_any_sign(
    client: MLOpsClient, store: Path, index: Index
) -> None:
    make_run(client, "r")
    keeper.wait(DEADLINE)
    index.refresh()
    add_points(segment(store, "r", "w"), (7, 7.0))
    index.refresh(full=True)

    assert index.rows(["r"])[0].metrics["x"].last == 7.0


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"ended":true,"t":"x"}', b"\xff" * 99])
def test_hints_decide_nothing(client: MLOpsClient, store: Path, garbage: bytes) -> None:
    make_run(client, "r")
    keeper.wait(DEADLINE)
    live = store / "projects/default/live"
    for name in ("r.20200101-000000-000-abcdefgh.json", "unknown.w.json", "x.json", "noise"):
        (live / name).write_bytes(garbage)

    assert_same(reader(store), store)
    index = reader(store)
    index.refresh(full=True)
    assert_same(index, store)


def test_hints_that_ended_long_ago_are_swept(client: MLOpsClient, store: Path) -> None:
    make_run(client, "r")
    keeper.wait(DEADLINE)
    live = store / "projects/default/live"
    (recent,) = live.iterdir()
    old, long = clock.now() - 7300, "20200101-000000-000-"
    for name, hint in {
        f"{long}ended": {"t": old, "ended": True},
        f"{long}late": {"t": old + 600, "ended": True},
        f"{long}lives": {"t": old, "interval": 10.0},
        "29990101-000000-000-ahead": {"t": old, "ended": True},
    }.items():
        (live / f"r.{name}.json").write_bytes(orjson.dumps(hint))
    reader(store).refresh()

    left = {path.name.removeprefix("r.").removesuffix(".json") for path in live.iterdir()}
    assert left == {recent.name.removeprefix("r.").removesuffix(".json"),
                    f"{long}late", f"{long}lives", "29990101-000000-000-ahead"}  # fmt: skip


def test_experiments_are_seen_as_they_change(client: MLOpsClient, store: Path) -> None:
    index = reader(store)
    index.refresh()
    experiment = client.create_experiment("digits", "handwritten", tags=["b", "a"])
    index.refresh()
    (new,) = index.experiments()
    run = client.start_run("digits")
    index.refresh()
    (active,) = index.experiments()
    run.finish()
    index.refresh()
    (completed,) = index.experiments()
    experiment.archive()
    experiment.delete()
    index.refresh()
    (last,) = index.experiments()

    assert new[:4] == ("digits", "digits", "handwritten", ["a", "b"])
    assert (new.status, new.runs, new.last_activity) == ("active", 0, new.created)
    assert (active.status, active.runs, active.running) == ("active", 1, 1)
    assert (completed.status, completed.last_activity) == ("completed", run.ended)
    assert (last.status, last.archived, last.deleted) == ("archived", True, True)
    assert index.runs() == []  # those of a deleted experiment are hidden
    assert [row.id for row in index.runs(deleted=True)] == [run.id]


# Asking ---------------------------------------------------------------------------------------


@pytest.fixture
def three(client: MLOpsClient, index: Index) -> Index:
    for number, optimizer in enumerate(("adam", "sgd", "adam")):
        with client.start_run(
            run_id=f"r{number}",
            name=f"n{number % 2}",
            params={"opt": optimizer},
            tags=[f"t{number}"],
        ) as run:
            run.log_metrics({"acc": number / 4})
    index.refresh()
    return index


def test_runs_are_filtered_ordered_and_paged(client: MLOpsClient, three: Index) -> None:
    client.create_experiment("other")
    client.start_run("other", run_id="r3").finish()
    client.get_run("r0").delete()
    three.refresh()
    adam, best = parse("params.opt = 'adam'"), parse_order("-metrics.acc")

    assert ids(three.runs()) == ["r1", "r2", "r3"]
    assert ids(three.runs(adam)) == ["r2"]
    assert ids(three.runs(adam, deleted=True)) == ["r0", "r2"]
    assert ids(three.runs(order=best)) == ["r2", "r1", "r3"]
    assert ids(three.runs(order=best, limit=1, offset=1)) == ["r1"]
    assert ids(three.runs(experiment="other")) == ["r3"]
    assert (three.count(), three.count(adam), three.count(adam, deleted=True)) == (3, 1, 2)
    assert ids(three.rows(["r3", "unknown", "r0", "r3"])) == ["r3", "r0", "r3"]


def ids(rows: list[RunRow]) -> list[str]:
    return [row.id for row in rows]


def test_names_in_use_are_counted(client: MLOpsClient, three: Index) -> None:
    client.get_run("r2").delete()
    three.refresh()

    assert three.names() == ({"opt": 2}, {"acc": 2}, {"t0": 1, "t1": 1})


def test_a_text_means_an_id_or_a_name_or_the_beginning_of_an_id(three: Index) -> None:
    assert three.matching("r1") == ["r1"]
    assert three.matching("n0") == ["r0", "r2"]
    assert three.matching("r") == ["r0", "r1", "r2"]
    assert three.matching("%") == three.matching("") == three.matching("x") == []


def test_projects_are_apart(store: Path) -> None:
    for project in ("one", "two"):
        MLOpsClient(store, project=project).start_run(run_id=f"in-{project}").finish()
    one, two = reader(store, "one"), reader(store, "two")

    assert (ids(one.runs()), ids(two.runs())) == (["in-one"], ["in-two"])
    assert ids(reader(store, "one").runs()) == ["in-one"]


def test_a_store_that_is_not_there_is_empty(index: Index, store: Path) -> None:
    assert (index.runs(), index.experiments()) == ([], [])
    assert not store.exists()


def test_a_store_in_memory_works_too(client: MLOpsClient) -> None:
    elsewhere = MLOpsClient("memory://index")
    run = make_run(elsewhere, "r")
    assert run.flush()
    index = elsewhere._store.index
    rows = index.runs()
    elsewhere.get_run("r").add_tags("t")
    index.refresh()
    later = index.runs()
    again = reader("memory://index")

    assert [row.metrics["loss"].steps for row in rows] == [5]
    assert [row.tags for row in later] == [["t"]]
    assert again.runs() == later


def test_in_a_store_elsewhere_a_hint_comes_after_what_it_tells_of(store: Path) -> None:
    """So the look that it leads to finds all; in the end, without any full listing."""
    client = MLOpsClient("memory://order")
    index = reader("memory://order")
    index.refresh()
    puts: list[str] = []
    overlay = client._store.backend
    assert isinstance(overlay, Overlay)
    put = overlay.store.put

    def noting(key: str, data: bytes | Path) -> None:
        put(key, data)
        puts.append(key)

    overlay.store.put = noting  # type: ignore[method-assign]
    assert make_run(client, "r").flush()
    index.refresh()
    kinds = [
        "live" if "/live/" in key else "data" for key in puts if "/runs/" in key or "/live/" in key
    ]

    assert kinds[-1] == "live"
    assert [(row.status, row.metrics["acc"].steps) for row in index.runs()] == [("completed", 5)]
    assert list((Path(os.environ["PODSTACK_SPOOL"])).rglob("live/*")) == []


# Trouble --------------------------------------------------------------------------------------


def files() -> list[Path]:
    return sorted(Path(os.environ["PODSTACK_CACHE"]).glob("index/*.sqlite"))


def damages() -> dict[str, Callable[[Path], object]]:
    def overwrite(path: Path, start: int, data: bytes) -> None:
        with path.open("r+b") as file:
            file.seek(start)
            file.write(data)

    def half(path: Path) -> None:
        os.truncate(path, path.stat().st_size // 2)

    def version(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()

    def no_table(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE looks")
        connection.close()

    return {
        "gone": lambda path: path.unlink(),
        "empty": lambda path: path.write_bytes(b""),
        "garbage": lambda path: path.write_bytes(os.urandom(50_000)),
        "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
        "half": half,
        "torn": lambda path: os.truncate(path, path.stat().st_size - 100),
        "pages": lambda path: overwrite(path, 4096, b"\xff" * (path.stat().st_size - 4096)),
        "header": lambda path: overwrite(path, 0, b"x" * 100),
        "version": version,
        "table": no_table,
        "folder": lambda path: (path.unlink(), path.mkdir()),
    }


@pytest.mark.parametrize("damage", damages())
def test_a_damaged_file_is_made_anew(
    damage: str, client: MLOpsClient, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        make_run(client)
    keeper.wait(DEADLINE)
    first = reader(store)
    first.refresh()
    assert first._file is not None
    first._file.close()
    (file,) = files()
    damages()[damage](file)

    assert_same(reader(store), store)
    assert_same(reader(store), store)
    assert len([path for path in files() if path.is_file()]) == 1
    assert files() != [file]
    assert caplog.records == []


@pytest.mark.parametrize("damage", ["garbage", "zeroed", "pages", "gone", "table"])
def test_a_file_that_is_damaged_while_it_is_in_use_is_made_anew(
    damage: str, client: MLOpsClient, store: Path, index: Index
) -> None:
    make_run(client)
    index.refresh()
    for _ in range(3):
        make_run(client)
    (file,) = files()
    damages()[damage](file)
    if damage != "table":
        for suffix in ("-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)

    assert_same(index, store)
    assert_same(reader(store), store)


def test_another_store_at_the_same_place_has_an_index_of_its_own(store: Path) -> None:
    make_run(MLOpsClient(store), "old")
    keeper.wait(DEADLINE)
    index = reader(store)
    before, first = ids(index.runs()), files()
    shutil.rmtree(store)
    make_run(MLOpsClient(store), "new")
    index.refresh()

    assert (before, ids(index.runs()), ids(reader(store).runs())) == (["old"], ["new"], ["new"])
    assert len(files()) == 1
    assert files() != first


def test_without_a_cache_folder_memory_serves(
    client: MLOpsClient, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    monkeypatch.setenv("PODSTACK_CACHE", str(tmp_path / "taken"))
    make_run(client)
    index = reader(store)

    assert_same(index, store)
    make_run(client)
    assert_same(index, store)


def test_a_writer_that_does_not_end_keeps_nobody_waiting(
    client: MLOpsClient, store: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstack.index.file._PATIENCE", 0.01)
    make_run(client, "a")
    index.refresh()
    (file,) = files()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        make_run(client, "b")
        assert_same(index, store)
        make_run(client, "c")
        assert_same(index, store)
        assert_same(reader(store), store)
    finally:
        other.execute("ROLLBACK")
        other.close()
    make_run(client, "d")

    assert_same(index, store)
    assert index._file is not None
    assert index._file.path == file  # the copy in memory was put aside


def test_a_store_that_does_not_answer_says_so_itself(client: MLOpsClient, store: Path) -> None:
    for run in ("r", "s"):
        make_run(client, run)
    opened = Store(settings_for(store, None, None, None))
    assert isinstance(opened.backend, LocalStore)
    faulty = FaultyLocalStore(opened.backend)
    opened.backend = opened.reader.backend = faulty
    opened.index.refresh()
    tags = []
    for operation, calls in (("list", 4), ("get", 5)):
        for call in range(1, calls + 1):
            tags.append(f"{operation} {call}")
            for run in ("r", "s"):
                client.get_run(run).add_tags(tags[-1])
            faulty.fail(operation, BackendError("no answer"), call=call)
            with pytest.raises(BackendError, match="no answer"):
                opened.index.refresh(full=True)
            faulty.heal()
            opened.index.refresh()
            assert [row.tags for row in opened.index.runs()] == [sorted(tags)] * 2


class Meanwhile(FaultyLocalStore):
    """Something happens right after the objects of a run were listed."""

    happens: Callable[[], object] | None = None

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        found = [*super().list(prefix, start_after=start_after)]
        if "/runs/" in prefix and not prefix.endswith("/meta/") and self.happens is not None:
            happens, self.happens = self.happens, None
            happens()
        return iter(found)


@pytest.mark.parametrize("looked_before", [False, True])
def test_a_run_that_ends_while_it_is_looked_at_has_its_points_where_it_has_its_end(
    client: MLOpsClient, store: Path, looked_before: bool
) -> None:
    run = client.start_run(run_id="r")
    opened = Store(settings_for(store, None, None, None))
    assert isinstance(opened.backend, LocalStore)
    opened.backend = opened.reader.backend = meanwhile = Meanwhile(opened.backend)
    if looked_before:
        opened.index.refresh()
        run.log_params({"lr": 0.1})

    def end() -> None:
        run.log_metrics({"x": 1.0})
        run.finish()

    meanwhile.happens = end
    opened.index.refresh()
    (row,) = opened.index.runs()

    assert meanwhile.happens is None
    assert (row.status, list(row.metrics)) == ("completed", ["x"])


def test_what_was_seen_before_a_failure_is_looked_at_again(
    client: MLOpsClient, store: Path
) -> None:
    """It was seen, but what came after it failed, and so nothing of either was written."""
    make_run(client, "r")
    keeper.wait(DEADLINE)
    opened = Store(settings_for(store, None, None, None))
    assert isinstance(opened.backend, LocalStore)
    faulty = FaultyLocalStore(opened.backend)
    opened.backend = opened.reader.backend = faulty
    opened.index.refresh()
    for copied in ("x", "y"):
        shutil.copytree(meta(store, "r").parent, meta(store, copied).parent)
    faulty.fail("get", BackendError("no answer"), call=4)
    with pytest.raises(BackendError, match="no answer"):
        opened.index.refresh()
    opened.index.refresh()

    assert sorted(ids(opened.index.runs())) == ["r", "x", "y"]


def test_a_reader_killed_while_it_builds_harms_nobody(
    client: MLOpsClient, store: Path, stage: Stage
) -> None:
    for number in range(12):
        make_run(client, f"r{number}")
    keeper.wait(DEADLINE)
    for looks in (1, 6, 11):
        ended = stage.play(
            f"""
            from podstack import index
            from podstack.index import runs as index_runs
            index._LOOKS, index._HOLD = 2, 0.0
            look, count = index_runs.RunReader.look, []
            def fatal(self, *args):
                count.append(1)
                if len(count) > {looks}:
                    os.kill(os.getpid(), signal.SIGKILL)
                return look(self, *args)
            index_runs.RunReader.look = fatal
            client._store.index.refresh(full=True)
            """
        )
        assert ended.code < 0, ended.err

    assert_same(reader(store), store)
    assert len(files()) == 1


READ = """
    index, last, rows = client._store.index, {}, {}
    while set(rows) != {"a", "b"} or any(row.status == "running" for row in rows.values()):
        index.refresh()
        rows = {row.id: row for row in index.runs()}
        for run, row in rows.items():
            for name, summary in row.metrics.items():
                before = last.get((run, name), (-1, 0))
                now = (summary.last_step, summary.steps)
                assert now >= before and summary.last == summary.last_step, (run, before, now)
                last[run, name] = now
    assert set(last.values()) == {(1999, 2000)}, last
    print("same")
"""
WRITE = """
    with client.start_run(run_id={run!r}) as run:
        for step in range(2000):
            run.log_metrics({{"x": step}})
            if step % 100 == 0:
                time.sleep(0.005)
"""


def test_readers_in_many_processes_see_what_writers_write(stage: Stage, store: Path) -> None:
    MLOpsClient(store)._store.prepare()
    writers = [stage.start(WRITE.format(run=run), acks=run) for run in ("a", "b")]
    readers = [stage.start(READ) for _ in range(3)]
    for child in [*writers, *readers]:
        ended = child.wait()
        assert ended.code == 0, ended.err
    assert [child.out.strip() for child in readers] == ["same"] * 3

    assert_same(reader(store), store)
    with sqlite3.connect(files()[0]) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_threads_share_an_index(client: MLOpsClient, store: Path, index: Index) -> None:
    for number in range(4):
        make_run(client, f"r{number}")
    seen: list[int] = []

    def work() -> None:
        for _ in range(20):
            index.refresh()
            seen.append(len(index.runs()) + index.count())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert seen == [8] * 120


def test_a_forked_child_asks_for_itself(stage: Stage) -> None:
    ended = stage.play(
        """
        client.start_run(run_id="r").finish()
        index = client._store.index
        assert [row.id for row in index.runs()] == ["r"]
        pid = os.fork()
        if pid == 0:
            client.start_run(run_id="s").finish()
            index.refresh()
            assert len(index.runs()) == 2
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        index.refresh()
        print(len(index.runs()))
        """
    )

    assert (ended.code, ended.out.strip()) == (0, "2"), ended.err


def test_an_index_costs_a_training_nothing(stage: Stage) -> None:
    ended = stage.play(
        """
        with client.start_run() as run:
            run.log_metrics({"x": 1})
        print("sqlite3" in sys.modules)
        client._store.index
        print("sqlite3" in sys.modules)
        """
    )

    assert ended.out.split() == ["False", "True"], ended.err
