"""An experiment: a named group of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from podstack import clock, names
from podstack.names import COMPLETED, RUNNING
from podstack.oplog import Change, Fold
from podstack.reader import OpLogs
from podstack.run import Run
from podstack.store import Store

if TYPE_CHECKING:
    from podstack.index import RunRow

ACTIVE, ARCHIVED = "active", "archived"
STATUSES = (ACTIVE, COMPLETED, ARCHIVED)


class Experiment:
    """A named group of runs. The same name is the same experiment, on every host."""

    def __init__(self, store: Store, experiment_id: str) -> None:
        self.id = experiment_id
        self._store = store
        self._logs = OpLogs(store.backend, store.keys.experiment(experiment_id))

    @property
    def name(self) -> str:
        return str(self._fold().get("name") or self.id)

    @property
    def description(self) -> str:
        return str(self._fold().get("description", ""))

    @property
    def tags(self) -> list[str]:
        return sorted(self._fold().below("tags"))

    @property
    def created(self) -> float:
        """Epoch seconds."""
        fold = self._fold()
        created = fold.get("created")
        return float(created) if _is_time(created) else clock.stamp_time(fold.first)

    @property
    def status(self) -> str:
        """archived; else active (no runs yet, or one is running); else completed."""
        if self.archived:
            return ARCHIVED
        own = [row.status for row in self._rows()]
        return COMPLETED if own and RUNNING not in own else ACTIVE

    @property
    def archived(self) -> bool:
        return bool(self._fold().get("archived"))

    @property
    def deleted(self) -> bool:
        return bool(self._fold().get("deleted"))

    def list_runs(self) -> list[Run]:
        """Its runs, oldest first; deleted ones are left out."""
        return [Run(self._store, row.id) for row in self._rows()]

    def _rows(self) -> list[RunRow]:
        """What the index knows of its runs as of now, even where the experiment is deleted."""
        index = self._store.index
        index.refresh()
        return [row for row in index.runs(experiment=self.id, deleted=True) if not row.deleted]

    def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: list[str] | tuple[str, ...] | str | None = None,
    ) -> None:
        """Change what is given; `tags` replaces all tags. The id stays, whatever the name."""
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = names.check_name("experiment", name)
        if description is not None:
            changes["description"] = names.check_text("A description", description)
        if tags is not None:
            wanted = names.check_tags(tags)
            changes |= {f"tags/{tag}": None for tag in self.tags} | {
                f"tags/{tag}": True for tag in wanted
            }
        if changes:
            self._edit(changes)

    def archive(self) -> None:
        """Put it away; its runs stay. `restore` brings it back."""
        self._edit({"archived": True})

    def restore(self) -> None:
        """Undo `archive` and `delete`."""
        self._edit({"archived": None, "deleted": None})

    def delete(self) -> None:
        """Hide it and its runs; `restore` brings both back."""
        self._edit({"deleted": True})

    def purge(self) -> None:
        """Remove all its runs for good, hidden ones too, and hide what is left of it."""
        for run in (Run(self._store, found) for found in self._store.reader.run_ids()):
            if run.experiment_id == self.id:
                run.purge()
        self.delete()

    def history(self, path: str) -> list[Change]:
        """Every value a fact ever had, oldest first: `history("name")`."""
        return self._logs.history(path)

    def _fold(self) -> Fold:
        return self._logs.fold()

    def _edit(self, changes: Mapping[str, Any]) -> None:
        self._fold()  # so that this edit wins over all that its author could see
        self._store.edit(self._store.keys.experiment(self.id), changes)

    def __repr__(self) -> str:
        from podstack import display

        return display.experiment_text(self)

    def _repr_html_(self) -> str:
        from podstack import display

        return display.experiment_html(self)


def creation(experiment: Experiment, name: str, description: str, tags: object) -> dict[str, Any]:
    """What has to be set so that it is there, with a description and tags that are given.

    Raises:
        UsageError, WrongTypeError: what cannot be.
    """
    names.check_name("experiment", name)
    names.check_text("A description", description)
    wanted = names.check_tags(tags)
    fold = experiment._fold()
    changes: dict[str, Any] = {} if fold.stamp else {"name": name, "created": clock.now()}
    if fold.get("deleted"):
        changes["deleted"] = None
    if description and description != fold.get("description"):
        changes["description"] = description
    return changes | {f"tags/{tag}": True for tag in wanted if not fold.get(f"tags/{tag}")}


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
