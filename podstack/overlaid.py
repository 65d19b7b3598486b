"""The curves of some runs for a picture: bucketed by the server where there is one, else here.

One question brings all of them, whatever their length, and it is the one that the pages ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from podstack.curves import BUCKETS, Bucket, bucketed
from podstack.errors import BackendError, NotFoundError
from podstack.names import short

if TYPE_CHECKING:
    from podstack.store import Store
    from podstack.stored_run import StoredRun

MOST = 40  # metrics, and runs, of one picture
_COLUMNS = ("x", "mean", "min", "max")

Read = dict[str, dict[str, list[Bucket]]]  # by the run's id, then by the metric's name


class Source(NamedTuple):
    """What runs that are known by their rows are read from."""

    store: Store
    open_run: Callable[[str], StoredRun]


def overlaid(store: Store, runs: Sequence[StoredRun], names: Sequence[str]) -> Read:
    """What the runs have of those metrics, as they are now.

    Raises:
        BackendError: the store does not answer.
    """
    told = asked(store, [run.id for run in runs], names, {"buckets": BUCKETS})
    return {run.id: _read(told[run.id]) if run.id in told else _own(run, names) for run in runs}


def _own(run: StoredRun, names: Sequence[str]) -> dict[str, list[Bucket]]:
    metrics = run.metrics
    return {
        name: bucketed(metrics[name].steps, metrics[name].values)
        for name in names
        if name in metrics
    }


def asked(
    store: Store, ids: Sequence[str], names: Sequence[str], how: Mapping[str, Any]
) -> dict[str, Any]:
    """What a server answers of the runs that have sent it all they logged; empty without one.

    Args:
        how: further parameters of the question `series`.

    Returns:
        Columns by the run's id and the metric's name, as pages get them.

    Raises:
        BackendError: it does not answer, or with something else.
    """
    for_server = [id for id in ids if store.who_answers_for(id) is not None]
    server = store.who_answers_for(for_server[0]) if for_server else None
    if server is None or not names:
        return {}
    question = {"runs": for_server[:MOST], "names": list(names[:MOST]), **how}
    try:
        answer = server.ask(store.settings.project, "series", question)
    except NotFoundError:  # it has heard of none of them yet
        return {}
    found = answer.get("series") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        raise _no_curves(answer)
    return found


def _no_curves(answer: object) -> BackendError:
    return BackendError(f"The server's answer holds no curves: {short(answer)}.")


def _read(found: Mapping[str, Any]) -> dict[str, list[Bucket]]:
    try:
        return {name: list(_finite(columns)) for name, columns in found.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _no_curves(found) from None


def _finite(columns: Mapping[str, Any]) -> Iterator[Bucket]:
    """All that have a finite value: JSON has the others as texts, such as "NaN"."""
    for row in zip(*(columns[name] for name in _COLUMNS), strict=True):
        bucket = Bucket(*map(float, row))
        if all(map(isfinite, bucket)):
            yield bucket
