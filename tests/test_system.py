"""System metrics: sampled beside the training, in the run's log, and never in its way."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from podstack import MLOpsClient, clock
from podstack.errors import RunClosedError
from podstack.journal import Journal
from podstack.position import position
from podstack.run import Run
from podstack.system import Gpus, Machine, Sampler, container_memory_percent
from podstack.testing.stage import DEADLINE, Stage

psutil = pytest.importorskip("psutil")

ON_EVERY_MACHINE = {
    "cpu_percent",
    "process_cpu_percent",
    "memory_percent",
    "process_rss_mb",
}
QUICK = """
import podstack.system
podstack.system.EVERY, podstack.system.SETTLING, podstack.system.FIRST = 0.05, 0.01, 0.02
def sampled(run, count):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        metrics = client.get_run(run.id).metrics
        if "system/cpu_percent" in metrics and len(metrics["system/cpu_percent"].raw) >= count:
            return True
        time.sleep(0.01)
    raise TimeoutError("no samples")
"""


def journal_of(run: Run) -> Journal:
    assert run._journal is not None
    return run._journal


# Points beside the run's own -------------------------------------------------------------------


def test_points_aside_do_not_move_the_runs_steps(run: Run, client: MLOpsClient) -> None:
    run.log_metrics({"loss": 1.0})
    journal_of(run).append_aside(5000, {"system/cpu_percent": 50.0})
    run.log_metrics({"loss": 2.0})
    journal_of(run).append_aside(5010, {"system/cpu_percent": 60.0})
    run.finish()
    read = client.get_run(run.id)

    assert list(read.metrics["loss"].steps) == [0, 1]
    assert list(read.metrics["system/cpu_percent"].steps) == [5000, 5010]
    assert position(read).next_step == 2


def test_points_aside_do_not_move_a_killed_runs_position(stage: Stage) -> None:
    stage.play(
        """
run = client.start_run(run_id="r")
run.log_metrics({"loss": 1.0}, step=7)
run._journal.append_aside(5000, {"system/cpu_percent": 50.0, "system/gpu.0/power_w": 70.0})
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    run = stage.run()

    assert position(run).next_step == 8
    with MLOpsClient(stage.store).start_run(run_id="r") as resumed:
        resumed.log_metrics({"loss": 2.0})
    assert list(run.metrics["loss"].steps) == [7, 8]


def test_points_aside_are_not_what_the_run_logged_last(run: Run, store: Path) -> None:
    run.log_metrics({"loss": 0.5}, step=3)
    journal = journal_of(run)
    for second in range(5):
        journal.append_aside(second, {"system/cpu_percent": 50.0})
    journal._hint()
    (hint,) = (store / "projects/default/live").glob("*.json")

    assert json.loads(hint.read_text())["last"]["v"] == {"loss": 0.5}


def test_points_aside_are_no_progress_also_where_a_segment_is_full(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a sample between sys.exit(1) and the end would make a failed run a completed one."""
    journal = journal_of(run)
    journal._points._roll_at, journal._points._limit_of = 200, lambda seq: 200
    run.log_metrics({"loss": 0.5}, step=3)
    before = run.progress
    for second in range(10):
        journal.append_aside(second, {"system/cpu_percent": 50.0})
    unmoved = run.progress
    run.log_metrics({"loss": 0.5}, step=4)

    assert journal._points.lengths[0] > 1
    assert unmoved == before < run.progress


def test_a_closed_journal_takes_no_points_aside(run: Run) -> None:
    journal = journal_of(run)
    run.finish()

    with pytest.raises(RunClosedError):
        journal.append_aside(0, {"system/cpu_percent": 1.0})


# Samples ---------------------------------------------------------------------------------------


def test_a_machine_tells_what_the_document_lists(tmp_path: Path) -> None:
    machine = Machine()
    threading.Event().wait(0.05)
    values = {**machine.sample(), **machine.disk_of(str(tmp_path))}
    text = Path(sys.modules["podstack"].__file__ or "").with_name("FORMAT.md").read_text()
    percents = [value for name, value in values.items() if name.endswith("_percent")]

    assert values.keys() >= ON_EVERY_MACHINE | {"disk_used_percent"}
    assert [name for name in values if f"`system/{name}`" not in text and "gpu." not in name] == []
    assert all(type(value) in (int, float) and value >= 0 for value in values.values())
    assert all(value <= 100 * (os.cpu_count() or 1) for value in percents)
    assert 1 < values["process_rss_mb"] < 100_000


def test_what_a_machine_refuses_to_tell_is_left_out() -> None:
    def refused() -> dict[str, float]:
        raise psutil.AccessDenied

    def absent() -> dict[str, float]:
        counters: Any = None
        return {"disk_read_mb_s": counters.read_bytes}

    machine = Machine()
    machine._probes = (refused, absent, lambda: {"cpu_percent": 1.0})  # type: ignore[assignment]

    assert machine.sample() == {"cpu_percent": 1.0}
    assert machine.disk_of("/no/such/folder") == {}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.current": "600", "memory.max": "1000", "memory.stat": "inactive_file 100"}, 50.0),
        ({"memory.current": "600", "memory.max": "max", "memory.stat": "inactive_file 100"}, None),
        ({"memory.current": "600", "memory.max": "9999", "memory.stat": "inactive_file 1"}, None),
        (
            {
                "memory/memory.usage_in_bytes": "600\n",
                "memory/memory.limit_in_bytes": "1000\n",
                "memory/memory.stat": "cache 9\ntotal_inactive_file 100\n",
            },
            50.0,
        ),
        ({}, None),
    ],
)
def test_a_containers_memory_is_a_share_of_its_limit(
    tmp_path: Path, files: dict[str, str], expected: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    assert container_memory_percent(5000, str(tmp_path)) == expected


def test_a_machine_without_gpus_tells_of_none() -> None:
    gpus = Gpus()
    if gpus._handles:
        pytest.skip("this machine has GPUs")

    assert gpus.sample() == {}


NVML = '''
"""Stands in for nvidia-ml-py on a machine without a driver: two GPUs, one of which tells less."""
class NVMLError(Exception): pass
class Facts:
    def __init__(self, **facts): self.__dict__.update(facts)
NVML_TEMPERATURE_GPU = 0
def nvmlInit(): pass
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(i): return i
def nvmlDeviceGetUtilizationRates(h):
    if h == 1: raise NVMLError("Not Supported")
    return Facts(gpu=93, memory=40)
def nvmlDeviceGetMemoryInfo(h): return Facts(used=20_000_000_000, total=80_000_000_000)
def nvmlDeviceGetTemperature(h, sensor): return 61
def nvmlDeviceGetPowerUsage(h): return 350_500
'''


def test_each_gpu_is_told_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pynvml.py").write_text(NVML)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    values = Gpus().sample()
    monkeypatch.delitem(sys.modules, "pynvml")

    assert values == {
        "gpu.0/utilization_percent": 93,
        "gpu.0/memory_percent": 25.0,
        "gpu.0/memory_used_mb": 20_000.0,
        "gpu.0/temperature_c": 61,
        "gpu.0/power_w": 350.5,
        "gpu.1/memory_percent": 25.0,
        "gpu.1/memory_used_mb": 20_000.0,
        "gpu.1/temperature_c": 61,
        "gpu.1/power_w": 350.5,
    }


# A run that is sampled -------------------------------------------------------------------------


def test_a_run_is_sampled_in_whole_seconds_while_its_own_steps_go_on(stage: Stage) -> None:
    ended = stage.play(
        QUICK
        + """
run = client.start_run(run_id="r", capture=("system",))
for step in range(50):
    run.log_metrics({"loss": step / 2})
sampled(run, 3)
run.log_metrics({"loss": 25.0})
print(run._journal.next_step)
run.finish()
print(threading.active_count() <= 2, [t.name for t in threading.enumerate()])
"""
    )
    run = stage.run()
    samples = run.metrics["system/cpu_percent"]

    assert ended.code == 0, ended.err
    assert ended.out.split()[0] == "51"
    assert list(run.metrics["loss"].steps) == list(range(51))
    assert len(samples.raw) >= 3
    assert all(0 <= point.step <= run.duration + 1 for point in samples.raw)
    assert all(point.step <= point.time - run.created for point in samples.raw)
    assert {f"system/{name}" for name in ON_EVERY_MACHINE} <= set(run.metrics)


def test_a_run_killed_while_sampled_goes_on_at_its_own_step(stage: Stage) -> None:
    ended = stage.play(
        QUICK
        + """
run = client.start_run(run_id="r", capture=("system",))
podstack.system.sampler._runs[0]._began = time.time() - 100_000      # an old run
run.log_metrics({"loss": 1.0}, step=7)
sampled(run, 2)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    with MLOpsClient(stage.store).start_run(run_id="r", capture=False) as resumed:
        resumed.log_metrics({"loss": 2.0})
    run = stage.run()

    assert ended.code == -9
    assert min(run.metrics["system/cpu_percent"].steps) >= 100_000
    assert list(run.metrics["loss"].steps) == [7, 8]


def test_samples_between_exit_and_end_do_not_make_a_failed_run_completed(stage: Stage) -> None:
    ended = stage.play(
        QUICK
        + """
import atexit
run = client.start_run(run_id="r", capture=("system",))
run.log_metrics({"loss": 1.0})
sampled(run, 1)
def wait_for_more():
    sampled(run, len(client.get_run("r").metrics["system/cpu_percent"].raw) + 2)
atexit.register(wait_for_more)
sys.exit(1)
"""
    )

    assert ended.code == 1
    assert stage.run().status == "failed"


def test_one_thread_samples_for_all_runs_and_ends_with_the_last(stage: Stage) -> None:
    ended = stage.play(
        QUICK
        + """
names = lambda: [t.name for t in threading.enumerate()].count("podstack-system")
runs = [client.start_run(run_id=f"r{n}", capture=("system",)) for n in range(3)]
for run in runs:
    sampled(run, 2)
print(names())
runs[0].finish()
sampled(runs[1], 6)
runs[1].finish()
runs[2].finish()
thread = podstack.system.sampler._thread
if thread is not None:
    thread.join(240)
print(names())
again = client.start_run(run_id="again", capture=("system",))
sampled(again, 1)
print(names())
again.finish()
"""
    )

    assert ended.code == 0, ended.err
    assert ended.out.split() == ["1", "0", "1"]
    assert len(stage.run("r1").metrics["system/cpu_percent"].raw) >= 6


def test_a_forked_child_is_not_sampled_and_hangs_nobody(stage: Stage) -> None:
    ended = stage.play(
        QUICK
        + """
run = client.start_run(run_id="r", capture=("system",))
sampled(run, 1)
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        run.log_metrics({"child": 1})
        time.sleep(0.2)
        run.finish()
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
sampled(run, len(client.get_run("r").metrics["system/cpu_percent"].raw) + 1)
run.finish()
"""
    )
    run = stage.run()
    samples = {
        writer
        for writer, batches in run._point_logs.batches()
        if any("system/cpu_percent" in batch.values for batch in batches)
    }

    assert ended.code == 0, ended.err
    assert len(run.metrics["child"].raw) == 5
    assert len(samples) <= 1


def test_a_short_run_loads_nothing_and_has_no_samples(stage: Stage) -> None:
    """Short is what has ended before the sampler settles, however long that takes."""
    ended = stage.play(
        """
import podstack.system
podstack.system.SETTLING = 1000.0
with client.start_run(run_id="r", capture=("system",)) as run:
    run.log_metrics({"loss": 1.0})
print("psutil" in sys.modules)
"""
    )

    assert ended.out.split() == ["False"]
    assert list(stage.run().metrics) == ["loss"]


def test_without_psutil_a_run_goes_on_in_silence(stage: Stage) -> None:
    ended = stage.play(
        QUICK
        + """
sys.modules["psutil"] = None      # as if it were not installed
run = client.start_run(run_id="r", capture=("system",))
thread = podstack.system.sampler._thread
if thread is not None:
    thread.join(240)
run.log_metrics({"loss": 1.0})
run.finish()
with client.start_run(run_id="again", capture=("system",)):
    pass
"""
    )

    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert list(stage.run().metrics) == ["loss"]


# The sampler's own clock -----------------------------------------------------------------------


class Kept:
    """A journal that keeps its samples in a list, and tells when there is one."""

    def __init__(self) -> None:
        self.now = clock.now
        self.samples: list[tuple[int, dict[str, float]]] = []
        self.came = threading.Semaphore(0)

    def append_aside(self, step: int, values: dict[str, float]) -> None:
        self.samples.append((step, values))
        self.came.release()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podstack.system.SETTLING", 0.0)
    monkeypatch.setattr("podstack.system.FIRST", 0.01)


def joined(sampler: Sampler) -> None:
    thread = sampler._thread
    if thread is not None:
        thread.join(DEADLINE)
        assert not thread.is_alive()


@pytest.mark.usefixtures("quick")
def test_an_end_takes_a_last_sample_if_the_latest_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podstack.system._PATIENCE", DEADLINE)
    monkeypatch.setattr("podstack.system._STALE", 1000.0)
    monkeypatch.setattr("podstack.system.EVERY", 1000.0)
    sampler, old, fresh, at_once = Sampler(), Kept(), Kept(), Kept()
    for kept in (old, fresh, at_once):
        sampler.opened(kept, clock.now, "/")
    for kept in (old, fresh, at_once):
        assert kept.came.acquire(timeout=DEADLINE)
    runs = list(sampler._runs)
    while float("-inf") in [run.sampled_at for run in runs]:  # noted after the sample has come
        threading.Event().wait(0.001)
    runs[0].sampled_at -= 2000
    runs[2].sampled_at -= 2000
    sampler.closed(old)
    sampler.closed(fresh)
    sampler.closed(at_once, at_once=True)
    sampler.closed(old)
    joined(sampler)

    assert [len(kept.samples) for kept in (old, fresh, at_once)] == [2, 1, 1]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("later", "step"), [(5012.9, 12), (5000.0, 0), (1400.0, 0)])
def test_a_sample_stands_at_the_whole_seconds_of_its_run_and_never_before_zero(
    later: float, step: int
) -> None:
    """Also where the clock is set back."""
    sampler, kept = Sampler(), Kept()
    times = [5000.0]  # when it is opened
    kept.now = lambda: times.pop() if times else later
    sampler.opened(kept, lambda: 5000.0, "/")
    assert kept.came.acquire(timeout=DEADLINE)
    sampler.closed(kept)
    joined(sampler)

    assert kept.samples[0][0] == step


@pytest.mark.usefixtures("quick")
def test_an_end_does_not_wait_for_a_driver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    release, hangs, goes_on = threading.Event(), threading.Event(), threading.Event()

    class Hanging(Machine):
        def sample(self) -> dict[str, float]:
            if hasattr(self, "first"):
                hangs.set()
                release.wait(DEADLINE)
                goes_on.set()
            self.first = False
            return {}

    monkeypatch.setattr("podstack.system.Machine", Hanging)
    sampler, kept = Sampler(), Kept()
    sampler.opened(kept, clock.now, "/")
    assert hangs.wait(DEADLINE)
    sampler.closed(kept)
    waited = goes_on.is_set()
    release.set()
    joined(sampler)

    assert not waited


@pytest.mark.usefixtures("quick")
def test_what_goes_wrong_in_a_sample_is_told_once_and_ends_the_samples(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong(Machine):
        def disk_of(self, folder: str) -> dict[str, float]:
            raise KeyError("a bug")

    monkeypatch.setattr("podstack.system.Machine", Wrong)
    sampler, kept = Sampler(), Kept()
    sampler.opened(kept, clock.now, "/")
    joined(sampler)
    sampler.closed(kept)
    sampler.opened(kept, clock.now, "/")

    assert sampler._thread is None
    assert caplog.text.count("KeyError: 'a bug'") == 1
