"""Every way to end, with the store elsewhere: the status is right there, and nothing is lost."""

from __future__ import annotations

import signal
import time
from typing import NamedTuple

import pytest

from podstack import MLOpsClient
from podstack.testing.remote import Remote, waiting
from podstack.testing.stage import Ended, Stage
from podstack.testing.verdict import judge


class Way(NamedTuple):
    """How a script ends after it has logged. needs_sync: nothing could run at its end."""

    script: str
    status: str
    code: int = 0
    needs_sync: bool = False


OPEN = """
import podstack.endings
podstack.endings.AT_ONCE = 200.0  # seven that begin and end at once may need more than five
run = client.start_run(run_id={run!r}, capture=False)
for i in range(100): log(run, i)
"""
WAYS = {
    "falls off the end": Way("", "completed"),
    "raises": Way("1 / 0", "failed", 1),
    "sys.exit(3)": Way("sys.exit(3)", "failed", 3),
    "SIGTERM": Way("os.kill(os.getpid(), signal.SIGTERM)", "killed", -signal.SIGTERM),
    "Ctrl-C": Way("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", "killed", -signal.SIGINT),
    "logs at exit": Way("atexit.register(lambda: log(run, 100))", "completed"),
    "os._exit": Way("os._exit(4)", "failed", 4, needs_sync=True),
}


@pytest.mark.timeout(300)
def test_every_way_to_end_leaves_all_points_and_the_status(far: Stage, remote: Remote) -> None:
    began = time.monotonic()
    names = {f"way{n}": way for n, way in enumerate(WAYS.values())}
    children = {
        run: far.start(OPEN.format(run=run) + way.script, acks=run) for run, way in names.items()
    }
    ended = {run: child.wait() for run, child in children.items()}
    before = {
        run: way.needs_sync or judge(far.store, run, far.acked(run)).clean
        for run, way in names.items()
    }
    assert remote.sync().returncode == 0
    after = {run: judge(far.store, run, far.acked(run)) for run in names}
    print(f"ways={len(names)} {sum(v.lost for v in after.values())} lost", end=" ")
    print(f"{time.monotonic() - began:.1f} s")

    reader = MLOpsClient(far.store)
    for run, way in names.items():
        assert ended[run].code == way.code, (way, ended[run].err)
        assert after[run].clean, (way, after[run])
        assert before[run], way
        assert reader.get_run(run).status == way.status, way
    assert waiting() == []


SENT = """
import podstack.delivery, podstack.shipper
podstack.delivery._CLEARING = 200.0
asked, go_on, clear = threading.Event(), threading.Event(), podstack.shipper.Shipper._clear

def held(shipper, run, writer):
    if not shipper.left:
        asked.set()
        go_on.wait()
    clear(shipper, run, writer)

podstack.shipper.Shipper._clear = held
run = client.start_run(run_id="sent", capture=False)
log(run, 0)
run.finish(timeout=0.1)
asked.wait()
empty = podstack.delivery.Delivery.send_rest
def send_rest(delivery, timeout):
    print(len(list(delivery.spool.list())) > 0, delivery._shipper.left, flush=True)
    threading.Timer(0.3, go_on.set).start()
    empty(delivery, timeout)

podstack.delivery.Delivery.send_rest = send_rest
"""


def test_the_end_waits_until_the_store_is_seen_to_have_all_and_the_spool_is_empty(
    far_http: Stage, over_http: Remote
) -> None:
    """A slow look at the store does not outlive the end of its run by leaving files here."""
    ended = far_http.play(SENT, environment={"PODSTACK_FINISH_TIMEOUT": "200"})

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "True 0\n"  # something lay there, and nothing was left to send
    assert judge(over_http.folder, "sent", far_http.acked()).clean
    assert waiting() == []


NAMED = """
run = client.start_run(run_id="r", capture=False)
import asyncio
loop = getattr(sys.modules.get("fsspec.asyn"), "loop", [None])[0]
for i in range(100): log(run, i)
with open("file.bin", "wb") as file: file.write(b"content")
run.log_artifact("file.bin")
client._store.backend.store.close()     # so that all connections are made anew, at the end
"""


@pytest.mark.timeout(300)
def test_a_script_that_falls_off_its_end_ships_to_a_host_that_has_a_name(
    far: Stage, remote: Remote
) -> None:
    """The executors in which names are resolved are gone by then."""
    far.uri = far.uri.replace("127.0.0.1", "localhost")
    ended = far.play(NAMED)

    assert (ended.code, ended.err) == (0, "")
    assert far.verdict().clean
    assert far.run().status == "completed"
    assert list(far.run().artifacts) == ["file.bin"]
    assert waiting() == []


# A black hole at the end --------------------------------------------------------------------

BEFORE_A_HOLE = """
run = client.start_run(run_id="r", capture=False)
log(run, 0)
assert run.flush(200)
open("ready", "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
for i in range(1, 100): log(run, i)
"""
AT_SIGTERM = 'print("waits", flush=True)\ntime.sleep(600)'
AT_THE_END = """
from podstack.delivery import Delivery
def wait(*words, **options):
    print("waits", flush=True)  # so that no Ctrl-C comes before there is what it ends
    return really(*words, **options)
really, Delivery._wait = Delivery._wait, wait
"""


def _into_a_hole(stage: Stage, remote: Remote, signals: list[int]) -> tuple[Ended, float]:
    """End before a black hole; signals follow each other by a second. Seconds since the last."""
    child = stage.start(
        BEFORE_A_HOLE + (AT_SIGTERM if signals[0] == signal.SIGTERM else AT_THE_END),
        environment={"PODSTACK_FINISH_TIMEOUT": "200"},
    )
    child.wait_until((stage.folder / "ready").exists, "its first points")
    remote.proxy.fail("black hole")
    (stage.folder / "go").touch()
    child.wait_for_word("waits")
    for number in signals:
        time.sleep(1.0)
        child.send(number)
    sent = time.monotonic()
    return child.wait(), time.monotonic() - sent


@pytest.mark.timeout(300)
def test_ctrl_c_while_the_end_waits_for_a_black_hole_leaves_at_once(
    far: Stage, remote: Remote
) -> None:
    ended, seconds = _into_a_hole(far, remote, [signal.SIGINT, signal.SIGINT])
    print(f"Ctrl-C before a black hole: {seconds:.1f} s")

    assert seconds < 100  # half of what the end may take
    assert "podstack sync" in ended.err
    remote.proxy.heal()
    assert remote.sync().returncode == 0
    assert far.verdict().clean


@pytest.mark.timeout(300)
def test_sigterm_is_not_held_up_as_long_as_the_end_may_take(far: Stage, remote: Remote) -> None:
    ended, seconds = _into_a_hole(far, remote, [signal.SIGTERM])
    print(f"SIGTERM before a black hole: {seconds:.1f} s")

    assert ended.code == -signal.SIGTERM
    assert seconds < 100  # five, and ending Python on a machine that is busy; the end may take 200
    remote.proxy.heal()
    assert remote.sync().returncode == 0
    assert far.verdict().clean
    assert far.run().status == "killed"


HANGS = """
import podstack.delivery, podstack.liveness
podstack.delivery._ANSWER = 200.0
def others_alive(*words, **names):
    print("waits", flush=True)
    threading.Event().wait()  # as for a store that does not answer

podstack.liveness.Liveness.others_alive = others_alive
"""
LOGGED = """
for name in ("r", "s"):
    run = client.start_run(run_id=name, capture=False)
    log(run, 0)
    assert run.flush(200)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_run_asks_who_else_records_it_leaves_the_end_it_was_given(
    far_http: Stage, over_http: Remote, number: int
) -> None:
    child = far_http.start(HANGS + LOGGED + 'run.finish("failed", error="out of memory")')
    child.wait_for_word("waits")
    time.sleep(0.5)  # from there to where it waits
    child.send(number)
    ended = child.wait()
    assert over_http.sync().returncode == 0
    run = far_http.run("s")

    assert ended.code == -number
    assert (run.status, run.error, run.lost_since) == ("failed", "out of memory", None)
    assert far_http.run("r").status == "killed"


def test_ctrl_c_while_one_run_of_several_ends_leaves_the_others_their_end(
    far_http: Stage, over_http: Remote
) -> None:
    child = far_http.start(HANGS + LOGGED)
    child.wait_for_word("waits")
    time.sleep(0.5)  # from there to where it waits
    child.send(signal.SIGINT)
    child.wait()
    assert over_http.sync().returncode == 0
    runs = [far_http.run(name) for name in ("r", "s")]

    assert [(run.status, run.lost_since) for run in runs] == [("completed", None)] * 2


# Forks --------------------------------------------------------------------------------------

FORKS = """
import warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)
import podstack.delivery, podstack.shipper
podstack.shipper.SHORTEST = 0.05
podstack.delivery._OVER = 200.0  # a busy machine has not sent what sixty children left in 10 s

def log_flat_out(metric):
    i = 0
    while not done.is_set():
        log(run, i, metric)
        i += 1
        time.sleep(0.0005)

def child(n):
    metric = f"child{{n}}"
    log(run, 0, metric); log(run, 1, metric)
    if n % 3 == 0:
        os._exit(0)
    if n % 3 == 1:
        assert run.flush(200)
        os._exit(0)
    sys.exit(0)

def reap(pid):
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        ended, code = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(code)
        time.sleep(0.002)
    os.kill(pid, signal.SIGABRT)    # faulthandler shows where it hangs
    os.waitpid(pid, 0)
    return "hung"

run = client.start_run(run_id="r", capture=False)
done, codes = threading.Event(), []
threads = [threading.Thread(target=log_flat_out, args=(name,)) for name in ("a", "b")]
for thread in threads: thread.start()
for n in range({forks}):
    time.sleep(0.03)
    pid = os.fork()
    if pid == 0:
        child(n)
    codes.append(reap(pid))
done.set()
for thread in threads: thread.join()
print("codes", set(codes), len(codes))
run.finish(timeout=200)
"""


def _fork(stage: Stage, forks: int) -> None:
    ended = stage.play(FORKS.format(forks=forks))
    verdict = stage.verdict()
    print(f"forks={forks} hung={ended.out.count('hung')} {verdict}")

    assert (ended.code, ended.err) == (0, "")
    assert f"codes {{0}} {forks}" in ended.out
    assert verdict.clean, verdict
    assert len(stage.acked()) == 2 + forks
    assert stage.run().status == "completed"
    assert waiting() == []


@pytest.mark.timeout(300)
def test_forked_children_have_spools_of_their_own_and_all_of_them_arrive(
    far: Stage,
) -> None:
    _fork(far, 6)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sixty_forks_beside_busy_threads_neither_hang_nor_lose_a_point(far: Stage) -> None:
    _fork(far, 60)
