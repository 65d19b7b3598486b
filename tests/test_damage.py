"""Promise P14: a damaged object costs only itself, is named, and never gives a wrong value.

Every object of a small store is cut, zeroed, flipped and extended in turn. The seals cover the
segments of runs that ended in an orderly way, and each line of an op log has a checksum; a flipped
bit in a segment that was never sealed can go unseen, so for those only what is promised is
asserted: nothing raises, and no other run changes.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from podstack import MLOpsClient, Run
from podstack.errors import DamagedError
from podstack.testing.stage import DEADLINE

POINTS = 12
Point = tuple[str, int, str, float]


class Facts(NamedTuple):
    """Everything that is read of a run."""

    points: set[Point]
    params: dict[str, object]
    rest: tuple[object, ...]
    shown: str


NOTHING = Facts(set(), {}, (), "")  # a run whose only op log is gone cannot be opened


class Damage(NamedTuple):
    what: str
    data: bytes


def facts_of(run: Run) -> Facts:
    points = {
        (name, point.step, float(point.value).hex(), point.time)
        for name, series in run.metrics.items()
        for point in series.raw
    }
    rest = (run.name, run.status, run.tags, run.notes, run.user, run.created, run.error)
    return Facts(points, run.params, (*rest, sorted(run.artifacts)), repr(run))


def read_store(folder: Path) -> dict[str, Facts]:
    """All runs, as a process that opens the store anew sees them."""
    client = MLOpsClient(folder)
    client.list_experiments(status="all")
    found = {run.id: facts_of(run) for run in client.list_runs()}
    return {run: found.get(run, NOTHING) for run in ("damaged", "other", "killed")}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs, one of them resumed and in several segments, and one that was killed."""
    folder = tmp_path_factory.mktemp("damage") / "store"
    model = folder.parent / "model.pt"
    model.write_bytes(bytes(range(256)))
    client = MLOpsClient(folder)
    experiment = client.create_experiment("digits", "which depth?", ["a"])
    with pytest.MonkeyPatch.context() as patch:
        # Real segments of 8 MB would take a second for each of a thousand damages.
        patch.setattr("podstack.journal.SEGMENT", 500)
        for run_id in ("damaged", "damaged", "other"):
            with client.start_run(experiment.id, "a name", run_id, ["t"], {"lr": 0.125}) as run:
                for step in range(POINTS):
                    run.log_metrics({"loss": 1.0 / (step + 1), "nan": math.nan}, step=step)
                run.set_notes("some notes")
                run.log_artifact(model)
            assert run.flush(timeout=DEADLINE)
    forge_killed(folder)
    return folder


def forge_killed(folder: Path) -> None:
    """What a kill leaves: points, the first facts and a hint, but neither an end nor seals."""
    project = folder / "projects/default"
    source = next(project.glob("runs/other/meta/*.jsonl"))
    metrics = next(project.glob("runs/other/metrics/*/000000.jsonl"))
    (project / "runs/killed/meta").mkdir(parents=True)
    (project / "runs/killed/metrics" / source.stem).mkdir(parents=True)
    first = source.read_bytes().splitlines(keepends=True)[0]
    first = re.sub(rb'"pid":[0-9]+', b'"pid":999999999', first)  # no process has this number
    (project / "runs/killed/meta" / source.name).write_bytes(first)
    shutil.copy(metrics, project / "runs/killed/metrics" / source.stem)
    hint = b'{"t":1.0,"interval":10.0,"segments":1,"bytes":46,"meta_bytes":310,"last":{}}'
    (project / "live").mkdir(exist_ok=True)
    (project / "live" / f"killed.{source.stem}.json").write_bytes(hint)


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "store"))


@pytest.fixture(scope="module")
def truth(original: Path) -> dict[str, Facts]:
    return read_store(original)


def cuts(data: bytes) -> Iterator[Damage]:
    for left in sorted({0, 1, len(data) // 3, len(data) // 2, len(data) - 2, len(data) - 1}):
        yield Damage(f"cut to {left}", data[:left])


def zeroes(data: bytes) -> Iterator[Damage]:
    for start in range(0, len(data), max(1, len(data) // 7)):
        for size in (1, 16, 4096):
            stop = min(len(data), start + size)
            zeroed = data[:start] + bytes(stop - start) + data[stop:]
            yield Damage(f"zero {start} to {stop}", zeroed)


def flips(data: bytes, every: int = 1) -> Iterator[Damage]:
    for bit in range(0, 8 * len(data), every):
        flipped = bytearray(data)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        yield Damage(f"flip bit {bit & 7} of byte {bit >> 3}", bytes(flipped))


def extensions(data: bytes) -> Iterator[Damage]:
    point = b'{"s":3,"t":9e9,"v":{"loss":777.0}}'
    for garbage in (b"\0" * 64, b"\n\n", b"garbage", b"garbage\n", b'{"s":', point, point + b"\n"):
        yield Damage(f"append {garbage!r}", data + garbage)


def objects(store: Path, pattern: str) -> list[Path]:
    found = sorted(store.glob(f"projects/default/{pattern}"))
    assert found, pattern
    return found


def run_of(path: Path) -> str:
    parts = path.parts
    return parts[parts.index("runs") + 1] if "runs" in parts else ""


def assert_only_that_run_changed(
    found: dict[str, Facts], truth: dict[str, Facts], damaged: str, what: str
) -> None:
    for run, facts in found.items():
        if run == damaged:
            assert facts.points <= truth[run].points, what
        else:
            assert facts == truth[run], what


@pytest.mark.parametrize("kind", [cuts, zeroes, extensions])
def test_damage_to_a_sealed_segment_never_gives_a_wrong_value_and_is_named(
    kind: Callable[[bytes], Iterator[Damage]],
    store: Path,
    truth: dict[str, Facts],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for path in objects(store, "runs/damaged/metrics/*/*.jsonl"):
        data = path.read_bytes()
        for damage in kind(data):
            path.write_bytes(damage.data)
            caplog.clear()
            found = read_store(store)

            what = f"{path.name}: {damage.what}"
            assert_only_that_run_changed(found, truth, "damaged", what)
            harmless = found["damaged"].points == truth["damaged"].points
            assert harmless or f"segment {int(path.stem)} of writer {path.parent.name}" in (
                caplog.text
            ), what
            lost = truth["damaged"].points - found["damaged"].points
            assert len(lost) <= 2 * data.count(b"\n"), what
        path.write_bytes(data)


def assert_flips_are_found(
    store: Path, truth: dict[str, Facts], caplog: pytest.LogCaptureFixture, every: int
) -> None:
    for path in objects(store, "runs/damaged/metrics/*/*.jsonl"):
        data = path.read_bytes()
        for damage in flips(data, every):
            path.write_bytes(damage.data)
            caplog.clear()
            run = MLOpsClient(store).get_run("damaged")

            assert facts_of(run).points < truth["damaged"].points, damage.what
            assert f"segment {int(path.stem)} of writer {path.parent.name}" in caplog.text
        assert_only_that_run_changed(read_store(store), truth, "damaged", damage.what)
        path.write_bytes(data)


def test_a_flipped_bit_in_a_sealed_segment_is_found(
    store: Path, truth: dict[str, Facts], caplog: pytest.LogCaptureFixture
) -> None:
    assert_flips_are_found(store, truth, caplog, every=61)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_flipped_bit_in_any_byte_of_a_sealed_segment_is_found(
    store: Path, truth: dict[str, Facts], caplog: pytest.LogCaptureFixture
) -> None:
    assert_flips_are_found(store, truth, caplog, every=7)  # each byte has one


def test_a_sealed_segment_that_was_deleted_is_named(
    store: Path, truth: dict[str, Facts], caplog: pytest.LogCaptureFixture
) -> None:
    path = objects(store, "runs/damaged/metrics/*/000001.jsonl")[0]
    path.unlink()

    assert_only_that_run_changed(read_store(store), truth, "damaged", "deleted")
    assert f"segment 1 of writer {path.parent.name}" in caplog.text


@pytest.mark.parametrize("kind", [cuts, zeroes])
def test_a_cut_or_zeroed_segment_of_a_killed_run_gives_no_wrong_value(
    kind: Callable[[bytes], Iterator[Damage]], store: Path, truth: dict[str, Facts]
) -> None:
    (path,) = objects(store, "runs/killed/metrics/*/*.jsonl")
    for damage in kind(path.read_bytes()):
        path.write_bytes(damage.data)

        assert_only_that_run_changed(read_store(store), truth, "killed", damage.what)


def test_a_flipped_bit_in_a_segment_of_a_killed_run_touches_no_other_run(
    store: Path, truth: dict[str, Facts]
) -> None:
    (path,) = objects(store, "runs/killed/metrics/*/*.jsonl")
    for damage in flips(path.read_bytes(), every=37):
        path.write_bytes(damage.data)
        found = read_store(store)

        assert {run: found[run] for run in ("damaged", "other")} == {
            run: truth[run] for run in ("damaged", "other")
        }, damage.what
        changed = found["killed"].points - truth["killed"].points
        assert len(changed) <= 2, damage.what  # at most the line that holds the bit


def damages(data: bytes, every: int) -> Iterator[Damage]:
    yield from cuts(data)
    yield from zeroes(data)
    yield from extensions(data)
    yield from flips(data, every)


@pytest.mark.parametrize("pattern", ["runs/damaged/meta/*.jsonl", "runs/killed/meta/*.jsonl"])
def test_a_damaged_op_log_gives_no_wrong_metric_and_touches_no_other_run(
    pattern: str, store: Path, truth: dict[str, Facts]
) -> None:
    for path in objects(store, pattern):
        data = path.read_bytes()
        for damage in damages(data, every=199):
            path.write_bytes(damage.data)

            what = f"{path.name}: {damage.what}"
            assert_only_that_run_changed(read_store(store), truth, run_of(path), what)
        path.write_bytes(data)


def test_a_flipped_bit_in_an_op_log_gives_no_wrong_fact_and_is_named(
    store: Path, truth: dict[str, Facts], caplog: pytest.LogCaptureFixture
) -> None:
    for path in objects(store, "runs/damaged/meta/*.jsonl"):
        data = path.read_bytes()
        for damage in flips(data[:-1], every=101):  # the last newline is what makes a line whole
            path.write_bytes(damage.data + b"\n")
            caplog.clear()
            found = read_store(store)["damaged"]

            assert found.params in ({"lr": 0.125}, {}), damage.what
            is_named = path.name in caplog.text and "cannot be read" in caplog.text
            assert is_named or found == truth["damaged"], damage.what
        path.write_bytes(data)


def test_a_damaged_experiment_or_hint_touches_no_metric_and_no_parameter(
    store: Path, truth: dict[str, Facts]
) -> None:
    for path in objects(store, "experiments/*/*.jsonl") + objects(store, "live/*.json"):
        data = path.read_bytes()
        for damage in damages(data, every=61):
            path.write_bytes(damage.data)
            found = read_store(store)

            assert {run: facts[:3] for run, facts in found.items()} == {
                run: facts[:3] for run, facts in truth.items()
            }, f"{path.name}: {damage.what}"
        path.write_bytes(data)


def test_a_damaged_artifact_is_never_given_out(
    store: Path, truth: dict[str, Facts], tmp_path: Path
) -> None:
    (path,) = objects(store, "runs/damaged/artifacts/*/*")
    data = path.read_bytes()
    for damage in damages(data, every=53):
        path.write_bytes(damage.data)
        artifact = MLOpsClient(store).get_run("damaged").artifacts["model.pt"]
        if damage.data[: len(data)] == data:
            assert artifact.read_bytes() == data
            continue

        with pytest.raises(DamagedError, match=r"model\.pt"):
            artifact.read_bytes()
        with pytest.raises(DamagedError, match=r"model\.pt"):
            artifact.download(tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []
    assert_only_that_run_changed(read_store(store), truth, "damaged", "artifact")
