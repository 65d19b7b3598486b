"""The way in: `MLOpsClient`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from podstack import config, names, starting
from podstack.config import Settings, settings
from podstack.errors import NotFoundError, UsageError, WrongTypeError
from podstack.experiment import ACTIVE, STATUSES, Experiment, creation
from podstack.names import Tags, short
from podstack.run import Run
from podstack.store import Store
from podstack.sweep_calls import SweepCalls

if TYPE_CHECKING:
    from podstack.compare import Comparison
    from podstack.experiment_table import ExperimentTable
    from podstack.index import RunRow
    from podstack.query import RunTable
    from podstack.sweeps.sweep import Sweep
    from podstack.sweeps.trial import Trial


class MLOpsClient(SweepCalls):
    """Experiments, runs and sweeps of one project in one store.

    Args:
        uri: a folder, or a URL that a backend serves. Default: PODSTACK_URI, else ./podstack-store.
        api_token: the token for a podstack server. Default: PODSTACK_API_TOKEN.
        project: the project inside the store. Default: PODSTACK_PROJECT, else `default`.
        mode: `online`; `offline`, which writes where nothing needs a network; or `disabled`,
            which writes nothing. Default: PODSTACK_MODE, else `online`.
        storage_options: keyword arguments of the backend, such as `{"profile": "lab"}` for S3;
            those that are no secret may stand in the URL too: `s3://bucket/team?profile=lab`.

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
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._store = Store(settings(uri, api_token, project, mode, storage_options))

    # Experiments ---------------------------------------------------------------------------

    def create_experiment(self, name: str, description: str = "", tags: Tags = ()) -> Experiment:
        """The experiment of that name, made if there is none; a deleted one comes back.

        A description and tags that are given are set on an existing one too.
        """
        names.check_name("experiment", name)
        experiment = Experiment(self._store, names.experiment_id(name))
        changes = creation(experiment, name, description, tags)
        if changes:
            experiment._edit(changes)
        return experiment

    def get_experiment(self, id_or_name: str) -> Experiment:
        """An experiment by its id or its name; of several one that is not deleted.

        Raises:
            NotFoundError: there is none; the nearest existing ones are named.
        """
        names.check_name("experiment", id_or_name)
        known = self._experiments()
        for experiment_id in (id_or_name, names.experiment_id(id_or_name)):
            if experiment_id in known:
                return known[experiment_id]
        named = (experiment for experiment in known.values() if experiment.name == id_or_name)
        if (first := next(named, None)) is not None:
            return next((one for one in chain([first], named) if not one.deleted), first)
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
    ) -> ExperimentTable[Experiment]:
        """Experiments that are not deleted.

        Args:
            search: text that the name or the description holds, in any case.
            status: active (no runs yet, or one is running), completed, archived, or all.
            tags: tags that it must have, all of them.
            sort: `name`, `created`, `last_activity` or `runs`, `-` before it for descending.

        Returns:
            A list that prints as a table and has `to_dicts`, `to_pandas` and `to_polars`.
        """
        from podstack.experiment_table import ExperimentTable, check_sort, sorted_experiments

        if status not in (*STATUSES, "all"):
            raise UsageError(f"status is one of {', '.join(STATUSES)} or all, not {short(status)}.")
        if not isinstance(search, str):
            raise WrongTypeError(f"search is a text, not {short(search)}.")
        wanted = set(names.check_tags(tags))
        check_sort(sort)
        self._store.index.refresh()
        found = [
            row
            for row in self._store.index.experiments()
            if not row.deleted
            and search.lower() in f"{row.name}\n{row.description}".lower()
            and wanted <= set(row.tags)
        ]
        rows = sorted_experiments((r for r in found if status in ("all", r.status)), sort)
        return ExperimentTable(
            [Experiment(self._store, row.id) for row in rows],
            rows,
            of_another_status=len(found) - len(rows),
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
        capture: bool | str | Iterable[str] | None = None,
        sweep_trial: Trial | None = None,
    ) -> Run:
        """Start a run, or go on with one; use it as a `with` block, or call `finish`.

        Args:
            experiment_id: the id (or the name) of an existing experiment. Default: the one
                named `default`.
            name: a readable name. Default: one made from the id, such as `quiet-otter-82`.
            run_id: an id of your own. If such a run exists, it is resumed: its steps go on.
            parent_run_id: the run that this one is nested in.
            experiment: the same as `experiment_id`, by name or as an Experiment.
            capture: what is recorded of the run's surroundings, in the background: True (all),
                False (nothing), or some of code, packages, host, console and system. Default:
                PODSTACK_CAPTURE, else all.
            sweep_trial: a trial that this run does the work of: its parameters are logged, it goes
                into the sweep's experiment unless another is named, and its end is the trial's,
                with the last value of the metric that the sweep is about.

        Raises:
            NotFoundError: no such experiment or parent; nothing is created by a typo.
            UsageError: the run of that id was purged, or an argument cannot be stored.
            BackendError: the store cannot be written. After this call no storage error is raised.
        """
        parts = config.capture(capture)
        start = starting.asked(self._store, name, run_id, tags, params, sweep_trial)
        if experiment_id is None and experiment is None:
            experiment_id = start.experiment_id
        if parent_run_id is not None:
            start.facts["parent"] = self.get_run(parent_run_id).id
        is_named = experiment_id is not None or experiment is not None
        return starting.started(
            self._store,
            start,
            parts,
            lambda: self._experiment_of(experiment_id, experiment).id,
            is_named=is_named,
        )

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
        self._store.index.refresh()
        return [Run(self._store, row.id) for row in self._store.index.runs()]

    def search_runs(
        self,
        filter: str = "",
        *,
        experiment: str | Experiment | None = None,
        order_by: str | list[str] | tuple[str, ...] = "-created",
        limit: int | None = None,
        offset: int = 0,
        status: str | None = None,
        tags: Tags = (),
        columns: list[str] | tuple[str, ...] | None = None,
        include_deleted: bool = False,
    ) -> RunTable:
        """The runs that a filter is true of, as a table that prints, iterates and pages.

        Args:
            filter: such as `metrics.val_acc > 0.9 and params.optimizer = adamw`; empty: all.
            experiment: only its runs; by id, by name, or as an Experiment.
            order_by: one name or several, the first the most important, `-` before one for
                descending: `-metrics.val_acc`. What a run lacks comes last.
            limit: at most so many. Default: all of them; their facts are loaded when asked for.
            offset: how many to leave out at the start.
            status: running, completed, failed or killed.
            tags: tags that a run must have, all of them.
            columns: what to show, by names such as `params.lr` or `metrics.val_acc.max`.
                Default: the parameters that differ, and the metrics.
            include_deleted: with those that were deleted, but not purged.

        Raises:
            ExpressionError: the filter, the order or a column cannot be read; the message points
                at the place. It is a UsageError.
            NotFoundError: no such experiment; the nearest existing ones are named.
            UsageError: another argument is out of range; the message says what is allowed.
        """
        from podstack import query

        return query.search(
            self._store.index,
            query.Search(
                query.condition(filter, status, tags),
                query.order_of(order_by),
                None if experiment is None else self._experiment_of(None, experiment).id,
                bool(include_deleted),
            ),
            limit=limit,
            offset=offset,
            columns=columns,
            open_run=self.get_run,
        )

    def compare_runs(
        self,
        runs: Iterable[str | Run | RunRow],
        *,
        baseline: str | Run | RunRow | None = None,
        metrics: list[str] | tuple[str, ...] | None = None,
    ) -> Comparison:
        """Two or more runs side by side: the parameters that differ, and what came of them.

        Args:
            runs: run ids or names, runs, or what `search_runs` found.
            baseline: the one of them that the others are measured against. Default: the first.
            metrics: the metrics to compare. Default: all but those of the machine.

        Raises:
            UsageError: fewer than two runs, one of them twice, or a name that several have.
            NotFoundError: no such run or metric; the nearest existing ones are named.
        """
        from podstack.compare import compare
        from podstack.overlaid import Source

        source = Source(self._store, self.get_run)
        return compare(self._store.index, runs, baseline, metrics, source)

    # Sweeps: their other calls are in sweep_calls.py -----------------------------------------

    def run_sweep(
        self,
        sweep_id: str | Sweep,
        function: Callable[..., Any],
        workers: int = 4,
        *,
        max_trials: int | None = None,
    ) -> Sweep:
        """Work on a sweep with several processes of this machine, until no trial is left.

        Args:
            function: called as `function(trial, run)`, or `function(trial)` if it takes one
                argument. The trial is a mapping of the parameters; the run is open and has them.
                It returns the value of the objective, or metrics by name, or None where it logs
                the objective into the run.
            workers: processes; with 1 the function is called in this one.
            max_trials: trials that this call takes at most. Default: what there are.

        A function that raises fails its trial; a worker that dies loses nothing but its trial,
        which is offered again, as those are that Ctrl-C ends.

        Raises:
            TrialsFailedError: the first five trials failed, or workers only die.
            UsageError: the function cannot be called so, or cannot be sent to another process.
            NotFoundError: no such sweep; the nearest existing ones are named.
            BackendError: the store does not answer.
        """
        from podstack.sweeps.workers import run_sweep

        return run_sweep(
            self, self.get_sweep(sweep_id), function, workers=workers, max_trials=max_trials
        )

    @property
    def uri(self) -> str:
        """Where the store is."""
        return self._store.url

    def __repr__(self) -> str:
        facts: Settings = self._store.settings
        return f"MLOpsClient({facts.uri!r}, project={facts.project!r}, mode={facts.mode!r})"
