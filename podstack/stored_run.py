"""A run as the store holds it: read, edited, deleted. `run.Run` adds what it takes to log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from podstack import clock, names
from podstack.artifacts import Artifacts, versions_of
from podstack.clock import now
from podstack.endings import DEADLINE
from podstack.keeper import keeper
from podstack.liveness import Status
from podstack.metrics import Metrics, RunSummary
from podstack.names import COMPLETED, RUNNING
from podstack.oplog import Change, Fold
from podstack.reader import OpLogs, PointLogs
from podstack.store import Store


class StoredRun:
    """One run of a store. Every reading is as of now."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.id = run_id
        self._store = store
        self._meta = OpLogs(store.backend, store.keys.meta(run_id))
        self._point_logs = PointLogs(store.backend, store.keys.metrics(run_id))

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

    # Editing -------------------------------------------------------------------------------

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

    def request_stop(self) -> None:
        """Ask whoever records this run to stop: its `should_stop` turns true within seconds."""
        self._edit({"stop": True})

    def delete(self) -> None:
        """Hide the run; `restore` brings it back, `purge` removes it for good."""
        self._edit({"deleted": True})

    def restore(self) -> None:
        """Undo `delete`."""
        self._edit({"deleted": None})

    def purge(self) -> None:
        """Remove the run and its artifacts for good, here and wherever this store is synced."""
        keeper.wait(DEADLINE)
        backend, keys = self._store.backend, self._store.keys
        backend.put(keys.tomb(self.id), b"{}")
        for prefix in (keys.run(self.id), keys.live_of(self.id)):
            for info in list(backend.list(prefix)):
                backend.delete(info.key)

    # Inside --------------------------------------------------------------------------------

    def _fold(self) -> Fold:
        return self._meta.fold()

    def _status(self) -> Status:
        if self._store.disabled:
            return Status(COMPLETED)
        return self._store.liveness.status(self.id, self._fold())

    def _edit(self, changes: Mapping[str, Any]) -> None:
        self._fold()  # so that this edit wins over all that its author could see
        self._store.edit(self._store.keys.meta(self.id), changes)

    def __repr__(self) -> str:
        from podstack import display

        return display.run_text(self)

    def _repr_html_(self) -> str:
        from podstack import display

        return display.run_html(self)


class Position(NamedTuple):
    """Where a run's writers left off: the step after all of theirs, and their latest time."""

    next_step: int
    time: float


def position(run: StoredRun) -> Position:
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
