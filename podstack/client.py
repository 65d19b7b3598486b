"""The way in: `MLOpsClient`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from podstack import config, names, oplog
from podstack.clock import now
from podstack.config import Settings, settings
from podstack.console import say
from podstack.errors import NotFoundError, UsageError, WrongTypeError
from podstack.experiment import ACTIVE, ARCHIVED, STATUSES, Experiment, runs_of
from podstack.journal import Journal
from podstack.names import RUNNING, short
from podstack.parameters import flat_parameters
from podstack.run import Run
from podstack.store import Store
from podstack.stored_run import position

Tags = list[str] | tuple[str, ...] | str


class MLOpsClient:
    """Experiments and runs of one project in one store.

    Args:
        uri: a folder, or a URL that a backend serves. Default: PODSTACK_URI, else ./podstack-store.
        api_token: the token for a podstack server. Default: PODSTACK_API_TOKEN.
        project: the project inside the store. Default: PODSTACK_PROJECT, else `default`.
        mode: `online`; `offline`, which writes where nothing needs a network; or `disabled`,
            which writes nothing. Default: PODSTACK_MODE, else `online`.

    Raises:
        UsageError: no backend serves the URL, or the mode or the project's name is not one.

    Making a client touches neither disk nor network. It may be shared between threads.
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] | None = None,
        *,
        api_token: str | None = None,
        project: str | None = None,
        mode: str | None = None,
    ) -> None:
        self._store = Store(settings(uri, api_token, project, mode))

    # Experiments ---------------------------------------------------------------------------

    def create_experiment(self, name: str, description: str = "", tags: Tags = ()) -> Experiment:
        """The experiment of that name, made if there is none; a deleted one comes back.

        A description and tags that are given are set on an existing one too.
        """
        names.check_name("experiment", name)
        names.check_text("A description", description)
        wanted = names.check_tags(tags)
        experiment = Experiment(self._store, names.experiment_id(name))
        changes: dict[str, Any] = {}
        fold = experiment._fold()
        if not fold.stamp:
            changes |= {"name": name, "created": now()}
        if fold.get("deleted"):
            changes["deleted"] = None
        if description and description != fold.get("description"):
            changes["description"] = description
        changes |= {f"tags/{tag}": True for tag in wanted if not fold.get(f"tags/{tag}")}
        if changes:
            experiment._edit(changes)
        return experiment

    def get_experiment(self, id_or_name: str) -> Experiment:
        """An experiment by its id or its name.

        Raises:
            NotFoundError: there is none; the nearest existing ones are named.
        """
        names.check_name("experiment", id_or_name)
        known = self._experiments()
        for experiment_id in (id_or_name, names.experiment_id(id_or_name)):
            if experiment_id in known:
                return known[experiment_id]
        for experiment in known.values():
            if experiment.name == id_or_name:
                return experiment
        if self._store.is_blind:
            slug = id_or_name if names.is_id(id_or_name) else names.experiment_id(id_or_name)
            return Experiment(self._store, slug)
        existing = [*known, *(experiment.name for experiment in known.values())]
        raise NotFoundError.among(
            "experiment",
            id_or_name,
            existing,
            hint=f"Make it: client.create_experiment({id_or_name!r}).",
        )

    def list_experiments(
        self, search: str = "", status: str = ACTIVE, tags: Tags = (), sort: str = "-created"
    ) -> list[Experiment]:
        """Experiments that are not deleted.

        Args:
            search: text that the name or the description holds, in any case.
            status: active (no runs yet, or one is running), completed, archived, or all.
            tags: tags that it must have, all of them.
            sort: `name` or `created`, `-` before it for descending.
        """
        if status not in (*STATUSES, "all"):
            raise UsageError(f"status is one of {', '.join(STATUSES)} or all, not {short(status)}.")
        if sort.removeprefix("-") not in ("name", "created"):
            raise UsageError(
                f"sort is name or created, with - before it for descending, not {short(sort)}."
            )
        wanted = set(names.check_tags(tags))
        runs = runs_of(self._store) if status not in ("all", ARCHIVED) else []
        found = [
            experiment
            for experiment in self._experiments().values()
            if not experiment.deleted
            and search.lower() in f"{experiment.name}\n{experiment.description}".lower()
            and wanted <= set(experiment.tags)
            and (status == "all" or experiment.status_among(runs) == status)
        ]
        return sorted(
            found, key=lambda e: getattr(e, sort.removeprefix("-")), reverse=sort.startswith("-")
        )

    def _experiments(self) -> dict[str, Experiment]:
        return {
            found: Experiment(self._store, found) for found in self._store.reader.experiment_ids()
        }

    # Runs ----------------------------------------------------------------------------------

    def start_run(
        self,
        experiment_id: str | None = None,
        name: str | None = None,
        run_id: str | None = None,
        tags: Tags = (),
        params: Mapping[str, Any] | None = None,
        parent_run_id: str | None = None,
        *,
        experiment: str | Experiment | None = None,
    ) -> Run:
        """Start a run, or go on with one; use it as a `with` block, or call `finish`.

        Args:
            experiment_id: the id (or the name) of an existing experiment. Default: the one
                named `default`.
            name: a readable name. Default: one made from the id, such as `quiet-otter-82`.
            run_id: an id of your own. If such a run exists, it is resumed: its steps go on.
            parent_run_id: the run that this one is nested in.
            experiment: the same as `experiment_id`, by name or as an Experiment.

        Raises:
            NotFoundError: no such experiment or parent; nothing is created by a typo.
            UsageError: the run of that id was purged, or an argument cannot be stored.
            BackendError: the store cannot be written. After this call no storage error is raised.
        """
        facts = self._first_facts(name, tags, params)
        if run_id is not None:
            names.check_id("run_id", run_id)
        if parent_run_id is not None:
            facts["parent"] = self.get_run(parent_run_id).id
        self._store.is_there()
        run = Run(self._store, run_id or names.new_run_id())
        if run_id is not None and run_id in self._store.reader.purged():
            raise UsageError(
                f"Run {run_id} was purged and cannot come back. Start one under another id."
            )
        resumed = run_id is not None and bool(run._fold().stamp)
        if not resumed or experiment_id is not None or experiment is not None:
            facts["experiment"] = self._experiment_of(experiment_id, experiment).id
        self._store.prepare()
        if resumed:
            self._resume(run, facts)
        else:
            self._begin(run, facts)
        return run

    def _first_facts(
        self, name: str | None, tags: Tags, params: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        facts: dict[str, Any] = {"status": RUNNING}
        if name is not None:
            facts["name"] = names.check_name("run", name)
        facts |= {f"tags/{tag}": True for tag in names.check_tags(tags)}
        facts |= {
            f"params/{key}": oplog.stored(value)
            for key, value in flat_parameters({} if params is None else params).items()
        }
        return facts

    def _experiment_of(
        self, experiment_id: str | None, experiment: str | Experiment | None
    ) -> Experiment:
        if isinstance(experiment, Experiment):
            return experiment
        if experiment_id is not None and experiment is not None:
            raise UsageError(
                "Give either experiment_id or experiment, not both: they mean the same."
            )
        wanted = experiment_id if experiment_id is not None else experiment
        return self.create_experiment("default") if wanted is None else self.get_experiment(wanted)

    def _begin(self, run: Run, facts: dict[str, Any]) -> None:
        created = {"created": now(), "user": config.user(), "name": names.name_of_run(run.id)}
        journal = Journal(self._store.folder, self._store.keys, run.id)
        run._record(journal, {**created, **facts}, owns=True)
        self._announce(run, "run")

    def _resume(self, run: Run, facts: dict[str, Any]) -> None:
        journal = Journal(self._store.folder, self._store.keys, run.id, role="resume")
        journal.go_on_from(*position(run))
        cleared = {"ended": None, "error": None, "deleted": None, "stop": None}
        run._record(journal, {**cleared, **facts}, owns=True)
        self._announce(run, f"resumed at step {journal.next_step}:")

    def _announce(self, run: Run, what: str) -> None:
        if self._store.disabled:
            return
        here = f"MLOpsClient({self._store.settings.uri!r})"
        say(f"{what} {run.name} → {self._store.url} · look: {here}.get_run({run.id!r})")

    def get_run(self, run_id: str) -> Run:
        """A run to read, by its id.

        Raises:
            NotFoundError: there is none; the nearest existing ones are named.
        """
        if not isinstance(run_id, str):
            raise WrongTypeError(f"A run id is a string, not {short(run_id)}.")
        if names.is_id(run_id):
            run = Run(self._store, run_id)
            if self._store.disabled or (
                run._fold().stamp and run_id not in self._store.reader.purged()
            ):
                return run
        raise NotFoundError.among("run", run_id, self._store.reader.run_ids())

    def list_runs(self, experiment: str | Experiment | None = None) -> list[Run]:
        """All runs that are not deleted, oldest first; those of one experiment if it is given."""
        if experiment is not None:
            return self._experiment_of(None, experiment).list_runs()
        hidden = {e.id for e in self._experiments().values() if e.deleted}
        return [run for run in runs_of(self._store) if run.experiment_id not in hidden]

    @property
    def uri(self) -> str:
        """Where the store is."""
        return self._store.url

    def __repr__(self) -> str:
        facts: Settings = self._store.settings
        return f"MLOpsClient({facts.uri!r}, project={facts.project!r}, mode={facts.mode!r})"
