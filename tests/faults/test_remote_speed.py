"""A store elsewhere that is slow, or never answers: the loop does not wait, memory is bounded."""

from __future__ import annotations

import pytest

from podstack.testing.remote import Remote, waiting
from podstack.testing.stage import Stage

LOOP = """
import resource
run = client.start_run(run_id="r", capture=False)
log(run, 0)
assert run.flush(200)
open("ready", "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times = []
for i in range(1, {steps}):
    began = time.perf_counter()
    run.log_metrics({{"x": i / 2}}, step=i)
    times.append(time.perf_counter() - began)
    time.sleep({pause})
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
times.sort()
p50, p99 = (times[len(times) * n // 100] * 1e6 for n in (50, 99))
print(f"p50={{p50:.0f}} us p99={{p99:.0f}} us max={{times[-1] * 1e3:.1f}} ms", end=" ")
print(f"grown={{grown:.1f}} MB dropped={{run.dropped}}", flush=True)
"""


def _log_beside(stage: Stage, remote: Remote, kind: str, steps: int, pause: float) -> None:
    child = stage.start(
        LOOP.format(steps=steps, pause=pause), environment={"PODSTACK_FINISH_TIMEOUT": "1"}
    )
    child.wait_until((stage.folder / "ready").exists, "its first point")
    remote.proxy.fail(kind, seconds=2.0, rate=3000.0)
    (stage.folder / "go").touch()
    ended = child.wait()
    print(f"{kind}, {steps} steps: {ended.out.strip()}")

    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    assert "dropped=0" in ended.out
    assert float(ended.out.partition("grown=")[2].split()[0]) < 100
    remote.proxy.heal()
    assert remote.sync().returncode == 0
    assert len(stage.run().metrics["x"].raw) == steps
    assert waiting() == []


@pytest.mark.parametrize("kind", ["throttle", "delay", "black hole"])
def test_a_slow_store_does_not_slow_down_the_loop(
    far_http: Stage, over_http: Remote, kind: str
) -> None:
    _log_beside(far_http, over_http, kind, 3000, 0.0005)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["throttle", "black hole"])
def test_logging_flat_out_beside_a_store_that_is_stuck_needs_no_memory(
    far: Stage, remote: Remote, kind: str
) -> None:
    _log_beside(far, remote, kind, 500_000, 0.0)
