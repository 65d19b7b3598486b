"""The clock of the machine is wrong or jumps: it is a label only, and order stays."""

from __future__ import annotations

import pytest

from podstack.testing.stage import Stage

SHIFTED = """
import time
real, shift = time.time, [{shift}]
time.time = lambda: real() + shift[0]
"""

JUMPS = {
    "an hour back": "shift[0] = -3600 * (i >= 50)",
    "a day ahead": "shift[0] = 86400 * (i >= 50)",
    "a day ahead and back": "shift[0] = 86400 * (30 <= i < 60)",
    "jitter": "shift[0] = (i * 7919 % 100 - 50) / 10",
    "to 1970": "shift[0] = -real() * (i >= 50)",
    "to 2106": "shift[0] = 80 * 365.25 * 86400 * (i >= 50)",
}


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_jumps_while_a_run_logs_neither_loses_nor_reorders(
    stage: Stage, jump: str
) -> None:
    ended = stage.play(
        f"""
        run = client.start_run(run_id="r")
        for i in range(100):
            {JUMPS[jump]}
            log(run, i)
            run.log_metrics({{"again": i / 2}}, step=0)     # the last one stays
            run.log_params({{"i": i}})
        run.finish()
        """,
        first=SHIFTED.format(shift=0),
    )
    run = stage.run()

    assert (ended.code, ended.err) == (0, "")
    assert run.metrics["x"].steps.tolist() == list(range(100))
    assert run.metrics["x"].values.tolist() == [i / 2 for i in range(100)]
    assert run.metrics["again"].values.tolist() == [99 / 2]
    assert [point.value for point in run.metrics["again"].raw] == [i / 2 for i in range(100)]
    assert run.params == {"i": 99}
    assert run.status == "completed"


LOG = """
run = client.start_run(run_id="r")
for i in range({first}, {last}):
    log(run, i)
    run.log_metrics({{"life": {life}}}, step=i)
    run.log_params({{"life": {life}}})
{ending}
"""

SHIFTS = {"an hour behind": (0, -3600), "a day behind": (86400, 0), "an hour ahead": (0, 3600)}


@pytest.mark.parametrize("ending", ["run.finish()", "os.kill(os.getpid(), signal.SIGKILL)"])
@pytest.mark.parametrize("shift", SHIFTS)
def test_a_resume_supersedes_although_its_clock_differs(
    stage: Stage, shift: str, ending: str
) -> None:
    before, after = SHIFTS[shift]
    stage.play(
        LOG.format(first=0, last=20, life=1, ending=ending), first=SHIFTED.format(shift=before)
    )
    stage.play(
        LOG.format(first=13, last=30, life=2, ending="run.finish()"),
        first=SHIFTED.format(shift=after),
    )
    run = stage.run()

    assert stage.acked()["x"] == set(range(30))
    assert run.metrics["x"].values.tolist() == [i / 2 for i in range(30)]
    assert run.metrics["life"].values.tolist() == [1] * 13 + [2] * 17
    assert run.params == {"life": 2}
    assert run.status == "completed"
