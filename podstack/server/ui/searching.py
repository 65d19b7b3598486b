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
    """Experiments, runs, parameters, metrics and tags whose name contains a text."""
    wanted = text.strip().casefold()
    index = reader.index
    index.refresh()
    experiments = [
        row for row in index.experiments() if not row.deleted and wanted in row.name.casefold()
    ]
    runs = _runs(reader, text.strip())
    names = index.names()
    return {
        "experiments": [{"id": row.id, "name": row.name} for row in experiments[:MOST]],
        "runs": [
            {"id": row.id, "name": row.name, "experiment": row.experiment, "status": row.status}
            for row in runs[:MOST]
        ],
        "params": _containing(names.params, wanted),
        "metrics": _containing(names.metrics, wanted),
        "tags": _containing(names.tags, wanted),
    }


def _runs(reader: ProjectReader, text: str) -> list[RunRow]:
    """The latest whose name contains a text, after those whose id begins with it."""
    if not text:
        return []
    index = reader.index
    where = query.condition(f"name contains {literal(text)}", None, ())
    named = index.runs(where, query.order_of(["-created"]), limit=_LOOKED_AT)
    meant = [row for row in index.rows(index.matching(text)[:MOST]) if not row.deleted]
    named.sort(key=lambda row: not row.name.casefold().startswith(text.casefold()))
    return list({row.id: row for row in [*meant, *named]}.values())


def _containing(names: Iterable[str], wanted: str) -> list[str]:
    """Those that begin with it come first."""
    hits = [name for name in names if wanted in name.casefold()]
    return sorted(hits, key=lambda name: (not name.casefold().startswith(wanted), name))[:MOST]
