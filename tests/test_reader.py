"""A reader sees whole lines, keeps the longest version of a log, and asks only for what grew."""

from __future__ import annotations

import gzip
import logging
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from podstack import oplog, points
from podstack.backend import Backend, BlobInfo, open_backend
from podstack.errors import BackendUnavailable
from podstack.keys import Project
from podstack.point_logs import PointLogs
from podstack.reader import OpLogs, StoreReader
from podstack.series import assemble
from podstack.testing.faults import FaultyBackend

KEYS = Project("default")


class Counting:
    """A store that notes which bytes are asked for."""

    def __init__(self, inner: Backend) -> None:
        self.inner, self.url, self.asked = inner, inner.url, list[tuple[str, int]]()

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        self.asked.append((key, start))
        return self.inner.get(key, start, stop)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        return self.inner.list(prefix, start_after=start_after)

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        return self.inner.list_dirs(prefix)

    def put(self, key: str, data: bytes | Path) -> None:
        self.inner.put(key, data)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def close(self) -> None:
        self.inner.close()


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    return Counting(open_backend(str(tmp_path)))


@pytest.fixture
def logs(store: Counting) -> PointLogs:
    return PointLogs(store, KEYS.metrics("r"))


@pytest.fixture
def facts(store: Counting) -> OpLogs:
    return OpLogs(store, KEYS.meta("r"))


def lines(first: int, stop: int, scale: float = 1.0) -> bytes:
    return b"".join(points.encode(i, 1e9 + i, {"x": i * scale}) for i in range(first, stop))


def put(store: Counting, writer: str, seq: int, data: bytes, *, packed: bool = False) -> str:
    key = KEYS.segment("r", writer, seq) + (".gz" if packed else "")
    store.put(key, gzip.compress(data, mtime=0) if packed else data)
    return key


def append(tmp_path: Path, key: str, data: bytes) -> None:
    with open(tmp_path / key, "ab") as file:
        file.write(data)


def steps(logs: PointLogs, seals: Mapping[str, object] | None = None) -> list[int]:
    logs.refresh(dict(seals or {}))
    return [point.step for point in assemble("x", logs.batches()).raw]


def test_only_what_grew_is_read_again(store: Counting, logs: PointLogs, tmp_path: Path) -> None:
    one = put(store, "a", 0, lines(0, 3))
    two = put(store, "b", 0, lines(3, 5))
    assert steps(logs) == [0, 1, 2, 3, 4]
    size = len(lines(0, 3))
    append(tmp_path, one, lines(5, 6))
    store.asked.clear()

    assert steps(logs) == [0, 1, 2, 3, 4, 5]
    assert store.asked == [(one, size)]
    assert logs.refresh({}) is False
    assert two not in [key for key, _ in store.asked]


def test_what_was_read_before_the_store_failed_is_told_as_new_once_it_answers(
    tmp_path: Path,
) -> None:
    store = FaultyBackend(open_backend(str(tmp_path)))
    logs = PointLogs(store, KEYS.metrics("r"))
    logs.refresh({})
    before, _ = logs.as_of()
    segments = [KEYS.segment("r", writer, 0) for writer in ("a", "b")]
    for segment in segments:
        store.put(segment, lines(0, 3))
    store.fail("get", BackendUnavailable("no route to host"), call=2)
    with pytest.raises(BackendUnavailable):  # the points of one of them are read by then
        logs.refresh({})
    for segment in segments:
        store.delete(segment)

    assert logs.refresh({}) is True
    after, found = logs.as_of()
    assert after is not before
    assert len(found) == 1


def test_a_torn_tail_is_dropped_and_read_once_it_is_whole(
    store: Counting, logs: PointLogs, tmp_path: Path
) -> None:
    whole = lines(0, 2)
    key = put(store, "a", 0, b"")
    for cut in range(1, len(whole) + 1):
        append(tmp_path, key, whole[cut - 1 : cut])

        assert steps(logs) == list(range(whole[:cut].count(b"\n")))


def test_a_log_that_became_shorter_keeps_what_was_seen(store: Counting, logs: PointLogs) -> None:
    put(store, "a", 0, lines(0, 4))
    assert steps(logs) == [0, 1, 2, 3]
    put(store, "a", 0, lines(0, 2))
    assert steps(logs) == [0, 1, 2, 3]
    put(store, "a", 0, lines(0, 6))

    assert steps(logs) == [0, 1, 2, 3, 4, 5]


def test_a_log_that_is_gone_keeps_what_was_seen(store: Counting, logs: PointLogs) -> None:
    store.delete(put(store, "a", 0, lines(0, 4)))
    key = put(store, "b", 0, lines(4, 6))
    assert steps(logs) == [4, 5]
    store.delete(key)

    assert steps(logs) == [4, 5]


def test_segments_are_read_in_the_order_of_their_numbers(store: Counting, logs: PointLogs) -> None:
    for seq in (1_000_000, 10, 2, 0):  # which as text would sort otherwise
        put(store, "a", seq, points.encode(0, 5.0, {"x": float(seq)}))
    logs.refresh({})

    assert [p.value for p in assemble("x", logs.batches()).raw] == [0, 2, 10, 1_000_000]


def test_a_packed_segment_is_the_same_segment(store: Counting, logs: PointLogs) -> None:
    put(store, "a", 0, lines(0, 2), packed=True)
    put(store, "a", 1, lines(2, 4), packed=True)
    assert steps(logs) == [0, 1, 2, 3]
    put(store, "a", 1, lines(2, 6), packed=True)

    assert steps(logs) == [0, 1, 2, 3, 4, 5]


def test_where_a_segment_is_plain_and_packed_the_plain_one_counts(
    store: Counting, logs: PointLogs
) -> None:
    put(store, "a", 0, lines(0, 2, scale=7), packed=True)
    put(store, "a", 0, lines(0, 3))
    logs.refresh({})

    assert [point.value for point in assemble("x", logs.batches())] == [0, 1, 2]


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b", b"no gzip at all"])
def test_a_packed_segment_that_cannot_be_unpacked_is_named_and_costs_only_itself(
    damage: bytes, store: Counting, logs: PointLogs, caplog: pytest.LogCaptureFixture
) -> None:
    key = f"{KEYS.segment('r', 'a', 0)}.gz"
    store.put(key, gzip.compress(lines(0, 50))[:40] if damage == b"" else damage)
    put(store, "b", 0, lines(50, 52))

    assert steps(logs) == [50, 51]
    assert key in caplog.text


def test_unknown_objects_beside_the_segments_are_ignored(store: Counting, logs: PointLogs) -> None:
    put(store, "a", 0, lines(0, 2))
    for name in ("000000-000015.parquet", "notes.txt", "000000.jsonl.zst", "1.jsonl"):
        store.put(f"{KEYS.metrics('r')}a/{name}", b'{"s":9,"t":1.0,"v":{"x":9}}\n')

    assert steps(logs) == [0, 1]


# Seals --------------------------------------------------------------------------------------


def seal(data: bytes) -> list[int]:
    return [len(data), zlib.crc32(data)]


def test_a_segment_that_is_what_its_seal_says_is_used_in_silence(
    store: Counting, logs: PointLogs, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "a", 0, lines(0, 2))
    put(store, "a", 1, lines(2, 4) + b'{"torn":')
    seals = {"a": [seal(lines(0, 2)), seal(lines(2, 4))]}

    assert steps(logs, seals) == [0, 1, 2, 3]
    assert caplog.records == []


def test_a_segment_that_contradicts_its_seal_is_passed_over_and_named_once(
    store: Counting, logs: PointLogs, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "a", 0, lines(0, 2).replace(b'"x":1', b'"x":7'))
    put(store, "a", 1, lines(2, 4))
    seals = {"a": [seal(lines(0, 2)), seal(lines(2, 4))]}
    for _ in range(3):
        assert steps(logs, seals) == [2, 3]

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "segment 0 of writer a" in caplog.text
    assert "is not what its seal says" in caplog.text


@pytest.mark.parametrize("left", [lines(0, 2), b""])
def test_a_segment_that_is_cut_off_is_used_as_far_as_it_goes_and_named(
    left: bytes, store: Counting, logs: PointLogs, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "a", 0, left)
    expected = list(range(left.count(b"\n")))

    assert steps(logs, {"a": [seal(lines(0, 9))]}) == expected
    assert f"segment 0 of writer a below {store.url}" in caplog.text
    assert f"cut off: {len(left)} of {len(lines(0, 9))} bytes" in caplog.text


def test_a_sealed_segment_that_is_missing_is_named(
    store: Counting, logs: PointLogs, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "a", 0, lines(0, 2))

    assert steps(logs, {"a": [seal(lines(0, 2)), seal(lines(2, 4))], "b": [seal(lines(4, 5))]}) == [
        0,
        1,
    ]
    assert "segment 1 of writer a" in caplog.text
    assert "segment 0 of writer b" in caplog.text


def test_a_segment_that_grows_into_its_seal_is_trusted_and_past_it_is_not(
    store: Counting, logs: PointLogs, tmp_path: Path
) -> None:
    key = put(store, "a", 0, lines(0, 2))
    seals: dict[str, object] = {"a": [seal(lines(0, 4))]}
    assert steps(logs, seals) == [0, 1]
    append(tmp_path, key, lines(2, 4))
    assert steps(logs, seals) == [0, 1, 2, 3]
    append(tmp_path, key, lines(4, 5))

    assert steps(logs, seals) == []


def test_a_segment_that_was_cut_off_and_grows_into_something_else_is_passed_over(
    store: Counting, logs: PointLogs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = put(store, "a", 0, lines(0, 2))
    seals: dict[str, object] = {"a": [seal(lines(0, 4))]}
    assert steps(logs, seals) == [0, 1]
    append(tmp_path, key, lines(2, 4).replace(b'"x":3', b'"x":7'))

    assert steps(logs, seals) == []
    assert "is not what its seal says" in caplog.text


@pytest.mark.parametrize(
    "odd",
    [None, 7, "x", {}, [], [None], [[]], [[1]], [[1, 2, 3]], [["a", "b"]], [[1.5, 2]], [[True, 1]]],
)
def test_a_seal_that_is_none_seals_nothing(
    odd: object, store: Counting, logs: PointLogs, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "a", 0, lines(0, 2))

    assert steps(logs, {"a": odd}) == [0, 1]
    assert caplog.records == []


# Op logs ------------------------------------------------------------------------------------


def stamp(count: int) -> str:
    return f"{count:016x}"


def test_facts_of_all_writers_fold_and_only_what_grew_is_read_again(
    store: Counting, facts: OpLogs, tmp_path: Path
) -> None:
    one, two = KEYS.meta_log("r", "a"), KEYS.meta_log("r", "b")
    store.put(one, oplog.encode(stamp(2), {"x": "late"}))
    store.put(two, oplog.encode(stamp(1), {"x": "early", "y": 1}))
    assert (facts.fold().get("x"), facts.fold().get("y")) == ("late", 1)
    size = os.path.getsize(tmp_path / two)
    append(tmp_path, two, oplog.encode(stamp(3), {"x": "latest"}) + b'{"h":"')
    store.asked.clear()

    assert facts.fold().get("x") == "latest"
    assert store.asked == [(two, size)]
    assert [change.value for change in facts.history("x")] == ["early", "late", "latest"]


def test_an_op_log_may_be_packed(store: Counting, facts: OpLogs) -> None:
    data = oplog.encode(stamp(1), {"x": 1})
    store.put(f"{KEYS.meta_log('r', 'a')}.gz", gzip.compress(data))
    assert facts.fold().get("x") == 1
    store.put(
        f"{KEYS.meta_log('r', 'a')}.gz", gzip.compress(data + oplog.encode(stamp(2), {"x": 2}))
    )

    assert facts.fold().get("x") == 2


def test_lines_of_an_op_log_that_cannot_be_read_are_named_once(
    store: Counting, facts: OpLogs, caplog: pytest.LogCaptureFixture
) -> None:
    key = KEYS.meta_log("r", "a")
    good = oplog.encode(stamp(1), {"x": 1})
    store.put(key, b"\0\0\0\n" + good + b"{\n")
    for _ in range(3):
        assert facts.fold().get("x") == 1

    assert len(caplog.records) == 1
    assert key in caplog.text
    assert "2 lines" in caplog.text


def test_unknown_objects_beside_the_op_logs_are_ignored(store: Counting, facts: OpLogs) -> None:
    for name in ("a.json", "a.txt", "a.gz", "Not An Id.jsonl"):
        store.put(f"{KEYS.meta('r')}{name}", oplog.encode(stamp(1), {"x": 1}))

    assert facts.fold().get("x") is None


def test_purged_runs_are_not_listed_even_where_objects_are_left(store: Counting) -> None:
    for run in ("a", "b", "c"):
        store.put(KEYS.meta_log(run, "w"), oplog.encode(stamp(1), {"x": 1}))
    store.put(KEYS.tomb("b"), b"{}")
    reader = StoreReader(store, KEYS)

    assert reader.run_ids() == ["a", "c"]
    assert reader.purged() == {"b"}


def test_hints_belong_to_one_run_only(store: Counting) -> None:
    for run in ("a", "a.b", "ab"):
        store.put(KEYS.live_hint(run, f"w-{run.replace('.', '-')}"), b"{}")
    reader = StoreReader(store, KEYS)

    assert [writer for writer, _ in reader.hints("a")] == ["w-a"]
    assert [writer for writer, _ in reader.hints("a.b")] == ["w-a-b"]


def test_a_log_that_is_read_line_by_line_is_kept_in_few_pieces(
    store: Counting, logs: PointLogs, tmp_path: Path
) -> None:
    key = put(store, "a", 0, lines(0, 1))
    handed_out = []
    for step in range(1, 200):
        logs.refresh({})
        handed_out += [
            (piece, list(piece.steps)) for _, batches in logs.batches() for piece in batches
        ]
        append(tmp_path, key, lines(step, step + 1))

    assert steps(logs) == list(range(200))
    assert len(logs.batches()[0][1]) <= 8  # as many as 200 has binary digits
    assert all(list(piece.steps) == before for piece, before in handed_out)  # nobody's changed


def test_what_stands_for_the_points_is_another_object_only_after_something_new(
    store: Counting, logs: PointLogs, tmp_path: Path
) -> None:
    key = put(store, "a", 0, lines(0, 3))
    logs.refresh({})
    version, _ = logs.as_of()
    logs.refresh({})
    assert logs.as_of()[0] is version
    append(tmp_path, key, lines(3, 4))
    logs.refresh({})

    assert logs.as_of()[0] is not version
