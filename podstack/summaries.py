"""Last, min and max of metrics, from all their points or from those that are new. Pure.

What is new can be merged only where no order of arrival is in question: where its steps lie beyond
the last one known, and no two writers logged the same step.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from podstack.points import Batch
from podstack.series import Columns, Series, Summary, assemble, joined, summary_of

Logs = Sequence[tuple[str, Sequence[Batch]]]  # (writer, its batches in order)


def summarised(logs: Logs) -> dict[str, Summary]:
    """The summary of every metric: what `RunSummary` says of the same logs."""
    if len(logs) == 1 and len(logs[0][1]) == 1:  # one writer, always the same names: nearly all
        batch = logs[0][1][0]
        if Columns(batch.steps, batch.times, batch.times).rises:
            return {name: summary_of(batch.steps, values) for name, values in batch.values.items()}
    return {
        name: Series(name, parts[0]).summary if len(parts) == 1 else assemble(name, logs).summary
        for name, parts in _parts(logs).items()
    }


def merged(known: Mapping[str, Summary], new: Logs) -> dict[str, Summary] | None:
    """`known` and the new points of all writers as one; None where all have to be read."""
    both = dict(known)
    for name, parts in _parts(new).items():
        columns = parts[0] if len(parts) == 1 else _joined(parts)
        if columns is None:
            return None
        before = known.get(name)
        if before is not None and min(columns.steps) <= before.last_step:
            return None
        after = Series(name, columns).summary
        both[name] = after if before is None else joined([before, after])
    return both


def _joined(parts: list[Columns]) -> Columns | None:
    """The points of several writers as one; None where two of them logged the same step."""
    distinct = [set(part.steps) for part in parts]
    if len(set().union(*distinct)) < sum(map(len, distinct)):
        return None
    joined = Columns(array("q"), array("d"), array("d"))
    for part in parts:
        joined.extend(part)
    return joined


def _parts(logs: Logs) -> dict[str, list[Columns]]:
    """The columns of each metric, one for each writer that logged it."""
    found: dict[str, list[Columns]] = {}
    for _, batches in logs:
        for name, pieces in _pieces(batches).items():
            found.setdefault(name, []).append(_in_one(pieces))
    return found


def _pieces(batches: Sequence[Batch]) -> dict[str, list[Columns]]:
    found: dict[str, list[Columns]] = {}
    for batch in batches:
        for name, values in batch.values.items():
            found.setdefault(name, []).append(Columns(batch.steps, values, batch.times))
    return found


def _in_one(pieces: list[Columns]) -> Columns:
    if len(pieces) == 1:
        return pieces[0]
    joined = Columns(array("q"), array("d"), array("d"))
    for piece in pieces:
        joined.extend(piece)
    return joined
