"""Background threads. The one of every process: fsync, heartbeats, retries, hashes.

It starts with the first open run and ends with the last. Whatever it does is slow and can be
lost without losing data: lines were handed to the operating system before it hears of them.
Nothing here is waited for except by `wait`, and that has a deadline. Safe from signal handlers:
every lock is reentrant and the queue's `put` is too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Protocol

from podstack.clock import monotonic
from podstack.console import Warner, tell_of_failure
from podstack.forks import renew_in_child

_TICK = 1.0  # seconds

Job = Iterable[None]


class Kept(Protocol):
    def tick(self) -> None:
        """Do what is due; called about once a second, from one thread at a time."""


class Keeper:
    """Runs jobs one after the other, and calls every kept object about once a second between them.

    A job is an iterator that does a little at each step, so that heartbeats go on during the
    hashing of a large file.
    """

    def __init__(self, name: str = "podstack-keeper") -> None:
        self._name = name
        self._kept: list[Kept] = []
        self._warner = Warner()
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()  # guards _kept and _thread
        self._working = threading.RLock()  # held by whoever runs jobs and ticks
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._next_tick = 0.0

    def renew_in_child(self) -> None:
        """The thread and the jobs stay with the parent; kept objects renew themselves."""
        self._kept = []
        self._begin()

    def keep(self, kept: Kept) -> None:
        with self._lock:
            if kept not in self._kept:
                self._kept.append(kept)
            self._start()

    def forget(self, kept: Kept) -> None:
        with self._lock:
            if kept in self._kept:
                self._kept.remove(kept)

    def submit(self, job: Job) -> None:
        with self._lock:  # a thread that has done the job and ended is not one that never was
            self._jobs.put(job)
            self._start()
            is_taken = self._has_thread()
        if not is_taken:  # none can be started: nobody else would ever do it
            self._work_until_idle()

    def wait(self, timeout: float | None) -> bool:
        """Wait until all jobs submitted so far are done; False if `timeout` seconds do not do.

        Where there is no thread (none can be started, or the interpreter is going down), the
        jobs run here instead; and where it is this one that waits, as below a handler of logs to
        which the background told something.
        """
        if not self._has_thread() or threading.current_thread() is self._thread:
            self._work_until_idle()
            return True
        done: SimpleQueue[None] = SimpleQueue()
        self.submit(_tell(done))
        deadline = float("inf") if timeout is None else monotonic() + timeout
        while (left := deadline - monotonic()) > 0:
            try:
                done.get(timeout=min(_TICK, left))
            except Empty:
                if not self._has_thread():  # it ended, or another could not be started
                    self._work_until_idle()
                continue
            return True
        return False

    def _has_thread(self) -> bool:
        thread = self._thread  # read once: it may end meanwhile
        return thread is not None and thread.is_alive()

    def _start(self) -> None:
        if self._has_thread():
            return
        thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter is going down
            self._warner.warn(
                f"no background thread ({error}): data is synced at flush and at finish"
            )
            return
        self._thread = thread

    def _loop(self) -> None:
        while True:
            with self._lock:
                if not self._kept and self._jobs.empty():
                    self._thread = None
                    return
            try:
                job = self._jobs.get(timeout=max(0.0, self._next_tick - monotonic()))
            except Empty:
                job = ()
            self._do(job)
            self._tick_if_due()

    def _work_until_idle(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
            self._do(job)

    def _do(self, job: Job) -> None:
        try:
            with self._working:
                for _ in job:
                    self._tick_if_due()
        except Exception as error:  # noqa: BLE001  # a thread's outermost frame: told, and the next job goes on
            tell_of_failure("background work failed", error)

    def _tick_if_due(self) -> None:
        if monotonic() < self._next_tick:
            return
        self._next_tick = monotonic() + _TICK
        with self._lock:
            kept = list(self._kept)
        for one in kept:
            try:
                one.tick()
            except Exception as error:  # noqa: BLE001  # a thread's outermost frame: told, the others go on
                tell_of_failure("background work failed", error)


def _tell(done: SimpleQueue[None]) -> Iterator[None]:
    yield
    done.put(None)


keeper = Keeper()
