"""What the machine does meanwhile: CPU, memory, disk, network and GPUs, under `system/`.

One thread samples for all open runs of the process; the program's own threads never do. It needs
psutil, and for GPUs nvidia-ml-py (the extra `system`); what is missing is left out without a word.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from podstack.clock import monotonic
from podstack.console import tell_of_failure
from podstack.errors import BackendError, RunClosedError
from podstack.forks import renew_in_child
from podstack.points import SYSTEM

EVERY = 10.0  # seconds between two samples
SETTLING = 0.5  # seconds that a run lives before anything is loaded for it
FIRST = 1.0  # seconds from there to the first sample: rates and CPU need a time to be taken over
_STALE = 5.0  # seconds after which a run that ends takes one more
_PATIENCE = 0.1  # seconds that an end waits for it

Values = dict[str, float]


class Journal(Protocol):
    """Where the samples of one run go."""

    @property
    def now(self) -> Callable[[], float]: ...

    def append_aside(self, step: int, values: Values) -> None: ...


class _Sampled:
    """An open run."""

    def __init__(self, journal: Journal, created: Callable[[], float], folder: str) -> None:
        self.journal, self._created, self.folder = journal, created, folder
        self._opened_at = journal.now()
        self._began: float | None = None
        self.sampled = threading.Event()
        self.sampled_at = float("-inf")

    def take(self, values: Values) -> None:
        """Log a sample at the whole seconds since the run was created."""
        try:
            if self._began is None:  # a store may know later than we do that the run exists
                self._began = min(self._created(), self._opened_at)
            step = max(0, int(self.journal.now() - self._began))
            self.journal.append_aside(step, {f"{SYSTEM}{k}": v for k, v in values.items()})
        except (BackendError, RunClosedError):
            return
        self.sampled_at = monotonic()


class Sampler:
    """Samples every 10 s while a run is open, on a thread of its own that nothing waits for.

    A driver that hangs, as one does whose GPU fell off the bus, stops the samples and nothing
    else. Runs of less than 1.5 s load nothing and have none.
    """

    def __init__(self) -> None:
        self._is_off = False
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()  # guards _runs and _thread
        self._runs: list[_Sampled] = []
        self._thread: threading.Thread | None = None
        self._leaving: SimpleQueue[_Sampled | None] = SimpleQueue()
        self._is_ready = False

    def renew_in_child(self) -> None:
        self._begin()

    def opened(self, journal: Journal, created: Callable[[], float], folder: str) -> None:
        """Sample for this run too.

        Args:
            created: tells when the run was, in epoch seconds: steps are seconds from there.
                Asked once, from the sampling thread.
            folder: where it is written; the disk that holds it is watched.
        """
        if self._is_off:
            return
        with self._lock:
            self._runs.append(_Sampled(journal, created, folder))
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._loop, name="podstack-system", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is going down
                self._runs.clear()
                return
            self._thread = thread

    def closed(self, journal: Journal, error: str | None = None, *, at_once: bool = False) -> None:
        """Take a run's last sample if the latest is old, and forget it; twice is a no-op.

        Args:
            error: what ended the run; the machine does not care.
            at_once: without that last sample.
        """
        del error
        with self._lock:
            run = next((run for run in self._runs if run.journal is journal), None)
            if run is None:
                return
            self._runs.remove(run)
            is_stale = not at_once and self._is_ready and monotonic() - run.sampled_at > _STALE
            self._leaving.put(run if is_stale else None)
        if is_stale:
            run.sampled.wait(_PATIENCE)

    def _loop(self) -> None:
        try:
            self._sample_until_nobody_is_left()
        except ModuleNotFoundError:
            self._is_off = True  # without psutil there is nothing to see
        except Exception as error:  # noqa: BLE001  # a thread's outermost frame
            self._is_off = True
            tell_of_failure("system metrics end", error)
        with self._lock:
            if self._thread is threading.current_thread():
                self._thread, self._is_ready = None, False

    def _sample_until_nobody_is_left(self) -> None:
        due = monotonic() + SETTLING
        machine: Machine | None = None
        while self._is_needed():
            leaving = self._left_before(due)
            if leaving:
                self._take_leave(machine, leaving)
            elif machine is None:
                machine = Machine()
                due = monotonic() + FIRST
                self._is_ready = True
            else:
                self._sample(machine, list(self._runs))
                due = monotonic() + EVERY

    def _left_before(self, due: float) -> list[_Sampled | None]:
        """Who ended, None where it wants no last sample; nobody once it is time."""
        try:
            return [self._leaving.get(timeout=max(0.0, due - monotonic()))]
        except Empty:
            return []

    def _take_leave(self, machine: Machine | None, leaving: list[_Sampled | None]) -> None:
        for run in leaving:
            if run is not None and machine is not None:
                self._sample(machine, [run])
                run.sampled.set()

    def _is_needed(self) -> bool:
        with self._lock:
            if self._runs or not self._leaving.empty():
                return True
            self._thread, self._is_ready = None, False
            return False

    def _sample(self, machine: Machine, runs: list[_Sampled]) -> None:
        values = machine.sample()
        for run in runs:
            run.take({**values, **machine.disk_of(run.folder)})


sampler = Sampler()


class Machine:
    """Reads the machine's counters. Rates and CPU are means over the time since the last sample.

    Raises:
        ModuleNotFoundError: psutil is not installed.
    """

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._process = psutil.Process()
        # a platform lacks a counter, a container hides it, /proc reads oddly
        self._refusals = (psutil.Error, OSError, RuntimeError, ValueError, AttributeError)
        self._before: dict[str, tuple[float, float]] = {}
        self._gpus = Gpus()
        self._probes = (self._cpu, self._memory, self._disk, self._network, self._gpus.sample)
        self.sample()  # what is counted from now on

    def sample(self) -> Values:
        """All that this machine tells, by name without `system/`."""
        values: Values = {}
        for probe in self._probes:
            values |= self._guarded(probe)
        return values

    def disk_of(self, folder: str) -> Values:
        """How full the disk of a folder is."""
        return self._guarded(lambda: {"disk_used_percent": self._psutil.disk_usage(folder).percent})

    def _guarded(self, probe: Callable[[], Values]) -> Values:
        try:
            return probe()
        except self._refusals:
            return {}

    def _cpu(self) -> Values:
        return {
            "cpu_percent": self._psutil.cpu_percent(),
            "process_cpu_percent": self._process.cpu_percent(),
        }

    def _memory(self) -> Values:
        machine = self._psutil.virtual_memory()
        return {
            "process_rss_mb": self._process.memory_info().rss / 1e6,
            "memory_percent": container_memory_percent(machine.total) or machine.percent,
        }

    def _disk(self) -> Values:
        counters = self._psutil.disk_io_counters()
        return {
            **self._rate("disk_read_mb_s", counters.read_bytes),
            **self._rate("disk_write_mb_s", counters.write_bytes),
        }

    def _network(self) -> Values:
        counters = self._psutil.net_io_counters()
        return {
            **self._rate("network_received_mb_s", counters.bytes_recv),
            **self._rate("network_sent_mb_s", counters.bytes_sent),
        }

    def _rate(self, name: str, total: float) -> Values:
        now = monotonic()
        time, before = self._before.get(name, (now, total))
        self._before[name] = (now, total)
        return {name: max(0.0, total - before) / 1e6 / (now - time)} if now > time else {}


class Gpus:
    """The NVIDIA GPUs by their number in NVML; none where there is no driver. Starts no CUDA."""

    def __init__(self) -> None:
        self._handles: list[Any] = []
        try:
            import pynvml
        except ImportError:
            return
        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
            count = pynvml.nvmlDeviceGetCount()
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
        except (pynvml.NVMLError, OSError):
            return

    def sample(self) -> Values:
        values: Values = {}
        for number, handle in enumerate(self._handles):
            for probe in (self._utilization, self._memory, self._temperature, self._power):
                try:
                    values |= {f"gpu.{number}/{name}": value for name, value in probe(handle)}
                except (self._nvml.NVMLError, OSError):
                    continue  # not every GPU, nor every part of one, tells everything
        return values

    def _utilization(self, handle: Any) -> Iterator[tuple[str, float]]:
        yield "utilization_percent", self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu

    def _memory(self, handle: Any) -> Iterator[tuple[str, float]]:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        yield "memory_percent", 100 * memory.used / memory.total
        yield "memory_used_mb", memory.used / 1e6

    def _temperature(self, handle: Any) -> Iterator[tuple[str, float]]:
        sensor = self._nvml.NVML_TEMPERATURE_GPU
        yield "temperature_c", self._nvml.nvmlDeviceGetTemperature(handle, sensor)

    def _power(self, handle: Any) -> Iterator[tuple[str, float]]:
        yield "power_w", self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000


def container_memory_percent(total: float, root: str = "/sys/fs/cgroup") -> float | None:
    """The share of a container's limit that is in use, without caches; None where none is set."""
    for current, limit, unused in (
        ("memory.current", "memory.max", "inactive_file"),
        ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes", "total_inactive_file"),
    ):
        try:
            most = int(_text(f"{root}/{limit}"))
            used = int(_text(f"{root}/{current}"))
            folder = limit.rpartition("/")[0]
            facts = dict(
                line.split() for line in _text(f"{root}/{folder}/memory.stat").splitlines()
            )
            if 0 < most < total:
                return 100 * max(0, used - int(facts.get(unused, 0))) / most
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None


def _text(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
