"""A worker that runs a command for each trial: any program, in any language, on any machine.

The command finds its parameters among its arguments, and in PODSTACK_SWEEP_PARAMS as JSON. If it
logs with podstack, its first run is the trial's. What it is worth comes from that run's last value
of the objective, or from the last line that it prints: a number, or JSON such as
`{"val_acc": 0.93}`. An exit code other than 0 is a failure, whose reason is the end of its stderr.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack import config
from podstack.console import say
from podstack.errors import NotFoundError, UsageError
from podstack.extending import numbers_in
from podstack.names import COMPLETED, FAILED, KILLED, experiment_id, new_run_id
from podstack.points import SYSTEM
from podstack.sweeps.child import Child, Outcome
from podstack.sweeps.command_line import Command, shown
from podstack.sweeps.failures import Failures, last_line
from podstack.sweeps.guard import Guard
from podstack.sweeps.interruption import Interruption
from podstack.sweeps.telling import say_of_trial

if TYPE_CHECKING:
    from podstack.client import MLOpsClient
    from podstack.run import Run
    from podstack.sweeps.sweep import Sweep
    from podstack.sweeps.trial import Trial

GRACE = 10.0  # seconds between the signal that asks a command to end and the one that ends it
_WAIT = 1.0  # seconds that a look for the next trial may take before Ctrl-C is looked for
_LONGEST = 100_000  # characters of a line that may hold metrics


class Verdict(NamedTuple):
    """What a trial came to."""

    status: str
    metrics: Mapping[str, float]
    error: str | None = None


class Agent:
    """Takes trials of one sweep and runs a command for each, one at a time.

    Args:
        words: the command; see `podstack.sweeps.command_line`.
        program: what `${program}` in it stands for.
        grace: seconds that the command has to end itself once it is asked to.
        waits: stay until the sweep is over, for trials that other workers may leave behind.

    Raises:
        UsageError: the command names a parameter that there is not.
    """

    def __init__(
        self,
        client: MLOpsClient,
        sweep: Sweep,
        words: Sequence[str],
        *,
        program: str | None = None,
        grace: float = GRACE,
        waits: bool = False,
    ) -> None:
        self._client, self._sweep = client, sweep
        self._command = Command.of(words, sweep.definition.space.names, program=program)
        self._grace, self._waits = grace, waits
        self._failures = Failures(sweep.name, "the command")

    def run(self, count: int | None = None) -> int:
        """Run trials until there is none left, or `count` of them; returns how many.

        Ctrl-C, SIGTERM and SIGHUP are passed on to the command; its trial is offered again. What
        the signal does to a process then happens to this one. Where `kill -9` ends this process,
        the command is ended by SIGTERM all the same, and `grace` seconds later by SIGKILL.

        Raises:
            TrialsFailedError: the first five trials failed.
            UsageError: there is no such program.
            BackendError: the store does not answer.
        """
        if self._command.unused:
            unused = ", ".join(self._command.unused)
            say(f"the command has no place for {unused}; it finds them in PODSTACK_SWEEP_PARAMS")
        ended = 0
        with Interruption() as interruption, Guard(self._grace) as guard:
            while count is None or ended < count:
                trial = self._next(interruption)
                if trial is None:
                    break
                ended += self._played(trial, interruption, guard)
        return ended

    def _next(self, interruption: Interruption) -> Trial | None:
        while not interruption.is_asked():
            trial = self._sweep.suggest(wait=_WAIT if self._waits else 0.0)
            if trial is not None and interruption.is_asked():
                trial.release()
                return None
            if trial is not None or not self._waits or self._sweep.status != "running":
                return trial
        return None

    def _played(self, trial: Trial, interruption: Interruption, guard: Guard) -> bool:
        """Run one trial; whether it came to an end."""
        run_id = new_run_id()
        words = self._command.fill(trial.flat_params, trial.params)
        say(f"trial {trial.number}: {shown(words)}")
        try:
            child = Child(words, self._environment(trial, run_id), guard.watch)
        except UsageError:
            trial.release()
            raise
        outcome = child.wait(interruption, self._grace)
        guard.forget()
        run = self._run(run_id)
        if run is not None:
            trial.link(run_id)
        if outcome.interrupted:
            trial.release()
            say(f"trial {trial.number} was interrupted, and is offered again")
            return False
        self._end(trial, self._verdict(outcome, run))
        return True

    def _end(self, trial: Trial, verdict: Verdict) -> None:
        self._sweep.complete(trial.id, verdict.metrics, status=verdict.status, error=verdict.error)
        value = verdict.metrics.get(self._sweep.objective.metric)
        reason = last_line(verdict.error) if verdict.error else None
        say_of_trial(self._sweep, trial.number, verdict.status, value, reason)
        self._failures.note(verdict.status, verdict.error)

    @property
    def _experiment(self) -> str:
        """A word for the sweep's experiment that integrations, which take a name, take too."""
        of = self._sweep.experiment_id
        return of if experiment_id(of) == of else self._client.get_experiment(of).name

    def _environment(self, trial: Trial, run_id: str) -> dict[str, str]:
        settings = self._client._store.portable_settings
        token = {"PODSTACK_API_TOKEN": settings.api_token} if settings.api_token else {}
        return config.for_child(
            {
                "PYTHONUNBUFFERED": "1",  # what it prints goes through a pipe, and is shown at once
                "PODSTACK_URI": settings.uri,
                "PODSTACK_PROJECT": settings.project,
                "PODSTACK_EXPERIMENT": self._experiment,
                "PODSTACK_RUN_ID": run_id,
                "PODSTACK_SWEEP_ID": self._sweep.id,
                "PODSTACK_SWEEP_TRIAL": trial.id,
                "PODSTACK_SWEEP_PARAMS": json.dumps(trial.params),
                **token,
            }
        )

    def _run(self, run_id: str) -> Run | None:
        """The run that the command recorded, if it did."""
        try:
            return self._client.get_run(run_id)
        except NotFoundError:
            return None

    def _verdict(self, outcome: Outcome, run: Run | None) -> Verdict:
        metrics = {**printed_metrics(outcome.out, self._sweep.objective.metric), **_logged(run)}
        if outcome.code != 0:
            return Verdict(FAILED, metrics, outcome.reason)
        if run is not None and run.lost_since is None and run.status in (FAILED, KILLED):
            return Verdict(run.status, metrics, run.error)
        if self._sweep.objective.metric not in metrics:
            return Verdict(FAILED, metrics, self._without_value(metrics))
        return Verdict(COMPLETED, metrics)

    def _without_value(self, metrics: Mapping[str, float]) -> str:
        wanted = self._sweep.objective.metric
        told = f"only {', '.join(sorted(metrics)[:10])}" if metrics else "no number"
        return (
            f"The command ended well, but told {told}: log {wanted!r} into its run, or print a "
            f'last line such as {{"{wanted}": 0.5}}.'
        )


def printed_metrics(out: str, objective: str) -> dict[str, float]:
    """What the last line says: a number is the objective, a JSON object all of its numbers."""
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    if not lines or len(lines[-1]) > _LONGEST:
        return {}
    try:
        said: Any = json.loads(lines[-1])
    except (ValueError, RecursionError):
        return {}
    if isinstance(said, dict):
        return numbers_in(said)[0]
    is_number = isinstance(said, (int, float)) and not isinstance(said, bool)
    return numbers_in({objective: said})[0] if is_number else {}


def _logged(run: Run | None) -> dict[str, float]:
    """The last value of each metric that the run logged, without those of the machine."""
    if run is None:
        return {}
    return {
        name: float(summary.last)
        for name, summary in run.summary.items()
        if not name.startswith(SYSTEM)
    }
