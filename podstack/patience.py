"""Several requests at once to stores that may not answer for a while."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from podstack.clock import monotonic
from podstack.errors import BackendUnavailable
from podstack.retry import Backoff

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Answer = TypeVar("Answer")

_GLANCE = 0.05  # seconds


class Patience:
    """Asks again and again, with growing pauses, for a bounded time.

    Every method may be called from any thread.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._heard = monotonic()  # when a store last answered
        self._lock = threading.Lock()

    def __call__(self, ask: Callable[[], Answer]) -> Answer:
        """
        Raises:
            BackendUnavailable: there was no answer to this within the time.
        """
        backoff, until = Backoff(), monotonic() + self._seconds
        while True:
            try:
                answer = ask()
            except BackendUnavailable as error:
                self._pause(backoff, error, until)
                continue
            with self._lock:
                self._heard = monotonic()
            return answer

    def is_over(self, error: BaseException) -> bool:
        """Whether it is not one object, but a store that gives no answer."""
        silent = monotonic() - self._heard
        return isinstance(error, BackendUnavailable) and silent >= self._seconds

    def _pause(self, backoff: Backoff, error: BackendUnavailable, until: float) -> None:
        if monotonic() >= until:
            raise error
        asked_for = min(until, monotonic() + (error.retry_after or 0.0))
        backoff.failed()
        while not (backoff.is_over and monotonic() >= asked_for) and monotonic() < until:
            time.sleep(_GLANCE)


class Crew:
    """Does many jobs, several at a time; with one at a time, in the caller's thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool = _pool(size) if size > 1 else None

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def each(self, jobs: Iterable[Callable[[], None]]) -> Iterator[None]:
        """One step after each job that is done; the first error ends it."""
        if self._pool is None:
            for job in jobs:
                job()
                yield
            return
        running: deque[Future[None]] = deque()
        for job in jobs:
            running.append(self._pool.submit(job))
            if len(running) > 2 * self._size:
                running.popleft().result()
                yield
        while running:
            running.popleft().result()
            yield


def _pool(size: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # cannot be loaded while Python ends

    return ThreadPoolExecutor(size, "podstack-sync")
