"""What a few letters may mean: names that contain them, at most eight of a kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from podstack import query
from podstack.expressions.tree import literal
from podstack.index import RunRow
from podstack.server.readers import ProjectReader

MOST = 8
_LOOKED_AT = 200  # runs among which those that begin with the text are put first


def found(reader: ProjectReader, text: str) -> dict[str, Any]:
    """Experiments, runs, parameters, metrics and tags whose name contains a text.

    `named`: how many runs have it in their name, which may be more than are given.
    """
    wanted = text.strip().casefold()
    index = reader.index
    index.refresh()
    experiments = [
        row for row in index.experiments() if not row.deleted and wanted in row.name.casefold()
    ]
    runs, named = _runs(reader, text.strip())
    names = index.names()
    return {
        "experiments": [{"id": row.id, "name": row.name} for row in experiments[:MOST]],
        "runs": [
            {"id": row.id, "name": row.name, "experiment": row.experiment, "status": row.status}
            for row in runs[:MOST]
        ],
        "named": named,
        "params": _containing(names.params, wanted),
        "metrics": _containing(names.metrics, wanted),
        "tags": _containing(names.tags, wanted),
    }


def named_so(text: str) -> str:
    """The filter of the runs that have a text in their name."""
    return f"name contains {literal(text)}"


def _runs(reader: ProjectReader, text: str) -> tuple[list[RunRow], int]:
    """The latest whose name contains a text, after those whose id begins with it; and how many."""
    if not text:
        return [], 0
    index = reader.index
    where = query.condition(named_so(text), None, ())
    named = index.runs(where, query.order_of(["-created"]), limit=_LOOKED_AT)
    meant = [row for row in index.rows(index.matching(text)[:MOST]) if not row.deleted]
    named.sort(key=lambda row: not row.name.casefold().startswith(text.casefold()))
    count = len(named) if len(named) < _LOOKED_AT else index.count(where)
    return list({row.id: row for row in [*meant, *named]}.values()), count


def _containing(names: Iterable[str], wanted: str) -> list[str]:
    """Those that begin with it come first."""
    hits = [name for name in names if wanted in name.casefold()]
    return sorted(hits, key=lambda name: (not name.casefold().startswith(wanted), name))[:MOST]
