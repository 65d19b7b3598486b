"""The run that a callback records into: made when it is first needed, reopened after its end.

Constructing, pickling or copying a `Recording` touches neither disk nor network. Its run id stands
from the start, so that every process which gets a copy means the same run; a pickle holds no
token. A run that the caller passed in is used as it is and never ended here.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from podstack import MLOpsClient, Run
from podstack.errors import BackendError, NotFoundError, RunClosedError, UsageError
from podstack.extending import (
    Trial,
    defaults,
    hand_down,
    handed_down,
    new_run_id,
    numbers_in,
    take_back,
)

_constructed = 0  # recordings made in this process: the n-th of a child is the n-th of its parent


class Recording:
    """One run, for one callback.

    Args:
        run: a run that the caller opens and ends; the other arguments then say nothing.
        experiment, name, run_id, tags: of the run that is made here. Default: the environment,
            see `podstack.config`.
        uri, project, api_token: the store, as for `MLOpsClient`.
        client: instead of these; a pickle does not hold it.
        capture, sweep_trial: as for `start_run`.
    """

    def __init__(
        self,
        *,
        run: Run | None = None,
        experiment: str | None = None,
        name: str | None = None,
        run_id: str | None = None,
        tags: list[str] | tuple[str, ...] | str = (),
        uri: Any = None,
        project: str | None = None,
        api_token: str | None = None,
        client: MLOpsClient | None = None,
        capture: tuple[str, ...] | None = None,
        sweep_trial: Trial | None = None,
    ) -> None:
        said = defaults()
        self.is_given = run is not None
        self._run = run
        self._wants_id = run_id or said.run_id
        self.run_id = run.id if run is not None else self._wants_id or _inherited() or new_run_id()
        self.experiment = experiment or said.experiment
        self.name = name or said.run_name
        self._tags = tags or said.tags
        self._uri, self._project, self._api_token = uri, project, api_token
        self._client, self._capture, self._trial = client, capture, sweep_trial
        self.has_begun = False  # in this process, or in the one that this is a copy from
        self._skipped: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether there is a run now: none was needed yet, or it was ended."""
        return self._run is not None

    @property
    def client(self) -> MLOpsClient:
        if self._client is not None:
            return self._client
        return MLOpsClient(self._uri, project=self._project, api_token=self._api_token)

    @property
    def run(self) -> Run:
        """The run, started or gone on with at the first need.

        Raises:
            BackendError: the store cannot be written at the start. Later that costs a warning, and
                what follows is not recorded.
        """
        if self._run is None:
            try:
                self._run = self._start(self.client)
            except BackendError as error:
                if not self.has_begun:
                    raise
                logging.getLogger("podstack").warning(
                    "what follows of run %s is not recorded: %s", self.run_id, error
                )
                self._run = self._start(MLOpsClient(self._uri, mode="disabled"))
            self.has_begun = True
        return self._run

    def _start(self, client: MLOpsClient) -> Run:
        said = self.experiment  # a run that is gone on with stays where it is if nothing is
        return client.start_run(
            experiment=client.create_experiment(said) if said else None,
            name=self.name,
            run_id=self.run_id,
            tags=self._tags,
            capture=self._capture,
            sweep_trial=self._trial,
        )

    def is_stored(self) -> bool:
        """Whether the store has such a run: another process may have begun it."""
        try:
            return bool(self.client.get_run(self.run_id))
        except NotFoundError:
            return False

    @property
    def should_stop(self) -> bool:
        """Whether somebody asked the run to stop. Free to ask; false while there is none."""
        return self._run is not None and self._run.should_stop

    def later(self) -> Run:
        """What passes for the run, and begins it when something is done with it.

        Once the run has ended, logging reopens it, and reading and editing do not.
        """
        return _Later(self)  # type: ignore[return-value]

    def log(self, values: Mapping[Any, Any], step: int | None = None) -> None:
        """The numbers among `values`. What is none is left out, with one warning per name."""
        try:
            self.run.log_metrics(values, step)  # checks them all; nothing of a refused call is kept
        except UsageError:
            numbers, skipped = numbers_in(values)
            self.run.log_metrics(numbers, step)
            self._warn("not a number, so not logged", skipped)
        except RunClosedError as closed:
            self._let_go(closed)
            self.log(values, step)

    def log_params(self, values: Any) -> None:
        """All parameters that can be stored. One that cannot costs a warning, and only itself."""
        try:
            self.run.log_params(values)
        except UsageError:
            each = values if isinstance(values, Mapping) else vars(values)
            self._warn("cannot be stored", [name for name in each if not self._takes(name, each)])
        except RunClosedError as closed:
            self._let_go(closed)
            self.log_params(values)

    def _takes(self, name: Any, values: Mapping[Any, Any]) -> bool:
        try:
            self.run.log_params({name: values[name]})
        except UsageError:
            return False
        return True

    def _let_go(self, closed: RunClosedError) -> None:
        """The run was finished by hand, as by `run.finish()`; the next need reopens it.

        Raises:
            RunClosedError: it is the caller's own, who ends and reopens it.
        """
        if self.is_given:
            raise closed
        self._run = None

    def _warn(self, what: str, names: Iterable[Any]) -> None:
        unheard = [str(name) for name in names if str(name) not in self._skipped]
        self._skipped.update(unheard)
        if unheard:
            shown = ", ".join(map(ascii, unheard[:10]))
            logging.getLogger("podstack").warning("%s: %s", what, shown)

    def hand_down(self) -> None:
        """Let processes that run the same script again mean this run."""
        hand_down(self.run_id)

    def end(self, status: str = "completed", *, error: str | None = None) -> None:
        """End the run that was made here; the next need reopens it. A second call is a no-op."""
        take_back(self.run_id)
        if self._run is not None and not self.is_given:
            run, self._run = self._run, None
            run.finish(status, error=error)

    def fail(self, error: BaseException) -> None:
        """End it as `error` says: failed with its traceback, or killed by Ctrl-C."""
        take_back(self.run_id)
        if self._run is not None and not self.is_given:
            run, self._run = self._run, None
            run.__exit__(type(error), error, error.__traceback__)

    def go_on_with(self, run_id: str) -> None:
        """Mean another run from now on: one that a checkpoint names, or a trial's own."""
        if not self.is_given and run_id != self.run_id:
            self.end()
            self.run_id = run_id

    @property
    def has_wanted_id(self) -> bool:
        """Whether the user chose the run, so that no checkpoint may choose another."""
        return self.is_given or self._wants_id is not None

    def __getstate__(self) -> dict[str, Any]:
        kept = self._run if self.is_given else None
        return {**vars(self), "_run": kept, "_api_token": None, "_client": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def _inherited() -> str | None:
    """The id that the parent process handed down to its n-th recording, if this is one's n-th."""
    global _constructed
    _constructed += 1
    ids = handed_down() if defaults().rank else []  # any other child trains something else
    return ids[_constructed - 1] if len(ids) >= _constructed else None


class _Later:
    """See `Recording.later`: a framework may ask for its run before it knows which one that is."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    @property  # type: ignore[misc]
    def __class__(self) -> type[Run]:  # type: ignore[override]
        return Run

    def __getattr__(self, name: str) -> Any:
        recording = self._recording
        if recording.is_open or not recording.has_begun or name.startswith("log_"):
            return getattr(recording.run, name)
        return getattr(recording.client.get_run(recording.run_id), name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Later, (self._recording,)


class Fallible(Protocol):
    def failed(self, error: BaseException) -> None:
        """The training that this callback belongs to ended by `error`."""


def tell_of_exceptions(
    owner: type,
    method: str,
    callbacks_of: Callable[..., Iterable[Fallible]],
    *,
    first: Callable[..., object] = lambda *_, **__: None,
) -> None:
    """Wrap `owner.method`, once, so that callbacks hear of an exception that ends it.

    The frameworks tell no callback of one. Where the script dies of it the core sees so; a
    notebook catches it and lives on, and its run would stay running.

    Args:
        callbacks_of: called as the method is; the callbacks of ours that take part.
        first: called as the method is, and before it, with what no callback is told of it.
    """
    plain = getattr(owner, method)
    if hasattr(plain, "_tells_podstack"):
        return

    @functools.wraps(plain)
    def telling(*args: Any, **kwargs: Any) -> Any:
        first(*args, **kwargs)
        try:
            return plain(*args, **kwargs)
        except BaseException as error:
            for callback in callbacks_of(*args, **kwargs):
                callback.failed(error)
            raise

    telling._tells_podstack = True  # type: ignore[attr-defined]
    setattr(owner, method, telling)
