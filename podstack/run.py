"""A run: what a training script logs into, and what is read back from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from podstack import clock, config, datasets, names, oplog, points
from podstack.clock import monotonic, now
from podstack.config import Settings
from podstack.console import warn
from podstack.endings import endings, verdict_of
from podstack.errors import BackendError, RunClosedError, WrongTypeError
from podstack.intake import Intake, source_of, sources_in
from podstack.journal import Journal
from podstack.keeper import keeper
from podstack.liveness import Status
from podstack.metrics import Metrics
from podstack.names import COMPLETED, KILLED, RUNNING
from podstack.parameters import flat_parameters
from podstack.point_logs import PointLogs
from podstack.position import position
from podstack.scalars import whole_step
from podstack.store import Store
from podstack.stored_run import StoredRun

if TYPE_CHECKING:
    from podstack.alerts import Wanted
    from podstack.alerts.notices import Notify
    from podstack.alerts.watches import Watches
    from podstack.sweeps.trial import Trial

_LISTEN_EVERY = 5.0  # seconds between two looks for what others wrote, such as a Stop


class Captor(Protocol):
    """What records a run's surroundings while it is open, such as what the process prints."""

    def closed(
        self, journal: Journal, error: str | None = None, *, at_once: bool = False
    ) -> None: ...


class _Ending(NamedTuple):
    """How a run that its journal records ends."""

    journal: Journal
    status: str
    error: str | None


class Run(StoredRun):
    """One run. `MLOpsClient.start_run` gives one to log into, `get_run` one to read.

    Logging returns once the operating system has the data: kill -9 after it loses nothing. After
    `start_run` no failure of the disk or the network raises here; a wrong call does, and nothing
    of it is stored. Every method may be called from any thread. A forked child may go on logging:
    it writes next to its parent and never ends its run. Pickled, a run becomes a handle that logs
    from the other process in the same way.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        super().__init__(store, run_id)
        self._journal: Journal | None = None
        self._captors: list[Captor] = []
        self._owns = False
        self._watches: Watches | None = None  # None until there is an alert
        self._stop = False
        self._listen_at = 0.0
        self._trial: Trial | None = None  # of a sweep, which ends with this run
        self._ending: _Ending | None = None  # while its end is not written yet

    # Logging -------------------------------------------------------------------------------

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record numbers at a step.

        Args:
            metrics: `{name: number}`. Any scalar: Python, numpy, torch, jax, bool. NaN and
                infinities are kept. Nested dicts flatten with `/`. An empty dict is a no-op.
            step: any whole number from -2**63 to 2**63 - 1, in any order; the same step again
                supersedes. Default: one more than the largest so far, from 0.

        Raises:
            WrongTypeError: a value is not a number, or the step is not whole; it is named.
            RunClosedError: the run is finished, or was opened with `get_run`.
        """
        journal = self._journal
        if journal is None:
            raise self._closed()
        if step is None:
            step, line = journal.append_at_next_step(metrics)
        else:
            if type(step) is not int:
                step = whole_step(step)
            line = points.encode(step, journal.now(), metrics)
            journal.append_points(line, step)
        if self._watches is not None:
            self._watches.look(metrics, step, line)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters: typed, nested ones flattened with `/`, the same name again replaces.

        Every earlier value stays in `history("params/<name>")`. Texts whose name says that they
        are secrets (`api_key`, `password`, `token`, …) are masked.

        Raises:
            WrongTypeError, UsageError: a name is not text, or a value is larger than 1 MB or
                holds itself; it is named.
            RunClosedError: the run is finished, or was opened with `get_run`.
        """
        self._open().set(
            {
                f"params/{name}": oplog.stored(value)
                for name, value in flat_parameters(params).items()
            }
        )

    def log_artifact(self, path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Keep a copy of a file; the source may change or go as soon as this returns.

        Args:
            path: the file.
            artifact_path: the folder inside the run's artifacts that it goes into.

        Raises:
            UsageError: it is missing, a folder, a device or a pipe, unreadable, keeps changing, or
                its name cannot be stored. Nothing was stored.
            RunClosedError: the run is finished, or was opened with `get_run`.
        """
        Intake(self._store, self.id, self._open()).take([source_of(path, artifact_path)])

    def log_artifacts(
        self, folder: str | os.PathLike[str], artifact_path: str | None = None
    ) -> None:
        """Keep a copy of every file below a folder, under its path relative to it.

        Raises:
            UsageError: it is no folder, or one of its files cannot be logged. Nothing was stored.
            RunClosedError: the run is finished, or was opened with `get_run`.
        """
        Intake(self._store, self.id, self._open()).take(sources_in(folder, artifact_path))

    def log_dataset(self, name: str, path: str | os.PathLike[str], description: str = "") -> None:
        """Record which data was used: a name, where it is, and a fingerprint where that is cheap.

        Args:
            path: a file or folder, fingerprinted if it is on this machine; or a URL, kept as text.

        Raises:
            WrongTypeError, UsageError: a name, path or description that cannot be stored.
            RunClosedError: the run is finished, or was opened with `get_run`.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise WrongTypeError(f"A dataset's path is a path or a URL, not {names.short(path)}.")
        where = names.check_text("A dataset's path", os.fsdecode(path))
        facts = {"path": where, "description": names.check_text("A description", description)}
        journal = self._open()
        journal.set(
            {
                f"datasets/{names.check_name('dataset', name)}": {
                    **facts,
                    **datasets.fingerprint(where),
                }
            }
        )

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was logged is safe where it belongs: True once it is.

        In a folder of this machine that means synced to the disk, elsewhere that the store said
        that it has it.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.

        Returns:
            False if the time ran out, the disk refuses, or the store does not answer.
        """
        journal, results = self._journal, [True]
        if journal is not None:
            results.clear()
            keeper.submit(journal.synced(results.append))
        if self._store.delivery is not None:
            return self._store.delivery.flush(timeout) and results == [True]
        return keeper.wait(timeout) and results == [True]

    @property
    def dropped(self) -> int:
        """Values given up because the disk refused them until memory was full. 0 unless it did."""
        return (
            self._journal.dropped
            if self._journal is not None
            else int(self._fold().get("summary/dropped", 0))
        )

    @property
    def should_stop(self) -> bool:
        """Whether somebody asked this run to stop.

        Free to ask where the run is recorded: the background looks every 5 s.
        """
        journal = self._journal
        if journal is None:
            return bool(self._fold().get("stop"))
        if journal.is_child:
            self._store.listener.keep(self)  # a forked child has no thread of its parent's
        return self._stop

    def tick(self) -> None:
        """From the background: look for what others wrote, such as a Stop or an alert."""
        if clock.monotonic() >= self._listen_at:
            self._listen_at = clock.monotonic() + self._listening_pause()
            try:
                fold = self._fold()
            except BackendError:
                return  # a Stop is heard of once the store can be read again
            self._stop = bool(fold.get("stop"))
            journal = self._journal
            if journal is not None and (self._watches is not None or fold.below("alerts")):
                self._watched(journal).follow(fold)

    def _listening_pause(self) -> float:
        """Seconds to the next look: where each is a request, they grow rarer with the run's age."""
        delivery = self._store.delivery
        return _LISTEN_EVERY if delivery is None else max(_LISTEN_EVERY, delivery.pause)

    # Alerts --------------------------------------------------------------------------------

    def _watched(self, journal: Journal) -> Watches:
        """The alerts that this process looks after; the first call begins with it."""
        if self._watches is None:
            from podstack.alerts.watches import Watches  # 10 ms that most runs need not pay

            new = Watches(journal, self.id, self.uri)
            self._watches = vars(self).setdefault("_first_watches", new)  # atomic: one for all
        return self._watches

    def _resume_alerts(self) -> None:
        try:
            fold = self._fold()
            if fold.below("alerts"):
                self._watched(self._open()).take_over(fold, lambda: self.metrics)
        except BackendError:
            return  # the background hears of them once the store can be read again

    def _known_alerts(self) -> dict[str, Wanted]:
        journal = self._journal
        return super()._known_alerts() if journal is None else self._watched(journal).known

    def _watch(self, alert: Wanted, notify: Notify) -> None:
        journal = self._journal
        if journal is None:
            super()._watch(alert, notify)
            return
        from podstack.alerts.notices import mailboxes_of

        self._watched(journal).add(alert, [] if self._store.disabled else mailboxes_of(notify))

    def _unwatch(self, id: str) -> None:
        if self._watches is not None:
            self._watches.drop(id)

    # Ending --------------------------------------------------------------------------------

    def finish(
        self, status: str = COMPLETED, *, error: str | None = None, timeout: float | None = None
    ) -> None:
        """End the run. A second call is a no-op.

        Args:
            status: completed, failed or killed.
            error: what went wrong, kept with a failed run.
            timeout: seconds to wait at most, which happens only where the disk refuses, or the
                store is elsewhere: while that answers, it has everything when this returns.
                Default: PODSTACK_FINISH_TIMEOUT, else 30.
        """
        status = names.check_status(status)
        patience = config.finish_timeout() if timeout is None else timeout
        deadline = monotonic() + patience
        journal, self._journal = self._journal, None
        if journal is None:
            return
        self._store.listener.forget(self)
        self._ending = _Ending(journal, status, error)
        try:
            self._end(self._ending, patience)
        finally:  # also where a Ctrl-C ended the wait for a store
            self._ending = None
            endings.closed(self)
            self._close(journal, deadline, adopt=status != KILLED)

    def _end(self, ending: _Ending, patience: float) -> None:
        """Write what ends the run here, and the trial that it was for."""
        journal, status, error = ending
        for captor in self._captors:
            captor.closed(journal, error)
        if self._owns and not journal.is_child:
            self._write_last_facts(ending, patience)
            self._end_trial(status, error)

    def _close(self, journal: Journal, deadline: float, *, adopt: bool) -> None:
        """Nothing more is logged: bring what was to the disk, and to a store elsewhere."""
        lost = journal.close(timeout=0.0 if endings.in_haste else max(0.0, deadline - monotonic()))
        if lost:
            warn(f"run {self.id}: the disk refused {lost} values to the end; they are lost")
        if self._store.delivery is not None:
            left = max(0.0, deadline - monotonic())
            self._store.delivery.finish(self.id, journal.writer, left, adopt=adopt)

    def finish_at_once(self, status: str, timeout: float) -> None:
        """From a signal handler: record the status, write what waits, and sync.

        A store elsewhere may hold it up for `timeout` seconds, and nobody else does. A run that
        was about to end does so as it was told.
        """
        journal, self._journal = self._journal, None
        ending, self._ending = self._ending, None
        if ending is None and journal is not None:
            ending = _Ending(journal, status, None)
        endings.closed(self)
        if ending is not None and not ending.journal.is_child:
            journal = ending.journal
            for captor in self._captors:
                captor.closed(journal, at_once=True)
            self._write_last_facts(ending, timeout)
            self._end_trial(ending.status, ending.error)
            journal.close_at_once()
            if self._store.delivery is not None:
                self._store.delivery.closed(self.id, journal.writer)

    def _write_last_facts(self, ending: _Ending, patience: float) -> None:
        """This writer's end; the run's too, unless another process still records it."""
        journal, status, error = ending
        is_alone = True
        try:
            is_alone = not self._others_alive(journal.writer, patience)
        finally:  # also where a Ctrl-C ended the wait for an answer
            said = {"status": status, "next_step": journal.next_step, "t": journal.now()}
            facts: dict[str, Any] = {f"closed/{journal.writer}": said}
            if error is not None:
                facts["error"] = error
            if is_alone:
                facts |= {"status": status, "ended": now()}
            journal.set(facts)

    def _others_alive(self, writer: str, patience: float) -> bool:
        """As far as the store says so at once: no failure of it keeps a run from ending."""
        delivery = self._store.delivery

        def ask() -> bool:
            return self._store.liveness.others_alive(self.id, self._fold(), but=writer)

        try:
            return ask() if delivery is None else delivery.asked(ask, patience / 2)
        except BackendError:
            return False

    def _works_for(self, trial: Trial) -> None:
        """From now on this run's end is that of a sweep's trial."""
        self._trial = trial
        trial.run_begins(self)

    def _end_trial(self, status: str, error: str | None) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            value = self._last_logged(trial.metric) if status == COMPLETED else None
            if value is None and self._store.disabled:
                value = float("nan")  # nothing is kept that could be read back
            trial.run_ends(status, error, value)

    def _last_logged(self, metric: str) -> float | None:
        """The last value that this process logged; of others, if the store answers at once."""
        own = PointLogs(self._store.folder, self._store.keys.metrics(self.id))
        own.refresh({})
        found = Metrics(own.logs(), own.logs).get(metric)
        series, delivery = [found] if found is not None else [], self._store.delivery

        def look() -> bool:
            all_of_it = Metrics(self._logs(), self._logs).get(metric)
            series.extend([all_of_it] if all_of_it is not None else [])
            return True

        if not series and delivery is not None:
            delivery.asked(look, config.finish_timeout())
        return float(series[0].values[-1]) if series else None

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status, text = verdict_of(error)
        self.finish(status, error=text)

    # Inside --------------------------------------------------------------------------------

    def _record(self, journal: Journal, facts: Mapping[str, Any], *, owns: bool) -> None:
        """Begin to log through `journal`.

        Raises:
            BackendError: the store does not take the first line.
        """
        journal.set(facts)
        if journal.refused:
            journal.discard()
            raise self._store.unwritable_here()
        self._journal, self._owns = journal, owns
        endings.opened(self)
        self._store.listener.keep(self)

    def purge(self) -> None:
        if self._journal is not None:
            self.finish()
        super().purge()

    @property
    def progress(self) -> int:
        return self._journal.written if self._journal is not None else 0

    def _status(self) -> Status:
        is_open_nowhere_but_here = self._store.disabled and self._journal is not None
        return Status(RUNNING) if is_open_nowhere_but_here else super()._status()

    def _open(self) -> Journal:
        if self._journal is None:
            raise self._closed()
        return self._journal

    def _closed(self) -> RunClosedError:
        return RunClosedError(
            f"Run {self.id} is not being recorded here: it is finished, or was opened to be read. "
            f"Go on with it: client.start_run(run_id={self.id!r})."
        )

    def _edit(self, changes: Mapping[str, Any]) -> None:
        if self._journal is not None:
            self._journal.set(changes)
        else:
            super()._edit(changes)

    def __reduce__(self) -> tuple[Any, ...]:
        step = None if self._journal is None else self._journal.next_step
        return _attached, (self._store.portable_settings, self.id, step)


_attached_runs: dict[tuple[Settings, str], Run] = {}


def _attached(settings: Settings, run_id: str, next_step: int | None) -> Run:
    """What a pickled run becomes: a writer of its own that leaves the ending to the first.

    One for each process, however often it is unpickled there: a pool does so for every task.

    Args:
        next_step: where the pickled run stood, if it was being recorded.
    """
    known = _attached_runs.get((settings, run_id))
    if next_step is not None and known is not None and known._journal is not None:
        return known
    run = Run(Store(settings), run_id)
    if next_step is not None:
        _attach(run, next_step, 0.0)
    return run


def attached_run(store: Store, run_id: str) -> Run:
    """The same for whoever knows the run's id only: its steps go on where the store's do."""
    known = _attached_runs.get((store.portable_settings, run_id))
    if known is not None and known._journal is not None:
        return known
    run = Run(store, run_id)
    _attach(run, *position(run))
    return run


def _attach(run: Run, next_step: int, newest: float) -> None:
    store = run._store
    journal = Journal(store.folder, store.keys, run.id, role="child")
    journal.go_on_from(next_step, newest)
    run._journal = journal
    store.listener.keep(run)  # so that it hears of a Stop
    _attached_runs[store.portable_settings, run.id] = run
