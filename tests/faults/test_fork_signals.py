"""Signals around a fork: none is missed, and none that is a child's ends its parent's run."""

from __future__ import annotations

import pytest

from podstack.testing.stage import Stage

REAP = """
import warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)

def reap(pid):  # a child that missed its signal ends by itself, with another code
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_child_that_is_ended_the_moment_it_is_forked_dies(stage: Stage, name: str) -> None:
    ended = stage.play(
        REAP
        + f"""
run = client.start_run(run_id="r")
codes = set()
for n in range(40):
    pid = os.fork()
    if pid == 0:
        time.sleep(200)
        os._exit(0)
    os.kill(pid, signal.{name})
    codes.add(reap(pid))
    if codes != {{-signal.{name}}}:
        break
print(codes == {{-signal.{name}}}, codes)
run.finish()
"""
    )

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("True"), ended.out
    assert stage.run().status == "completed"


def test_a_signal_before_a_child_has_renewed_anything_leaves_its_parents_run_open(
    stage: Stage,
) -> None:
    ended = stage.play(
        REAP
        + """
run = client.start_run(run_id="r")
log(run, 0)
pid = os.fork()
if pid == 0:
    time.sleep(200)
    os._exit(0)
print(reap(pid), client.get_run("r").status)
log(run, 1)
run.finish()
""",
        first="""
        import os, signal
        os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
        """,
    )

    assert (ended.code, ended.err, ended.out) == (0, "", "-15 running\n")
    assert stage.verdict().clean
    assert stage.run().status == "completed"


@pytest.mark.parametrize("blocked", [False, True])
def test_a_fork_leaves_the_signals_blocked_that_were_and_no_others(
    stage: Stage, blocked: bool
) -> None:
    ended = stage.play(
        REAP
        + f"""
run = client.start_run(run_id="r")
if {blocked}:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
pid = os.fork()
same = signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
if pid == 0:
    os._exit(7 if same else 8)
print(reap(pid), same, (signal.SIGTERM in before) is {blocked})
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
run.finish()
"""
    )

    assert (ended.code, ended.err, ended.out) == (0, "", "7 True True\n")


def test_a_child_with_a_run_of_its_own_ends_that_in_order(stage: Stage) -> None:
    ended = stage.play(
        REAP
        + """
run = client.start_run(run_id="r")
pid = os.fork()
if pid == 0:
    own = client.start_run(run_id="own")
    log(own, 0, "own")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(200)
    os._exit(0)
print(reap(pid), run.status)
run.finish()
"""
    )

    assert (ended.code, ended.err, ended.out) == (0, "", "-15 running\n")
    assert stage.run("own").status == "killed"
    assert stage.run().status == "completed"


def test_a_handler_of_the_program_stays_in_its_children(stage: Stage) -> None:
    ended = stage.play(
        REAP
        + """
signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
run = client.start_run(run_id="r")
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(200)
    os._exit(0)
print(reap(pid), signal.getsignal(signal.SIGHUP) == signal.SIG_DFL)
run.finish()
"""
    )

    assert (ended.code, ended.err, ended.out) == (0, "", "9 False\n")


def test_a_fork_in_the_hook_of_a_fork_leaves_nothing_blocked(stage: Stage) -> None:
    ended = stage.play(
        REAP
        + """
run = client.start_run(run_id="r")
before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
pid = os.fork()
same = signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
if pid == 0:
    os._exit(7 if same else 8)
print(reap(pid), codes, same)
run.finish()
""",
        first="""
        import os

        def fork_within():
            if not codes:
                codes.append(None)
                pid = os.fork()
                if pid == 0:
                    os._exit(5)
                codes[:] = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]

        codes = []
        os.register_at_fork(before=fork_within)  # runs after podstack's own
        """,
    )

    assert (ended.code, ended.err, ended.out) == (0, "", "7 [5] True\n")
