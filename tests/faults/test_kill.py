"""SIGKILL and SIGSTOP at random moments: what was acknowledged is there, once, and right."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import pytest

from podstack import MLOpsClient
from podstack.testing.stage import Child, Stage
from podstack.testing.verdict import Verdict, judge, read_acks

WRITER = """
run = client.start_run(run_id={run!r})
for i in range(10**9):
    log(run, i, {metric!r})
    if {flush_every} and i % {flush_every} == 0:
        run.flush()
"""

ON_ONE_STORE = "every writer has a run of its own"
ON_ONE_RUN = "all writers log into one run"


def _killed(stage: Stage, trial: int, writers: int, where: str, flush_every: int) -> Verdict:
    """Let writers log flat out, and kill all of them at a random moment."""
    runs = [f"{trial}-{n if where == ON_ONE_STORE else 0}" for n in range(writers)]
    metrics = [f"x{n}" for n in range(writers)]
    acks = f"acks_{trial}"
    children = [
        stage.start(
            WRITER.format(run=run, metric=metric, flush_every=flush_every), acks=f"{acks}_{metric}"
        )
        for run, metric in zip(runs, metrics, strict=True)
    ]
    for child, metric in zip(children, metrics, strict=True):
        _wait_for_acks(stage, child, f"{acks}_{metric}", 1)
    time.sleep(random.uniform(0, 0.25))
    for child in children:
        child.end()
    acked: dict[str, dict[str, set[int]]] = {run: {} for run in runs}
    for run, metric in zip(runs, metrics, strict=True):
        acked[run] |= stage.acked(f"{acks}_{metric}")
    return sum((judge(stage.store, run, steps) for run, steps in acked.items()), Verdict())


def _wait_for_acks(stage: Stage, child: Child, acks: str, count: int) -> None:
    child.wait_until(lambda: stage.count_acked(acks) >= count, f"{count} acknowledgements")


def _report(kills: int, verdict: Verdict) -> None:
    print(f"kills={kills} {verdict}")


def _kill_again_and_again(
    stage: Stage, kills: int, writers: int, where: str, flush_every: Callable[[int], int]
) -> None:
    verdict = Verdict()
    for trial in range(kills):
        verdict += _killed(stage, trial, writers, where, flush_every(trial))
    _report(kills * writers, verdict)

    assert verdict.clean, verdict
    assert verdict.acked > kills


def _flush_by_turns(trial: int) -> int:
    return (0, 1, 10, 25, 1000)[trial % 5]


@pytest.mark.parametrize(
    ("kills", "writers", "where"),
    [(10, 1, ON_ONE_STORE), (2, 4, ON_ONE_STORE), (2, 4, ON_ONE_RUN)],
)
def test_nothing_acknowledged_is_lost_to_sigkill(
    stage: Stage, kills: int, writers: int, where: str
) -> None:
    _kill_again_and_again(stage, kills, writers, where, _flush_by_turns)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("kills", "writers", "where"),
    [(200, 1, ON_ONE_STORE), (50, 4, ON_ONE_STORE), (50, 4, ON_ONE_RUN), (25, 8, ON_ONE_STORE)],
)
def test_nothing_acknowledged_is_lost_to_hundreds_of_kills(
    stage: Stage, kills: int, writers: int, where: str
) -> None:
    _kill_again_and_again(stage, kills, writers, where, _flush_by_turns)


def _kill_while_starting(stage: Stage, kills: int) -> None:
    for trial in range(kills):
        child = stage.start(
            WRITER.format(run=str(trial), metric="x", flush_every=0), acks=f"acks_{trial}"
        )
        time.sleep(random.uniform(0.0, 0.5))
        child.end()
    started = {run.id for run in MLOpsClient(stage.store).list_runs()}
    acked = {str(trial): stage.acked(f"acks_{trial}") for trial in range(kills)}
    verdict = sum(
        (judge(stage.store, run, steps) for run, steps in acked.items() if run in started),
        Verdict(),
    )
    _report(kills, verdict)

    assert verdict.clean, verdict
    assert {run for run, steps in acked.items() if steps} <= started


def test_a_store_whose_writers_were_killed_while_they_started_stays_readable(stage: Stage) -> None:
    _kill_while_starting(stage, 5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_store_stays_readable_after_a_hundred_kills_during_start(stage: Stage) -> None:
    _kill_while_starting(stage, 100)


RESUMED = """
import podstack.journal
podstack.journal.SEGMENT = 2_000   # so that every cycle goes through several segments
run = client.start_run(run_id="r")
for i in range({start}, 10**9):
    run.log_metrics({{"x": i / 2, "cycle": {cycle}}}, step=i)
    acks.add(i, "{cycle}")
"""


def _kill_and_resume(stage: Stage, cycles: int) -> None:
    start = 0
    latest: dict[int, int] = {}  # step -> the last cycle that acknowledged it
    for cycle in range(cycles):
        child = stage.start(RESUMED.format(start=start, cycle=cycle), acks=f"acks_{cycle}")
        _wait_for_acks(stage, child, f"acks_{cycle}", 20)
        time.sleep(random.uniform(0, 0.03))
        child.end()
        acked = stage.acked(f"acks_{cycle}")[str(cycle)]
        latest |= dict.fromkeys(acked, cycle)
        start = max(0, max(acked) - 7)

    metrics = stage.run().metrics
    cycle_of = dict(zip(metrics["cycle"].steps.tolist(), metrics["cycle"].values, strict=True))
    arrived = [(point.step, point.value) for point in metrics["cycle"].raw]
    verdict = Verdict(
        logged=len(arrived),
        acked=sum(len(steps) for n in range(cycles) for steps in stage.acked(f"acks_{n}").values()),
        lost=len(latest.keys() - cycle_of.keys()),
        doubled=len(arrived) - len(set(arrived)),
        damaged=sum(point.value != point.step / 2 for point in metrics["x"].raw),
        gaps=max(cycle_of) + 1 - len(cycle_of),
    )
    _report(cycles, verdict)

    assert verdict.clean, verdict
    assert [step for step, cycle in latest.items() if cycle_of[step] < cycle] == []
    assert stage.run().status == "failed"


def test_a_run_killed_and_resumed_seven_steps_back_keeps_every_point_once(stage: Stage) -> None:
    _kill_and_resume(stage, 5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_killed_and_resumed_fifty_times_keeps_every_point_once(stage: Stage) -> None:
    _kill_and_resume(stage, 50)


def test_a_stopped_process_goes_on_where_it_was(stage: Stage) -> None:
    child = stage.start(
        """
        with client.start_run(run_id="r") as run:
            i = 0
            while not os.path.exists("enough"):
                log(run, i)
                i += 1
        """
    )
    for pause in range(1, 5):
        _wait_for_acks(stage, child, "acks", pause * 100)
        child.send(signal.SIGSTOP)
        time.sleep(0.2)
        child.send(signal.SIGCONT)
    (stage.store.parent / "enough").touch()
    ended = child.wait()

    assert (ended.code, ended.err) == (0, "")
    assert stage.verdict().clean
    assert stage.run().status == "completed"


def test_acknowledgements_of_a_killed_process_are_read_up_to_the_last_whole_line(
    stage: Stage,
) -> None:
    torn = stage.store.parent / "torn"
    torn.write_bytes(b"x 0\nx 1\nx 1")

    assert read_acks(torn) == {"x": {0, 1}}


def test_the_verdict_sees_a_lost_a_doubled_and_a_damaged_point(stage: Stage) -> None:
    with MLOpsClient(stage.store).start_run(run_id="r") as run:
        for step, value in [(0, 0.0), (1, 0.5), (1, 0.5), (2, 99.0), (4, 2.0)]:
            run.log_metrics({"x": value}, step=step)

    assert judge(stage.store, "r", {"x": [0, 1, 2, 3]}) == Verdict(
        logged=4, acked=4, lost=1, doubled=1, damaged=1, gaps=1
    )
