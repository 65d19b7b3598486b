"""Compaction changes how points are stored, and nothing that anybody reads."""

from __future__ import annotations

import gzip
import itertools
import logging
import math
import os
import random
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack import MLOpsClient, Run, compacted, journal, keys, oplog, parquet, points
from podstack.backend import Backend, BlobInfo
from podstack.clock import hybrid_clock
from podstack.compact import Compacted, Report, compact, targets
from podstack.compacted import Damage, Seal
from podstack.errors import MissingExtraError
from podstack.keys import Project, Range
from podstack.metrics import Metrics
from podstack.parquet import Rows
from podstack.point_logs import PointLogs
from podstack.series import Columns
from podstack.store import Store
from podstack.testing.stage import DEADLINE, Stage

KEYS = Project("default")
PREFIX = KEYS.metrics("r")
SMALL = 400  # bytes of a segment: some six lines

Raw = dict[str, list[tuple[int, str, str]]]


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT", SMALL)


def raw(run: Run) -> Raw:
    """All points of a run in their order, bit by bit."""
    return raw_of(run.metrics)


def raw_of(metrics: Metrics) -> Raw:
    return {
        name: [(p.step, float(p.value).hex(), float(p.time).hex()) for p in series.raw]
        for name, series in metrics.items()
    }


class Everything(NamedTuple):
    """What is read of a run's points, in whatever way."""

    raw: list[tuple[str, list[tuple[int, str, str]]]]
    view: dict[str, str]
    summaries: dict[str, str]
    shown: str


def everything(run: Run) -> Everything:
    view = {name: str(list(series)) for name, series in run.metrics.items()}
    return Everything(list(raw(run).items()), view, summaries(run), repr(run.metrics))


def summaries(run: Run) -> dict[str, str]:
    return {f"summary of {name}": str(summary) for name, summary in run.summary.items()}


def read(store: Path, run: str = "r") -> Run:
    """A run as a process that has seen nothing of it yet reads it."""
    return MLOpsClient(store).get_run(run)


def objects(store: Path, run: str = "r") -> list[str]:
    folder = store / KEYS.metrics(run)
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name[0] != ".")


def path_of(store: Path, name: str) -> Path:
    (path,) = (store / PREFIX).rglob(name)
    return path


def log_odd_points(run: Run) -> None:
    for step in range(60):
        run.log_metrics({"loss": 1 / (step + 1), "acc": step}, step=step)
        if step % 20 == 0:
            run.log_metrics({"val/ü \"'": -step, "rare": 2.0**53 + step}, step=-step)
    for value in (math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308):
        run.log_metrics({"odd": value, "loss": value}, step=7)
    for step in (2**63 - 1, -(2**63), 0):
        run.log_metrics({"far": step}, step=step)


def record(client: MLOpsClient, run_id: str = "r", **facts: Any) -> Run:
    with client.start_run(run_id=run_id, **facts) as run:
        log_odd_points(run)
    assert run.flush(timeout=DEADLINE)
    return run


def compact_all(store: Path | MLOpsClient) -> Report:
    client = store if isinstance(store, MLOpsClient) else MLOpsClient(store)
    return compact(client._store)


# Whole runs ---------------------------------------------------------------------------------


def test_a_run_that_ended_becomes_one_range_for_each_writer_and_reads_the_same(
    client: MLOpsClient, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(client)
    record(client)  # resumed: goes back over the same steps
    before, segments = everything(read(store)), objects(store)
    report = compact_all(store)
    left = objects(store)

    assert len(segments) > 20
    assert {name.partition(".")[2] for name in left} == {"parquet"}
    assert len(left) == 2
    assert everything(read(store)) == before
    assert report.left == ()
    assert report.points >= sum(len(points) for points in raw(read(store)).values())
    assert report.after < report.before
    assert caplog.records == []


def test_compacting_again_does_nothing(client: MLOpsClient, store: Path) -> None:
    record(client)
    compact_all(store)
    before = {name: path_of(store, name).stat().st_mtime_ns for name in objects(store)}

    assert compact_all(store) == Report(runs=1)
    assert {name: path_of(store, name).stat().st_mtime_ns for name in objects(store)} == before


def test_only_the_runs_that_are_named_are_compacted(client: MLOpsClient, store: Path) -> None:
    record(client)
    record(client, "other")
    seen: list[Compacted] = []
    report = compact(client._store, ["other"], seen.append)

    assert report.runs == 1
    assert objects(store, "other") != objects(store)
    assert not [name for name in objects(store) if name.endswith("parquet")]
    assert seen == sorted(seen)
    assert seen[-1] == Compacted(1, 1, report.before)
    assert "1 runs" in str(report)


def test_a_reader_that_saw_the_segments_sees_no_change(client: MLOpsClient, store: Path) -> None:
    record(client)
    kept = read(store)
    before = everything(kept)
    compact_all(store)

    assert everything(kept) == before


def test_metrics_that_were_taken_before_are_readable_after_ranges_were_merged(
    client: MLOpsClient, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podstack.compact.FANOUT", 4)
    run = client.start_run(run_id="r")
    log_odd_points(run)
    compact_all(store)
    metrics = read(store).metrics
    small = objects(store)
    run.finish()
    assert run.flush(timeout=DEADLINE)
    compact_all(store)

    assert len(small) > 3
    assert objects(store) == [f"000000-{len(small_targets(small)) - 1:06d}.parquet"]
    assert raw_of(metrics) == raw(read(store))


def small_targets(names: list[str]) -> list[int]:
    """The numbers of all segments behind these objects."""
    found: list[int] = []
    for name in names:
        first, _, last = name.partition(".")[0].partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def test_a_metric_is_fetched_alone_and_a_summary_without_any_row(
    client: MLOpsClient, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SEGMENT", 8_000_000)
    chance = random.Random(1)
    with client.start_run(run_id="r") as run:
        for step in range(70_000):  # enough for row groups of their own
            run.log_metrics({"a": chance.random(), "b": chance.random()}, step=step)
    assert run.flush(timeout=DEADLINE)
    expected = run.metrics["b"].values.tolist(), str(dict(run.summary))
    compact_all(store)
    (name,) = objects(store)
    size = path_of(store, name).stat().st_size
    run = read(store)
    asked = counted(run)

    assert str(dict(run.summary)) == expected[1]
    assert sum(asked) <= 1 << 16
    asked.clear()
    assert run.metrics["b"].values.tolist() == expected[0]
    assert size * 0.4 < sum(asked) < size * 0.6


def counted(run: Run) -> list[int]:
    """The bytes of each answer that the run's points get from the store from now on."""
    asked: list[int] = []
    backend = run._store.backend
    get = backend.get

    class Counting:
        url, put, delete = backend.url, backend.put, backend.delete
        list, list_dirs, close = backend.list, backend.list_dirs, backend.close

        def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
            data = get(key, start, stop)
            asked.append(len(data))
            return data

    run._point_logs = PointLogs(Counting(), PREFIX)
    return asked


def test_a_point_takes_at_most_five_bytes() -> None:
    chance, count = random.Random(1), 100_000
    values = [struct.unpack("f", struct.pack("f", chance.gauss(2, 0.1)))[0] for _ in range(count)]
    columns = Columns(
        array("q", range(count)),
        array("d", values),
        array("d", itertools.accumulate(chance.uniform(2e-5, 6e-5) for _ in range(count))),
    )
    for i in range(count):
        columns.times[i] += 1763935530.125
    rows = Rows(columns, array("q", range(count)))
    data = parquet.encode(["loss"], lambda name: rows, [Seal(1, 2, count)])

    assert len(data) / count <= 5


def test_other_readers_see_plain_columns_in_the_order_of_the_document(
    client: MLOpsClient, store: Path
) -> None:
    record(client)
    compact_all(store)
    (name,) = objects(store)
    table = pyarrow.parquet.read_table(path_of(store, name))
    rows = [
        (r["key"], r["step"], r["line"]) for r in table.select(["key", "step", "line"]).to_pylist()
    ]

    assert table.column_names == ["key", "step", "time", "rest", "value", "line"]
    assert [str(f.type) for f in table.schema] == [
        "string", "int64", "timestamp[us, tz=UTC]", "double", "double", "int64",
    ]  # fmt: skip
    assert rows == sorted(rows, key=lambda row: (row[0].encode(), *row[1:]))


# Any lines at all -----------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "ü", "long/name"])
VALUES = st.floats(width=64) | st.sampled_from([math.nan, -0.0, 0.0, 1.0])
TIMES = st.integers(0, 3).map(float) | st.floats(0, 4e9) | st.just(1763935530.1251234)
LINES = st.tuples(
    st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    TIMES,
    st.dictionaries(NAMES, VALUES, min_size=1, max_size=3),
)
WRITERS = st.lists(st.lists(st.lists(LINES, max_size=6), max_size=4), min_size=1, max_size=3)


def memory() -> Store:
    return MLOpsClient(f"memory://{os.urandom(8).hex()}")._store


def forge(store: Store, writer: str, segments: list[bytes], *, sealed: bool = True) -> None:
    """What a writer leaves that ended; or what one leaves that may go on."""
    for seq, data in enumerate(segments):
        store.backend.put(KEYS.segment("r", writer, seq), data)
    facts: dict[str, Any] = {f"writers/{writer}": {"role": "main"}}
    if sealed and segments:
        facts[f"seals/{writer}"] = [[len(data), zlib.crc32(data)] for data in segments]
    store.backend.put(KEYS.meta_log("r", writer), oplog.encode(hybrid_clock.next(), facts))


def metrics_of(store: Store) -> Metrics:
    return Run(store, "r").metrics


def names_of(store: Store) -> list[str]:
    return [info.key[len(PREFIX) :] for info in store.backend.list(PREFIX)]


@settings(deadline=None, max_examples=60)
@given(WRITERS, st.integers(2, 4))
def test_any_lines_of_any_writers_come_back_bit_by_bit(
    writers: list[list[list[tuple[int, float, dict[str, float]]]]], fanout: int
) -> None:
    store = memory()
    for number, segments in enumerate(writers):
        data = [b"".join(points.encode(*line) for line in lines) for lines in segments]
        forge(store, f"w{number}", data)
    before, shown = raw_of(metrics_of(store)), repr(metrics_of(store))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("podstack.compact.FANOUT", fanout)
        report = compact(store)

    assert report.left == ()
    assert [name for name in names_of(store) if name.endswith(".jsonl")] == [
        f"w{n}/{seq:06d}.jsonl"
        for n, segments in enumerate(writers)
        if not any(segments)
        for seq in range(len(segments))
    ]
    assert raw_of(metrics_of(store)) == before
    assert list(metrics_of(store)) == list(before)
    assert repr(metrics_of(store)) == shown


@pytest.mark.parametrize(
    ("count", "ended", "expected"),
    [
        (0, True, []),
        (0, False, []),
        (3, True, [(0, 2)]),
        (3, False, []),
        (16, True, [(0, 15)]),
        (17, False, [(0, 15)]),
        (33, True, [(0, 15), (16, 31), (0, 32)]),
    ],
)
def test_the_ranges_that_are_made(count: int, ended: bool, expected: list[tuple[int, int]]) -> None:
    assert list(targets(count, ended=ended)) == expected


def test_of_a_writer_that_goes_on_blocks_of_blocks_are_made() -> None:
    made = list(targets(1000, ended=False))

    assert (0, 255) in made
    assert (512, 767) in made
    assert (768, 1023) not in made
    assert (976, 991) in made
    for first, last in made:
        size = last - first + 1
        assert size in (16, 256)
        assert first % size == 0


# Writers that go on, and writers that are gone -----------------------------------------------


def test_of_a_run_that_records_whole_blocks_are_compacted_and_never_the_last_segment(
    client: MLOpsClient, store: Path
) -> None:
    run = client.start_run(run_id="r")
    step = 0
    while len(objects(store)) < 20:
        run.log_metrics({"x": step / 2}, step=step)
        step += 1
    report = compact_all(store)
    left = objects(store)
    run.log_metrics({"x": step / 2}, step=step)

    assert left == ["000000-000015.parquet", *(f"{seq:06d}.jsonl" for seq in range(16, 20))]
    assert len(report.written) == 1
    assert read(store).metrics["x"].values.tolist() == [i / 2 for i in range(step + 1)]
    run.finish()
    assert run.flush(timeout=DEADLINE)
    assert read(store).metrics["x"].values.tolist() == [i / 2 for i in range(step + 1)]
    compact_all(store)
    assert objects(store) == ["000000-000019.parquet"]
    assert read(store).metrics["x"].values.tolist() == [i / 2 for i in range(step + 1)]


def test_a_segment_that_was_compacted_before_its_writer_sealed_it_is_no_contradiction(
    client: MLOpsClient, store: Path, held_keeper: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run = client.start_run(run_id="r")
    for step in range(200):
        run.log_metrics({"x": step}, step=step)
    compact_all(store)
    assert objects(store)[0] == "000000-000015.parquet"
    held_keeper.set()
    run.finish()
    assert run.flush(timeout=DEADLINE)
    seals = read(store)._fold().below("seals")

    assert [len(seal or []) for (of_writer,) in [seals.values()] for seal in of_writer][:17] == [
        *([0] * 16),
        2,
    ]
    assert len(read(store).metrics["x"]) == 200
    assert compact_all(store).left == ()
    assert len(read(store).metrics["x"]) == 200
    assert caplog.records == []


def test_a_run_whose_process_was_killed_is_compacted_whole_and_readers_know_how_much_there_was(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    child = stage.start(
        f"""
        import podstack.journal
        podstack.journal.SEGMENT = {SMALL}
        run = client.start_run(run_id="r")
        for i in range(100):
            log(run, i)
        print("logged", flush=True)
        time.sleep(600)
        """
    )
    child.wait_for_word("logged")
    assert compact_all(stage.store).written == ()  # too few for a block, and it may go on
    child.end()
    before = everything(stage.run())
    report = compact_all(stage.store)

    assert [name.partition(".")[2] for name in objects(stage.store)] == ["parquet"]
    assert everything(stage.run()) == before
    assert report.left == ()
    assert caplog.records == []
    path_of(stage.store, objects(stage.store)[0]).unlink()
    assert dict(stage.run().metrics) == {}
    assert "is missing" in caplog.text


def full_segments(count: int, *, keys: int = 1) -> list[bytes]:
    """Segments as a writer cuts them: the next line would not have fitted."""
    found, data = [], b""
    for step in itertools.count():
        line = points.encode(step, 1e9 + step, {f"x{k}": step / 2 for k in range(keys)})
        if data and len(data) + len(line) > SMALL:
            found.append(data)
            data = b""
        data += line
        if len(found) == count:
            return found
    raise AssertionError


def test_a_segment_that_a_copy_caught_while_it_grew_is_not_compacted() -> None:
    store, segments = memory(), full_segments(20)
    whole = segments[3]
    segments[3] = whole[: whole.rfind(b"\n", 0, len(whole) // 2) + 1]
    forge(store, "w", segments, sealed=False)

    assert compact(store).written == ()
    store.backend.put(KEYS.segment("r", "w", 3), whole)
    assert [one.key[len(PREFIX) :] for one in compact(store).written] == ["w/000000-000015.parquet"]


def test_a_segment_that_grew_after_it_was_compacted_counts_with_all_its_lines() -> None:
    store, segments = memory(), full_segments(6)
    late = [points.encode(2, 1e9 + 12, {"x0": 99.0}), points.encode(-5, 1e9 + 13, {"new": 1.0})]
    forge(store, "w", segments)
    compact(store)
    copy = memory()
    grown = [*segments[:2], segments[2] + b"".join(late), *segments[3:]]
    for one, data in ((store, grown), (copy, grown)):
        forge(one, "w", data)
    compact(copy)
    expected = raw_of(metrics_of(copy))

    assert expected["new"]
    assert raw_of(metrics_of(store)) == expected
    report = compact(store)
    assert raw_of(metrics_of(store)) == expected
    assert "w/000002.jsonl" in names_of(store)
    assert [left.key[len(PREFIX) :] for left in report.left] == ["w/000002.jsonl"]
    assert "longer" in report.left[0].why


def test_a_compacted_run_is_resumed_at_its_next_step_without_pyarrow(
    client: MLOpsClient, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = client._store
    forge(backend, "w", full_segments(3))
    steps = len(metrics_of(backend)["x0"])
    compact_all(client)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with MLOpsClient(store).start_run(run_id="r") as run:
        run.log_metrics({"y": 1})
    monkeypatch.undo()

    assert read(store).metrics["y"].steps.tolist() == [steps]


# What stays as it is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"not json\n", "cannot be read"),
        (b'{"s":1,"t":2.0,"v":{"x":null}}\n', "cannot be read"),
        (b'{"s":1,"t":2.0,"v":{"x":1},"later":1}\n', "more or less"),
        (b'{"s":1,"t":2.0,"v":{}}\n', "more or less"),
        (b'{"s":1.5,"t":2.0,"v":{"x":1}}\n', "cannot be read"),
        (b'{"s":1,"t":1e300,"v":{"x":1}}\n', "beyond what a timestamp can hold"),
        (b'{"h":"1","set":{}}\n', "cannot be read"),
    ],
)
def test_a_segment_with_a_line_that_is_not_understood_stays_and_is_named(
    line: bytes, why: str
) -> None:
    store, segments = memory(), full_segments(20)
    segments[17] += line
    forge(store, "w", segments)
    before = raw_of(metrics_of(store))
    report = compact(store)

    assert names_of(store) == [
        "w/000000-000015.parquet", *(f"w/{seq:06d}.jsonl" for seq in range(16, 20)),
    ]  # fmt: skip
    assert len(report.left) == 1
    assert why in report.left[0].why
    assert raw_of(metrics_of(store)) == before


def test_a_segment_that_contradicts_its_seal_stays_and_is_named() -> None:
    store, segments = memory(), full_segments(3)
    forge(store, "w", segments)
    store.backend.put(KEYS.segment("r", "w", 1), segments[1].replace(b'"x0":', b'"x9":'))
    names = names_of(store)
    report = compact(store)

    assert names_of(store) == names
    assert [left.key for left in report.left] == [KEYS.segment("r", "w", 1)]
    assert "seal" in report.left[0].why
    assert str(report).endswith("it is not what its seal says")


def test_a_missing_segment_stops_its_range_and_is_named() -> None:
    store = memory()
    forge(store, "w", full_segments(3))
    store.backend.delete(KEYS.segment("r", "w", 1))
    report = compact(store)

    assert names_of(store) == ["w/000000.jsonl", "w/000002.jsonl"]
    assert [(left.key, left.why) for left in report.left] == [
        (KEYS.segment("r", "w", 1), "it is missing")
    ]


def test_packed_segments_are_compacted_and_a_damaged_one_stays() -> None:
    store, segments = memory(), full_segments(3)
    forge(store, "w", segments)
    for seq, data in enumerate(segments):
        key = KEYS.segment("r", "w", seq)
        store.backend.delete(key)
        store.backend.put(f"{key}.gz", gzip.compress(data))
    before = raw_of(metrics_of(store))
    whole = store.backend.get(f"{KEYS.segment('r', 'w', 1)}.gz")
    store.backend.put(f"{KEYS.segment('r', 'w', 1)}.gz", whole[:-9])

    assert "cannot be unpacked" in compact(store).left[0].why
    store.backend.put(f"{KEYS.segment('r', 'w', 1)}.gz", whole)
    assert compact(store).left == ()
    assert names_of(store) == ["w/000000-000002.parquet"]
    assert raw_of(metrics_of(store)) == before


def test_what_follows_the_last_newline_is_no_line_and_goes() -> None:
    store, segments = memory(), full_segments(2)
    forge(store, "w", segments)
    store.backend.put(KEYS.segment("r", "w", 1), segments[1] + b'{"s":1,"t"')
    before = raw_of(metrics_of(store))

    assert compact(store).left == ()
    assert raw_of(metrics_of(store)) == before


# Several at once, and killed ones -------------------------------------------------------------


def test_what_a_killed_compaction_left_is_deleted_by_the_next() -> None:
    store, segments = memory(), full_segments(5)
    forge(store, "w", segments)
    compact(store)
    before = raw_of(metrics_of(store))
    forge(store, "w", segments[:2])  # as if only three of them had been deleted
    store.backend.put(f"{KEYS.segment('r', 'w', 4)}.gz", gzip.compress(segments[4]))
    report = compact(store)

    assert report == Report(runs=1, deleted=3)
    assert names_of(store) == ["w/000000-000004.parquet"]
    assert raw_of(metrics_of(store)) == before


def test_a_range_that_a_larger_one_holds_is_deleted_if_it_says_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("podstack.compact.FANOUT", 2)
    store, segments = memory(), full_segments(5)
    forge(store, "w", segments, sealed=False)
    compact(store)
    (small,) = [n for n in names_of(store) if n == "w/000000-000003.parquet"]
    data = store.backend.get(PREFIX + small)
    forge(store, "w", segments)
    compact(store)
    assert names_of(store) == ["w/000000-000004.parquet"]
    store.backend.put(PREFIX + small, data)  # by somebody who was late

    assert compact(store).deleted == 1
    assert names_of(store) == ["w/000000-000004.parquet"]


def test_nothing_is_deleted_for_a_range_that_is_damaged() -> None:
    store, segments = memory(), full_segments(5)
    forge(store, "w", segments)
    compact(store)
    key = KEYS.range("r", "w", 0, 4)
    data = bytearray(store.backend.get(key))
    data[len(data) // 3] ^= 4
    store.backend.put(key, bytes(data))
    forge(store, "w", segments)
    report = compact(store)

    assert len(names_of(store)) == 6
    assert report.deleted == 0
    assert "damaged" in report.left[0].why


def test_a_range_that_is_written_while_its_run_is_purged_goes_again() -> None:
    store = memory()
    forge(store, "w", full_segments(3))
    store.backend.put(KEYS.tomb("r"), b"{}")
    compact(store, ["r"])

    assert names_of(store) == [f"w/{seq:06d}.jsonl" for seq in range(3)]


class Overtaken:
    """A store whose listings miss what came and what went: each shows it only the n-th time."""

    def __init__(self, inner: Backend, late: int) -> None:
        self.url, self.get, self.put = inner.url, inner.get, inner.put
        self.delete, self.list_dirs, self.close = inner.delete, inner.list_dirs, inner.close
        self._inner, self._late = inner, late
        self.listings = 0

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        self.listings += 1
        for info in self._inner.list(prefix, start_after=start_after):
            if self.listings > self._late or keys.range_of(info.key) is None:
                yield info


@pytest.mark.parametrize("sealed", [True, False])
def test_a_listing_that_missed_a_new_range_and_the_deleted_segments_is_asked_for_again(
    sealed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = memory()
    forge(store, "w", full_segments(20), sealed=sealed)
    before = raw_of(metrics_of(store))
    compact(store)
    backend = Overtaken(store.backend, 2)
    logs = PointLogs(backend, PREFIX)
    logs.refresh({"w": [None] * 20} if sealed else {})

    assert raw_of(Metrics(logs.logs())) == before
    assert backend.listings == 3
    assert caplog.records == []


@pytest.mark.parametrize("looked_before", [False, True])
def test_a_writer_of_whom_a_listing_shows_nothing_is_asked_for_again(looked_before: bool) -> None:
    store = memory()
    backend = Overtaken(store.backend, 1)
    logs = PointLogs(backend, PREFIX)
    if looked_before:  # when it had not logged anything
        logs.refresh({}, ["w"])
    forge(store, "w", full_segments(20))
    before = raw_of(metrics_of(store))
    compact(store)
    backend.listings = 0
    logs.refresh({}, ["w"])

    assert raw_of(Metrics(logs.logs())) == before


class CutShort(Overtaken):
    """A store whose first listings end with the first range: what came after it was on its way."""

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        self.listings += 1
        for info in self._inner.list(prefix, start_after=start_after):
            place = keys.range_of(info.key)
            if self.listings > self._late or (place is not None and place.first == 0):
                yield info


@pytest.mark.parametrize("looked_before", [False, True])
def test_a_listing_that_ends_in_a_range_of_a_writer_that_goes_on_is_asked_for_again(
    looked_before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It was begun before the segment that is open now, and those before that were compacted."""
    store = memory()
    forge(store, "w", full_segments(40), sealed=False)
    before = raw_of(metrics_of(store))
    compact(store)
    backend = CutShort(store.backend, 2)
    logs = PointLogs(backend, PREFIX)
    if looked_before:
        backend.listings = 9
        logs.refresh({}, ["w"])
        backend.listings = 0
    logs.refresh({}, ["w"])

    assert raw_of(Metrics(logs.logs())) == before
    assert backend.listings == 3
    assert caplog.records == []


def test_a_gap_that_stays_is_told_once_and_what_is_there_is_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = memory()
    forge(store, "w", full_segments(4), sealed=False)
    store.backend.delete(KEYS.segment("r", "w", 1))
    logs = PointLogs(store.backend, PREFIX)
    for _ in range(3):
        logs.refresh({})

    assert Metrics(logs.logs())["x0"].steps.tolist()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "segment 1 of writer w" in caplog.text


# Damage ---------------------------------------------------------------------------------------


@pytest.fixture
def ranged() -> Store:
    store = memory()
    forge(store, "w", full_segments(4, keys=3))
    assert len(compact(store).written) == 1
    return store


def damages(data: bytes) -> Iterator[bytes]:
    for bit in range(0, 8 * len(data), 101):
        flipped = bytearray(data)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        yield bytes(flipped)
    for size in (0, 1, 7, 16, len(data) // 3, len(data) - 1):
        yield data[:size]
    for start in range(0, len(data), 311):
        yield data[:start] + bytes(64) + data[start + 64 :]
        yield data[:start] + b"\0" + data[start:]
    yield data + b"PAR1"


def test_no_damage_to_a_range_gives_a_wrong_value_and_all_is_named(
    ranged: Store, caplog: pytest.LogCaptureFixture
) -> None:
    key = KEYS.range("r", "w", 0, 3)
    data, truth = ranged.backend.get(key), raw_of(metrics_of(ranged))
    for damaged in damages(data):
        if damaged == data:
            continue
        ranged.backend.put(key, damaged)
        caplog.clear()
        found = raw_of(metrics_of(ranged))

        assert all(points in ([], truth[name]) for name, points in found.items())
        assert found != truth
        assert key in caplog.text
        with pytest.raises(Damage):
            compacted.check(damaged)


def test_a_damaged_metric_costs_only_what_lies_with_it_and_can_be_shown(
    client: MLOpsClient, store: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(parquet, "_LARGE", 1)  # row groups of their own
    record(client)
    compact_all(store)
    before = raw(read(store))
    path = path_of(store, objects(store)[0])
    data = bytearray(path.read_bytes())
    (first, *_) = compacted.check(bytes(data)).groups
    data[first.stop - 1] ^= 1
    path.write_bytes(data)
    run = read(store)
    after = raw(run)
    lost = [name for name in before if after[name] != before[name]]

    assert lost == [min(before, key=str.encode)]
    assert after[lost[0]] == []
    assert lost[0] in repr(run.metrics)
    assert caplog.text.count("is damaged") == 1


def test_a_damaged_range_gives_way_to_segments_that_are_still_there(ranged: Store) -> None:
    before = raw_of(metrics_of(ranged))
    key = KEYS.range("r", "w", 0, 3)
    ranged.backend.put(key, ranged.backend.get(key)[:-1])
    forge(ranged, "w", full_segments(4, keys=3))

    assert raw_of(metrics_of(ranged)) == before


def test_a_seal_that_contradicts_a_range_takes_that_segment_out_of_it(
    ranged: Store, caplog: pytest.LogCaptureFixture
) -> None:
    segments = full_segments(4, keys=3)
    seals: list[Any] = [[len(data), zlib.crc32(data)] for data in segments]
    seals[1][1] ^= 1
    logs = PointLogs(ranged.backend, PREFIX)
    logs.refresh({"w": seals})
    inside = {orjson.loads(line)["s"] for line in segments[1].splitlines()}
    steps = set(Metrics(logs.logs())["x1"].steps.tolist())

    assert steps == set(metrics_of(ranged)["x1"].steps.tolist()) - inside
    assert "segment 1 of writer w" in caplog.text
    assert "is not what its seal says" in caplog.text


def test_without_pyarrow_a_compacted_run_says_what_to_install_and_shows_nothing_less(
    client: MLOpsClient, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(client)
    compact_all(store)
    known, names = summaries(read(store)), list(read(store).metrics)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    run = read(store)

    assert list(run.metrics) == names
    assert summaries(run) == known
    with pytest.raises(MissingExtraError, match=r"pip install 'podstack\[parquet\]'"):
        run.metrics["loss"].values  # noqa: B018
    with pytest.raises(MissingExtraError, match=r"pip install 'podstack\[parquet\]'"):
        compact_all(store)


def test_batches_of_a_compacted_run_hold_all_of_its_points(
    client: MLOpsClient, store: Path
) -> None:
    record(client)
    before = raw(read(store))
    compact_all(store)
    logs = PointLogs(client._store.backend, PREFIX)
    logs.refresh({})

    assert raw_of(Metrics(logs.batches())) == before


def test_the_same_range_written_anew_in_other_bytes_is_found_again(ranged: Store) -> None:
    key = KEYS.range("r", "w", 0, 3)
    before = raw_of(metrics_of(ranged))
    metrics = metrics_of(ranged)
    data = ranged.backend.get(key)
    index = compacted.check(data)
    logs = PointLogs(ranged.backend, PREFIX)
    logs.refresh({})
    (part,) = logs._parts.values()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_LARGE", 1)
        anew = parquet.encode(list(index.columns), part.rows, index.segments)
    ranged.backend.put(key, anew)

    assert anew != data
    assert raw_of(metrics) == before


def test_a_range_knows_where_it_belongs() -> None:
    key = KEYS.range("r", "w", 0, 15)

    assert keys.range_of(key) == Range("w", 0, 15)
    assert keys.range_of(key).holds(3, 15)  # type: ignore[union-attr]
    assert not keys.range_of(key).holds(3, 16)  # type: ignore[union-attr]
    for other in ("000002-000001.parquet", "1-2.parquet", "000000.parquet", "000000-000001.jsonl"):
        assert keys.range_of(f"{PREFIX}w/{other}") is None
