"""What `verify` finds, and what it must not find."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from podstack import MLOpsClient
from podstack.testing.stage import DEADLINE, Stage
from podstack.testing.store_files import write_op
from podstack.verify import DAMAGED, INFO, WARNING, Checked, Finding, verify

POINTS = 30


def found(folder: Path, *runs: str) -> list[Finding]:
    """What a process that opens the store anew finds."""
    return list(verify(MLOpsClient(folder)._store, runs or None))


def named(findings: list[Finding], *severities: str) -> set[str]:
    return {f.key for f in findings if f.severity in (severities or (DAMAGED, WARNING))}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was resumed, in several segments, with files; and another beside it."""
    folder = tmp_path_factory.mktemp("verify") / "store"
    model = folder.parent / "model.pt"
    client = MLOpsClient(folder)
    experiment = client.create_experiment("digits", "which depth?", ["a"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PODSTACK_CAPTURE", "0")
        patch.setattr("podstack.journal.SEGMENT", 500)
        for turn, run_id in enumerate(("one", "one", "other")):
            model.write_bytes(bytes(range(256)) * (turn + 1))
            with client.start_run(experiment.id, "a name", run_id, ["t"], {"lr": 0.125}) as run:
                for step in range(POINTS):
                    run.log_metrics({"loss": 1.0 / (step + 1), "nan": math.nan}, step=step)
                run.set_notes("some notes")
                run.log_artifact(model, "models")
            assert run.flush(timeout=DEADLINE)
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def objects(store: Path, pattern: str) -> list[Path]:
    paths = sorted(store.glob(pattern))
    assert paths, pattern
    return paths


def key_of(store: Path, path: Path) -> str:
    return path.relative_to(store).as_posix()


def test_an_untouched_store_is_whole(original: Path) -> None:
    assert found(original) == []


def test_progress_counts_what_was_read(original: Path) -> None:
    steps: list[Checked] = []
    list(verify(MLOpsClient(original)._store, progress=steps.append))
    project = original / "projects/default"
    every = [path for path in project.rglob("*") if path.is_file()]
    files = [path for path in every if path.parent.name != "live"]  # hints are never the truth

    assert steps[-1] == Checked(2, 2, len(files), sum(path.stat().st_size for path in files))


SEGMENTS = "projects/default/runs/one/metrics/*/*.jsonl"
FILES = "projects/default/runs/one/artifacts/*/models/*"
LOGS = "projects/default/runs/one/meta/*.jsonl"
EXPERIMENT = "projects/default/experiments/*/*.jsonl"

Harm = Callable[[Path], None]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def zero(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:20] + bytes(len(data) - 20))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"garbage\n")


def extend_by_half_a_line(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"garbage")


def delete(path: Path) -> None:
    path.unlink()


def add_a_point(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b'{"s":3,"t":9e9,"v":{"loss":777.0}}\n')


HARMS: dict[str, list[Harm]] = {
    SEGMENTS: [flip, zero, truncate, extend, extend_by_half_a_line, delete, add_a_point],
    FILES: [flip, zero, truncate, extend, extend_by_half_a_line, delete],
    LOGS: [zero, truncate, extend, extend_by_half_a_line],
    EXPERIMENT: [zero, truncate, extend, extend_by_half_a_line],
    "podstack.json": [zero, truncate, extend, extend_by_half_a_line, delete],
}


@pytest.mark.parametrize(
    ("pattern", "harm"),
    [(pattern, harm) for pattern, harms in HARMS.items() for harm in harms],
    ids=lambda value: value.__name__ if callable(value) else value.split("/")[-2:][0],
)
def test_a_harmed_object_is_named_and_no_other_run(copy: Path, pattern: str, harm: Harm) -> None:
    """A harmed op log may leave points and files of its run that nobody names any more."""
    run = "projects/default/runs/one/"
    for path in objects(copy, pattern):
        before = path.read_bytes()
        harm(path)
        findings = found(copy)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(before)

        harmed = key_of(copy, path)
        others = named(findings) - {harmed}

        assert harmed in named(findings), findings
        assert not named(findings, DAMAGED) - {harmed}, findings
        assert all(pattern == LOGS and other.startswith(run) for other in others), findings


def test_every_flipped_bit_of_a_sealed_segment_is_damage(copy: Path) -> None:
    path = objects(copy, SEGMENTS)[0]
    before = path.read_bytes()
    for bit in range(0, 8 * len(before), 61):
        data = bytearray(before)
        data[bit >> 3] ^= 1 << (bit & 7)
        path.write_bytes(data)

        assert key_of(copy, path) in named(found(copy, "one"), DAMAGED), bit


def test_a_flipped_bit_of_an_op_log_is_named_where_it_breaks_a_fact(copy: Path) -> None:
    path = objects(copy, LOGS)[0]
    whole = path.read_bytes()
    for sound, broken in [
        (b'"status":"completed"', b'"status":"complgted"'),
        (b'"h":"', b'"h":"Z'),
        (b'"role":"main"', b'"role":"mbin"'),
        (b'"tags/t":true', b'"tags/t":1234'),
        (b'"created":', b'"created":"x","x/y":'),
    ]:
        assert sound in whole
        path.write_bytes(whole.replace(sound, broken))

        assert named(found(copy, "one"), DAMAGED) == {key_of(copy, path)}, broken


def test_a_lost_op_log_is_seen_by_the_points_that_nobody_names(copy: Path) -> None:
    log = objects(copy, LOGS)[0]
    log.unlink()

    assert f"projects/default/runs/one/metrics/{log.stem}/" in named(found(copy, "one"))


def test_a_run_without_any_op_log_is_damage(copy: Path) -> None:
    shutil.rmtree(copy / "projects/default/runs/one/meta")

    assert "projects/default/runs/one/" in named(found(copy), DAMAGED)


def test_a_finding_says_what_to_do(copy: Path) -> None:
    flip(objects(copy, SEGMENTS)[0])
    findings = found(copy)

    assert any("CRC-32" in finding.what for finding in findings)
    assert all("copy" in finding.advice for finding in findings)


def test_only_the_runs_asked_for_are_looked_at(copy: Path) -> None:
    flip(objects(copy, SEGMENTS)[0])

    assert found(copy, "other") == []
    assert named(found(copy, "one"), DAMAGED)


def test_an_entry_that_points_out_of_its_run_is_damage(copy: Path) -> None:
    entry = {"key": "artifacts/../../other/meta/x", "size": 1, "time": 1.0, "sha256": "0" * 64}
    write_op(copy / "projects/default/runs/one/meta", {"artifacts/x": entry})

    assert "projects/default/runs/one/artifacts/" in named(found(copy), DAMAGED)


def test_a_file_that_no_fact_names_is_told(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podstack.verify.PATIENCE", 1e9)  # the run has ended a moment ago
    stray = copy / "projects/default/runs/one/artifacts/0123456789ab/stray.bin"
    stray.parent.mkdir()
    stray.write_bytes(b"x")
    while_it_may_be_named = found(copy)
    for log in objects(copy, LOGS):  # no process has this number
        log.write_bytes(re.sub(rb'"pid":[0-9]+', b'"pid":999999999', log.read_bytes()))

    assert while_it_may_be_named == []
    assert named(found(copy), WARNING) == {key_of(copy, stray)}


def test_what_a_purge_left_behind_is_told(copy: Path) -> None:
    tomb = copy / "projects/default/tombs/one.json"
    tomb.parent.mkdir()
    tomb.write_bytes(b"{}")
    findings = found(copy)

    assert named(findings) == {"projects/default/runs/one/"}
    assert "podstack purge one" in findings[0].advice


def test_unknown_objects_and_facts_are_told_and_no_damage(copy: Path) -> None:
    stray = copy / "projects/default/runs/one/later/thing.bin"
    stray.parent.mkdir()
    stray.write_bytes(b"x")
    write_op(copy / "projects/default/runs/one/meta", {"later/x": 1})
    findings = found(copy)

    assert named(findings) == set()
    assert named(findings, INFO) == {
        key_of(copy, stray),
        "projects/default/runs/one/meta/stranger.jsonl",
    }


def test_a_label_of_another_format_is_damage(copy: Path) -> None:
    (copy / "podstack.json").write_bytes(b'{"podstack":2,"store":"x"}')

    assert named(found(copy), DAMAGED) == {"podstack.json"}


def test_packed_logs_are_unpacked_and_damaged_ones_named(copy: Path) -> None:
    import gzip

    path = objects(copy, SEGMENTS)[0]
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    whole = found(copy)
    packed.write_bytes(packed.read_bytes()[:-9])

    assert whole == []
    assert key_of(copy, packed) in named(found(copy), DAMAGED)


def test_a_compacted_store_is_whole_and_every_flipped_bit_is_damage(copy: Path) -> None:
    pytest.importorskip("pyarrow")
    from podstack.compact import compact

    compact(MLOpsClient(copy)._store)
    path = objects(copy, "projects/default/runs/one/metrics/*/*.parquet")[0]
    whole = found(copy)
    before = path.read_bytes()
    for byte in range(0, len(before), len(before) // 23):
        path.write_bytes(before[:byte] + bytes([before[byte] ^ 0x10]) + before[byte + 1 :])

        assert named(found(copy, "one"), DAMAGED) == {key_of(copy, path)}, byte
    path.unlink()

    assert whole == []
    assert named(found(copy, "one"), DAMAGED)


def test_console_and_environment_are_read(copy: Path) -> None:
    run = copy / "projects/default/runs/one"
    (run / "console/w").mkdir(parents=True)
    (run / "environment").mkdir()
    (run / "console/w/000000.txt").write_text("hello\n")
    (run / "environment/w.json").write_bytes(orjson.dumps({"packages": {}}))
    whole = found(copy)
    (run / "console/w/000000.txt").write_bytes(b"hel\0\0\0")
    (run / "environment/w.json").write_bytes(b'{"packages"')

    assert named(whole) == set()
    assert named(found(copy)) == {
        "projects/default/runs/one/console/w/000000.txt",
        "projects/default/runs/one/environment/w.json",
    }


def test_half_a_line_is_nothing_while_it_is_written_and_damage_after_the_end(
    client: MLOpsClient, store: Path
) -> None:
    run = client.start_run(run_id="r")
    run.log_metrics({"x": 1.0})
    log, segment = (next(store.glob(f"projects/default/runs/r/{p}")) for p in ("meta/*", "m*s/*/*"))
    for path in (log, segment):
        with path.open("ab") as file:
            file.write(b'{"half":')
    while_it_runs = found(store)
    run.finish()
    assert run.flush(timeout=DEADLINE)
    log.write_bytes(log.read_bytes() + b'{"half":')

    assert while_it_runs == []
    assert key_of(store, log) in named(found(store), DAMAGED)


def test_a_closed_op_log_that_ends_in_half_a_line_is_damage(copy: Path) -> None:
    log = objects(copy, LOGS)[0]
    log.write_bytes(log.read_bytes() + b'{"half":')

    assert named(found(copy), DAMAGED) == {key_of(copy, log)}


def test_a_killed_run_is_no_damage(stage: Stage) -> None:
    child = stage.start(
        """
        run = client.start_run(run_id="r")
        run.log_metrics({"x": 1.0})
        print("there", flush=True)
        time.sleep(600)
        """
    )
    child.wait_for_word("there")
    child.end()
    findings = found(stage.store)

    assert named(findings) == set()
    assert [f.what for f in findings if "no seals" in f.what]


def test_a_store_that_is_being_written_shows_no_damage(stage: Stage, tmp_path: Path) -> None:
    """Looked at again and again while a process logs, rolls, hashes files, ends and resumes."""
    child = stage.start(
        """
        from podstack import journal
        journal.SEGMENT = 2000
        client.create_experiment("e")
        turn = 0
        while turn < 12 or not os.path.exists("enough"):
            turn += 1
            path = f"model-{turn}.pt"
            with open(path, "wb") as file:
                file.write(os.urandom(200_000))
            with client.start_run(experiment="e", run_id=f"r{turn % 3}") as run:
                print("there", flush=True)
                for step in range(400):
                    run.log_metrics({"x": step, "y": float("nan")})
                    run.log_params({f"p{step % 7}": step})
                run.log_artifact(path)
        print("done", flush=True)
        """
    )
    child.wait_for_word("there")
    looks = 0
    while "done" not in child.out:
        findings = found(stage.store)
        looks += 1
        if looks == 3:
            (stage.folder / "enough").touch()

        assert named(findings) == set(), findings
    child.wait()

    assert looks > 2
    assert named(found(stage.store)) == set()
