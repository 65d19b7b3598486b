"""Calls to the operating system fail: the loop never hears of it, and all points arrive."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from podstack.testing import failing_calls
from podstack.testing.failing_calls import CALLS
from podstack.testing.stage import Stage
from podstack.testing.verdict import Verdict, judge

ERRORS = ("EIO", "ENOSPC", "EINTR", "EAGAIN", "EDQUOT", "ESTALE", "EACCES")

ARM = """
import runpy
fail = runpy.run_path({path!r})["Failures"]({store!r})
"""

EACH_ONCE = """
import errno, logging, podstack.journal
logging.getLogger("podstack").setLevel(logging.CRITICAL)    # warnings are looked at elsewhere
podstack.journal.SEGMENT = 400
hits = 0
for call, name, k in {trials!r}:
    run = client.start_run(run_id=f"{{call}}-{{name}}-{{k}}".lower())
    fail.arm(call, getattr(errno, name), k)
    for i in range(30):
        log(run, i, run.id)
        if i % 10 == 0:
            run.flush(200)
            run.log_params({{"i": i}})
    run.flush(200)
    run.finish()
    run.flush(200)       # the background is done, too
    hits += fail.hits
    fail.disarm()
print("hits", hits)
"""


def _fail_each_once(stage: Stage, trials: Sequence[tuple[str, str, int]]) -> None:
    first = ARM.format(path=failing_calls.__file__, store=str(stage.store))
    ended = stage.play(EACH_ONCE.format(trials=trials), first=first, deadline=500.0)
    acked = stage.acked()
    runs = [stage.run("-".join(map(str, trial)).lower()) for trial in trials]
    verdicts = {run.id: judge(stage.store, run.id, {run.id: acked.get(run.id, ())}) for run in runs}
    print(f"trials={len(trials)} {ended.out.strip()} {sum(verdicts.values(), Verdict())}")

    assert (ended.code, ended.err) == (0, "")
    assert {name: verdict for name, verdict in verdicts.items() if not verdict.clean} == {}
    assert all(verdict.logged == 30 for verdict in verdicts.values())
    assert {run.id: run.status for run in runs if run.status != "completed"} == {}
    assert {run.id: run.params["i"] for run in runs if run.params["i"] != 20} == {}
    assert {run.id: run.dropped for run in runs if run.dropped} == {}
    assert int(ended.out.split()[1]) > len(trials) // 2, "too few calls were made to fail"


def test_a_call_that_fails_once_is_not_heard_of_and_loses_nothing(stage: Stage) -> None:
    _fail_each_once(stage, [(call, name, k) for call in CALLS for name in ERRORS for k in (1, 3)])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_single_failing_call_is_heard_of_or_loses_a_point(stage: Stage) -> None:
    kth = range(1, 8)
    _fail_each_once(stage, [(call, name, k) for call in CALLS for name in ERRORS for k in kth])


FOR_A_WHILE = """
import errno, podstack.journal
podstack.journal.SEGMENT = 400
run = client.start_run(run_id="r")
for i in range(20):
    log(run, i)
fail.arm({call!r}, errno.{name}, 1, {count})
for i in range(20, 60):
    log(run, i)
refused = run.flush(0.5)
fail.disarm()
for i in range(60, 100):
    log(run, i)
print(refused, run.flush(200), run.dropped)
run.finish()
"""


@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EROFS"])
@pytest.mark.parametrize("call", ["write", "open"])
def test_logging_heals_once_the_disk_works_again(stage: Stage, call: str, name: str) -> None:
    first = ARM.format(path=failing_calls.__file__, store=str(stage.store))
    script = FOR_A_WHILE.format(call=call, name=name, count=failing_calls.FOR_GOOD)
    ended = stage.play(script, first=first)

    assert ended.code == 0, ended.err
    assert ended.out.split() == ["False", "True", "0"]
    assert ended.err.count("cannot write") == 1
    assert "Traceback" not in ended.err
    assert stage.verdict() == Verdict(logged=100, acked=100)
    assert stage.run().status == "completed"


FOR_GOOD = """
import errno
run = client.start_run(run_id="r")
for i in range(20):
    log(run, i)
assert run.flush(200)
fail.arm({call!r}, errno.{name}, 1, {count})
for i in range(20, 60):
    run.log_metrics({{"x": i / 2}}, step=i)
    run.log_params({{"i": i}})
    run.add_tags("tag")
began = time.monotonic()
run.finish(timeout=1.0)
print(time.monotonic() - began < 100)
"""


@pytest.mark.parametrize(
    "name",
    [
        "ENOSPC",
        pytest.param("EIO", marks=pytest.mark.slow),
        pytest.param("EROFS", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_a_disk_that_is_broken_for_good_neither_raises_nor_delays_the_end(
    stage: Stage, call: str, name: str
) -> None:
    first = ARM.format(path=failing_calls.__file__, store=str(stage.store))
    script = FOR_GOOD.format(call=call, name=name, count=failing_calls.FOR_GOOD)
    ended = stage.play(script, first=first, environment={"PODSTACK_FINISH_TIMEOUT": "200"})

    assert (ended.code, ended.out) == (0, "True\n"), ended.err
    assert "Traceback" not in ended.err
    assert stage.verdict().clean
    if call == "write":
        assert "the disk refused" in ended.err
        assert "they are lost" in ended.err
