"""Every way in which a script can end: what status its run gets, and that no point is lost.

The exit code of the process stays what it would be without podstack.
"""

from __future__ import annotations

import signal
from typing import NamedTuple

import pytest

from podstack.testing.stage import Child, Stage

LOST = "lost"  # shown as failed, with `lost_since`: nobody could say how it ended


class Way(NamedTuple):
    """How a script ends after it has logged, and what is to be seen of it afterwards."""

    script: str
    status: str
    code: int = 0
    error: str = ""  # what the run's error holds
    stderr: str = ""  # what its last line on stderr holds


OPEN = """
run = client.start_run(run_id="r")
for i in range(points): log(run, i)
"""
WITH = """
with client.start_run(run_id="r") as run:
    for i in range(points): log(run, i)
"""

WAYS = {
    "falls off the end": Way(OPEN, "completed"),
    "leaves the with block": Way(WITH, "completed"),
    "calls finish": Way(OPEN + "run.finish()", "completed"),
    "calls finish twice": Way(OPEN + "run.finish(); run.finish('failed')", "completed"),
    "calls finish with a status": Way(OPEN + "run.finish('killed')", "killed"),
    "raises": Way(OPEN + "1 / 0", "failed", 1, "ZeroDivisionError", "ZeroDivisionError"),
    "raises in the with block": Way(
        WITH + "    1 / 0", "failed", 1, "ZeroDivisionError", "ZeroDivisionError"
    ),
    "raises in the with block and catches it": Way(
        "try:\n"
        + "".join(f"    {line}\n" for line in WITH.splitlines())
        + "        1 / 0\nexcept ZeroDivisionError: pass",
        "failed",
        error="ZeroDivisionError",
    ),
    "sys.exit(0)": Way(OPEN + "sys.exit(0)", "completed"),
    "sys.exit()": Way(OPEN + "sys.exit()", "completed"),
    "sys.exit(3)": Way(OPEN + "sys.exit(3)", "failed", 3, "SystemExit: 3"),
    "sys.exit('text')": Way(OPEN + "sys.exit('why')", "failed", 1, "SystemExit: why", "why"),
    "sys.exit(0) in the with block": Way(WITH + "    sys.exit(0)", "completed"),
    "sys.exit(3) in the with block": Way(WITH + "    sys.exit(3)", "failed", 3, "SystemExit: 3"),
    "sys.exit('text') in the with block": Way(
        WITH + "    sys.exit('why')", "failed", 1, "SystemExit: why", "why"
    ),
    "raise SystemExit(3) in the with block": Way(
        WITH + "    raise SystemExit(3)", "failed", 3, "SystemExit: 3"
    ),
    "catches sys.exit and goes on": Way(
        OPEN + "try: sys.exit(3)\nexcept SystemExit: pass\nlog(run, points)", "completed"
    ),
    "os._exit": Way(OPEN + "os._exit(4)", LOST, 4),
    "SIGKILL": Way(OPEN + "os.kill(os.getpid(), signal.SIGKILL)", LOST, -signal.SIGKILL),
    "SIGTERM": Way(OPEN + "os.kill(os.getpid(), signal.SIGTERM)", "killed", -signal.SIGTERM),
    "SIGTERM in the with block": Way(
        WITH + "    os.kill(os.getpid(), signal.SIGTERM)", "killed", -signal.SIGTERM
    ),
    "SIGHUP": Way(OPEN + "os.kill(os.getpid(), signal.SIGHUP)", "killed", -signal.SIGHUP),
    "SIGHUP, ignored as nohup does": Way(
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
        + OPEN
        + "os.kill(os.getpid(), signal.SIGHUP); log(run, points)",
        "completed",
    ),
    "SIGINT, and a module with a dataclass is imported at the end": Way(
        OPEN + "atexit.register(exec, 'pass'); os.kill(os.getpid(), signal.SIGINT); time.sleep(9)",
        "killed",
        -signal.SIGINT,
        stderr="KeyboardInterrupt",
    ),
    "SIGINT": Way(
        OPEN + "os.kill(os.getpid(), signal.SIGINT); time.sleep(9)",
        "killed",
        -signal.SIGINT,
        stderr="KeyboardInterrupt",
    ),
    "SIGINT in the with block": Way(
        WITH + "    os.kill(os.getpid(), signal.SIGINT); time.sleep(9)",
        "killed",
        -signal.SIGINT,
        stderr="KeyboardInterrupt",
    ),
    "SIGUSR1, which kills without a word": Way(
        OPEN + "os.kill(os.getpid(), signal.SIGUSR1)", LOST, -signal.SIGUSR1
    ),
    "a handler of SIGTERM from before exits": Way(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"
        + OPEN
        + "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
        "failed",
        7,
        "SystemExit: 7",
    ),
    "a handler of SIGTERM from before goes on": Way(
        "signal.signal(signal.SIGTERM, lambda *_: None)"
        + OPEN
        + "os.kill(os.getpid(), signal.SIGTERM); log(run, points)",
        "completed",
    ),
    "a handler of SIGTERM from after goes on": Way(
        OPEN
        + "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        + "os.kill(os.getpid(), signal.SIGTERM); log(run, points)",
        "completed",
    ),
    "a handler of SIGTERM from after logs and calls the one before": Way(
        OPEN
        + "def handler(number, frame): log(run, points); before(number, frame)\n"
        + "before = signal.signal(signal.SIGTERM, handler)\n"
        + "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
        "killed",
        -signal.SIGTERM,
    ),
    "a handler finishes the run": Way(
        "def handler(number, frame): run.finish('killed'); sys.exit(0)\n"
        + "signal.signal(signal.SIGTERM, handler)"
        + OPEN
        + "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
        "killed",
    ),
    "an exit handler logs": Way(OPEN + "atexit.register(lambda: log(run, points))", "completed"),
    "an exit handler logs after an exception": Way(
        OPEN + "atexit.register(lambda: log(run, points))\n1 / 0",
        "failed",
        1,
        "ZeroDivisionError",
        "ZeroDivisionError",
    ),
    "a finally block logs after an exception": Way(
        OPEN + "try: 1 / 0\nfinally: log(run, points)",
        "failed",
        1,
        "ZeroDivisionError",
        "ZeroDivisionError",
    ),
    "__del__ logs while a run is open": Way(
        OPEN
        + "class Logger:\n    def __del__(self): log(run, points)\n"
        + "logger = Logger(); del logger",
        "completed",
    ),
    "a thread still logs": Way(
        OPEN
        + "def go_on():\n    for i in range(points, points + 300): log(run, i)\n"
        + "threading.Thread(target=go_on).start()",
        "completed",
    ),
    "a thread still logs after an exception": Way(
        OPEN
        + "def go_on():\n    for i in range(points, points + 300): log(run, i)\n"
        + "threading.Thread(target=go_on).start()\n1 / 0",
        "failed",
        1,
        "ZeroDivisionError",
        "ZeroDivisionError",
    ),
    "a thread raises": Way(
        OPEN
        + "threading.excepthook = lambda *_: None\n"
        + "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()",
        "completed",
    ),
    "SIGTERM while another thread logs": Way(
        OPEN
        + "def go_on():\n    for i in range(points, 10**9): log(run, i)\n"
        + "threading.excepthook = lambda *_: None\n"
        + "threading.Thread(target=go_on, daemon=True).start()\n"
        + "time.sleep(0.05); os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
        "killed",
        -signal.SIGTERM,
    ),
    "ends while a daemon thread logs": Way(
        OPEN
        + "def go_on():\n    for i in range(points, 10**9): log(run, i)\n"
        + "threading.excepthook = lambda *_: None\n"
        + "threading.Thread(target=go_on, daemon=True).start()\n"
        + "time.sleep(0.05)",
        "completed",
    ),
}


def _end(stage: Stage, way: Way, points: int) -> None:
    ended = stage.play(f"points = {points}\n" + way.script)
    run, verdict = stage.run(), stage.verdict()

    assert ended.code == way.code, ended.err
    assert way.stderr in ended.err
    assert ended.err == "" or way.stderr
    assert verdict.clean, verdict
    assert verdict.acked >= points
    assert run.status == ("failed" if way.status == LOST else way.status)
    assert (run.lost_since is not None) == (way.status == LOST)
    assert way.error in (run.error or "")
    assert run.ended is not None


@pytest.mark.parametrize("name", WAYS)
def test_a_run_ends_as_its_script_does(stage: Stage, name: str) -> None:
    _end(stage, WAYS[name], 10)


@pytest.mark.slow
@pytest.mark.parametrize("points", [1, 500])
@pytest.mark.parametrize("name", WAYS)
def test_a_run_ends_as_its_script_does_after_few_and_many_points(
    stage: Stage, name: str, points: int
) -> None:
    _end(stage, WAYS[name], points)


def test_logging_after_the_end_is_an_error_that_says_how_to_go_on(stage: Stage) -> None:
    ended = stage.play(OPEN.replace("points", "3") + "run.finish()\nlog(run, 3)")

    assert ended.code == 1
    assert "RunClosedError: Run r is not being recorded here" in ended.err
    assert "client.start_run(run_id='r')" in ended.err
    assert stage.verdict().clean
    assert stage.run().status == "completed"


def test_an_exception_inside_nested_runs_fails_those_that_it_leaves(stage: Stage) -> None:
    ended = stage.play(
        """
        with client.start_run(run_id="outer") as outer:
            try:
                with client.start_run(run_id="middle", parent_run_id="outer") as middle:
                    with client.start_run(run_id="inner", parent_run_id="middle") as inner:
                        log(inner, 0)
                        raise ValueError("inside")
            except ValueError:
                log(outer, 0)
        """
    )
    statuses = {name: stage.run(name).status for name in ("outer", "middle", "inner")}

    assert (ended.code, ended.err) == (0, "")
    assert statuses == {"outer": "completed", "middle": "failed", "inner": "failed"}
    assert "ValueError: inside" in (stage.run("inner").error or "")


def test_several_open_runs_end_together(stage: Stage) -> None:
    ended = stage.play(
        """
        runs = [client.start_run(run_id=f"run{n}") for n in range(4)]
        for run in runs:
            log(run, 0, run.id)
        1 / 0
        """
    )

    assert ended.code == 1
    assert {stage.run(f"run{n}").status for n in range(4)} == {"failed"}


def test_a_run_that_cannot_be_ended_keeps_no_other_from_its_end(stage: Stage) -> None:
    ended = stage.play(
        """
        def fail(*words, **options):
            raise ValueError("odd")

        first, second = client.start_run(run_id="first"), client.start_run(run_id="second")
        first.finish = fail
        """
    )

    assert ended.code == 0
    assert "a run could not be ended" in ended.err
    assert (stage.run("second").status, stage.run("second").lost_since) == ("completed", None)


def test_sys_exit_in_a_with_block_fails_the_other_open_runs_too(stage: Stage) -> None:
    ended = stage.play(
        """
        outer = client.start_run(run_id="outer")
        with client.start_run(run_id="inner"):
            sys.exit(3)
        """
    )

    assert ended.code == 3
    assert {stage.run(name).status for name in ("outer", "inner")} == {"failed"}


ENDLESS = """
with client.start_run(run_id="r") as run:
    for i in range(10**9): log(run, i)
"""


def _wait_for_points(stage: Stage, child: Child, count: int = 100) -> None:
    child.wait_until(lambda: stage.count_acked() > count, f"log {count} points")


def test_a_second_ctrl_c_during_the_end_loses_nothing(stage: Stage) -> None:
    child = stage.start(ENDLESS)
    _wait_for_points(stage, child)
    for _ in range(2):
        child.send(signal.SIGINT)
    ended = child.wait()

    assert ended.code == -signal.SIGINT
    assert stage.verdict().clean
    assert stage.run().status in ("killed", "failed")


def test_ctrl_c_that_is_caught_inside_the_loop_does_not_end_the_run(stage: Stage) -> None:
    child = stage.start(
        """
        run = client.start_run(run_id="r")
        i = caught = 0
        while not os.path.exists("enough"):
            try:
                while not os.path.exists("enough"):
                    log(run, i)
                    i += 1
            except KeyboardInterrupt:
                caught += 1
                i += 1      # whether point i went out is not known: leave it
        print(caught)
        run.finish()
        """
    )
    for _ in range(20):
        _wait_for_points(stage, child, stage.count_acked() + 20)
        child.send(signal.SIGINT)
    _wait_for_points(stage, child, stage.count_acked() + 20)
    (stage.store.parent / "enough").touch()
    ended = child.wait()
    verdict = stage.verdict()

    assert (ended.code, ended.out, ended.err) == (0, "20\n", "")
    assert verdict.lost == verdict.doubled == verdict.damaged == 0, verdict
    assert stage.run().status == "completed"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_at_any_moment_of_logging_flat_out_ends_the_run(stage: Stage, name: str) -> None:
    child = stage.start(ENDLESS)
    _wait_for_points(stage, child)
    child.send(getattr(signal, name))
    ended = child.wait()

    assert ended.code == -getattr(signal, name)
    assert stage.verdict().clean
    assert stage.run().status == "killed"


TIMER = """
import podstack.journal
podstack.journal.SEGMENT = 20_000   # so that the handler also interrupts the change of segments
run = client.start_run(run_id="r")
beats = 0

def beat(number, frame):
    global beats
    n = beats
    beats = n + 1       # at once: the next beat may interrupt this one
    {handler}

signal.signal(signal.SIGALRM, beat)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
i = 0
while beats < {beats}:
    {loop}
    i += 1
signal.setitimer(signal.ITIMER_REAL, 0)
assert run.flush(200)
print(beats, i)
run.finish()
"""


def test_a_signal_handler_may_log_a_thousand_times_a_second(stage: Stage) -> None:
    ended = stage.play(
        TIMER.format(handler='log(run, n, "handler")', loop="log(run, i)", beats=200)
    )
    verdict = stage.verdict()

    assert (ended.code, ended.err) == (0, "")
    assert verdict.clean, verdict
    assert verdict.acked > 400


def test_a_signal_handler_and_the_loop_never_share_an_automatic_step(stage: Stage) -> None:
    ended = stage.play(
        TIMER.format(
            handler='run.log_metrics({"all": 1})', loop='run.log_metrics({"all": 0})', beats=200
        )
    )
    beats, loops = map(int, ended.out.split())
    series = stage.run().metrics["all"]

    assert (ended.code, ended.err) == (0, "")
    assert len(series.raw) == beats + loops
    assert series.steps.tolist() == list(range(beats + loops))


def test_a_signal_handler_may_log_facts_and_flush(stage: Stage) -> None:
    ended = stage.play(
        TIMER.format(
            handler='run.log_params({f"p{n}": n}); run.add_tags(f"t{n}")',
            loop='log(run, i); run.log_params({"loop": i})',
            beats=200,
        )
    )
    run = stage.run()

    assert (ended.code, ended.err) == (0, "")
    assert stage.verdict().clean
    assert len(run.tags) == len(run.params) - 1 >= 200
