"""`client.run_sweep`: real processes that are interrupted, killed and replaced."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient, Run
from podstack.errors import NotFoundError, TrialsFailedError, UsageError, WrongTypeError
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.sweep import Sweep
from podstack.sweeps.trial import Trial
from podstack.testing.stage import DEADLINE, Child, Stage

SPACE = {"x": {"min": 0.0, "max": 1.0}, "model": {"depth": {"values": [1, 2, 3]}}}


def made(client: MLOpsClient, trials: int, **options: Any) -> Sweep:
    client.create_experiment("e")
    return client.create_sweep(
        "e", "random", SPACE, "score", trials, "maximize", name="s", seed=7, **options
    )


def score(trial: Trial) -> float:
    return 1.0 - abs(float(trial["x"]) - 0.5)


# One worker, in this process -------------------------------------------------------------------


def test_a_function_may_return_the_objective(client: MLOpsClient) -> None:
    sweep = client.run_sweep(made(client, 3).id, score, workers=1)

    assert [record.status for record in sweep.records()] == ["completed"] * 3
    assert [r.value for r in sweep.records()] == [
        1.0 - abs(r.params["x"] - 0.5) for r in sweep.records()
    ]


def test_a_function_may_return_metrics_or_log_them_into_its_run(client: MLOpsClient) -> None:
    def by_name(trial: Trial, run: Run) -> dict[str, float]:
        run.log_metrics({"loss": 3.0}, step=0)
        return {"score": float(trial.number), "extra": 2.0}

    def logs(trial: Trial, run: Run) -> None:
        for step in range(3):
            run.log_metrics({"score": trial.number * 10 + step}, step=step)

    client.run_sweep(made(client, 2).id, by_name, workers=1, max_trials=1)
    sweep = client.run_sweep("s", logs, workers=1)
    one, two = sweep.records()
    run = client.get_run(str(one.run))

    assert (one.value, two.value) == (1.0, 22.0)
    assert {name: run.summary[name].last for name in run.metrics} == {
        "loss": 3.0,
        "score": 1.0,
        "extra": 2.0,
    }


def test_each_trial_has_a_run_with_its_parameters(client: MLOpsClient) -> None:
    sweep = client.run_sweep(made(client, 3).id, score, workers=1)

    for record in sweep.records():
        run = client.get_run(str(record.run))
        assert (run.status, run.experiment_id) == ("completed", "e")
        assert run.params == record.params


def test_a_function_that_raises_fails_its_trial_and_the_next_is_taken(client: MLOpsClient) -> None:
    def fails_at_two(trial: Trial) -> float:
        if trial.number == 2:
            raise ValueError("no such depth")
        return 1.0

    sweep = client.run_sweep(made(client, 3).id, fails_at_two, workers=1)
    failed = sweep.records()[1]

    assert [record.status for record in sweep.records()] == ["completed", "failed", "completed"]
    assert "Traceback" in str(failed.error)
    assert "ValueError: no such depth" in str(failed.error)
    assert client.get_run(str(failed.run)).status == "failed"


def test_sys_exit_inside_of_a_function_ends_its_trial_only(client: MLOpsClient) -> None:
    def leaves(trial: Trial) -> float:
        raise SystemExit(3) if trial.number == 1 else SystemExit(0)

    sweep = client.run_sweep(made(client, 2).id, leaves, workers=1)

    assert [record.status for record in sweep.records()] == ["failed", "failed"]
    assert "SystemExit: 3" in str(sweep.records()[0].error)


def test_five_failures_from_the_start_end_it_with_the_reason(client: MLOpsClient) -> None:
    def broken(trial: Trial) -> float:
        raise KeyError("learning_rate")

    with pytest.raises(TrialsFailedError, match=r"first 5 trials .*KeyError: 'learning_rate'"):
        client.run_sweep(made(client, 20).id, broken, workers=1)

    assert len(client.get_sweep("s").records()) == 5
    assert client.get_sweep("s").status == "running"


def test_failures_after_a_success_do_not_end_it(client: MLOpsClient) -> None:
    def only_the_first(trial: Trial) -> float:
        return 1.0 / (trial.number == 1)

    sweep = client.run_sweep(made(client, 8).id, only_the_first, workers=1)

    assert sweep.progress.failed == 7


def test_what_is_no_number_fails_the_trial_and_says_what_may_be_returned(
    client: MLOpsClient,
) -> None:
    sweep = client.run_sweep(made(client, 1).id, lambda trial: "good", workers=1)

    assert sweep.records()[0].status == "failed"
    assert "it may return the value of 'score', metrics by name" in str(sweep.records()[0].error)


def test_a_function_that_tells_no_objective_fails_its_trial(client: MLOpsClient) -> None:
    sweep = client.run_sweep(made(client, 1).id, lambda trial: {"other": 1.0}, workers=1)

    assert sweep.records()[0].status == "failed"
    assert "score" in str(sweep.records()[0].error)


def test_max_trials_is_what_one_call_takes(client: MLOpsClient) -> None:
    sweep = made(client, 5)

    assert len(client.run_sweep(sweep, score, workers=1, max_trials=2).records()) == 2
    assert len(client.run_sweep(sweep, score, workers=1, max_trials=2).records()) == 4
    assert len(client.run_sweep(sweep, score, workers=1).records()) == 5


def test_ctrl_c_gives_the_trial_back_and_kills_its_run(client: MLOpsClient) -> None:
    interrupted: list[Any] = []

    def interrupt(trial: Trial, run: Run) -> float:
        if not interrupted:
            interrupted.append((trial.number, trial.params, run.id))
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        client.run_sweep(made(client, 2).id, interrupt, workers=1)
    waiting = client.get_sweep("s").records()
    sweep = client.run_sweep("s", interrupt, workers=1)
    (number, params, run_id), again = interrupted[0], sweep.records()[0]

    assert [(r.number, r.status, r.worker) for r in waiting] == [(1, "running", "")]
    assert client.get_run(run_id).status == "killed"
    assert (again.number, sweep.definition.space.nested(again.params)) == (number, params)
    assert again.run != run_id
    assert sweep.progress.completed == 2


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (3, "cannot be"),
        (lambda: 1.0, r"takes a trial, or a trial and its run, not \(\)"),
        (lambda lr, depth, seed: 1.0, r"train\(\*\*trial\)"),
        (lambda trial, *, seed: 1.0, "takes a trial"),
    ],
)
def test_a_function_of_another_shape_is_refused_before_a_trial_is_taken(
    client: MLOpsClient, function: Any, said: str
) -> None:
    sweep = made(client, 2)

    with pytest.raises(UsageError, match=said):
        client.run_sweep(sweep.id, function, workers=1)

    assert sweep.records() == []


@pytest.mark.parametrize(
    "function",
    [lambda trial, verbose=False: 1.0 - verbose, lambda trial, **_: 1.0],
)
def test_only_a_second_argument_that_is_needed_or_named_run_gets_the_run(
    client: MLOpsClient, function: Callable[..., float]
) -> None:
    sweep = client.run_sweep(made(client, 1).id, function, workers=1)

    assert sweep.records()[0].value == 1.0


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "4"])
def test_a_wrong_number_of_workers_is_refused(client: MLOpsClient, workers: Any) -> None:
    with pytest.raises(UsageError, match="workers is a whole number from 1"):
        client.run_sweep(made(client, 1).id, score, workers=workers)


def test_a_sweep_that_there_is_not_is_named(client: MLOpsClient) -> None:
    made(client, 1)

    with pytest.raises(NotFoundError, match="nope"):
        client.run_sweep("nope", score, workers=1)


def test_a_disabled_store_is_worked_on_in_this_process() -> None:
    client = MLOpsClient(mode="disabled")
    sweep = client.create_sweep(None, "random", SPACE, "score", 3, "maximize")

    assert client.run_sweep(sweep, score, workers=4).progress.completed == 3


def test_numbers_of_numpy_are_numbers(client: MLOpsClient) -> None:
    numpy = pytest.importorskip("numpy")
    sweep = client.run_sweep(made(client, 1).id, lambda trial: numpy.float32(0.5), workers=1)

    assert sweep.records()[0].value == 0.5
    assert issubclass(WrongTypeError, UsageError)


# Several ---------------------------------------------------------------------------------------

POOL = """
import pathlib
HERE = pathlib.Path({here!r})

def at_work(trial):
    (HERE / f"trial-{{trial.number}}-{{os.getpid()}}").touch()

{function}

if __name__ == "__main__":
    print("go", flush=True)
    sweep = client.run_sweep("s", objective, workers={workers}, **{options!r})
    print("progress", sweep.progress.completed, sweep.progress.failed, flush=True)
"""


# A pool that waits for its workers is then one that hangs, on a busy machine too.
PATIENT = f"""
import podstack.sweeps.workers
podstack.sweeps.workers.GRACE = {2 * DEADLINE}
"""


def pool(stage: Stage, function: str, workers: int = 2, **options: Any) -> Child:
    """Start a pool; its functions tell of themselves by files in the stage's folder."""
    return stage.start(
        POOL.format(here=str(stage.folder), function=function, workers=workers, options=options),
        first=PATIENT,
    )


def works(stage: Stage) -> dict[int, list[int]]:
    """Which processes have begun which trial."""
    found: dict[int, list[int]] = {}
    for path in stage.folder.glob("trial-*-*"):
        _, number, pid = path.name.split("-")
        found.setdefault(int(number), []).append(int(pid))
    return found


def until_at_work(stage: Stage, child: Child, trials: int) -> dict[int, list[int]]:
    child.wait_until(lambda: len(works(stage)) >= trials, f"{trials} trials at work")
    return works(stage)


def by_number(client: MLOpsClient) -> dict[int, TrialRecord]:
    return {record.number: record for record in client.get_sweep("s").records()}


def statuses(client: MLOpsClient) -> list[str]:
    return [record.status for record in client.get_sweep("s").records()]


QUICK = """
def objective(trial, run):
    at_work(trial)
    run.log_metrics({"score": trial["x"]}, step=0)
    time.sleep(0.05)
"""
TOGETHER = """
def processes():
    return {path.name.split("-")[2] for path in HERE.glob("trial-*-*")}

def objective(trial, run):
    at_work(trial)
    run.log_metrics({"score": trial["x"]}, step=0)
    while len(processes()) < 2:  # the first one waits for another
        time.sleep(0.01)
"""
SLOW = """
def objective(trial, run):
    at_work(trial)
    time.sleep(0.1 if trial.generation or os.path.exists(HERE / "quick") else 600)
    return trial["x"]
"""


def test_processes_share_the_trials_and_end_each_once(client: MLOpsClient, stage: Stage) -> None:
    made(client, 8)
    ended = pool(stage, TOGETHER, workers=3).wait()
    records = client.get_sweep("s").records()
    processes = {pid for pids in works(stage).values() for pid in pids}

    assert (ended.code, ended.out.splitlines()[-1]) == (0, "progress 8 0"), ended.err
    assert [record.number for record in records] == list(range(1, 9))
    assert [record.value for record in records] == [record.params["x"] for record in records]
    assert all(len(pids) == 1 for pids in works(stage).values())
    assert len(processes) > 1
    assert len({record.run for record in records}) == len(client.list_runs()) == 8


@pytest.mark.slow
def test_a_pool_ends_where_nobody_is_told_how_its_workers_ended(
    client: MLOpsClient, stage: Stage
) -> None:
    made(client, 4)
    child = pool(stage, "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n" + SLOW)
    begun = until_at_work(stage, child, 2)
    (stage.folder / "quick").touch()
    (victim,) = begun[min(begun)]
    (other,) = begun[max(begun)]
    os.kill(victim, signal.SIGKILL)
    child.wait_until(lambda: len(works(stage)[min(begun)]) == 2, "begin the trial again")
    os.kill(other, signal.SIGKILL)
    ended = child.wait()

    assert (ended.code, ended.out.splitlines()[-1]) == (0, "progress 4 0"), ended.err


def test_a_function_that_cannot_be_sent_is_run_in_forked_processes(
    client: MLOpsClient, stage: Stage
) -> None:
    made(client, 4)
    ended = pool(
        stage, "factor = 2.0\nobjective = lambda trial: trial['x'] * factor", max_trials=3
    ).wait()

    assert (ended.code, ended.out.splitlines()[-1]) == (0, "progress 3 0"), ended.err
    assert all(r.value == 2.0 * r.params["x"] for r in client.get_sweep("s").records())


def test_a_worker_that_is_killed_loses_its_trial_only_and_another_ends_it(
    client: MLOpsClient, stage: Stage
) -> None:
    made(client, 4)
    child = pool(stage, SLOW)
    begun = until_at_work(stage, child, 2)
    (stage.folder / "quick").touch()
    (victim,) = begun[min(begun)]
    (other,) = begun[max(begun)]
    before = by_number(client)
    os.kill(victim, signal.SIGKILL)
    child.wait_until(lambda: len(works(stage)[min(begun)]) == 2, "begin the trial again")
    os.kill(other, signal.SIGKILL)
    ended = child.wait()
    after = by_number(client)

    assert (ended.code, ended.out.splitlines()[-1]) == (0, "progress 4 0"), ended.err
    for number, lost in before.items():
        assert (after[number].generation, after[number].params) == (1, lost.params)
        assert client.get_run(str(lost.run)).lost_since is not None
        assert client.get_run(str(after[number].run)).status == "completed"


@pytest.mark.slow
def test_a_trial_that_kills_three_workers_fails_and_the_others_go_on(
    client: MLOpsClient, stage: Stage
) -> None:
    made(client, 4)
    ended = pool(
        stage,
        """
def objective(trial):
    at_work(trial)
    if trial.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return trial["x"]
""",
    ).wait()
    records = client.get_sweep("s").records()

    assert (ended.code, ended.out.splitlines()[-1]) == (0, "progress 3 1"), ended.err
    assert len(works(stage)[2]) in (3, 4)  # one may begin before the third death is heard of
    assert [record.status for record in records] == ["completed", "failed", *["completed"] * 2]
    assert "died 3 times, the last one ended by signal 9" in str(records[1].error)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupted_pool_kills_its_runs_and_gives_its_trials_back(
    client: MLOpsClient, stage: Stage, number: signal.Signals
) -> None:
    made(client, 4)
    child = pool(stage, SLOW)
    begun = until_at_work(stage, child, 2)
    before = by_number(client)
    os.killpg(child.pid, number)  # as a terminal does, and Slurm: to every process
    ended = child.wait()
    waiting = by_number(client)
    (stage.folder / "quick").touch()
    again = pool(stage, SLOW).wait()
    after = by_number(client)

    assert ended.code == -number, ended.err
    assert {client.get_run(str(record.run)).status for record in before.values()} == {"killed"}
    assert [(record.status, record.worker) for record in waiting.values()] == [("running", "")] * 2
    assert again.out.splitlines()[-1] == "progress 4 0", again.err
    assert sorted(works(stage)) == [1, 2, 3, 4]
    assert {n: after[n].params for n in before} == {n: r.params for n, r in before.items()}
    assert not any(Path(f"/proc/{pid}").exists() for pids in begun.values() for pid in pids)


DEAF = """
def objective(trial):
    try:
        at_work(trial)
        time.sleep(600)
    except KeyboardInterrupt:
        (HERE / f"deaf-{os.getpid()}").touch()
    while True:
        time.sleep(600)
"""


@pytest.mark.slow
def test_ctrl_c_again_ends_workers_that_do_not_listen(client: MLOpsClient, stage: Stage) -> None:
    made(client, 4)
    child = pool(stage, DEAF)
    begun = until_at_work(stage, child, 2)
    os.killpg(child.pid, signal.SIGINT)
    child.wait_until(lambda: len(list(stage.folder.glob("deaf-*"))) == 2, "interrupt both")
    os.killpg(child.pid, signal.SIGINT)
    ended = child.wait()

    assert ended.code == -signal.SIGINT, ended.err
    assert not any(Path(f"/proc/{pid}").exists() for pids in begun.values() for pid in pids)
    assert client.get_sweep("s").suggest() is not None


@pytest.mark.slow
def test_a_worker_whose_function_waits_in_c_hears_what_the_kernel_gave_to_another_thread(
    client: MLOpsClient, stage: Stage
) -> None:
    """So does the kernel with SIGTERM where the main thread has yet to look at a SIGINT."""
    made(client, 4)
    child = pool(
        stage,
        """
def objective(trial):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # of this thread, not of others
    at_work(trial)
    time.sleep(600)
""",
    )
    until_at_work(stage, child, 2)
    begun = by_number(client)
    child.send(signal.SIGINT)
    ended = child.wait()

    assert ended.code == -signal.SIGINT, ended.err
    assert {client.get_run(str(record.run)).status for record in begun.values()} == {"killed"}
    assert [(r.status, r.worker) for r in by_number(client).values()] == [("running", "")] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_worker_that_was_forked_just_now_hears_of_the_end(
    client: MLOpsClient, stage: Stage
) -> None:
    """Until it has handlers of its own, it has those of the pool, which note a signal for that."""
    made(client, 4)
    child = pool(
        stage,
        """
from podstack.sweeps import worker
objective = lambda trial: at_work(trial)
listen = worker._listen

def late(stop):
    (HERE / f"forked-{os.getpid()}").touch()
    while not (HERE / f"ended-{os.getpid()}").exists():
        time.sleep(0.01)
    listen(stop)

def terminated(process):
    terminate(process)
    (HERE / f"ended-{process.pid}").touch()

import multiprocessing.process as processes
terminate = processes.BaseProcess.terminate
processes.BaseProcess.terminate = terminated
worker._listen = late
""",
    )
    child.wait_until(lambda: len(list(stage.folder.glob("forked-*"))) == 2, "fork both")
    child.send(signal.SIGINT)
    ended = child.wait()  # which raises before a grace is over

    assert ended.code == -signal.SIGINT, ended.err
    assert works(stage) == {}


LARGE = """
import functools

def of_data(data, trial):
    return float(len(data))

objective = functools.partial(of_data, b"x" * 1_000_000)
"""


def test_a_function_may_bring_more_than_a_pipe_holds(client: MLOpsClient, stage: Stage) -> None:
    made(client, 2)
    ended = pool(stage, LARGE).wait()

    assert (ended.code, ended.out.splitlines()[-1]) == (0, "progress 2 0"), ended.err
    assert [r.value for r in client.get_sweep("s").records()] == [1_000_000.0] * 2
    assert "workers are forked" not in ended.err


def test_a_worker_that_dies_before_it_has_read_its_function_is_told_of(
    client: MLOpsClient, stage: Stage
) -> None:
    made(client, 2)
    ended = pool(stage, LARGE + 'if __name__ == "__mp_main__":\n    os._exit(3)\n').wait()

    assert ended.code == 1
    assert "A worker ended before it began: exit code 3" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("function", [SLOW, DEAF], ids=["that listen", "that do not"])
def test_a_pool_that_is_killed_takes_its_workers_with_it(
    client: MLOpsClient, stage: Stage, function: str
) -> None:
    made(client, 4)
    child = pool(stage, function)
    begun = until_at_work(stage, child, 2)
    pids = [pid for each in begun.values() for pid in each]
    os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert {trial.number for trial in taken(client, 4)} == {1, 2, 3, 4}


def taken(client: MLOpsClient, count: int) -> list[Trial]:
    found = [client.get_sweep("s").suggest() for _ in range(count)]
    return [trial for trial in found if trial is not None]


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told_of_it(client: MLOpsClient, stage: Stage) -> None:
    made(client, 4)
    script = POOL.format(here=str(stage.folder), function=QUICK, workers=2, options={})
    ended = stage.play(script.replace('if __name__ == "__main__":', "if True:"))

    assert ended.code == 1
    assert 'Put the call below if __name__ == "__main__":' in ended.err
    assert "A worker ended before it began: exit code 1" in ended.err


@pytest.mark.slow
def test_five_failures_end_a_pool_with_the_reason(client: MLOpsClient, stage: Stage) -> None:
    made(client, 30)
    ended = pool(stage, "def objective(trial):\n    raise ValueError('bad data')").wait()

    assert ended.code == 1
    assert "TrialsFailedError: The first 5 trials" in ended.err
    assert "ValueError: bad data" in ended.err
    assert 5 <= len([s for s in statuses(client) if s == "failed"]) <= 6


def test_a_terminal_shows_a_bar_with_the_best_so_far(client: MLOpsClient, stage: Stage) -> None:
    made(client, 6)
    (stage.folder / "quick").touch()
    opening = (
        f"import os, time\nfrom podstack import MLOpsClient\nclient = MLOpsClient({client.uri!r})"
    )
    script = POOL.format(here=str(stage.folder), function=SLOW, workers=2, options={})
    said = on_a_terminal(opening + script, stage.folder)

    assert "s █" in said
    assert "/6 · best score 0." in said
    assert said.rstrip().splitlines()[-2].startswith("podstack: best score 0.")


def on_a_terminal(script: str, folder: Path) -> str:
    """What a script shows on a terminal of its own, in the order of its lines."""
    path = folder / "shown.py"
    path.write_text(script)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PODSTACK_QUIET": ""}
    with subprocess.Popen(
        [sys.executable, str(path)], stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 65536):
                seen += chunk
        except OSError:  # the other side is closed
            pass
        finally:
            os.close(ours)
            process.kill()
    return seen.decode("utf-8", "replace")
