"""A run: what a training script logs into, and what is read back from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack import clock, datasets, names, oplog, points
from podstack.artifacts import Artifacts, versions_of
from podstack.clock import now
from podstack.config import Settings
from podstack.console import warn
from podstack.endings import DEADLINE, endings, verdict_of
from podstack.errors import BackendError, RunClosedError, WrongTypeError
from podstack.intake import Intake, source_of, sources_in
from podstack.journal import Journal
from podstack.keeper import keeper
from podstack.liveness import Status
from podstack.metrics import Metrics, RunSummary
from podstack.names import COMPLETED, RUNNING
from podstack.oplog import Change, Fold
from podstack.parameters import flat_parameters
from podstack.reader import OpLogs, PointLogs
from podstack.scalars import whole_step
from podstack.store import Store

if TYPE_CHECKING:
    pass

_LISTEN_EVERY = 5.0  # seconds between two looks for what others wrote, such as a Stop


class Run:
    """One run. `MLOpsClient.start_run` gives one to log into, `get_run` one to read.

    Logging returns once the operating system has the data: kill -9 after it loses nothing. After
    `start_run` no failure of the disk or the network raises here; a wrong call does, and nothing
    of it is stored. Every method may be called from any thread. A forked child may go on logging:
    it writes next to its parent and never ends its run. Pickled, a run becomes a handle that logs
    from the other process in the same way.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.id = run_id
        self._store = store
        self._meta = OpLogs(store.backend, store.keys.meta(run_id))
        self._point_logs = PointLogs(store.backend, store.keys.metrics(run_id))
        self._journal: Journal | None = None
        self._owns = False
        self._stop = False
        self._listen_at = 0.0

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
            journal.append_at_next_step(metrics)
        else:
            if type(step) is not int:
                step = whole_step(step)
            journal.append_points(points.encode(step, journal.now(), metrics), step)

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

    def set_notes(self, markdown: str) -> None:
        """Replace the run's notes. Earlier versions stay in `history("notes")`."""
        self._edit({"notes": names.check_text("Notes", markdown)})

    def set_name(self, name: str) -> None:
        """Rename the run; its id stays."""
        self._edit({"name": names.check_name("run", name)})

    def add_tags(self, *tags: str) -> None:
        """Add tags; adding one twice is one."""
        self._edit({f"tags/{tag}": True for group in tags for tag in names.check_tags(group)})

    def remove_tags(self, *tags: str) -> None:
        """Remove tags; one that is not there is fine."""
        self._edit({f"tags/{tag}": None for group in tags for tag in names.check_tags(group)})

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was logged survives a power loss: True once it does.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.

        Returns:
            False if the time ran out, or the disk refuses.
        """
        journal = self._journal
        if journal is None:
            return keeper.wait(timeout)
        results: list[bool] = []
        keeper.submit(journal.synced(results.append))
        keeper.submit(self._store.shipped(results.append))
        return keeper.wait(timeout) and len(results) == 2 and all(results)

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
        return self._stop if self._journal is not None else bool(self._fold().get("stop"))

    def tick(self) -> None:
        """From the background: look for what others wrote, such as a Stop."""
        if clock.monotonic() >= self._listen_at:
            self._listen_at = clock.monotonic() + _LISTEN_EVERY
            try:
                self._stop = bool(self._fold().get("stop"))
            except BackendError:
                return  # a Stop is heard of once the store can be read again

    def request_stop(self) -> None:
        """Ask whoever records this run to stop: its `should_stop` turns true within seconds."""
        self._edit({"stop": True})

    # Ending --------------------------------------------------------------------------------

    def finish(
        self, status: str = COMPLETED, *, error: str | None = None, timeout: float = DEADLINE
    ) -> None:
        """End the run. A second call is a no-op.

        Args:
            status: completed, failed or killed.
            error: what went wrong, kept with a failed run.
            timeout: seconds to wait at most, which happens only where the disk refuses.
        """
        status = names.check_status(status)
        journal, self._journal = self._journal, None
        endings.closed(self)
        keeper.forget(self)
        if journal is None:
            return
        if self._owns and not journal.is_child:
            journal.set(self._last_facts(journal, status, error))
        lost = journal.close(timeout=timeout)
        keeper.submit(self._store.shipped(self._told_whether_shipped, clear=self.id))
        if lost:
            warn(f"run {self.id}: the disk refused {lost} values to the end; they are lost")

    def _told_whether_shipped(self, succeeded: bool) -> None:
        if not succeeded:
            warn(f"run {self.id} is not yet in {self.uri}; it waits in the spool")

    def finish_at_once(self, status: str) -> None:
        """From a signal handler: record the status, write what waits, sync, and wait for nobody."""
        journal, self._journal = self._journal, None
        endings.closed(self)
        if journal is not None and not journal.is_child:
            journal.set(self._last_facts(journal, status, None))
            journal.close_at_once()

    def _last_facts(self, journal: Journal, status: str, error: str | None) -> dict[str, Any]:
        """This writer's end; the run's too, unless another process still records it."""
        said = {"status": status, "next_step": journal.next_step, "t": journal.now()}
        facts: dict[str, Any] = {f"closed/{journal.writer}": said}
        if error is not None:
            facts["error"] = error
        if not self._others_alive(journal.writer):
            facts |= {"status": status, "ended": now()}
        return facts

    def _others_alive(self, writer: str) -> bool:
        try:
            return self._store.liveness.others_alive(self.id, self._fold(), but=writer)
        except BackendError:  # no failure of the store keeps a run from ending
            return False

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status, text = verdict_of(error)
        self.finish(status, error=text)

    # Reading -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return str(self._fold().get("name") or names.name_of_run(self.id))

    @property
    def status(self) -> str:
        """running, completed, failed or killed; failed too where its process is gone."""
        return self._status().word

    @property
    def lost_since(self) -> float | None:
        """When the run was last heard of (epoch seconds), if it ended without saying so."""
        return self._status().lost_since

    @property
    def experiment_id(self) -> str:
        return str(self._fold().get("experiment", ""))

    @property
    def parent_run_id(self) -> str | None:
        """The run that this one is nested in."""
        parent = self._fold().get("parent")
        return parent if isinstance(parent, str) else None

    @property
    def params(self) -> dict[str, Any]:
        """The parameters by flat name, typed."""
        return self._fold().below("params")

    @property
    def tags(self) -> list[str]:
        return sorted(self._fold().below("tags"))

    @property
    def notes(self) -> str:
        return str(self._fold().get("notes", ""))

    @property
    def error(self) -> str | None:
        """The traceback or message of a failed run."""
        error = self._fold().get("error")
        return error if isinstance(error, str) else None

    @property
    def user(self) -> str:
        return str(self._fold().get("user", ""))

    @property
    def created(self) -> float:
        """When it was first started, epoch seconds."""
        fold = self._fold()
        created = fold.get("created")
        known = created if isinstance(created, (int, float)) else clock.stamp_time(fold.first)
        return float(known or now())

    @property
    def ended(self) -> float | None:
        """When it ended, epoch seconds; None while it runs."""
        status = self._status()
        ended = self._fold().get("ended") if status.word != RUNNING else None
        return ended if isinstance(ended, (int, float)) else status.lost_since

    @property
    def duration(self) -> float:
        """Seconds from its start to its end, or until now."""
        return max(0.0, (self.ended or now()) - self.created)

    @property
    def deleted(self) -> bool:
        return bool(self._fold().get("deleted"))

    @property
    def datasets(self) -> dict[str, dict[str, Any]]:
        """`{name: {"path", "description", fingerprint …}}`."""
        return {
            name: dict(facts)
            for name, facts in self._fold().below("datasets").items()
            if isinstance(facts, dict)
        }

    @property
    def metrics(self) -> Metrics:
        """All metrics as of now: `run.metrics["loss"].steps`, `.values`, `.times`."""
        self._point_logs.refresh(self._fold().below("seals"))
        return Metrics(self._point_logs.batches())

    @property
    def summary(self) -> RunSummary:
        """Last, min and max of each metric with their steps: `run.summary["loss"].min_step`."""
        return RunSummary(self.metrics)

    @property
    def artifacts(self) -> Artifacts:
        """The files by path, in the order logged: `run.artifacts["model.pt"].download("out")`."""
        present = self._fold().below("artifacts")
        histories = self._meta.histories("artifacts/")
        entries = {
            path: [change.value for change in histories[f"artifacts/{path}"]] for path in present
        }
        found = {path: versions_of(self._store, self.id, path, e) for path, e in entries.items()}
        logged = sorted((v for v in found.values() if v), key=lambda versions: versions[-1].time)
        return Artifacts({versions[-1].path: versions for versions in logged})

    def history(self, path: str) -> list[Change]:
        """Every value a fact ever had, oldest first: `history("params/lr")`, `history("notes")`."""
        self._fold()
        return self._meta.history(path)

    @property
    def uri(self) -> str:
        """The store it is in."""
        return self._store.url

    # Deleting ------------------------------------------------------------------------------

    def delete(self) -> None:
        """Hide the run; `restore` brings it back, `purge` removes it for good."""
        self._edit({"deleted": True})

    def restore(self) -> None:
        """Undo `delete`."""
        self._edit({"deleted": None})

    def purge(self) -> None:
        """Remove the run and its artifacts for good, here and wherever this store is synced."""
        if self._journal is not None:
            self.finish()
        keeper.wait(DEADLINE)
        backend, keys = self._store.backend, self._store.keys
        backend.put(keys.tomb(self.id), b"{}")
        for prefix in (keys.run(self.id), keys.live_of(self.id)):
            for info in list(backend.list(prefix)):
                backend.delete(info.key)

    # Inside --------------------------------------------------------------------------------

    def _record(self, journal: Journal, facts: Mapping[str, Any], *, owns: bool) -> None:
        """Begin to log through `journal`.

        Raises:
            BackendError: the store does not take the first line.
        """
        journal.set(facts)
        if journal.refused:
            journal.discard()
            raise self._store.unwritable()
        self._journal, self._owns = journal, owns
        endings.opened(self)
        keeper.keep(self)
        self._store.keep()

    @property
    def progress(self) -> int:
        return self._journal.written if self._journal is not None else 0

    def _fold(self) -> Fold:
        return self._meta.fold()

    def _status(self) -> Status:
        if self._store.disabled:
            return Status(COMPLETED if self._journal is None else RUNNING)
        return self._store.liveness.status(self.id, self._fold())

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
            return
        self._fold()  # so that this edit wins over all that its author could see
        self._store.edit(self._store.keys.meta(self.id), changes)

    def __reduce__(self) -> tuple[Any, ...]:
        step = None if self._journal is None else self._journal.next_step
        return _attached, (self._store.portable_settings, self.id, step)

    def __repr__(self) -> str:
        from podstack import display

        return display.run_text(self)

    def _repr_html_(self) -> str:
        from podstack import display

        return display.run_html(self)


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
    store = Store(settings)
    run = Run(store, run_id)
    if next_step is not None:
        journal = Journal(store.folder, store.keys, run_id, role="child")
        journal.go_on_from(next_step, 0.0)
        run._journal = journal
        keeper.keep(run)  # so that it hears of a Stop
        _attached_runs[settings, run_id] = run
    return run


class Position(NamedTuple):
    """Where a run's writers left off: the step after all of theirs, and their latest time."""

    next_step: int
    time: float


def position(run: Run) -> Position:
    """Taken from what each writer said at its end.

    The points themselves are read only where a writer was killed before it could say.
    """
    fold = run._fold()
    closed = {w: facts for w, facts in fold.below("closed").items() if isinstance(facts, dict)}
    steps = [step for facts in closed.values() if isinstance(step := facts.get("next_step"), int)]
    times = [float(t) for facts in closed.values() if isinstance(t := facts.get("t"), (int, float))]
    if set(run._store.backend.list_dirs(run._store.keys.metrics(run.id))) - set(closed):
        run._point_logs.refresh(fold.below("seals"))
        for _, batches in run._point_logs.batches():
            steps += [max(batch.steps) + 1 for batch in batches]
            times += [max(batch.times) for batch in batches]
    return Position(max(steps, default=0), max(times, default=0.0))
