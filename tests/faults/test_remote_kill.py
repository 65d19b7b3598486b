"""SIGKILL of clients and of the server: what was acknowledged is in the store after one sync."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from podstack import MLOpsClient
from podstack.testing.podstack_server import RunningServer
from podstack.testing.remote import Remote, waiting
from podstack.testing.stage import Child, Stage
from podstack.testing.verdict import Verdict, judge, read_acks

EAGER = """
import podstack.delivery, podstack.keeper, podstack.shipper
from podstack.retry import Backoff
podstack.shipper.SHORTEST = 0.1
podstack.keeper._TICK = 0.1
podstack.shipper.Backoff = lambda: Backoff(0.1, 0.5)
"""
WRITER = """
run = client.start_run(run_id={run!r}, capture=False)
i = run._journal.next_step
print("from", i, flush=True)
while True:
    log(run, i)
    i += 1
    time.sleep({pause})
"""


def _wait_for_acks(stage: Stage, child: Child, acks: str, count: int) -> None:
    child.wait_until(lambda: stage.count_acked(acks) >= count, f"{count} acknowledgements")


def _kill(stage: Stage, run: str, acks: str) -> str:
    """Let a writer log, kill it at a random moment; what it printed."""
    before = stage.count_acked(acks)
    child = stage.start(WRITER.format(run=run, pause=0.001), first=EAGER, acks=acks)
    _wait_for_acks(stage, child, acks, before + 1)
    time.sleep(random.uniform(0, 0.6))
    child.end()
    return child.out


def _kill_and_sync(stage: Stage, remote: Remote, rounds: int) -> None:
    """By turns, `podstack sync` and the next process of the same run bring what was left."""
    began, verdict = time.monotonic(), Verdict()
    for trial in range(rounds):
        run = f"r{trial // 2}"
        acked = stage.acked(run)
        said = _kill(stage, run, run)
        if acked:  # the kill may have come between a point and its acknowledgement
            steps = [f"from {max(acked['x']) + more}\n" for more in (1, 2)]
            assert any(step in said for step in steps), said
        if trial % 2:
            assert remote.sync().returncode == 0
            verdict += judge(stage.store, run, stage.acked(run))
    if rounds % 2:
        assert remote.sync().returncode == 0
    print(f"SIGKILL of the client: tried={rounds} {verdict} {time.monotonic() - began:.1f} s")

    assert verdict.clean, verdict
    assert verdict.acked > rounds
    assert waiting() == []


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_to_sigkill_of_the_client(far: Stage, remote: Remote) -> None:
    _kill_and_sync(far, remote, 4)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_to_many_kills_of_the_client(
    far: Stage, remote: Remote
) -> None:
    _kill_and_sync(far, remote, 50)


def test_a_spool_is_shipped_by_the_next_run_unless_its_owner_lives(
    far_http: Stage, over_http: Remote
) -> None:
    """The one that lives is stopped, so that it could not send anything itself."""
    over_http.proxy.fail("delay", seconds=0)
    quiet = EAGER + "podstack.shipper.SHORTEST = 1000\n"
    living = far_http.start(WRITER.format(run="lives", pause=0.01), first=quiet, acks="lives")
    dying = far_http.start(WRITER.format(run="dies", pause=0.01), first=quiet, acks="dies")
    for child, acks in ((living, "lives"), (dying, "dies")):
        _wait_for_acks(far_http, child, acks, 200)
    dying.end()
    kept = len([path for path in waiting() if "/lives/" in path.as_posix()])

    ended = far_http.play(
        """
        import podstack.delivery
        podstack.delivery._OVER = 200.0
        with client.start_run(run_id="next", capture=False) as run:
            log(run, 0)
        """
    )

    assert (ended.code, ended.err) == (0, "")
    assert judge(over_http.folder, "dies", far_http.acked("dies")).clean
    assert [path for path in waiting() if "/dies/" in path.as_posix()] == []
    assert len([path for path in waiting() if "/lives/" in path.as_posix()]) == kept > 0
    living.end()
    assert over_http.sync().returncode == 0
    assert judge(over_http.folder, "lives", far_http.acked("lives")).clean
    assert waiting() == []


# The server ---------------------------------------------------------------------------------

ENDING = """
podstack.delivery._CLEARING = 200.0  # the end waits until a busy server has told what it has
with client.start_run(run_id={run!r}, capture=False) as run:
    i = 0
    while not os.path.exists("enough"):
        log(run, i)
        i += 1
        time.sleep(0.005)
"""


def _kill_the_server(folder: Path, writers: int, rounds: int) -> None:
    began = time.monotonic()
    with RunningServer(folder / "served") as server:
        patient = {"PODSTACK_FINISH_TIMEOUT": "200"}
        stage = Stage(folder, store=folder / "served", uri=server.url, environment=patient)
        children = [
            stage.start(ENDING.format(run=f"w{n}"), first=EAGER, acks=f"w{n}", deadline=400)
            for n in range(writers)
        ]
        try:
            for n, child in enumerate(children):
                _wait_for_acks(stage, child, f"w{n}", 20)
            for _ in range(rounds):
                time.sleep(random.uniform(0, 0.5))
                server.kill()
                server.start()
            (folder / "enough").touch()
            codes = [child.wait().code for child in children]
        finally:
            stage.close()
        verdict = sum(
            (judge(folder / "served", f"w{n}", stage.acked(f"w{n}")) for n in range(writers)),
            Verdict(),
        )
        statuses = {run.status for run in MLOpsClient(folder / "served").list_runs()}
    print(
        f"SIGKILL of the server: writers={writers} rounds={rounds} {verdict} "
        f"{time.monotonic() - began:.1f} s"
    )

    assert codes == [0] * writers
    assert verdict.clean, verdict
    assert statuses == {"completed"}
    assert waiting() == []


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_to_sigkill_of_the_server(tmp_path: Path) -> None:
    _kill_the_server(tmp_path, 4, 3)


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_nothing_acknowledged_is_lost_to_many_kills_of_the_server(tmp_path: Path) -> None:
    _kill_the_server(tmp_path, 12, 50)


# Several writers ----------------------------------------------------------------------------

PART = """
run = client.start_run(run_id={run!r}, capture=False)
for i in range(300):
    log(run, i, {metric!r})
    time.sleep(0.005)
"""


@pytest.mark.timeout(300)
def test_writers_of_one_store_and_of_one_run_lose_nothing_and_readers_never_go_back(
    far_http: Stage, over_http: Remote
) -> None:
    parts = [("shared", f"x{n}") for n in range(3)] + [("own3", "x3"), ("own4", "x4")]
    children = [
        far_http.start(PART.format(run=run, metric=metric), first=EAGER, acks=metric)
        for run, metric in parts
    ]
    reader, seen = MLOpsClient(over_http.folder), {metric: 0 for _, metric in parts}
    while not all(child.has_ended for child in children):
        for row in reader.list_runs():
            for name, series in reader.get_run(row.id).metrics.items():
                steps = [point.step for point in series.raw]
                assert steps == list(range(len(steps))), "a whole prefix"
                assert len(steps) >= seen[name], "and never less of it than before"
                seen[name] = len(steps)
        time.sleep(0.05)
    assert [child.wait().code for child in children] == [0] * len(parts)
    verdict = judge(over_http.folder, "shared", _acked(far_http, "x0", "x1", "x2"))
    for run, metric in parts[3:]:
        verdict += judge(over_http.folder, run, _acked(far_http, metric))
    print(f"{len(parts)} writers: {verdict}")

    assert verdict.clean, verdict
    assert verdict.logged == 300 * len(parts)
    assert waiting() == []


def _acked(stage: Stage, *metrics: str) -> dict[str, set[int]]:
    return {metric: read_acks(stage.folder / metric)[metric] for metric in metrics}
