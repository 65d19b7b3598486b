"""Questions about sweeps: a list of them, and one with all its trials."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from podstack.errors import DamagedError
from podstack.index.wire import plain
from podstack.server.access import VIEWER, Context, Here, Routes
from podstack.server.asking import Text, answer, experiment_of, reader_of
from podstack.server.errors import Refused
from podstack.server.sweep_cursors import cursor_of, news, trial_out
from podstack.server.sweep_readers import Seen
from podstack.sweeps.definition import Definition

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
def one_sweep(here: Here, sweep: str, since: Text = "") -> Response:
    """One sweep by its id or name: its definition, how far it is, and every trial by number.

    `since` is the `cursor` of an earlier answer, of any server: then 204 where nothing is new, else
    only the trials that are new or changed, and `whole` is false: what never changes is left out.
    A cursor that nobody can read gets everything.
    """
    seen = seen_of(here, sweep)
    line = _line(seen)
    cursor = cursor_of(line, seen.trials, seen.prints)
    if since == cursor:
        return Response(status_code=204)
    new = news(since, seen.trials, seen.prints)
    told = {**line, "cursor": cursor, "whole": new is None}
    if new is None:
        told |= fixed(seen.definition)
    return answer(
        {**told, "trials": [trial_out(one) for one in (seen.trials if new is None else new)]}
    )


def seen_of(here: Context, sweep: str) -> Seen:
    """A sweep by its id or name.

    Raises:
        NotFoundError: there is none.
        Refused: 422 it cannot be understood.
    """
    try:
        return reader_of(here).sweeps.one(sweep)
    except DamagedError as error:
        raise Refused(422, "damaged", str(error)) from None


def fixed(definition: Definition) -> dict[str, Any]:
    """What of a sweep never changes, and is told once."""
    return {
        "options": dict(definition.options),
        "seed": definition.seed,
        "parameters": definition.space.as_json(),
        "stopping": plain(definition.stopping._asdict()),
        "pruner": definition.pruner,
        "warm": [trial_out(trial) for trial in definition.warm],
    }


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
