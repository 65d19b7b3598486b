"""The runs of an experiment, or of a project, as columns: what the runs table is drawn from.

Ten thousand runs are one answer; what is beyond comes page by page. `since` asks for what changed
after the generation that an earlier answer named. Columns are as long as `ids`; in them null is
what a run does not have, [] a parameter that was logged as None; a list or dict is its JSON text,
which is what a filter sees. An integer that JavaScript would round is told by its digits, a text;
`digits` names the parameters that have such.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from math import ceil
from typing import Annotated, Any, NamedTuple

import orjson
from fastapi import Query, Request
from starlette.responses import Response

from podstack import query
from podstack.clock import now
from podstack.directions import direction_of
from podstack.expressions import ATTRIBUTE, METRIC, PARAM, PARTS, Expression, Name, parse_name
from podstack.expressions.tree import Compare, Junction
from podstack.index.columnar import Columnar
from podstack.series import Summary
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.asking import (
    Text,
    at_most,
    bad_cursor,
    experiment_of,
    in_digits,
    indexing,
    looked,
    texts,
)
from podstack.server.objectives import stated
from podstack.server.readers import ProjectReader

MOST_ROWS = 10_000  # of one answer
MOST_CELLS = 2_000_000  # of one answer's parameters and metrics; rarer ones are only named
MOST_COLUMNS = 500  # that are asked for by name

_NEWEST = "-created"
_PARTS = ("last", "min", "max", "steps")
_CURSOR = re.compile(r"t([0-9]{1,7})\.([0-9]{1,16})")
_LATEST = 1e12  # epoch seconds that a cursor can tell
_SMALL = 200_000  # bytes that are worth more time to compress

Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]

routes = Routes()


class Wanted(NamedTuple):
    """Which columns an answer has. names: of parameters and metrics; None for all there are."""

    names: tuple[Name, ...] | None
    parts: tuple[str, ...]
    has_notes: bool


@routes.add("GET", "/projects/{project}/table", VIEWER)
def table(
    here: Here,
    request: Request,
    experiment: str | None = None,
    filter: Text = "",
    order_by: Text = _NEWEST,
    columns: Text = "",
    parts: Text = "",
    limit: Limit = MOST_ROWS,
    cursor: str = "",
    since: str = "",
    deleted: bool = False,
    partial: bool = False,
) -> Response:
    """Runs that match, as columns; see `next` for more of them and `generation` for what is new.

    columns: names such as `params.lr` or `metrics.loss.max`; without them all, the most frequent
    first, as many as fit. parts: the figures of each metric, `last`, `min`, `max` and `steps`.
    partial: take what there is by now, see `looked`.
    """
    where, order = query.condition(filter, None, []), query.order_of(texts(order_by))
    wanted = _wanted(texts(columns), texts(parts))
    start, until = _place(cursor) if cursor else (0, now())
    reader = looked(here, partial)
    inside = None if experiment is None else experiment_of(reader, experiment).id
    generation = reader.generation()
    if since and since == generation and reader.behind is None:
        return Response(status_code=204)
    changed = reader.generations.since(since) if since else None
    if cursor:
        where = _not_after(where, until)
    said = stated(reader).get(inside) if inside else None
    is_packed = "gzip" in request.headers.get("accept-encoding", "")

    def next_page() -> str:
        bound = until if cursor else _bound(reader, until)
        return f"t{start + limit}.{ceil(bound * 1e3)}"

    def body() -> bytes:
        found = reader.index.columns(where, order, inside, deleted, limit + 1, start, changed)
        told = _answer(found, wanted, limit)
        if said and said.metric in found.metrics:
            told["directions"][said.metric] = said.direction
        told |= {
            "total": reader.index.count(where, inside, deleted),
            "next": next_page() if len(found.tags) > limit else None,
            "generation": generation,
            "experiments": _experiments(reader.index.experiments(), found),
            "changed": None if changed is None else sorted(changed),
            **indexing(reader),
        }
        return _packed(orjson.dumps(told)) if is_packed else orjson.dumps(told)

    if since or cursor or filter or order_by != _NEWEST or reader.behind is not None:
        return _sent(body(), is_packed)  # a filter may ask for the time
    question = ("table", inside, columns, parts, limit, deleted, is_packed, said)
    return _sent(reader.remembered(question, body, len), is_packed)


def _wanted(columns: list[str], parts: list[str]) -> Wanted:
    """
    Raises:
        ExpressionError: a column is no name.
        UsageError: there are too many.
    """
    names = [parse_name(text) for text in at_most("columns", columns, MOST_COLUMNS)]
    shown = tuple(part for part in PARTS if part in parts) or _PARTS
    has_notes = Name(ATTRIBUTE, "notes") in names
    return Wanted(tuple(names) if names else None, shown, has_notes)


def _bound(reader: ProjectReader, asked: float) -> float:
    """When the last run of a first page began: when it was asked for, or later.

    A machine may have a clock that is ahead, and its runs are told like any others.
    """
    newest = reader.index.columns(None, query.order_of([_NEWEST]), deleted=True, limit=1)
    return min(max(asked, *map(float, newest.facts["created"])), _LATEST)


def _place(cursor: str) -> tuple[int, float]:
    """How many rows were told, and when the first of them was: later runs are no part of this."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise bad_cursor()
    return int(found[1]), int(found[2]) / 1e3


def _not_after(where: Expression | None, until: float) -> Expression:
    """A run that began since would push another one to the next page, where it comes again."""
    bound = Compare(Name(ATTRIBUTE, "created"), "<=", until)
    return Expression("", bound if where is None else Junction("and", (where.tree, bound)))


def _answer(found: Columnar, wanted: Wanted, limit: int) -> dict[str, Any]:
    facts = found.facts
    answer: dict[str, Any] = {
        "ids": facts["id"],
        "names": facts["name"],
        **{
            name: facts[name]
            for name in ("status", "lost_since", "created", "ended", "user", "parent", "deleted")
        },
        "experiment": facts["experiment"],
        "tags": found.tags,
    }
    if wanted.has_notes:
        answer["notes"] = facts["notes"]
    answer = {name: column[:limit] for name, column in answer.items()}
    params, metrics, omitted = _chosen(found, wanted)
    columns = {name: found.params[name][:limit] for name in params}
    digits = {name: told for name, column in columns.items() if (told := in_digits(column))}
    answer["params"] = columns | digits
    answer["digits"] = list(digits)
    answer["metrics"] = {
        name: _figures(found.metrics[name][:limit], parts) for name, parts in metrics.items()
    }
    answer["directions"] = {
        name: way for name in found.metrics if (way := direction_of(name)) is not None
    }
    answer["omitted"] = omitted
    return answer


def _chosen(
    found: Columnar, wanted: Wanted
) -> tuple[list[str], dict[str, tuple[str, ...]], dict[str, list[str]]]:
    """Parameters, metrics with their parts, and the names of those that are left out."""
    if wanted.names is not None:
        return _named(found, wanted.names)
    budget = MOST_CELLS // max(1, len(found.tags))
    params, rest = _frequent(found.params, budget)
    metrics, others = _frequent(found.metrics, max(0, budget - len(params)) // len(wanted.parts))
    return params, dict.fromkeys(metrics, wanted.parts), {"params": rest, "metrics": others}


def _named(
    found: Columnar, names: Iterable[Name]
) -> tuple[list[str], dict[str, tuple[str, ...]], dict[str, list[str]]]:
    params: list[str] = []
    metrics: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys(names):
        if name.kind == METRIC and name.name in found.metrics:
            metrics[name.name] = (*metrics.get(name.name, ()), name.part)
        elif name.kind == PARAM and name.name in found.params:
            params.append(name.name)
    return params, metrics, {"params": [], "metrics": []}


def _frequent(columns: dict[str, list[Any]], most: int) -> tuple[list[str], list[str]]:
    """The names that most runs have, and the rest, both in alphabetical order."""
    if len(columns) <= most:
        return sorted(columns), []
    by_count = sorted(columns, key=lambda name: columns[name].count(None))
    return sorted(by_count[:most]), sorted(by_count[most:])


def _figures(column: list[Any], parts: Iterable[str]) -> dict[str, list[Any]]:
    places = {part: Summary._fields.index(part) for part in parts}
    return {
        part: [None if figures is None else figures[place] for figures in column]
        for part, place in places.items()
    }


def _experiments(known: Iterable[Any], found: Columnar) -> dict[str, str]:
    used = set(found.facts["experiment"])
    return {row.id: row.name for row in known if row.id in used}


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, 6 if len(body) < _SMALL else 1)


def _sent(body: bytes, is_packed: bool) -> Response:
    """JSON, compressed where that is accepted."""
    headers = {"vary": "accept-encoding"} | ({"content-encoding": "gzip"} if is_packed else {})
    return Response(body, headers=headers, media_type="application/json")
