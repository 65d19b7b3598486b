"""What the monitor of a sweep asks: how it goes, what mattered, the objective over two parameters.

What takes time is computed once for the trials that have ended, and kept.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from podstack import clock
from podstack.errors import MissingExtraError, NotFoundError
from podstack.index.wire import plain
from podstack.server.access import VIEWER, Context, Here, Routes
from podstack.server.asking import Text, answer, reader_of
from podstack.server.sweep_questions import seen_of
from podstack.server.sweep_readers import Seen
from podstack.sweeps.best import as_command, as_python, as_yaml
from podstack.sweeps.definition import Definition
from podstack.sweeps.importance import importance
from podstack.sweeps.outlook import history, improvements, last_activity, plateau, seconds_left
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.relief import relief

routes = Routes()


@routes.add("GET", "/projects/{project}/sweeps/{sweep}/outlook", VIEWER)
def outlook(here: Here, sweep: str, brief: bool = False) -> Response:
    """The history (number, value, best so far), seconds left, a plateau, and the best to copy.

    `bests` are the numbers of the trials that are better than all before them, `last` is when
    something last happened, `now` what the server's clock says, epoch seconds. brief: without the
    history, which grows with the trials.
    """
    seen = seen_of(here, sweep)
    objective, trials = seen.definition.objective, seen.trials
    flat, now = plateau(objective, trials), clock.now()
    entries = [] if brief else [plain(list(entry)) for entry in history(objective, trials)]
    return answer(
        {
            **({} if brief else {"history": entries}),
            "bests": improvements(objective, trials),
            "seconds_left": seconds_left(trials, seen.size, now),
            "last": last_activity(seen.definition.created, trials),
            "now": now,
            "plateau": None if flat is None else {**flat._asdict(), "text": str(flat)},
            "best": _best(seen.definition, objective.best_trial(trials)),
        }
    )


@routes.add("GET", "/projects/{project}/sweeps/{sweep}/importance", VIEWER)
def importance_of(here: Here, sweep: str) -> Response:
    """Name → share, the largest first; `reason` says why there are none."""
    seen = seen_of(here, sweep)
    return answer(_kept(here, seen, "importance", lambda: _importance(seen)))


@routes.add("GET", "/projects/{project}/sweeps/{sweep}/contour", VIEWER)
def contour(here: Here, sweep: str, x: Text, y: Text) -> Response:
    """The objective over the parameters x and y as rows of cells; null far from every trial."""
    seen = seen_of(here, sweep)
    known = seen.definition.space.distributions
    for name in (x, y):
        if name not in known:
            raise NotFoundError.among("parameter", name, known)
    return answer(_kept(here, seen, f"contour\0{x}\0{y}", lambda: _contour(seen, x, y)))


def _kept(here: Context, seen: Seen, what: str, make: Any) -> dict[str, Any]:
    found: dict[str, Any] = reader_of(here).sweeps.computed.get(
        (seen.definition.id, seen.ended, what), make
    )
    return found


def _best(definition: Definition, trial: TrialRecord | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    nested = definition.space.nested(trial.params)
    copies = {"python": as_python(nested), "yaml": as_yaml(nested)}
    if not any("\0" in f"{name}{value}" for name, value in trial.params.items()):
        copies["command"] = as_command(trial.params)
    return {"number": trial.number, "value": plain(trial.value), "run": trial.run, "as": copies}


def _importance(seen: Seen) -> dict[str, Any]:
    try:
        found = importance(seen.definition, seen.trials)
    except MissingExtraError as error:
        return {"shares": [], "reason": str(error), "low_confidence": False, "trials": 0}
    return {
        "shares": [] if found.reason else [(name, float(share)) for name, share in found.items()],
        "unvaried": found.unvaried,
        "reason": found.reason,
        "evaluator": found.evaluator,
        "trials": found.trials,
        "low_confidence": found.low_confidence,
    }


def _contour(seen: Seen, x: str, y: str) -> dict[str, Any]:
    known = seen.definition.space.distributions
    made = relief((x, known[x]), (y, known[y]), seen.trials)
    return {
        "columns": made.columns,
        "rows": made.rows,
        "spots": [list(spot) for spot in made.spots],
        "axes": [plain(axis._asdict()) for axis in made.axes],
    }
