"""A run for every trial of a sweep that Ray works on: the run's end is the trial's. Not for users.

`PodstackSearch.callback()` makes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podstack.extending import captured
from podstack.integrations.ray_address import StoreAddress
from podstack.integrations.ray_logger import PodstackLoggerCallback
from podstack.integrations.ray_trials import Scope, TrialRun, numbers_of
from podstack.integrations.recording import Recording

if TYPE_CHECKING:
    from podstack.integrations.ray_search import PodstackSearch


class LinkedCallback(PodstackLoggerCallback):
    """Completes a trial with the last value of the objective that its run has.

    A pruned one is marked so, a failed one has the error, and what is unfinished when the
    experiment is interrupted is given back: an interruption is no result.
    """

    def __init__(
        self,
        search: PodstackSearch,
        *,
        tags: list[str] | tuple[str, ...] | str = (),
        log_config: bool = True,
        upload_checkpoints: bool | str | None = None,
        max_t: int | None = None,
    ) -> None:
        super().__init__(
            tags=tags, log_config=log_config, upload_checkpoints=upload_checkpoints, max_t=max_t
        )
        self._address: StoreAddress = search._address
        self._experiment = None
        self._search = search
        self._last: dict[str, dict[str, float]] = {}  # what a trial reported last
        search.is_followed = True

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        self._last[trial.trial_id] = numbers_of(result)
        super().log_trial_result(iteration, trial, result)

    def _scope_of(self, trial: Any) -> Scope:
        return Scope("", self._search.sweep_id)

    def _recording_of(self, trial: Any, run_id: str, scope: Scope) -> Recording:
        return Recording(
            run_id=run_id,
            name=str(trial),
            tags=self._tags,
            client=self._address.client,
            capture=captured("code", "packages", "host"),
            sweep_trial=self._search.trial_of(trial.trial_id),
        )

    def _ended(
        self, run: TrialRun, trial_id: str, status: str, error: str | None, pruned: bool
    ) -> None:
        trial = self._search.trial_of(trial_id)
        self._search.let_go(trial_id)
        if trial is not None and pruned:
            metrics, complete = self._last.get(trial_id, {}), self._search.sweep.complete
            run.do(lambda recording: complete(trial.id, metrics, pruned=True))
        elif trial is not None and status == "killed":
            run.do(lambda recording: trial.release())
