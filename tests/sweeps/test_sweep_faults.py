"""Workers that die at the worst moments, and a store that is away when a result is ready."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from podstack import MLOpsClient
from podstack.testing.remote import Remote, http_store
from podstack.testing.stage import Stage
from podstack.testing.sweeping import grid

# Ends itself with SIGKILL in the middle of taking its second trial.
_DIES = """
from podstack.sweeps import claims, register
sweep = client.get_sweep({sweep!r})
first = sweep.suggest()
print("has", first.number, flush=True)
def die(*_, **__):
    print("dies", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
{where} = die
sweep.suggest()
"""
BETWEEN = {
    "the claim and the parameters": "claims.Claims.decide",
    "the parameters and the first line": "register.Register.write",
}


@pytest.mark.parametrize("moment", BETWEEN)
@pytest.mark.parametrize("strategy", ["grid", "random"])
def test_a_worker_killed_between_two_steps_of_taking_leaves_both_trials_to_others(
    stage: Stage, client: MLOpsClient, moment: str, strategy: str
) -> None:
    space = {"x": {"values": [1, 2, 3, 4]}}
    sweep = client.create_sweep(None, strategy, space, "loss", 4, direction="minimize", seed=3)
    twin = client.create_sweep(None, strategy, space, "loss", 4, direction="minimize", seed=3)
    ended = stage.play(_DIES.format(sweep=sweep.id, where=BETWEEN[moment]))
    assert (ended.code, "dies" in ended.out) == (-signal.SIGKILL, True)

    for one in (sweep, twin):
        while (trial := one.suggest(wait=200)) is not None:
            trial.complete({"loss": trial["x"]})
    records, undisturbed = sweep.refresh().records(), twin.refresh().records()
    assert [record.status for record in records] == ["completed"] * 4
    assert [record.params for record in records] == [record.params for record in undisturbed]
    assert sorted(record.generation for record in records) == [0, 0, 1, 1]


def test_a_worker_killed_before_it_completes_leaves_its_trial_with_its_parameters(
    stage: Stage, client: MLOpsClient
) -> None:
    sweep = client.create_sweep(
        None, "random", {"x": {"min": 0.0, "max": 1.0}}, "loss", 1, direction="minimize"
    )
    ended = stage.play(
        f"""
        trial = client.get_sweep({sweep.id!r}).suggest()
        trial.report(0.5, 1)
        print(repr(trial["x"]), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """.replace("\n        ", "\n")
    )
    again = sweep.suggest(wait=200)

    assert again is not None
    assert repr(again["x"]) == ended.out.strip()
    again.complete({"loss": 1.0})
    assert sweep.records()[0].reports == {1: 0.5}
    assert sweep.suggest(wait=200) is None


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Remote]:
    with http_store(tmp_path / "served") as remote:
        yield remote


_COMPLETES = """
import podstack.delivery, podstack.sweeps.register
podstack.delivery._ANSWER = podstack.sweeps.register._MOMENTS = 200.0  # so a wait is no moment
trial = client.get_sweep({sweep!r}).suggest()
print("has it", flush=True)
while not os.path.exists({signal!r}):
    time.sleep(0.01)
began = time.monotonic()
trial.complete({{"loss": 0.25}})
print("took", time.monotonic() - began, flush=True)
"""


@pytest.mark.parametrize("fault", ["refuse", "black hole"])
def test_a_result_that_is_ready_while_the_store_is_away_reaches_it_later(
    tmp_path: Path, away: Remote, fault: str | int
) -> None:
    """The call does not wait, the process ends, and what the spool holds is sent by a sync."""
    sweep = grid(MLOpsClient(away.folder), 4)
    stage = Stage(tmp_path, store=away.folder, uri=away.url, environment=away.environment)
    flag = tmp_path / "away"
    child = stage.start(
        _COMPLETES.format(sweep=sweep.id, signal=str(flag)),
        environment={"PODSTACK_FINISH_TIMEOUT": "1"},
    )
    child.wait_for_word("has it")
    away.proxy.fail(fault)
    flag.touch()
    ended = child.wait()
    assert ended.code == 0, ended.err
    assert float(ended.out.split()[-1]) < 100  # a call that waited would take twice that
    assert not any(record.is_over for record in sweep.records())

    away.proxy.heal()
    synced = away.sync()
    assert synced.returncode == 0, synced.stderr
    (record,) = [record for record in sweep.refresh().records() if record.is_over]
    assert (record.status, record.value) == ("completed", 0.25)
    stage.close()


_WAITS = {
    "an agent": """
from podstack.sweeps.agent import Agent
print("asks", flush=True)
Agent(client, sweep, ["sleep", "600"]).run()
""",
    "run_sweep": """
print("asks", flush=True)
client.run_sweep(sweep, lambda trial: 1.0, workers=1)
""",
}


@pytest.mark.parametrize("who", _WAITS)
def test_ctrl_c_ends_who_waits_for_a_store_that_is_away(
    tmp_path: Path, away: Remote, who: str
) -> None:
    """For hours, if they were told so; and they say so first."""
    sweep = grid(MLOpsClient(away.folder), 4)
    stage = Stage(tmp_path, store=away.folder, uri=away.url, environment=away.environment)
    opening = """
        sweep = client.get_sweep({sweep!r})
        print("knows it", flush=True)
        while not os.path.exists({flag!r}):
            time.sleep(0.01)
        """
    flag = tmp_path / "away"
    child = stage.start(
        dedent(opening).format(sweep=sweep.id, flag=str(flag)) + _WAITS[who],
        environment={"PODSTACK_SWEEP_TIMEOUT": "86400"},
    )
    child.wait_for_word("knows it")
    away.proxy.fail("refuse")
    flag.touch()
    child.wait_until(lambda: "waits up to 86400 s for it" in child.err, "wait for the store")
    child.send(signal.SIGINT)
    ended = child.wait()
    stage.close()

    assert ended.code == -signal.SIGINT, ended.err
    assert not any(record.is_over for record in sweep.records())
