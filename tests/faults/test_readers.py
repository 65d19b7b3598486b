"""Copying and reading a store while runs write to it flat out: always a prefix, never a tear."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from podstack import MLOpsClient
from podstack.testing.stage import Child, Stage
from podstack.testing.verdict import Verdict, judge

WRITER = """
import podstack.journal
podstack.journal.SEGMENT = 100_000
run = client.start_run(run_id={run!r})
i = 0
while not os.path.exists("enough"):
    log(run, i)
    i += 1
run.finish()
"""


def _enough(stage: Stage) -> None:
    (stage.store.parent / "enough").touch()


def _start_two(stage: Stage) -> list[Child]:
    children = [stage.start(WRITER.format(run=run), acks=run) for run in ("a", "b")]
    for run, child in zip(("a", "b"), children, strict=True):
        _wait_for_points(stage, child, run)
    return children


def _wait_for_points(stage: Stage, child: Child, run: str) -> None:
    child.wait_until(lambda: stage.count_acked(run) > 500, "log 500 points")


def _copy_while_runs_write(stage: Stage, copies: int) -> None:
    children = _start_two(stage)
    before = [{run: stage.acked(run) for run in ("a", "b")}]
    for n in range(copies):
        copy = stage.store.parent / f"copy{n}"
        subprocess.run(["cp", "-r", str(stage.store), str(copy)], check=True, timeout=240)
        before.append({run: stage.acked(run) for run in ("a", "b")})
    _enough(stage)
    codes = {child.wait().code for child in children}
    verdicts = [
        judge(stage.store.parent / f"copy{n}", run, before[n][run])
        for n in range(copies)
        for run in ("a", "b")
    ]
    print(f"copies={copies} {sum(verdicts, Verdict())}")

    assert codes == {0}
    assert [verdict for verdict in verdicts if not verdict.clean] == []
    assert judge(stage.store, "a", stage.acked("a")).clean
    assert stage.run("a").status == stage.run("b").status == "completed"


pytestmark = pytest.mark.skipif(shutil.which("cp") is None, reason="there is no cp here")


def test_a_copy_made_while_two_runs_write_holds_a_prefix_of_both(stage: Stage) -> None:
    _copy_while_runs_write(stage, 4)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_copies_made_while_two_runs_write_hold_a_prefix_of_both(stage: Stage) -> None:
    _copy_while_runs_write(stage, 10)


def test_a_run_goes_on_from_a_copy_that_was_made_while_it_ran(stage: Stage) -> None:
    children = _start_two(stage)
    copy = stage.store.parent / "copy"
    shutil.copytree(stage.store, copy)
    _enough(stage)
    assert {child.wait().code for child in children} == {0}

    count = len(MLOpsClient(copy).get_run("a").metrics["x"])
    with MLOpsClient(copy).start_run(run_id="a") as run:
        run.log_metrics({"x": count / 2})
    verdict = judge(copy, "a", {})

    assert verdict == Verdict(logged=count + 1)


READER = """
looks = known = 0
acked = 0
while not os.path.exists("enough") or looks < 20:
    acked = sum(len(s) for s in verdict.read_acks(pathlib.Path({acks!r})).values())
    run = client.get_run("a") if looks % 2 else kept
    steps = run.metrics["x"].steps.tolist()
    assert steps == list(range(len(steps))), "a gap"
    assert run.metrics["x"].values.tolist()[:len(steps)] == [step / 2 for step in steps]
    assert len(steps) >= known, f"{{len(steps)}} points after {{known}}"
    assert len(steps) >= acked, f"{{len(steps)}} points, {{acked}} were acknowledged"
    assert run.status in ("running", "completed"), run.status
    known = len(steps)
    looks += 1
print(looks, known)
"""


def test_readers_see_a_growing_prefix_while_a_run_writes(stage: Stage, tmp_path: Path) -> None:
    _start_two(stage)
    opening = 'import pathlib\nkept = client.get_run("a")\n'
    reader = stage.start(opening + READER.format(acks=str(tmp_path / "a")), acks="none")
    before = stage.count_acked("a")
    reader.wait_until(lambda: stage.count_acked("a") > before + 5_000, "read for a while")
    _enough(stage)
    ended = reader.wait()

    assert (ended.code, ended.err) == (0, "")
    assert int(ended.out.split()[0]) >= 20
