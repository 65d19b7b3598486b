"""Stores elsewhere that fail: for seconds in the middle of a run, or for good.

Points and files arrive once, and what does not arrive in time waits on this machine.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest

from podstack.testing.remote import Remote, waiting
from podstack.testing.stage import Ended, Stage

EAGER = """
import podstack.keeper, podstack.shipper
from podstack.retry import Backoff
podstack.shipper.SHORTEST = 0.1
podstack.keeper._TICK = 0.1
podstack.shipper.Backoff = lambda: Backoff(0.1, 0.5)
"""
STEADY = """
import shutil
with open("file.bin", "wb") as file:
    file.write(b"content" * 5000)
with client.start_run(run_id="r", capture=False) as run:
    i = 0
    while not os.path.exists("enough"):
        log(run, i)
        if i in (20, 200):
            run.log_artifact("file.bin", f"at{i}")
        i += 1
        time.sleep(0.002)
    shutil.copytree(client._store.delivery.spool.url, "copy")
"""


class Fault(NamedTuple):
    kind: str | int
    retry_after: float | None = None


PASSING = {
    "reset": Fault("reset"),
    "refuse": Fault("refuse"),
    "the answer is lost": Fault("lose answer"),
    "the request is cut": Fault("cut request"),
    "the answer is cut": Fault("cut answer"),
    "500": Fault(500),
    "502": Fault(502),
    "503 with a pause": Fault(503, retry_after=1),
    "429": Fault(429),
    "garbage": Fault("garbage"),
    "half close": Fault("half close"),
    "flapping": Fault("flap"),
}


def _break_for(stage: Stage, remote: Remote, faults: list[Fault], seconds: float) -> Ended:
    """Let a run log, fail in each of the ways for a while, heal, and let it end."""
    child = stage.start(STEADY, first=EAGER)
    child.wait_until(lambda: stage.count_acked() >= 100, "100 points")
    for fault in faults:
        before = remote.proxy.struck
        remote.proxy.fail(fault.kind, retry_after=fault.retry_after)
        time.sleep(seconds)
        if fault.kind != "refuse":  # which a proxy does not see
            child.wait_until(lambda: remote.proxy.struck > before, f"meet {fault.kind}")  # noqa: B023
        remote.proxy.heal()
    child.wait_until(lambda: stage.count_acked() >= 300, "log its second file")
    (stage.folder / "enough").touch()
    return child.wait()


def _check_all_is_there_once(stage: Stage, remote: Remote, ended: Ended) -> None:
    verdict = stage.verdict()
    wrote = {
        path.relative_to(stage.folder / "copy").as_posix(): path.read_bytes()
        for path in (stage.folder / "copy").glob("projects/*/runs/r/metrics/**/*.jsonl")
    }
    there = {key: data for key, data in remote.objects().items() if "/metrics/" in key}

    assert ended.code == 0, ended.err
    assert verdict.clean, verdict
    assert there == wrote
    assert stage.run().status == "completed"
    content = b"content" * 5000
    files = [data for key, data in remote.objects().items() if "/artifacts/" in key]
    assert files == [content] * len(files)
    assert set(stage.run().artifacts) == {"at20/file.bin", "at200/file.bin"}
    assert waiting() == []


def _report(what: str, stage: Stage, began: float) -> None:
    verdict = stage.verdict()
    survived = 1 if verdict.clean else 0
    print(f"{what}: survived={survived}/1 {verdict} {time.monotonic() - began:.1f} s")


def test_twelve_faults_in_the_middle_of_a_run_cost_nothing(far: Stage, remote: Remote) -> None:
    began = time.monotonic()
    ended = _break_for(far, remote, list(PASSING.values()), 0.5)
    _report("twelve faults", far, began)

    _check_all_is_there_once(far, remote, ended)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PASSING)
def test_three_seconds_of_one_fault_cost_nothing(far: Stage, remote: Remote, name: str) -> None:
    began = time.monotonic()
    ended = _break_for(far, remote, [PASSING[name]], 3.0)
    _report(name, far, began)

    _check_all_is_there_once(far, remote, ended)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_seconds_without_the_store_cost_nothing(far: Stage, remote: Remote) -> None:
    began = time.monotonic()
    ended = _break_for(far, remote, [Fault("refuse")], 20.0)
    _report("20 s outage", far, began)

    _check_all_is_there_once(far, remote, ended)


# Dead for good ------------------------------------------------------------------------------

PATIENCE = 3.0
PROMISED = 100.0  # on a machine that stands still now and then; half of what a request may take

LONG_REQUESTS = """
import podstack.backends.http, podstack.backends.s3_session
podstack.backends.http.READ = podstack.backends.s3_session.READ_TIMEOUT = 200
"""

DYING = """
run = client.start_run(run_id="r", capture=False)
log(run, 0)
assert run.flush(200)
open("dead?", "w").close()
while not os.path.exists("dead"):
    time.sleep(0.01)
with open("file.bin", "wb") as file:
    file.write(b"content" * 50000)
run.log_artifact("file.bin")
for i in range(1, 1000):
    log(run, i)
    time.sleep(0.002)
print("looped", flush=True)
"""


def _die(stage: Stage, remote: Remote, kind: str | int, script: str = DYING) -> tuple[Ended, float]:
    """Let the store die under a run. How it ended, and the seconds from its last line to that."""
    child = stage.start(
        script, first=LONG_REQUESTS, environment={"PODSTACK_FINISH_TIMEOUT": str(int(PATIENCE))}
    )
    child.wait_until((stage.folder / "dead?").exists, "its first points")
    remote.proxy.fail(kind)
    (stage.folder / "dead").touch()
    child.wait_for_word("looped")
    looped = time.monotonic()
    ended = child.wait()
    return ended, time.monotonic() - looped


def _check_sync_brings_the_rest(stage: Stage, remote: Remote) -> None:
    remote.proxy.heal()
    first = remote.sync()
    objects = remote.objects()
    second = remote.sync()

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + first.stderr
    assert "Nothing waits on this machine" in second.stdout
    assert remote.objects() == objects
    assert stage.verdict().clean, stage.verdict()
    assert waiting() == []


FOR_GOOD = ["refuse", "black hole", "reset", 503, 401, 403, 400, 413, 429]


@pytest.mark.parametrize("kind", ["black hole", 401])
def test_a_store_that_dies_costs_seconds_and_the_rest_waits_here(
    far: Stage, remote: Remote, kind: str | int
) -> None:
    _check_death(far, remote, kind)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [kind for kind in FOR_GOOD if kind not in ("black hole", 401)])
def test_whatever_a_store_dies_of_costs_seconds_and_the_rest_waits_here(
    far: Stage, remote: Remote, kind: str | int
) -> None:
    _check_death(far, remote, kind)


def _check_death(stage: Stage, remote: Remote, kind: str | int) -> None:
    ended, seconds = _die(stage, remote, kind)
    print(f"dead for good ({kind}): exit {seconds:.1f} s, {len(waiting())} files wait")
    print(ended.err)

    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert seconds <= PROMISED
    assert stage.count_acked() == 1000
    assert waiting()
    assert ended.err.count("podstack sync") == 1
    assert stage.run().status in ("running", "failed")
    _check_sync_brings_the_rest(stage, remote)
    assert stage.run().status == "completed"
    assert list(stage.run().artifacts) == ["file.bin"]


def test_a_store_that_refuses_us_is_told_of_once_and_not_hammered(
    far_http: Stage, over_http: Remote
) -> None:
    script = DYING.replace("range(1, 1000)", "range(1, 3000)")
    ended, seconds = _die(far_http, over_http, 401, script)
    refused = sum(seen.fate == 401 for seen in over_http.proxy.seen)
    print(f"401 for good: {refused} requests in 6 s and the end, exit {seconds:.1f} s")

    assert ended.err.count(" refuses (asked again every 5 min)") == 1
    assert refused <= 8


ADOPTING = """
run = client.start_run(run_id="second", capture=False)
open("dead?", "w").close()
while not os.path.exists("dead"):
    time.sleep(0.001)
client._store.delivery.began()      # as the next run of a process would, on a store that is known
time.sleep(0.5)
print("looped", flush=True)
"""


def test_the_end_does_not_wait_for_what_an_earlier_process_left(
    far_http: Stage, over_http: Remote
) -> None:
    _die(far_http, over_http, "black hole")
    over_http.proxy.fail_next(1000, 503, method="PUT")  # so that it is not adopted at once
    over_http.proxy.fail("delay", seconds=0.0)
    for name in ("dead?", "dead"):
        (far_http.folder / name).unlink()
    ended, seconds = _die(far_http, over_http, "black hole", ADOPTING)
    print(f"exit while a spool is adopted from a black hole: {seconds:.1f} s")

    assert ended.code == 0
    assert seconds <= PROMISED
    _check_sync_brings_the_rest(far_http, over_http)
