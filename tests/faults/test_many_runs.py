"""Many runs in one process, and a process that gets no more threads."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from podstack.testing.stage import Stage
from podstack.testing.verdict import Verdict

NO_THREADS = """
import threading
def refuse(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
"""

RUNS = """
def count():
    until = time.monotonic() + 100
    while threading.active_count() > 1 and time.monotonic() < until:
        time.sleep(0.001)  # the background has said that it is done, and is about to end
    return threading.active_count(), len(os.listdir("/proc/self/fd"))
for n in range({runs}):
    with client.start_run(run_id=f"run{{n}}") as run:
        for i in range(20):
            log(run, i, run.id)
    run.flush(200)
    if n in (5, {runs} - 1):
        print(*count())
"""


@pytest.mark.parametrize("first", ["", NO_THREADS], ids=["with threads", "without threads"])
def test_sixty_runs_in_one_process_leave_no_thread_and_no_file_open(
    stage: Stage, first: str
) -> None:
    ended = stage.play(RUNS.format(runs=60), first=first)
    early, late = ended.out.splitlines()
    runs = [stage.run(f"run{n}") for n in range(60)]

    assert ended.code == 0, ended.err
    assert early == late
    assert {run.status for run in runs} == {"completed"}
    assert all(run.metrics[run.id].values.tolist() == [i / 2 for i in range(20)] for run in runs)


def test_without_a_thread_runs_work_and_finish_syncs(stage: Stage) -> None:
    ended = stage.play(
        """
        synced = []
        real = os.fsync
        os.fsync = lambda file: (synced.append(os.readlink(f"/proc/self/fd/{file}")), real(file))
        run = client.start_run(run_id="r", params={"lr": 0.1})
        for i in range(100):
            log(run, i)
        print(run.flush(200))
        for i in range(100, 200):
            log(run, i)
        synced.clear()
        run.finish()
        print({name.split("/")[-3] for name in synced if name.endswith(".jsonl")})
        """,
        first=NO_THREADS,
    )

    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0] == "True"
    assert "metrics" in ended.out
    assert ended.err.count("no background thread") == 1
    assert stage.verdict() == Verdict(logged=200, acked=200)
    assert stage.run().params == {"lr": 0.1}
    assert stage.run().status == "completed"


def test_sigterm_ends_the_first_process_of_a_container(stage: Stage) -> None:
    """The kernel spares process 1 from a signal's default action, so podstack has to exit."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    ready = subprocess.run(
        ["unshare", "--pid", "--fork", "true"], capture_output=True, text=True, timeout=240
    )
    if ready.returncode:
        pytest.skip(f"no process namespace can be made here: {ready.stderr}")
    ended = stage.play(
        """
        import subprocess
        script = f'''
        import os, sys
        from podstack import MLOpsClient
        assert os.getpid() == 1
        run = MLOpsClient({client.uri!r}).start_run(run_id="r")
        run.log_metrics({{"x": 0}}, step=0)
        os.kill(1, 15)
        run.log_metrics({{"x": 0.5}}, step=1)
        '''
        script = "\\n".join(line.strip() for line in script.splitlines())
        inside = ["unshare", "--pid", "--fork", sys.executable, "-c", script]
        print(subprocess.run(inside).returncode)
        """
    )

    assert (ended.code, ended.out, ended.err) == (0, "143\n", "")
    assert stage.verdict() == Verdict(logged=1)
    assert stage.run().status == "killed"
