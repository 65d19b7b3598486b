"""Whatever lay in a store lies in the other one afterwards: in any form, order and state."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from podstack import (
    BackendError,
    BackendUnavailable,
    MLOpsClient,
    NotFoundError,
    Run,
    UsageError,
    differences,
    journal,
    keys,
    transfer,
)
from podstack.backend import Backend, BlobInfo, open_backend
from podstack.compact import compact
from podstack.errors import AccessDeniedError
from podstack.packed import packed
from podstack.sync import SyncReport, steps, sync
from podstack.testing.faults import FaultyBackend
from podstack.testing.stage import DEADLINE, Child, Stage

KEYS = keys.Project("default")


def folder(path: Path) -> Backend:
    return open_backend(str(path))


def bucket() -> Backend:
    """A store that is no folder, for this test alone."""
    return open_backend(f"memory://{uuid.uuid4().hex}")


def contents(store: Backend, *, plain: bool = True) -> dict[str, bytes]:
    """Every object but labels and hints; logs by their plain text."""
    found = {}
    for info in store.list("projects/"):
        if info.key.split("/")[2] == "live":
            continue
        data, key = store.get(info.key), keys.plain_log(info.key)
        if plain and key is not None:
            data = gzip.decompress(data) if info.key.endswith(".gz") else data
        found[(plain and key) or info.key] = data
    return found


def record(client: MLOpsClient, run_id: str, *, steps: int = 30, file: bytes = b"model") -> Run:
    path = Path(str(client.uri)).parent / "model.bin"
    path.write_bytes(file)
    client.create_experiment("digits")
    with client.start_run("digits", run_id=run_id, params={"lr": 0.1}, tags=["t"]) as run:
        for step in range(steps):
            run.log_metrics({"loss": 1 / (step + 1), "acc": step}, step=step)
        run.log_artifact(path)
    assert run.flush(timeout=DEADLINE)  # its seals too
    return run


def raw(store: Path, run_id: str) -> dict[str, list[Any]]:
    metrics = MLOpsClient(store).get_run(run_id).metrics
    return {name: list(series.raw) for name, series in metrics.items()}


@pytest.fixture
def filled(store: Path, client: MLOpsClient) -> Backend:
    record(client, "one")
    record(client, "two")
    return folder(store)


# Round trips --------------------------------------------------------------------------------


def test_a_folder_is_the_same_in_another_folder(filled: Backend, tmp_path: Path) -> None:
    there = folder(tmp_path / "there")
    report = sync(filled, there)

    assert contents(there) == contents(filled) != {}
    assert report.is_complete
    assert report.runs == ("one", "two")
    assert sum(report.kinds.values()) == report.objects
    assert raw(tmp_path / "there", "one") == raw(tmp_path / "store", "one")


def test_a_folder_comes_back_from_a_bucket_byte_for_byte(filled: Backend, tmp_path: Path) -> None:
    far, back = bucket(), folder(tmp_path / "back")
    sync(filled, far)
    sync(far, back)

    assert contents(back, plain=False) == contents(filled, plain=False)
    logs = [info.key for info in far.list() if keys.plain_log(info.key)]
    assert logs
    assert [key for key in logs if not key.endswith(".gz")] == []


def test_the_label_of_a_copy_is_its_own(filled: Backend, tmp_path: Path) -> None:
    there = folder(tmp_path / "there")
    sync(filled, there)
    ours, theirs = (orjson.loads(s.get("podstack.json")) for s in (filled, there))

    assert theirs["podstack"] == 1
    assert theirs["store"] != ours["store"]


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_second_sync_copies_nothing_and_asks_for_listings_only(
    filled: Backend, tmp_path: Path, kind: str
) -> None:
    there = folder(tmp_path / "there") if kind == "folder" else bucket()
    sync(filled, there)
    source, target = FaultyBackend(filled), FaultyBackend(there)
    report = sync(source, target)

    assert report.objects == 0
    assert source.calls["get"] == target.calls["get"] == 1  # the label
    assert target.calls["put"] == target.calls["delete"] == 0


def test_without_its_memory_it_asks_once_for_each_packed_log_and_copies_nothing(
    filled: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = bucket()
    sync(filled, far)
    monkeypatch.setenv("PODSTACK_CACHE", str(tmp_path / "other"))
    target = FaultyBackend(far)
    first = sync(filled, target)
    logs = [info.key for info in far.list() if keys.plain_log(info.key)]

    assert first.objects == 0
    assert target.calls["get"] <= 2 * len(logs) + 1
    target.calls.clear()
    assert sync(filled, target).objects == 0
    assert target.calls["get"] == 1


def test_a_broken_memory_is_ignored(filled: Backend, tmp_path: Path) -> None:
    far = bucket()
    sync(filled, far)
    for path in (tmp_path / "cache" / "synced").iterdir():
        path.write_bytes(b'{"x": [1], "y": {}, "z"')

    assert sync(filled, far).objects == 0


def test_a_dry_run_says_the_same_and_writes_nothing(filled: Backend, tmp_path: Path) -> None:
    there = folder(tmp_path / "there")
    planned = sync(filled, there, dry_run=True)
    assert not (tmp_path / "there").exists()
    done = sync(filled, there)

    assert planned.runs == done.runs
    assert {k: n for k, n in done.kinds.items() if k != "hints"} == planned.kinds


def test_only_the_named_project_is_copied(store: Path, tmp_path: Path) -> None:
    for project in ("alpha", "beta"):
        record(MLOpsClient(store, project=project), "r")
    there = folder(tmp_path / "there")
    sync(folder(store), there, projects=["beta"])

    assert list(there.list_dirs("projects/")) == ["beta"]
    with pytest.raises(NotFoundError, match="No project 'gamma'"):
        sync(folder(store), there, projects=["gamma"])
    sync(folder(store), there)
    assert contents(there) == contents(folder(store))


def test_only_the_named_run_is_copied(filled: Backend, tmp_path: Path) -> None:
    there = folder(tmp_path / "there")
    report = sync(filled, there, runs=["two"])

    assert report.runs == ("two",)
    assert list(there.list_dirs(KEYS.runs)) == ["two"]


def test_as_a_job_it_takes_a_step_for_each_object(filled: Backend, tmp_path: Path) -> None:
    reports: list[SyncReport] = []
    there = folder(tmp_path / "there")
    taken = sum(1 for _ in steps(filled, there, reports.append))

    assert contents(there) == contents(filled)
    assert reports[0].objects <= taken


def test_unknown_objects_are_copied_and_what_is_nobodys_is_not(
    filled: Backend, tmp_path: Path
) -> None:
    kept = ["later/thing", f"{KEYS.root}sweeps/s/w.jsonl", f"{KEYS.run('one')}new/x.bin"]
    left = ["server/users", f"{KEYS.root}cache/index", ".lock", ".shipped", ".hidden/x"]
    for key in kept + left:
        filled.put(key, b"{}\n")
    there = folder(tmp_path / "there")
    sync(filled, there)
    found = {info.key for info in there.list()}

    assert set(kept) <= found
    assert not set(left) & found


# Logs ---------------------------------------------------------------------------------------

LOG = f"{KEYS.meta('r')}w.jsonl"
LINES = b"".join(b'{"h":"%016x","set":{}}\n' % i for i in range(9))
HALF = LINES[: LINES.index(b"\n", 40) + 1]


def one(key: str, data: bytes) -> Backend:
    store = bucket()
    store.put(key, packed(data) if key.endswith(".gz") else data)
    return store


@pytest.mark.parametrize("here", [LOG, f"{LOG}.gz"])
@pytest.mark.parametrize("there", [LOG, f"{LOG}.gz"])
def test_of_a_log_the_longer_text_wins_in_the_form_that_is_there(here: str, there: str) -> None:
    longer, shorter = one(here, LINES), one(there, HALF)
    sync(longer, shorter)

    assert [i.key for i in shorter.list("projects/") if "/live/" not in i.key] == [there]
    assert contents(shorter)[LOG] == LINES
    sync(one(here, HALF), shorter)
    assert contents(shorter)[LOG] == LINES


@pytest.mark.parametrize("form", [LOG, f"{LOG}.gz"])
def test_a_torn_line_never_leaves(form: str, tmp_path: Path) -> None:
    source = one(form, LINES + b'{"h":"half')
    for target in (folder(tmp_path / "there"), bucket()):
        sync(source, target)
        again = sync(source, target)

        assert contents(target)[LOG] == LINES
        assert again.objects == 0


def test_a_log_that_was_torn_in_the_copy_is_completed() -> None:
    target = one(LOG, LINES[:100])
    sync(one(LOG, LINES), target)

    assert contents(target)[LOG] == LINES


@pytest.mark.parametrize("there", [LOG, f"{LOG}.gz"])
def test_what_is_not_the_beginning_is_not_replaced(there: str) -> None:
    other = HALF.replace(b"h", b"H")
    target = one(there, other)
    report = sync(one(LOG, LINES), target)

    assert contents(target)[LOG] == other
    assert report.diverged == (LOG,)
    assert not report.is_complete
    assert "podstack verify" in report.failed[0].why


def test_a_damaged_packed_log_is_named_and_left(filled: Backend, tmp_path: Path) -> None:
    key = f"{KEYS.meta('one')}zz.jsonl.gz"
    filled.put(key, packed(LINES)[:-9] + b"123456789")
    there = folder(tmp_path / "there")
    report = sync(filled, there)

    assert [failed.key for failed in report.failed] == [key]
    assert "is damaged" in report.failed[0].why
    assert len(contents(there)) == len(contents(filled, plain=False)) - 1


def test_of_a_log_that_lies_in_both_forms_the_longer_is_taken(tmp_path: Path) -> None:
    source = one(LOG, HALF)
    source.put(f"{LOG}.gz", packed(LINES))
    there = folder(tmp_path / "there")
    sync(source, there)

    assert contents(there) == {LOG: LINES}


# Files --------------------------------------------------------------------------------------


def artifact(data: bytes, run: str = "r") -> str:
    return f"{KEYS.run(run)}artifacts/{hashlib.sha256(data).hexdigest()[:12]}/m.bin"


@pytest.mark.parametrize("far", [False, True])
def test_a_large_file_goes_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: bool
) -> None:
    monkeypatch.setattr(transfer, "AT_ONCE", 1000)
    data = os.urandom(12_345)
    source = bucket() if far else folder(tmp_path / "here")
    source.put(artifact(data), data)
    there = folder(tmp_path / "there")
    counted = FaultyBackend(source)
    sync(counted if far else source, there)

    assert there.get(artifact(data)) == data
    if far:
        assert counted.calls["get"] == 14


@pytest.mark.parametrize("limit", [1000, 1_000_000])
@pytest.mark.parametrize("far", [False, True])
def test_a_file_that_is_not_what_its_key_says_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: bool, limit: int
) -> None:
    monkeypatch.setattr(transfer, "AT_ONCE", limit)
    source = bucket() if far else folder(tmp_path / "here")
    source.put(artifact(b"x" * 5000), b"y" * 5000)
    there = folder(tmp_path / "there")
    report = sync(source, there)

    assert contents(there) == {}
    assert "its SHA-256 begins with" in report.failed[0].why


def test_of_a_file_the_longer_stays(tmp_path: Path) -> None:
    key, here, there = f"{KEYS.run('r')}environment/w.json", bucket(), bucket()
    here.put(key, b"long enough")
    there.put(key, b"short")
    sync(here, there)
    assert there.get(key) == b"long enough"
    here.put(key, b"tiny")
    sync(here, there)
    assert there.get(key) == b"long enough"


# Two stores edited apart ----------------------------------------------------------------------


def test_two_stores_that_were_edited_apart_become_one(store: Path, tmp_path: Path) -> None:
    here, other = MLOpsClient(store), tmp_path / "there"
    record(here, "common")
    sync(folder(store), folder(other))
    there = MLOpsClient(other)
    record(here, "mine")
    record(there, "theirs")
    here.get_run("common").add_tags("mine")
    there.get_run("common").add_tags("theirs")
    there.get_run("common").set_notes("written there")
    sync(folder(store), folder(other))
    sync(folder(other), folder(store))

    assert contents(folder(store)) == contents(folder(other))
    for path in (store, other):
        run = MLOpsClient(path).get_run("common")
        assert set(run.tags) == {"t", "mine", "theirs"}
        assert run.notes == "written there"
        assert {r.id for r in MLOpsClient(path).list_runs()} == {"common", "mine", "theirs"}
    assert sync(folder(store), folder(other)).objects == 0
    assert sync(folder(other), folder(store)).objects == 0


def test_a_reader_of_the_target_finds_what_came_for_a_run_that_it_knew(
    store: Path, tmp_path: Path, client: MLOpsClient
) -> None:
    record(client, "r")
    far = bucket()
    sync(folder(store), far)
    reader = MLOpsClient(far.url)
    assert [run.tags for run in reader.list_runs()] == [["t"]]
    for hint in list(folder(store).list(KEYS.live)):
        folder(store).delete(hint.key)  # as whoever lists does after two hours
    client.get_run("r")
    (store / KEYS.meta("r") / "zz.jsonl").write_bytes(
        b'{"h":"ffff000000000000","set":{"tags/late":true}}\n'
    )
    sync(folder(store), far)

    assert [sorted(run.tags) for run in reader.list_runs()] == [["late", "t"]]


# Tombs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_purged_run_stays_purged_and_nothing_is_deleted(
    filled: Backend, store: Path, tmp_path: Path, side: str
) -> None:
    other = tmp_path / "there"
    there = folder(other)
    sync(filled, there)
    before = contents(there)
    MLOpsClient(store if side == "source" else other).get_run("one").purge()
    after = contents(there)
    report = sync(filled, there)

    assert [run.id for run in MLOpsClient(other).list_runs()] == ["two"]
    if side == "source":
        assert contents(there) == before | {KEYS.tomb("one"): b"{}"}
        assert report.kinds == {"tombs": 1}
    else:
        assert contents(there) == after
        assert report.skipped == ("one",)


def test_a_deleted_run_is_copied_as_deleted(filled: Backend, store: Path, tmp_path: Path) -> None:
    MLOpsClient(store).get_run("one").delete()
    sync(filled, folder(tmp_path / "there"))
    there = MLOpsClient(tmp_path / "there")

    assert [run.id for run in there.list_runs()] == ["two"]
    there.get_run("one").restore()
    assert len(there.list_runs()) == 2


# Compaction -----------------------------------------------------------------------------------


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT", 400)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_store_that_was_compacted_on_one_side_reads_the_same(
    small_segments: None, store: Path, tmp_path: Path, client: MLOpsClient, side: str
) -> None:
    record(client, "r", steps=200)
    other = tmp_path / "there"
    sync(folder(store), folder(other))
    expected = raw(store, "r")
    compact(MLOpsClient(store if side == "source" else other)._store)
    target = FaultyBackend(folder(other))
    sync(folder(store), target)
    again = sync(folder(store), target)

    assert raw(other, "r") == raw(store, "r") == expected
    assert again.objects == 0
    names = [i.key.rpartition("/")[2] for i in folder(other).list(KEYS.metrics("r"))]
    assert [name for name in names if name.endswith(".parquet")] != []
    if side == "target":
        assert [name for name in names if name.endswith(".jsonl")] == []
        target.calls.clear()
        sync(folder(store), target)
        assert target.calls["get"] == 1  # it knows by now what the range holds


class Meanwhile(FaultyBackend):
    """Something happens to the store right before points are read from it for the first time."""

    def __init__(self, store: Backend, happens: Callable[[], object]) -> None:
        super().__init__(store)
        self.happens: Callable[[], object] | None = happens

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        if "/metrics/" in key and self.happens is not None:
            happens, self.happens = self.happens, None
            happens()
        return super().get(key, start, stop)


@pytest.mark.parametrize("in_flight", [1, 8])
@pytest.mark.parametrize("form", ["plain", "packed"])
def test_a_run_that_is_compacted_while_it_is_copied_arrives_whole(
    small_segments: None,
    store: Path,
    tmp_path: Path,
    client: MLOpsClient,
    in_flight: int,
    form: str,
) -> None:
    """Packed: the target has half of each log, so that the source is asked while looking."""
    record(client, "r", steps=200)
    expected, other = raw(store, "r"), tmp_path / "there"
    if form == "packed":
        sync(folder(store), folder(other))
        for path in (other / KEYS.metrics("r")).rglob("*.jsonl"):
            path.with_name(f"{path.name}.gz").write_bytes(packed(path.read_bytes()[:100]))
            path.unlink()
    source = Meanwhile(folder(store), lambda: compact(MLOpsClient(store)._store))
    report = sync(source, folder(other), in_flight=in_flight)

    assert source.happens is None
    assert report.failed == ()
    assert raw(other, "r") == expected


def test_a_segment_that_grew_after_it_was_compacted_is_copied(
    small_segments: None, store: Path, tmp_path: Path, client: MLOpsClient
) -> None:
    record(client, "r", steps=100)
    other = tmp_path / "there"
    sync(folder(store), folder(other))
    compact(MLOpsClient(other)._store)
    grown = sorted((store / KEYS.metrics("r")).rglob("*.jsonl"))[-1]
    with grown.open("ab") as file:
        file.write(b'{"s":999,"t":2.0,"v":{"late":1.0}}\n')
    sync(folder(store), folder(other))

    assert (other / grown.relative_to(store)).read_bytes() == grown.read_bytes()


def test_a_damaged_range_of_the_target_holds_nothing(
    small_segments: None, store: Path, tmp_path: Path, client: MLOpsClient
) -> None:
    record(client, "r", steps=100)
    other = tmp_path / "there"
    sync(folder(store), folder(other))
    compact(MLOpsClient(other)._store)
    (range_,) = (other / KEYS.metrics("r")).rglob("*.parquet")
    range_.write_bytes(range_.read_bytes()[:-30] + b"x" * 30)
    sync(folder(store), folder(other))

    mine = {p.name for p in (store / KEYS.metrics("r")).rglob("*.jsonl")}
    assert mine <= {p.name for p in (other / KEYS.metrics("r")).rglob("*.jsonl")}


# While runs record ----------------------------------------------------------------------------

WRITER = """
run = client.start_run(run_id="r")
for i in range(10**9):
    log(run, i)
    if i % 500 == 0:
        path = __file__ + str(i % 5000)
        open(path, "w").write(str(i))
        run.log_artifact(path, f"files/{i}.txt")
        run.flush(200)  # a slow disk has to keep up with them
"""


def _is_beyond(stage: Stage, acked: int) -> bool:
    return stage.count_acked() > acked


def test_a_run_that_records_meanwhile_is_a_whole_beginning_each_time(
    stage: Stage, tmp_path: Path
) -> None:
    writer = stage.start(WRITER)
    writer.wait_until(lambda: stage.count_acked() > 100, "100 steps")
    other, far = tmp_path / "there", bucket()
    lengths = []
    acked = 0
    for _ in range(6):
        writer.wait_until(partial(_is_beyond, stage, acked), "more steps")
        acked = stage.count_acked()
        for target in (folder(other), far):
            report = sync(folder(stage.store), target)
            assert report.failed == ()
        points = MLOpsClient(other).get_run("r").metrics["x"].raw
        assert [p.step for p in points] == list(range(len(points)))
        assert len(points) >= acked
        lengths.append(len(points))
    writer.end()
    for target in (folder(other), far):
        sync(folder(stage.store), target)
        copied = {k: v for k, v in contents(target).items() if "/incoming-" not in k}
        assert copied == {
            key: data[: data.rfind(b"\n") + 1] if keys.plain_log(key) else data
            for key, data in contents(folder(stage.store)).items()
            if "/incoming-" not in key
        }

    assert lengths == sorted(lengths)
    assert lengths[-1] > lengths[0]


def test_what_facts_speak_of_is_there_before_them(filled: Backend) -> None:
    order: list[str] = []

    class Watched(FaultyBackend):
        def put(self, key: str, data: bytes | Path) -> None:
            order.append(differences.kind_of(key))
            super().put(key, data)

    sync(filled, Watched(bucket()), runs=["one"])

    assert order.index("facts") > max(order.index("points"), order.index("files"))
    assert order[-1] == "hints"


# Kills and faults -----------------------------------------------------------------------------

COPY = """
from podstack.backend import open_backend
from podstack.sync import sync
print("begin", flush=True)
sync(open_backend({source!r}), open_backend({target!r}))
"""


def _kill(stage: Stage, source: Path, target: Path) -> bool:
    """Kill a sync at a random moment; whether it was still at work."""
    child: Child = stage.start(COPY.format(source=str(source), target=str(target)))
    child.wait_for_word("begin")
    time.sleep(random.uniform(0, 0.15))
    was_running = not child.has_ended
    child.end()
    return was_running


def _killed_again_and_again(stage: Stage, client: MLOpsClient, tmp_path: Path, kills: int) -> None:
    for number in range(40):
        record(client, f"r{number}", file=os.urandom(5000))
    source = folder(stage.store)
    interrupted = 0
    for kill in range(kills):
        other = tmp_path / f"there{kill // 4}"
        interrupted += _kill(stage, stage.store, other)
        partial = contents(folder(other))
        whole = contents(source)
        assert {k: v for k, v in whole.items() if k in partial} == partial
        if kill % 4 == 3:
            sync(source, folder(other))
            assert contents(folder(other)) == whole
            assert sync(source, folder(other)).objects == 0
    print(f"kills={kills} interrupted={interrupted}")

    assert interrupted > 0


def test_a_sync_that_was_killed_is_finished_by_the_next(
    stage: Stage, client: MLOpsClient, tmp_path: Path
) -> None:
    _killed_again_and_again(stage, client, tmp_path, 20)


@pytest.mark.slow
def test_a_sync_that_was_killed_200_times_is_finished_by_the_next(
    stage: Stage, client: MLOpsClient, tmp_path: Path
) -> None:
    _killed_again_and_again(stage, client, tmp_path, 200)


@pytest.mark.parametrize("operation", ["put", "get", "list"])
def test_a_call_that_gets_no_answer_is_made_again(filled: Backend, operation: str) -> None:
    """Whichever it is."""
    whole = contents(filled)
    for call in range(1, 12, 2):
        faulty = {"put": FaultyBackend(bucket())}.get(operation) or FaultyBackend(filled)
        faulty.fail(operation, BackendUnavailable("503"), call=call)
        target = faulty if operation == "put" else bucket()
        report = sync(filled if operation == "put" else faulty, target, in_flight=1)

        assert contents(target) == whole
        assert report.failed == ()


def test_what_fails_for_good_costs_only_itself(filled: Backend) -> None:
    counted = FaultyBackend(bucket())
    sync(filled, counted)
    for call in range(2, counted.calls["put"] + 1):
        target = FaultyBackend(bucket())
        target.fail("put", BackendError("no", url="x"), call=call)
        report = sync(filled, target)

        assert len(report.failed) == 1
        assert report.objects > 0
        assert sync(filled, target).failed == ()
        assert contents(target) == contents(filled)


def test_a_store_that_does_not_come_back_is_given_up(filled: Backend) -> None:
    target = FaultyBackend(bucket())
    target.fail("put", BackendUnavailable("no route"), call=4, times=None)

    with pytest.raises(BackendUnavailable, match="no route"):
        sync(filled, target, patience=0.3)
    target.heal()
    sync(filled, target)
    assert contents(target) == contents(filled)


def test_a_store_that_refuses_ends_it_at_once(filled: Backend) -> None:
    target = FaultyBackend(bucket())
    target.fail("put", AccessDeniedError("403"), call=3, times=None)

    with pytest.raises(AccessDeniedError, match="403"):
        sync(filled, target)
    assert target.calls["put"] < 15


class Hostile(FaultyBackend):
    """Lists keys that lead elsewhere, and has something for each."""

    def __init__(self, store: Backend, evil: list[str]) -> None:
        super().__init__(store)
        self.evil = evil

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[BlobInfo]:
        found = [*super().list(prefix, start_after=start_after)]
        found += [BlobInfo(k, 4, "x") for k in self.evil if k.startswith(prefix)]
        return iter(sorted(i for i in found if i.key > start_after))

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        return b"evil" if key in self.evil else super().get(key, start, stop)


def test_keys_that_lead_out_of_a_store_are_refused(filled: Backend, tmp_path: Path) -> None:
    run = KEYS.run("one")
    evil = [
        f"{run}../../../../../../evil",
        f"{run}artifacts/x/../../../evil",
        f"{run}artifacts//evil",
        f"{run}artifacts/./evil",
        f"{run}artifacts\\evil",
        f"{run}artifacts/\x1b[2Jevil",
        f"{run}artifacts/\nevil",
        "projects/../evil",
        "../evil",
        "/evil",
        f"{KEYS.tombs}../../evil.json",
        f"{KEYS.live}../evil.json",
    ]
    top = tmp_path / "inner" / "deep"
    there = folder(top / "there")
    report = sync(Hostile(filled, evil), there)

    assert [p for p in tmp_path.rglob("*") if "evil" in p.name] == []
    assert contents(there) == contents(filled)
    assert len(report.failed) >= 7
    assert all(failed.key.isprintable() for failed in report.failed)


def test_a_store_is_not_copied_into_itself(filled: Backend, store: Path) -> None:
    for other in (store, store / "projects", store.parent):
        with pytest.raises(UsageError, match=r"into itself|are one folder"):
            sync(filled, folder(other))


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_store_of_a_later_format_is_refused(filled: Backend, side: str) -> None:
    later = bucket()
    later.put("podstack.json", b'{"podstack":2}')
    pair = (later, filled) if side == "source" else (filled, later)

    with pytest.raises(UsageError, match="says format 2"):
        sync(*pair)
    assert [info.key for info in later.list()] == ["podstack.json"]


def test_a_thousand_runs_are_compared_by_listings(tmp_path: Path) -> None:
    source = folder(tmp_path / "many")
    for number in range(1000):
        (path := tmp_path / "many" / KEYS.meta(f"r{number}")).mkdir(parents=True)
        (path / "w.jsonl").write_bytes(LINES)
    target = FaultyBackend(bucket())
    assert sync(source, target).objects == 1000
    target.calls.clear()
    with (tmp_path / "many" / KEYS.meta("r500") / "w.jsonl").open("ab") as file:
        file.write(b"{}\n")
    report = sync(source, target)

    assert report.runs == ("r500",)
    assert sum(target.calls.values()) < 15
