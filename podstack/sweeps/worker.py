"""A process of a pool: takes trials, calls the user's function for each, tells the pool."""

from __future__ import annotations

import inspect
import os
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from time import sleep
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack import config
from podstack.config import Settings
from podstack.endings import traceback_text
from podstack.errors import PodstackError, UsageError, WrongTypeError
from podstack.names import FAILED, short
from podstack.sweeps.interruption import end_is_asked, heed

if TYPE_CHECKING:
    from podstack.client import MLOpsClient
    from podstack.run import Run
    from podstack.sweeps.sweep import Sweep
    from podstack.sweeps.trial import Trial

Function = Callable[..., Any]

GRACE = 10.0  # seconds that a worker has to end its run after it is asked to
_LOOK = 1.0  # seconds between two looks whether the pool's process is still there


class Here(NamedTuple):
    """The worker is there, and has yet to be told its function."""


class Ready(NamedTuple):
    """The worker has begun."""


class Took(NamedTuple):
    """It has a trial."""

    number: int


class Nothing(NamedTuple):
    """There is no trial to take now."""


class Ended(NamedTuple):
    """A trial came to its end; `error` is the whole traceback."""

    number: int
    status: str
    value: float | None
    error: str | None


class Broken(NamedTuple):
    """The worker cannot go on, and not for a reason of the user's function."""

    error: Exception


Word = Here | Ready | Took | Nothing | Ended | Broken
TAKE, LEAVE = "take", "leave"  # what the pool says
WAKE = getattr(signal, "SIGURG", None)  # does nothing to a process but interrupt what waits in C


def takes_run(function: Function) -> bool:
    """Whether it is called as `function(trial, run)`, else as `function(trial)`.

    Raises:
        UsageError: it can be called in neither way.
    """
    if not callable(function):
        raise UsageError(f"function is called for each trial; {short(function)} cannot be.")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # of C code, which does not say
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    placed = [each for each in parameters if each.kind in kinds]
    needed = [each for each in parameters if each.default is each.empty and _has_place(each)]
    if any(each.kind is each.VAR_POSITIONAL for each in parameters) and len(placed) < 2:
        return not placed
    if not placed or len(needed) > 2 or any(each not in placed for each in needed):
        raise UsageError(
            f"function takes a trial, or a trial and its run, not {inspect.signature(function)}. "
            "Write: def objective(trial, run): return train(**trial)."
        )
    return len(needed) == 2 or (len(placed) > 1 and placed[1].name == "run")


def _has_place(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


class Stop:
    """An end that the pool asked for. It interrupts the user's function, and nothing else."""

    def __init__(self) -> None:
        self._asked = False
        self.interrupts = False

    def is_asked(self) -> bool:
        return self._asked

    def __call__(self, number: int, frame: FrameType | None) -> None:
        first, self._asked = not self._asked, True
        if first and self.interrupts:
            raise KeyboardInterrupt


def play(client: MLOpsClient, sweep: Sweep, trial: Trial, function: Function, stop: Stop) -> Ended:
    """Call the function for a trial inside of a run, and say what came of it.

    Raises:
        KeyboardInterrupt: it was interrupted. The trial is offered again.
        BackendError: the store does not take the run. The trial is offered again.
    """
    try:
        run = client.start_run(sweep_trial=trial)
    except BaseException:
        trial.release()
        raise
    try:
        with run:
            _call(function, trial, run, sweep, stop)
    except KeyboardInterrupt:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the user's, and it is told
        return _ended(sweep, trial, traceback_text(error))
    return _ended(sweep, trial, None)


def _call(function: Function, trial: Trial, run: Run, sweep: Sweep, stop: Stop) -> None:
    told = None
    try:
        stop.interrupts = True
        if not stop.is_asked():
            told = function(trial, run) if takes_run(function) else function(trial)
        if stop.is_asked():  # before the call, or caught inside of it, as frameworks do
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        stop.interrupts = False
        trial.release()  # an interruption is no result
        raise
    finally:
        stop.interrupts = False
    _log(run, told, sweep.objective.metric)


def _log(run: Run, told: Any, objective: str) -> None:
    """Log what the function returned.

    Raises:
        WrongTypeError: it is neither a number, nor metrics by name, nor nothing.
    """
    if told is None:
        return
    try:
        run.log_metrics(told if isinstance(told, Mapping) else {objective: told})
    except WrongTypeError as error:
        raise WrongTypeError(
            f"The function returned {short(told)}: it may return the value of {objective!r}, "
            f"metrics by name, or None where it logs them itself. {error}"
        ) from error


def _ended(sweep: Sweep, trial: Trial, error: str | None) -> Ended:
    """What the ledger says of the trial now."""
    known = [record for record in sweep.records() if record.number == trial.number]
    if not known:
        return Ended(trial.number, FAILED, None, error)
    record = known[0]
    return Ended(trial.number, record.status, record.value, error or record.error)


# In a process of its own -----------------------------------------------------------------------


def work(
    connection: Connection, settings: Settings, sweep_id: str, function: Function | None
) -> None:
    """The whole life of a worker process.

    Args:
        function: None where the pool is to be asked for it.
    """
    stop = Stop()
    config.be_quiet()  # the pool tells what there is to tell
    _listen(stop)
    _end_with(os.getppid())
    try:
        told = _function(connection, stop) if function is None else function
        if told is not None:
            _serve(connection, _client(settings), sweep_id, told, stop)
    except (EOFError, ConnectionError, KeyboardInterrupt):
        return  # the pool is gone, or wants no more
    except PodstackError as error:
        connection.send(Broken(error))


def _listen(stop: Stop) -> None:
    signal.signal(signal.SIGINT, _ignore)  # a terminal sends it to all; the pool says what follows
    signal.signal(signal.SIGTERM, stop)
    if end_is_asked():  # a forked one has the pool's handlers until here, which only note it
        stop(signal.SIGTERM, None)
    heed(stop.is_asked)
    if WAKE is not None:
        signal.signal(WAKE, _ignore)


def _function(connection: Connection, stop: Stop) -> Function | None:
    """What the pool runs; None where it wants no more."""
    connection.send(Here())
    told: Function | None = _told(connection, stop)
    return told


def _serve(
    connection: Connection, client: MLOpsClient, sweep_id: str, function: Function, stop: Stop
) -> None:
    sweep = client.get_sweep(sweep_id)
    connection.send(Ready())
    while not stop.is_asked() and _told(connection, stop) == TAKE:
        trial = sweep.suggest()
        if trial is None:
            connection.send(Nothing())
            continue
        if stop.is_asked():
            trial.release()
            return
        connection.send(Took(trial.number))
        connection.send(play(client, sweep, trial, function, stop))


def _told(connection: Connection, stop: Stop) -> Any:
    """Wait for what the pool says next; None once it wants no more."""
    while not connection.poll(_LOOK / 4):
        if stop.is_asked():
            return None
    return connection.recv()


def _client(settings: Settings) -> MLOpsClient:
    from podstack.client import MLOpsClient

    return MLOpsClient(
        settings.uri,
        api_token=settings.api_token,
        project=settings.project,
        mode=settings.mode,
        storage_options=dict(settings.storage_options),
    )


def _ignore(number: int, frame: FrameType | None) -> None:
    """No SIG_IGN, which the processes that the function starts would inherit."""


def _end_with(parent: int) -> None:
    """Ask this process to end once the pool's is gone: nobody would hear of its trials.

    Whoever does not listen is ended, as the pool would have done.
    """

    def watch() -> None:
        while os.getppid() == parent:
            sleep(_LOOK)
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(GRACE)
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    threading.Thread(target=watch, name="podstack-parent", daemon=True).start()
