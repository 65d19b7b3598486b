"""The runs of Ray's trials: ids that a restored experiment finds again, and one thread for all I/O.

Not for users. Ray's driver handles one event at a time, and a slow callback holds up every trial;
so whatever may wait for a disk or a network is handed to one thread here, in order.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from podstack.errors import BackendError, PodstackError
from podstack.extending import numbers_in
from podstack.integrations.recording import Recording

Action = Callable[[Recording], object]

# What Ray adds to every result; `training_iteration` is the step.
_BOOKKEEPING = {
    *("config", "trial_id", "experiment_tag", "experiment_id", "pid", "hostname", "node_ip"),
    *("date", "timestamp", "done", "checkpoint_dir_name", "should_checkpoint"),
    *("training_iteration", "iterations_since_restore", "time_since_restore"),
    *("time_this_iter_s", "time_total_s", "__duplicate__", "__trial_info__"),
}


class Scope(NamedTuple):
    """What a trial's run id is made from beside the trial's own id, and where the run belongs."""

    experiment: str  # of podstack, by name
    key: str  # what tells trials of the same id apart: Ray's experiment, or the sweep


def run_id_of(trial_id: str, scope: Scope) -> str:
    """The id of a trial's run: the same on the driver, in its worker, and after `Tuner.restore`.

    Ray's trial ids are short (20 random bits and a number), so the hash tells apart those of
    different experiments in one store.
    """
    words = re.sub(r"[^a-z0-9._-]+", "-", trial_id.lower()).strip("._-")[:40]
    text = "\n".join((trial_id, *scope))
    return f"ray-{words}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def numbers_of(result: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a result, flat, without what Ray adds to each."""
    own = {name: value for name, value in result.items() if name not in _BOOKKEEPING}
    return numbers_in(own)[0]


class TrialRun:
    """One trial's run. Its methods belong to the driver's thread and return at once."""

    def __init__(self, recording: Recording, thread: ThreadPoolExecutor) -> None:
        self._recording, self._thread = recording, thread
        self._waiting: deque[Action] = deque()  # in order; the first ones wait for an outage
        self._told: set[tuple[str, str]] = set()
        self.config = ""  # as it was logged
        self.has_ended = False

    @property
    def run_id(self) -> str:
        return self._recording.run_id

    def do(self, action: Action) -> None:
        """Have the thread do it, once all before it is done; the run is opened for it."""
        self._waiting.append(action)
        self._thread.submit(self._work).add_done_callback(_tell)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Log at once where nothing waits: it takes microseconds, and the times are right."""
        if self._recording.is_open and not self._waiting:
            self._recording.log(numbers, step)
        else:
            self.do(lambda recording: recording.log(numbers, step))

    def end(self, status: str, error: str | None = None) -> None:
        self.has_ended = True
        self.do(lambda recording: recording.end(status, error=error))

    def aside(self, action: Callable[[], object]) -> None:
        """Have the thread do something that does not need the run to be open."""
        self._thread.submit(self._attempt, action).add_done_callback(_tell)

    def tell_of_rest(self) -> None:
        """After the end: what the store's outage kept from being recorded."""
        if self._waiting:
            lost = "%d calls for run %s are lost: its store did not answer"
            warn(lost, len(self._waiting), self.run_id)

    def _work(self) -> None:
        """Do what waits. What an outage of the store keeps from being done goes on waiting."""
        while self._waiting:
            is_done = True  # a mistake of ours is not made again
            try:
                is_done = self._attempt(self._next)
            finally:
                if is_done:
                    self._waiting.popleft()
            if not is_done:
                return

    def _next(self) -> None:
        self._recording.run  # noqa: B018  # opens it
        self._waiting[0](self._recording)

    def _attempt(self, action: Callable[[], object]) -> bool:
        """Whether it is dealt with: done, or refused for good."""
        try:
            action()
        except BackendError as error:
            self._tell_once("run %s waits for its store: %s", error)
            return False
        except (PodstackError, OSError) as error:
            self._tell_once("part of run %s is not recorded: %s", error)
        return True

    def _tell_once(self, text: str, error: Exception) -> None:
        if (text, str(error)) not in self._told:
            warn(text, self.run_id, error)
        self._told.add((text, str(error)))


def _tell(done: Future[Any]) -> None:
    error = done.exception()
    if error is not None:  # a mistake of ours: it must not end trials, nor go unheard
        logging.getLogger("podstack").error("a trial's run is not recorded", exc_info=error)


def warn(text: str, *values: object) -> None:
    logging.getLogger("podstack").warning(text, *values)
