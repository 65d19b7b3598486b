"""Questions about sweeps: a list of them, and one with all its trials."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from podstack.errors import DamagedError
from podstack.index.wire import plain
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.errors import Refused
from podstack.server.questions import answer, experiment_of, reader_of
from podstack.server.sweep_readers import Seen
from podstack.sweeps.records import TrialRecord

routes = Routes()


@routes.add("GET", "/projects/{project}/sweeps", VIEWER)
def sweeps(here: Here, experiment: str | None = None, deleted: bool = False) -> Response:
    """Sweeps, oldest first, each with how far it is; those of one experiment if it is given.

    Deleted ones only where asked for. One that cannot be read is left out.
    """
    reader = reader_of(here)
    inside = None if experiment is None else experiment_of(reader, experiment).id
    found = [
        seen
        for seen in reader.sweeps.all()
        if (deleted or not seen.deleted) and inside in (None, seen.definition.experiment)
    ]
    found.sort(key=lambda seen: (seen.definition.created, seen.definition.id))
    return answer({"sweeps": [_line(seen) for seen in found]})


@routes.add("GET", "/projects/{project}/sweeps/{sweep}", VIEWER)
def one_sweep(here: Here, sweep: str) -> Response:
    """One sweep by its id or name: its definition, how far it is, and every trial by number."""
    try:
        seen = reader_of(here).sweeps.one(sweep)
    except DamagedError as error:
        raise Refused(422, "damaged", str(error)) from None
    definition = seen.definition
    return answer(
        {
            **_line(seen),
            "options": dict(definition.options),
            "seed": definition.seed,
            "parameters": definition.space.as_json(),
            "stopping": plain(definition.stopping._asdict()),
            "pruner": definition.pruner,
            "warm": [_trial(trial) for trial in definition.warm],
            "trials": [_trial(trial) for trial in seen.trials],
        }
    )


def _line(seen: Seen) -> dict[str, Any]:
    definition, progress = seen.definition, seen.progress
    return {
        "id": definition.id,
        "name": definition.name,
        "experiment": definition.experiment,
        "user": definition.user,
        "created": definition.created,
        "status": seen.status,
        "stop_reason": seen.stop_reason,
        "deleted": seen.deleted,
        "strategy": definition.strategy,
        "objective": definition.objective._asdict(),
        "max_trials": definition.max_trials,
        "best": _best(seen),
        **plain({"best_value": progress.best_value}),
        "counts": {
            **{name: getattr(progress, name) for name in _COUNTS},
            "total": exact(progress.total),
            "remaining": exact(progress.remaining),
        },
    }


_COUNTS = ("completed", "running", "failed", "killed", "pruned")


def _best(seen: Seen) -> int | None:
    best = seen.definition.objective.best_trial(seen.trials)
    return None if best is None else best.number


def exact(count: int | None) -> int | str | None:
    """A grid may have more points than JSON's readers count."""
    return count if count is None or count < 1 << 53 else str(count)


def _trial(trial: TrialRecord) -> dict[str, Any]:
    told = {**trial._asdict(), "params": dict(trial.params), "metrics": dict(trial.metrics)}
    told["reports"] = {str(step): value for step, value in trial.reports.items()}
    return {name: plain(value) for name, value in told.items()}
