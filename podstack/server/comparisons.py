"""Many runs beside one another as columns: what the Compare page draws all of its panels from.

One answer holds up to 1,000 runs. Of names it holds the most frequent ones, and says how many it
left out. A parameter's value that is longer than 2,000 characters is cut, with its length and a
part of its hash at the end, so that what differs still differs. An integer that JavaScript would
round is told by its digits, a text; `digits` names the parameters that have such. `objective` is
the metric that the runs are judged by together (objectives.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import orjson
from fastapi import Query
from starlette.responses import Response

from podstack import columns, query
from podstack.clock import now
from podstack.compare import MOST
from podstack.directions import direction_of
from podstack.errors import UsageError
from podstack.index.wire import floats
from podstack.points import SYSTEM
from podstack.server.access import VIEWER, Context, Here, Routes
from podstack.server.asking import (
    Text,
    answer,
    at_most,
    experiment_of,
    is_rounded,
    reader_of,
    texts,
)
from podstack.server.objectives import judge_of_all, most_common, stated

if TYPE_CHECKING:
    from podstack.index import RunRow
    from podstack.server.readers import ProjectReader
    from podstack.sweeps.records import Objective

NEWEST = "-created"
DEFAULT = 500  # runs, where an experiment is compared as a whole
MOST_PARAMS = 500
MOST_METRICS = 300
LONGEST_VALUE = 2_000  # characters of a parameter's value

_FACTS = ("id", "name", "status", "experiment_id", "experiment", "user", "created", "duration")

Limit = Annotated[int, Query(ge=1, le=MOST)]

routes = Routes()


@routes.add("GET", "/projects/{project}/compare/columns", VIEWER)
def compared_columns(
    here: Here,
    runs: Text = "",
    experiment: str | None = None,
    filter: Text = "",
    order_by: Text = NEWEST,
    limit: Limit = DEFAULT,
    since: str = "",
) -> Response:
    """The runs of these ids in their order, or else those of an experiment that match a filter.

    `missing` are the ids that there is no run of; `total` is how many there are without the limit.
    since: the `generation` of an earlier answer. 204 where nothing changed, else `changed` are the
    runs that did; null where that generation is unknown.
    """
    told = columns_for(here, runs, experiment, filter, order_by, limit, since)
    return Response(status_code=204) if told is None else answer(told)


def columns_for(
    here: Context,
    runs: str = "",
    experiment: str | None = None,
    filter: str = "",
    order_by: str = NEWEST,
    limit: int = DEFAULT,
    since: str = "",
) -> dict[str, Any] | None:
    """What `compare/columns` answers, also for the page that carries it along.

    Returns:
        None where nothing changed since then.

    Raises:
        UsageError: it says no runs, or the filter or the order cannot be read.
        NotFoundError: there is no such experiment.
    """
    wanted = list(dict.fromkeys(at_most("runs", texts(runs), MOST)))
    reader = reader_of(here)
    reader.index.refresh()
    generation = reader.generation()
    changed = reader.generations.since(since) if since else None
    if changed is not None and (not changed or (wanted and changed.isdisjoint(wanted))):
        return None
    said = stated(reader)

    def made() -> _Made:
        if wanted:
            rows = reader.rows(wanted)
            total = len(rows)
        else:
            rows, total = _matching(reader, experiment, filter, order_by, limit)
        growing = [place for place, row in enumerate(rows) if row.ended is None]
        return _Made(
            as_columns(rows, _lacking(wanted, rows), total, judge_of_all(rows, said)),
            growing,
            now(),
        )

    judges = frozenset(said.items())  # a sweep may come without a new run
    question = ("columns", tuple(wanted), experiment, order_by, limit, judges)
    is_timeless = not filter and order_by == NEWEST  # others may ask for the time
    one = reader.remembered(question, made, _Made.size) if is_timeless else made()
    told = one.as_of(now())
    return told | {"generation": generation, "changed": _told(changed, told["runs"]["id"])}


class _Made(NamedTuple):
    """An answer, the places of the runs that go on, and when it was made, epoch seconds."""

    told: dict[str, Any]
    growing: list[int]
    time: float

    def size(self) -> int:
        """About what it takes in memory: its numbers are objects."""
        return 4 * len(orjson.dumps(self.told))

    def as_of(self, time: float) -> dict[str, Any]:
        """The same, where only what goes on took longer."""
        if not self.growing:
            return self.told
        durations = list(self.told["runs"]["duration"])
        for place in self.growing:
            durations[place] += time - self.time
        return self.told | {"runs": self.told["runs"] | {"duration": durations}}


def _lacking(wanted: Sequence[str], rows: Sequence[RunRow]) -> list[str]:
    found = {row.id for row in rows}
    return [run for run in wanted if run not in found]


def _told(changed: set[str] | None, runs: Iterable[str]) -> list[str] | None:
    """The runs of an answer that changed, in its order."""
    return None if changed is None else [run for run in runs if run in changed]


def _matching(
    reader: ProjectReader, experiment: str | None, filter: str, order_by: str, limit: int
) -> tuple[list[RunRow], int]:
    if experiment is None and not filter:
        raise UsageError("Say which runs: runs, an experiment, or a filter.")
    where, order = query.condition(filter, None, []), query.order_of(texts(order_by))
    inside = None if experiment is None else experiment_of(reader, experiment).id
    rows = reader.index.runs(where, order, inside, False, limit, 0)
    return rows, reader.index.count(where, inside, False)


def as_columns(
    rows: Sequence[RunRow], missing: Sequence[str], total: int, judge: Objective | None = None
) -> dict[str, Any]:
    """The runs as lists of one length: facts, parameters that differ, and metrics.

    judge: what the runs are judged by; `objective` is its metric, else the most frequent one.
    """
    objective = judge.metric if judge else most_common(rows)
    first = [] if objective is None else [objective]
    params, more_params = _frequent((name for row in rows for name in row.params), MOST_PARAMS)
    metrics, more_metrics = _frequent(
        (name for row in rows for name in row.metrics if not name.startswith(SYSTEM)),
        MOST_METRICS,
        first,
    )
    equal = [name for name in params if len(rows) > 1 and columns.are_equal(name, rows)]
    varied = [name for name in params if name not in set(equal)]
    said = {judge.metric: judge.direction} if judge else {}
    return {
        "runs": {fact: [getattr(row, fact) for row in rows] for fact in _FACTS},
        "params": {name: [_cut(row.params.get(name)) for row in rows] for name in varied},
        "absent": _absent(varied, rows),
        "equal_params": {name: _cut(rows[0].params[name]) for name in equal},
        "digits": [n for n in params if any(is_rounded(row.params.get(n)) for row in rows)],
        "metrics": {name: _figures(name, rows) for name in metrics},
        "directions": {name: direction_of(name) for name in metrics} | said,
        "objective": objective,
        "more_params": more_params,
        "more_metrics": more_metrics,
        "missing": list(missing),
        "total": total,
    }


def _frequent(names: Iterable[str], most: int, first: Sequence[str] = ()) -> tuple[list[str], int]:
    """The names that most runs have, in the order of their first coming, and how many are left.

    first: names that stay, however few have them.
    """
    counts = Counter(names)
    wanted = dict.fromkeys((*first, *(name for name, _ in counts.most_common(most))))
    kept = set(list(wanted)[:most])
    return [name for name in counts if name in kept], len(counts) - len(kept)


def _absent(names: Iterable[str], rows: Sequence[RunRow]) -> dict[str, list[int]]:
    """The places of the runs that lack a parameter: null among its values may be None as well."""
    places = {n: [at for at, row in enumerate(rows) if n not in row.params] for n in names}
    return {name: found for name, found in places.items() if found}


def _figures(name: str, rows: Sequence[RunRow]) -> dict[str, list[Any]]:
    found = [row.metrics.get(name) for row in rows]
    return {
        part: [None if one is None else floats([getattr(one, part)])[0] for one in found]
        for part in ("last", "min", "max")
    }


def _cut(value: Any) -> Any:
    """A value as it is, if it is short; of a long one the beginning of its text."""
    if not isinstance(value, (str, list, dict)):
        return str(value) if is_rounded(value) else value
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if len(text) <= LONGEST_VALUE:
        return value
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{text[:LONGEST_VALUE]} … {len(text):,} characters, {digest}"
