"""What `MLOpsClient` offers for sweeps; the work is done in `sweeps/`, imported on use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from podstack.experiment import Experiment
from podstack.names import COMPLETED
from podstack.store import Store

if TYPE_CHECKING:
    from podstack.sweeps.sweep import Sweep
    from podstack.sweeps.sweep_table import SweepTable
    from podstack.sweeps.trial import Trial


class SweepCalls:
    """The part of `MLOpsClient` that searches for the best parameters."""

    _store: Store

    if TYPE_CHECKING:  # the client's own

        def _experiment_of(
            self, experiment_id: str | None, experiment: str | Experiment | None
        ) -> Experiment: ...

    def create_sweep(
        self,
        experiment_id: str | None = None,
        strategy: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        objective_metric: str | None = None,
        max_trials: int | None = None,
        direction: str | None = None,
        *,
        search_space: Mapping[str, Any] | None = None,
        experiment: str | Experiment | None = None,
        name: str | None = None,
        seed: int | None = None,
        sampler: str | None = None,
        target: float | None = None,
        patience: int | None = None,
        max_time: float | None = None,
        pruner: str | None = None,
        warm_start: str | Sweep | Iterable[Any] | None = None,
    ) -> Sweep:
        """Begin a search for the best parameters, which any number of workers then share.

        Nothing but the store stands between them: `suggest_sweep_params` gives a trial to one of
        them, `complete_sweep_trial` says what came of it.

        Args:
            experiment_id: the id (or the name) of an existing experiment. Default: the one
                named `default`.
            strategy: grid, random or bayesian. Default: bayesian where Optuna is installed, else
                random.
            parameters: the space: `{"lr": {"min": 1e-4, "max": 0.1, "distribution":
                "log_uniform"}, "optimizer": {"values": ["sgd", "adam"]}, "epochs": 5}`; nested
                groups are kept.
            objective_metric: the metric to improve.
            max_trials: how many trials there are, exactly. Default: for a grid all its points;
                others need a target, a patience or a max_time then.
            direction: minimize or maximize. Default: as the metric's name says, which is told.
            search_space: the same as `parameters`.
            experiment: the same as `experiment_id`, by name or as an Experiment.
            name: a readable name. Default: one made from the id, such as `quiet-otter-82`.
            seed: the same seed and results give the same suggestions. Default: one at random,
                kept in the store.
            sampler: of the strategy: `tpe` or `gp` for bayesian, `quasi` for random.
            target: stop once a trial is as good as that.
            patience: stop after so many completed trials in a row without improvement.
            max_time: stop giving out trials after so many seconds.
            pruner: the rule of `trial.should_prune()`: median, percentile, successive_halving or
                hyperband.
            warm_start: a sweep, its id, or runs, whose results the strategy learns from at once.

        Raises:
            UsageError: an argument cannot be, with the parameter named; nothing was stored.
            NotFoundError: no such experiment or sweep to start from.
            MissingExtraError: the strategy needs Optuna, which is not installed.
            BackendError: the store cannot be written.
        """
        from podstack.sweeps import catalogue
        from podstack.sweeps.creating import Wanted

        catalogue.check_online(self._store)
        wanted = Wanted(
            strategy=strategy,
            parameters=parameters,
            search_space=search_space,
            objective_metric=objective_metric,
            direction=direction,
            max_trials=max_trials,
            name=name,
            seed=seed,
            sampler=sampler,
            target=target,
            patience=patience,
            max_time=max_time,
            pruner=pruner,
        )

        def experiment_of() -> str:
            return self._experiment_of(experiment_id, experiment).id

        return catalogue.create(self._store, wanted, experiment_of, warm_start)

    def suggest_sweep_params(self, sweep_id: str | Sweep, wait: float = 0.0) -> Trial | None:
        """The next trial of a sweep: a mapping of its parameters with `.id`, `.number`, `.params`.

        From now on it is this process's: nobody else gets it while this process lives.

        Args:
            wait: seconds to wait at most while all trials are taken by others but not over.

        Returns:
            None once no trial is left to take: all are over, or the sweep was stopped; also while
            others work on the last ones, unless one waits for them.

        Raises:
            NotFoundError: no such sweep; the nearest existing ones are named.
            BackendError: the store did not answer for PODSTACK_SWEEP_TIMEOUT seconds, or refuses.
        """
        return self.get_sweep(sweep_id).suggest(wait)

    def complete_sweep_trial(
        self,
        sweep_id: str | Sweep,
        trial_id: str | int | Trial,
        metrics: Mapping[str, Any] | None = None,
        *,
        status: str = COMPLETED,
        error: str | None = None,
        pruned: bool = False,
    ) -> None:
        """Say what came of a trial. It never waits for the store; a second time is a no-op.

        Args:
            metrics: with the one that the sweep is about among them.
            status: completed, failed or killed.
            error: why it failed.
            pruned: whether it ended early by a rule.

        Raises:
            NotFoundError: no such sweep or trial; the nearest existing ones are named.
            UsageError, WrongTypeError: the objective is missing, or a value is no number.
        """
        trial = trial_id if isinstance(trial_id, (str, int)) else trial_id.id
        self.get_sweep(sweep_id).complete(trial, metrics, status=status, error=error, pruned=pruned)

    def get_sweep(self, id_or_name: str | Sweep) -> Sweep:
        """A sweep by its id or its name.

        Raises:
            NotFoundError: there is none; the nearest existing ones are named.
            UsageError: several have that name.
        """
        from podstack.sweeps import catalogue

        return catalogue.find(self._store, id_or_name)

    def list_sweeps(
        self,
        experiment_id: str | None = None,
        *,
        experiment: str | Experiment | None = None,
    ) -> SweepTable:
        """All sweeps that are not deleted, oldest first; those of one experiment if it is given."""
        from podstack.sweeps import catalogue

        chosen = experiment_id is not None or experiment is not None
        of = self._experiment_of(experiment_id, experiment).id if chosen else None
        return catalogue.listed(self._store, of)

    def stop_sweep(self, sweep_id: str | Sweep, reason: str = "") -> None:
        """Give out no further trials of a sweep, anywhere. Those that run may end.

        Raises:
            NotFoundError: no such sweep; the nearest existing ones are named.
        """
        self.get_sweep(sweep_id).stop(reason)
