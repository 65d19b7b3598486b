"""What runs are judged by: the one rule of a run's place, the list of experiments and Compare.

Where somebody said it, that counts: the objective of the newest sweep of their experiment. Else the
names of the metrics say which way they improve (directions.py), and of those which most of the runs
have, what was measured on held-out data comes before what was trained on, a score before a loss.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from podstack.directions import MINIMIZE, direction_of
from podstack.index import RunRow
from podstack.points import SYSTEM
from podstack.server.readers import ProjectReader
from podstack.sweeps.records import Objective

_COMMON = 0.8  # of the runs that the most frequent metric has: as good as all of them
_HELD_OUT = re.compile(r"(?:^|[^a-z])(?:val|valid|validation|eval|test|dev)(?:[^a-z]|$)")


def stated(reader: ProjectReader) -> dict[str, Objective]:
    """By experiment: the objective of its newest sweep that is not deleted."""
    found = [seen.definition for seen in reader.sweeps.all() if not seen.deleted]
    found.sort(key=lambda definition: (definition.created, definition.id))
    return {definition.experiment: definition.objective for definition in found}


def ranked(runs_with: Mapping[str, int], said: Objective | None = None) -> list[Objective]:
    """What runs could be judged by, the first that has a finite value wins.

    Args:
        runs_with: by metric, how many of the runs have it.
    """
    named = [Objective(name, way) for name in runs_with if (way := direction_of(name))]
    most = max((runs_with[one.metric] for one in named), default=0)
    named.sort(key=lambda one: (runs_with[one.metric] < _COMMON * most, *_order(one)))
    return [said, *named] if said and said.metric in runs_with else named


def judge_of(row: RunRow, said: Objective | None) -> Objective | None:
    """What one run is judged by; None where no name of its metrics says which way it improves."""
    known = (one for one in ranked(dict.fromkeys(row.metrics, 1), said) if _has(row, one))
    return next(known, None)


def judge_of_all(rows: Sequence[RunRow], said: Mapping[str, Objective]) -> Objective | None:
    """What runs are judged by together: of one experiment, or of several.

    Args:
        said: by experiment, what somebody stated. It counts where all of their experiments agree.
    """
    statements = {said.get(row.experiment_id) for row in rows}
    agreed = statements.pop() if len(statements) == 1 else None
    candidates = ranked(_frequencies(rows), agreed)
    return next((one for one in candidates if any(_has(row, one) for row in rows)), None)


def most_common(rows: Iterable[RunRow]) -> str | None:
    """The metric that most of the runs have, for runs that nothing judges; None without any."""
    counts = _frequencies(rows)
    return min(counts, key=lambda name: (-counts[name], name), default=None)


def best_value(row: RunRow, judge: Objective) -> float:
    """The best value of a run that has that metric."""
    summary = row.metrics[judge.metric]
    return summary.min if judge.direction == MINIMIZE else summary.max


def _has(row: RunRow, judge: Objective) -> bool:
    return judge.metric in row.metrics and isfinite(best_value(row, judge))


def _frequencies(rows: Iterable[RunRow]) -> Counter[str]:
    return Counter(name for row in rows for name in row.metrics if not name.startswith(SYSTEM))


def _order(judge: Objective) -> tuple[bool, bool, str]:
    name = judge.metric
    return _HELD_OUT.search(name.lower()) is None, judge.direction == MINIMIZE, name
