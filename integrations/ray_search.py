"""Ray Tune: `TuneConfig(search_alg=PodstackSearch(sweep), num_samples=-1)`, a sweep as a searcher.

Ray asks, the sweep's ledger answers, so Tuners, agents and loops that share a sweep never get the
same trial. Each trial is taken under the name of Ray's, which the sweep keeps: a restored Tuner
finds its own again, and what was asked for but never began is offered again once its driver died.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podstack import MLOpsClient
from podstack.errors import AccessDeniedError, BackendError, MissingExtraError, UsageError
from podstack.extending import Settings, Sweep, Trial, client_of, settings_of
from podstack.integrations.ray_address import StoreAddress

try:
    from ray.tune.search import Searcher
except ModuleNotFoundError as error:
    raise MissingExtraError.for_(error, extra="ray", also=("pyarrow", "pandas")) from error

from podstack.integrations.ray_trials import numbers_of, warn

if TYPE_CHECKING:
    from podstack.integrations.ray_logger import PodstackLoggerCallback

_MODES = {"minimize": "min", "maximize": "max"}


class PodstackSearch(Searcher):  # type: ignore[misc]  # Ray's types are its own
    """Trials of a sweep for a Tuner, whose end and intermediate results it tells the sweep.

    The sweep says which parameters there are; constants of `param_space` are added to them. A
    failed trial is failed in the sweep, one that a scheduler stopped early is pruned, and one that
    was never begun, or was interrupted, is offered again. To link each trial to a run of its own:
    `RunConfig(callbacks=[search.callback()])`.

    Args:
        sweep: the sweep, or its id or name.
        uri, project, api_token, mode, storage_options: its store, as for `MLOpsClient`; not
            needed with a sweep in hand.
        max_t: the scheduler's own, if it has one: a trial that it stops there is not pruned.
            Default: a trial is, if another one went further.

    Raises:
        NotFoundError: there is no such sweep; the nearest existing ones are named.

    What Ray pickles of it holds no secrets, as with `PodstackLoggerCallback`.
    """

    def __init__(
        self,
        sweep: Sweep | str,
        *,
        uri: str | os.PathLike[str] | None = None,
        project: str | None = None,
        api_token: str | None = None,
        mode: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        max_t: int | None = None,
    ) -> None:
        if not isinstance(sweep, Sweep):
            client = MLOpsClient(
                uri,
                project=project,
                api_token=api_token,
                mode=mode,
                storage_options=storage_options,
            )
            sweep = client.get_sweep(sweep)
        self._address = StoreAddress(client=client_of(settings_of(sweep)))
        self._sweep: Sweep | None = sweep
        self.sweep_id = sweep.id
        self._max_t = max_t
        self._stop: Mapping[str, float] = {}  # the criterion of `RunConfig`, where Ray tells it
        self.is_followed = False  # a callback of ours ends the trials, with their runs
        self._trials: dict[str, Trial] = {}  # by Ray's id; those that are not over
        self._told: dict[str, int] = {}  # Ray's id: the iteration of its last result
        objective = sweep.objective
        super().__init__(metric=objective.metric, mode=_MODES[objective.direction])

    @property
    def sweep(self) -> Sweep:
        if self._sweep is None:
            self._sweep = self._address.client.get_sweep(self.sweep_id)
        return self._sweep

    @property
    def settings(self) -> Settings:
        """Where the sweep is, secrets and all: for memory only."""
        return self._address.settings

    def callback(
        self,
        *,
        tags: list[str] | tuple[str, ...] | str = (),
        log_config: bool = True,
        upload_checkpoints: bool | str | None = None,
    ) -> PodstackLoggerCallback:
        """The callback that records each trial's run, and ends the trial with it.

        Args: as for `PodstackLoggerCallback`. The runs are in the sweep's experiment.
        """
        from podstack.integrations.ray_linked import LinkedCallback

        return LinkedCallback(
            self,
            tags=tags,
            log_config=log_config,
            upload_checkpoints=upload_checkpoints,
            max_t=self._max_t,
        )

    # What Ray asks -------------------------------------------------------------------------

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Refuse a space of the Tuner's own: Ray says so where `config` has one.

        Raises:
            UsageError: the Tuner wants the sweep's metric to go the other way.
        """
        if metric == self.metric and mode not in (None, self.mode):
            raise UsageError(
                f"Sweep {self.sweep_id} is to {self.sweep.objective.direction} {metric}, and the "
                f"Tuner says mode={mode!r}. Leave metric and mode out of TuneConfig."
            )
        stop = spec.get("stop")
        self._stop = stop if isinstance(stop, Mapping) else {}
        return False

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The parameters of the next trial; FINISHED once the sweep is over, None to wait.

        Asked again for the same trial, it says the same.

        Raises:
            AccessDeniedError: the store lets us in no more. Any other outage is waited for.
        """
        try:
            trial = self._trials.get(trial_id) or self.sweep.suggest(label=_label(trial_id))
            if trial is None:
                is_over = self.sweep.status != "running"
                return Searcher.FINISHED if is_over else None
        except AccessDeniedError:
            raise
        except BackendError as error:
            warn("no trial of sweep %s for now: %s", self.sweep_id, error)
            return None
        self._trials[trial_id] = trial
        return trial.params

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell the sweep an intermediate value. Ray does not call this where it stops the trial."""
        self._told[trial_id] = _iteration(result)
        trial = self.trial_of(trial_id)
        value = numbers_of(result).get(self.metric)
        if trial is not None and value is not None:
            trial.report(value, _iteration(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the sweep how it ended. It may be called twice, and for trials that it never saw."""
        trial = self.trial_of(trial_id)
        if trial is None or self.is_followed:
            return
        del self._trials[trial_id]
        if error:
            self.sweep.complete(trial.id, status="failed", error=f"Ray's trial {trial_id} failed.")
        elif result:
            self._complete(trial, numbers_of(result), self._is_pruned(trial_id, result))
            self._told[trial_id] = _iteration(result)
        elif trial_id in self._told:
            trial.prune()  # while it was paused
        else:
            trial.release()  # it never began

    def _complete(self, trial: Trial, numbers: dict[str, float], is_pruned: bool) -> None:
        if self.metric in numbers:
            self.sweep.complete(trial.id, numbers, pruned=is_pruned)
        else:
            trial.fail(f"It ended without reporting {self.metric}, which the sweep is about.")

    def _is_pruned(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Whether Ray stopped it, and before the end that others come to."""
        reached = _iteration(result)
        if self._told.get(trial_id) == reached:
            return False  # it went on after its last result, and came to its own end
        if any(name in result and result[name] >= bound for name, bound in self._stop.items()):
            return False
        return reached < (self._max_t or max([reached, *self._told.values()]))

    # Trials --------------------------------------------------------------------------------

    def trial_of(self, trial_id: str) -> Trial | None:
        """The sweep's trial behind one of Ray's, taken over from a driver that is gone."""
        if trial_id not in self._trials:
            label = _label(trial_id)
            if not any(r.label == label and not r.is_over for r in self.sweep.records()):
                return None  # asking would take another one
            trial = self.sweep.suggest(label=label)
            if trial is None:
                return None
            self._trials[trial_id] = trial
        return self._trials[trial_id]

    def let_go(self, trial_id: str) -> None:
        """It is over, or given back."""
        self._trials.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        state = {"sweep": self.sweep_id, "trials": sorted(self._trials), "told": self._told}
        Path(checkpoint_path).write_text(json.dumps(state), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Take over what the Tuner has that was saved. What it asked for later is offered again."""
        state = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        self._told = dict(state["told"])
        for trial_id in state["trials"]:
            self.trial_of(trial_id)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_sweep": None, "_trials": {}, "_told": {}}


def _label(trial_id: str) -> str:
    return f"ray:{trial_id}"


def _iteration(result: Mapping[str, Any]) -> int:
    return int(result.get("training_iteration", 0))
