"""The results of a run beside those of another one: the best of its experiment, or its parent."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from podstack.directions import MAXIMIZE, direction_of
from podstack.index import RunRow
from podstack.server.objectives import stated
from podstack.server.readers import ProjectReader
from podstack.server.standing import best_beside, judge_of, place_of, standing_of

Directions = Mapping[str, str]  # by metric, those that are known


class Result(NamedTuple):
    """A metric in one line; best is its min or max, by its direction, or None.

    delta: how far its best, or its last value where none is best, is from another run's; None
    where that is no finite number. verdict: better, worse, same, or nothing.
    """

    name: str
    last: float
    best: float | None
    best_step: int | None
    steps: int
    delta: float | None
    verdict: str


class Beside(NamedTuple):
    """The results of a run. other: the run they are held against, and role what that one is."""

    results: list[Result]
    directions: Directions
    other: RunRow | None
    role: str


def beside(reader: ProjectReader, row: RunRow) -> Beside:
    """The results of a run beside the best one of its experiment; where this is the best, beside
    its parent."""
    ways, (other, role) = directions_of(reader, row), _measure_of(reader, row)
    results = [_result(name, summary, other, ways) for name, summary in row.metrics.items()]
    return Beside(results, ways, other, role)


def directions_of(reader: ProjectReader, row: RunRow) -> Directions:
    """Which way the metrics of a run improve: as a sweep says it, else by their names."""
    named = {name: way for name in row.metrics if (way := direction_of(name))}
    judge = judge_of(reader, row)
    return named | ({judge.metric: judge.direction} if judge else {})


def _measure_of(reader: ProjectReader, row: RunRow) -> tuple[RunRow | None, str]:
    best = best_beside(reader, row)
    if best is not None and best.id != row.id:
        return best, "best run"
    parents = reader.index.rows([row.parent]) if row.parent else []
    return (parents[0], "parent") if parents else (None, "")


def _result(name: str, summary: Any, other: RunRow | None, ways: Directions) -> Result:
    way = ways.get(name)
    best, step = _best_of(summary, way)
    theirs = None if other is None else other.metrics.get(name)
    delta = None if theirs is None else _delta(summary, theirs, way)
    return Result(name, summary.last, best, step, summary.steps, delta, _verdict(delta, way))


def _best_of(summary: Any, way: str | None) -> tuple[float | None, int | None]:
    if way is None:
        return None, None
    return (summary.max, summary.max_step) if way == MAXIMIZE else (summary.min, summary.min_step)


def _delta(mine: Any, theirs: Any, way: str | None) -> float | None:
    own, other = _best_of(mine, way)[0], _best_of(theirs, way)[0]
    delta = mine.last - theirs.last if own is None or other is None else own - other
    return delta if isfinite(delta) else None


def _verdict(delta: float | None, way: str | None) -> str:
    if delta is None or way is None:
        return ""
    return "same" if delta == 0 else "better" if (delta > 0) == (way == MAXIMIZE) else "worse"


def standing_out(reader: ProjectReader, run: str) -> dict[str, Any]:
    """Where a run stands and what it is held against, as pages that look at a running run ask.

    Reckoned once for all of them, as long as the index and what a sweep says are the same.

    Raises:
        NotFoundError: there is no such run.
    """
    said = stated(reader).get(reader.row(run).experiment_id)

    def reckoned() -> dict[str, Any]:
        row = reader.row(run)  # as of now: the answer is kept for as long as that is so
        found, seen = standing_of(reader, row), beside(reader, row)
        return {
            "standing": found
            and {**found._asdict(), "words": place_of(found), "order": found.order},
            "other": None if seen.other is None else seen.other.id,
            "deltas": {one.name: [one.delta, one.verdict] for one in seen.results},
        }

    return reader.remembered(
        ("standing", run, said), reckoned, lambda told: 100 * len(told["deltas"])
    )
