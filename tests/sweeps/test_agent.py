"""An agent: real commands, real signals to their process groups."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from podstack import MLOpsClient
from podstack.errors import TrialsFailedError, UsageError
from podstack.sweeps.agent import Agent, printed_metrics
from podstack.sweeps.child import _Tail
from podstack.sweeps.guard import Guard
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.sweep import Sweep
from podstack.testing.stage import DEADLINE, Child, Stage

SPACE = {"x": {"min": 0.0, "max": 1.0}, "model": {"depth": {"values": [1, 2, 3]}}}


@pytest.fixture
def sweep(client: MLOpsClient) -> Sweep:
    client.create_experiment("Some Experiment!")
    return client.create_sweep(
        "Some Experiment!", "random", SPACE, "score", 2, "maximize", name="s", seed=7
    )


def shell(script: str) -> list[str]:
    """A command of few milliseconds."""
    return ["sh", "-c", script, "sh"]


def python(tmp_path: Path, script: str) -> list[str]:
    path = tmp_path / "program.py"
    path.write_text(dedent(script))
    return [sys.executable, str(path)]


def by_number(client: MLOpsClient) -> dict[int, TrialRecord]:
    return {record.number: record for record in client.get_sweep("s").records()}


# What a command is worth ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "metrics"),
    [
        ("0.5", {"score": 0.5}),
        ("epoch 1\n\n-3e2\n\n", {"score": -300.0}),
        ('{"score": 1, "loss": {"val": 2.5}, "name": "x"}', {"score": 1.0, "loss/val": 2.5}),
        ('{"score": NaN}', {"score": pytest.approx(float("nan"), nan_ok=True)}),
        ("done", {}),
        ("", {}),
        ("true", {}),
        ("[1, 2]", {}),
        ("[" * 100_001, {}),
        ("[" * 90_000, {}),
        ('{"score": 1', {}),
    ],
)
def test_the_last_line_may_tell_metrics(out: str, metrics: dict[str, Any]) -> None:
    assert printed_metrics(out, "score") == metrics


def test_any_program_can_be_a_trial(client: MLOpsClient, sweep: Sweep) -> None:
    ended = Agent(client, sweep, shell("echo training >&2; echo {x}")).run()
    records = by_number(client)

    assert ended == 2
    assert [r.status for r in records.values()] == ["completed"] * 2
    assert [r.value for r in records.values()] == [r.params["x"] for r in records.values()]
    assert [r.run for r in records.values()] == [None, None]


def test_its_output_is_passed_on(
    client: MLOpsClient, sweep: Sweep, capfd: pytest.CaptureFixture[str]
) -> None:
    Agent(client, sweep, shell("echo to-err >&2; echo to-out; echo 1; : {x}")).run(1)
    out, err = capfd.readouterr()

    assert out == "to-out\n1\n"
    assert "to-err" in err


def test_count_is_how_many_it_takes(client: MLOpsClient, sweep: Sweep) -> None:
    assert Agent(client, sweep, shell("echo 1")).run(1) == 1
    assert Agent(client, sweep, shell("echo 1")).run(5) == 1
    assert Agent(client, sweep, shell("echo 1")).run(5) == 0


def test_a_failing_command_fails_its_trial_with_the_end_of_stderr(
    client: MLOpsClient, sweep: Sweep
) -> None:
    Agent(client, sweep, shell("echo 0.5; echo no such file >&2; exit 3")).run(1)
    Agent(client, sweep, shell("kill -9 $$")).run(1)
    one, two = sorted(by_number(client).values(), key=lambda record: record.ended or 0.0)

    assert (one.status, two.status) == ("failed", "failed")
    assert one.error == "no such file\nexit code 3"
    assert two.error == "ended by signal 9 (SIGKILL)"


def test_a_command_that_tells_no_objective_fails_its_trial_with_the_way_out(
    client: MLOpsClient, sweep: Sweep
) -> None:
    Agent(client, sweep, shell("echo '{\"loss\": 1}'")).run(1)
    (record,) = by_number(client).values()

    assert record.status == "failed"
    assert "told only loss: log 'score' into its run, or print a last line" in str(record.error)


def test_five_failures_from_the_start_end_it(client: MLOpsClient) -> None:
    client.create_experiment("e")
    sweep = client.create_sweep("e", "random", SPACE, "score", 20, "maximize", name="s")

    with pytest.raises(TrialsFailedError, match=r"first 5 trials .*exit code 1"):
        Agent(client, sweep, shell("exit 1")).run()

    assert len(by_number(client)) == 5


def test_a_program_that_there_is_not_is_told_and_its_trial_given_back(
    client: MLOpsClient, sweep: Sweep
) -> None:
    with pytest.raises(UsageError, match=r"'no-such-program' cannot be run: No such file"):
        Agent(client, sweep, ["no-such-program"]).run()

    assert [(r.status, r.worker) for r in by_number(client).values()] == [("running", "")]


def test_the_parameters_are_in_the_environment_too(client: MLOpsClient, sweep: Sweep) -> None:
    names = ["URI", "PROJECT", "EXPERIMENT", "RUN_ID", "SWEEP_ID", "SWEEP_TRIAL", "SWEEP_PARAMS"]
    shown = " ".join(f'"$PODSTACK_{name}"' for name in names)
    seen = Path(client.uri).parent / "seen"
    Agent(client, sweep, shell(f"printf '%s\\n' {shown} > {seen}; echo 1")).run(1)
    uri, project, experiment, run, sweep_id, number, params = seen.read_text().splitlines()
    (record,) = by_number(client).values()

    assert (uri, project, sweep_id, number) == (client.uri, "default", sweep.id, str(record.number))
    assert experiment == sweep.experiment_id
    assert json.loads(params) == sweep.definition.space.nested(record.params)
    assert run


# A program that uses podstack -------------------------------------------------------------------


def test_the_first_run_of_a_program_is_the_trials(
    client: MLOpsClient, sweep: Sweep, tmp_path: Path
) -> None:
    program = """
        from podstack import MLOpsClient
        with MLOpsClient().start_run(name="mine") as run:
            for step in range(3):
                run.log_metrics({"score": run.params["x"] + step, "loss": 1.0}, step=step)
        with MLOpsClient().start_run(name="second"):
            print(17)
    """
    Agent(client, sweep, python(tmp_path, program)).run(1)
    (record,) = by_number(client).values()
    run = client.get_run(str(record.run))
    names = {found.name for found in client.list_runs()}

    assert (record.status, record.value) == ("completed", record.params["x"] + 2)
    assert record.metrics == {"score": record.value, "loss": 1.0}
    assert (run.name, run.status, run.experiment_id) == ("mine", "completed", sweep.experiment_id)
    assert run.params == record.params
    assert names == {"mine", "second"}


def test_a_program_may_name_an_experiment_of_its_own(
    client: MLOpsClient, sweep: Sweep, tmp_path: Path
) -> None:
    program = """
        from podstack import MLOpsClient
        client = MLOpsClient()
        with client.start_run(client.create_experiment("other").id, params={"x": "mine"}) as run:
            run.log_metrics({"score": 1.0})
    """
    Agent(client, sweep, python(tmp_path, program)).run(1)
    (record,) = by_number(client).values()
    run = client.get_run(str(record.run))

    assert (record.value, run.experiment_id, run.params["x"]) == (1.0, "other", "mine")


def test_a_run_that_failed_fails_the_trial_though_the_program_ended_well(
    client: MLOpsClient, sweep: Sweep, tmp_path: Path
) -> None:
    program = """
        from podstack import MLOpsClient
        try:
            with MLOpsClient().start_run() as run:
                run.log_metrics({"score": 1.0})
                raise ValueError("diverged")
        except ValueError:
            pass
    """
    Agent(client, sweep, python(tmp_path, program)).run(1)
    (record,) = by_number(client).values()

    assert record.status == "failed"
    assert "ValueError: diverged" in str(record.error)


def test_a_program_that_logs_elsewhere_tells_by_its_last_line(
    client: MLOpsClient, sweep: Sweep, tmp_path: Path
) -> None:
    program = f"""
        from podstack import MLOpsClient
        with MLOpsClient({str(tmp_path / "elsewhere")!r}).start_run() as run:
            run.log_metrics({{"score": 1.0}})
        print(2.0)
    """
    Agent(client, sweep, python(tmp_path, program)).run(1)
    (record,) = by_number(client).values()

    assert (record.status, record.value, record.run) == ("completed", 2.0, None)


class Screen:
    """A stream that takes what is passed on to it only while `is_read` is set."""

    def __init__(self) -> None:
        self.is_read = threading.Event()
        self.buffer = self

    def write(self, data: bytes) -> None:
        self.is_read.wait(DEADLINE)

    def flush(self) -> None: ...


def test_a_last_line_is_heard_however_long_this_process_was_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a stall nothing is left of the wait, and the thread that reads has yet to go on."""
    ours, theirs = os.pipe()
    screen: Any = Screen()
    tail = _Tail(os.fdopen(ours, "rb", buffering=0), screen)
    os.write(theirs, b"epoch 1\n")
    while tail._taken == 0:
        time.sleep(0.001)
    os.write(theirs, b"0.5\n")  # which nobody reads: the thread shows what came before
    passed = threading.Thread.join

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        screen.is_read.set()
        passed(thread, 0.0)

    monkeypatch.setattr(threading.Thread, "join", join)
    said = tail.text()
    monkeypatch.undo()
    os.close(theirs)
    tail._thread.join(DEADLINE)

    assert said == "epoch 1\n0.5\n"


# Interrupted ------------------------------------------------------------------------------------

AGENT = """
from podstack.sweeps.agent import Agent
Agent(client, client.get_sweep("s"), {words!r}, grace={grace}).run()
"""


SLEEP = shutil.which("sleep")


def agent(
    stage: Stage,
    words: list[str],
    grace: float = 2 * DEADLINE,
    environment: Mapping[str, str] | None = None,
) -> Child:
    return stage.start(AGENT.format(words=words, grace=grace), environment=environment)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def pids_in(child: Child, path: Path, count: int) -> list[int]:
    """The processes that a command has told of, once all have."""
    child.wait_until(lambda: path.exists() and len(path.read_text().split()) == count, "begin")
    return [int(word) for word in path.read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_reaches_the_whole_command_and_its_trial_is_offered_again(
    client: MLOpsClient, sweep: Sweep, stage: Stage, number: signal.Signals
) -> None:
    program = f"""
        import os, subprocess, sys, time
        from podstack import MLOpsClient
        with MLOpsClient().start_run() as run:
            below = subprocess.Popen(["sleep", "600"])
            with open({str(stage.folder / "pids")!r}, "w") as file:
                print(os.getpid(), below.pid, file=file)
            time.sleep(600)
    """
    child = agent(stage, python(stage.folder, program))
    pids = pids_in(child, stage.folder / "pids", 2)
    child.send(number)
    ended = child.wait()  # which raises before a grace is over
    (waiting,) = by_number(client).values()
    again = client.get_sweep("s").suggest()

    assert ended.code == -number, ended.err
    assert eventually(lambda: all(map(is_gone, pids)))
    assert client.get_run(str(waiting.run)).status == "killed"
    assert (waiting.status, waiting.worker) == ("running", "")
    assert again is not None
    assert again.number != waiting.number or again.flat_params == waiting.params


def test_a_command_that_does_not_listen_is_killed_after_its_grace(
    client: MLOpsClient, sweep: Sweep, stage: Stage
) -> None:
    pids = stage.folder / "pids"
    words = shell(f"trap '' INT TERM; echo $$ > {pids}; while :; do sleep 0.05; done")
    child = agent(stage, words, grace=0.2)
    (pid,) = pids_in(child, pids, 1)
    child.send(signal.SIGTERM)
    ended = child.wait()

    assert ended.code == -signal.SIGTERM, ended.err
    assert eventually(lambda: is_gone(pid))


def test_ctrl_c_again_does_not_wait_for_the_grace(
    client: MLOpsClient, sweep: Sweep, stage: Stage
) -> None:
    pids, heard = stage.folder / "pids", stage.folder / "heard"
    words = shell(f"trap 'touch {heard}' INT; echo $$ > {pids}; while :; do sleep 0.05; done")
    child = agent(stage, words)
    (pid,) = pids_in(child, pids, 1)
    child.send(signal.SIGINT)
    child.wait_until(heard.exists, "pass Ctrl-C on")
    child.send(signal.SIGINT)
    ended = child.wait()  # which raises before a grace is over

    assert ended.code == -signal.SIGINT, ended.err
    assert eventually(lambda: is_gone(pid))


def test_the_trial_of_a_killed_agent_is_ended_by_the_next(
    client: MLOpsClient, sweep: Sweep, stage: Stage
) -> None:
    pids = stage.folder / "pids"
    child = agent(stage, shell(f"echo $$ > {pids}; echo begun; exec sleep 600"))
    (pid,) = pids_in(child, pids, 1)
    child.wait_for_word("begun")
    (lost,) = by_number(client).values()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert eventually(lambda: is_gone(pid))
    Agent(client, sweep, shell("echo {x}")).run()
    records = by_number(client)

    assert [record.status for record in records.values()] == ["completed"] * 2
    assert (records[lost.number].params, records[lost.number].generation) == (lost.params, 1)


@pytest.mark.slow
def test_a_killed_agent_takes_its_whole_command_with_it(
    client: MLOpsClient, sweep: Sweep, stage: Stage
) -> None:
    program = """
        import os, subprocess, time
        from podstack import MLOpsClient
        with MLOpsClient().start_run() as run:
            below = subprocess.Popen(["sleep", "600"])
            print("pids", os.getpid(), below.pid, "end", flush=True)
            time.sleep(600)
    """
    child = agent(stage, python(stage.folder, program))
    child.wait_for_word("end")
    pids = [int(word) for word in child.out.split("pids")[1].split()[:2]]
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()

    assert eventually(lambda: all(map(is_gone, pids)))
    assert [run.status for run in client.list_runs()] == ["killed"]


@pytest.mark.slow
def test_a_killed_agents_command_that_does_not_listen_is_killed_after_its_grace(
    client: MLOpsClient, sweep: Sweep, stage: Stage
) -> None:
    """Its grace is over once it has heard of the end, for `sleep` is ours."""
    heard, asked, programs = (stage.folder / name for name in ("heard", "asked", "programs"))
    programs.mkdir()
    slept = programs / "sleep"
    slept.write_text(
        f"#!/bin/sh\necho $1 > {asked}\nwhile [ ! -e {heard} ]; do {SLEEP} 0.05; done\n"
    )
    slept.chmod(0o755)
    says = f"exec 2> /dev/null; trap 'touch {heard}' TERM; echo pid $$ end"
    words = shell(f"{says}; while :; do {SLEEP} 0.05; done")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    child = agent(stage, words, grace=7.0, environment={"PATH": path})
    child.wait_for_word("end")
    pid = int(child.out.split("pid")[1].split()[0])
    os.kill(child.pid, signal.SIGKILL)
    child.wait()

    assert eventually(lambda: is_gone(pid))
    assert heard.exists()
    assert asked.read_text() == "7\n"


def test_an_agent_that_ends_leaves_nothing_behind_that_guards_it(
    client: MLOpsClient, sweep: Sweep
) -> None:
    before = children()
    Agent(client, sweep, shell("echo {x}")).run()

    assert children() <= before  # one of an earlier test may end meanwhile


def children() -> set[str]:
    """The processes below this one, of all of its threads."""
    paths = Path("/proc/self/task").glob("*/children")
    return {pid for path in paths for pid in path.read_text().split()}


def test_a_guard_ends_only_what_still_runs() -> None:
    over, runs = (subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(2))
    with Guard(1.0) as guard:
        guard.watch(over.pid)
        guard.forget()
    with Guard(1.0) as guard:
        guard.watch(over.pid)
        guard.watch(runs.pid)

    assert runs.wait() == -signal.SIGTERM
    assert over.poll() is None
    over.kill()
    over.wait()


def test_what_a_command_leaves_running_does_not_hold_the_agent_up(
    client: MLOpsClient, sweep: Sweep, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    Agent(client, sweep, shell(f"sleep 600 & echo $! > {pids}; echo 0.5")).run(1)
    pid = int(pids.read_text())
    runs_on = not is_gone(pid)
    os.kill(pid, signal.SIGKILL)
    (record,) = by_number(client).values()

    assert (record.status, record.value) == ("completed", 0.5)
    assert runs_on, "its end was waited for"
