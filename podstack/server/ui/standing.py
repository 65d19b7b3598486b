"""Where a run stands among the runs of its experiment: 2nd of 214 on val_accuracy.

The metric is one whose name says which way it improves; each run counts with its best value of it,
as in comparisons (measured.py). Two counts in the index, so ten thousand runs take milliseconds.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import NamedTuple

from podstack.directions import MINIMIZE, direction_of
from podstack.expressions import Name, parse, parse_order
from podstack.expressions.tree import METRIC
from podstack.index import RunRow
from podstack.server.readers import ProjectReader

_HELD_OUT = re.compile(r"(?:^|[^a-z])(?:val|valid|validation|eval|test|dev)(?:[^a-z]|$)")


class Standing(NamedTuple):
    """place: 1 is the best; runs that are equally good share one. among: runs with that metric."""

    metric: str
    direction: str
    value: float
    place: int
    among: int

    @property
    def order(self) -> str:
        """What sorts runs from the best to the worst of the metric."""
        return f"{'' if self.direction == MINIMIZE else '-'}{_best_name(self.metric)}"


def objective_of(row: RunRow) -> str | None:
    """The metric that a run is judged by: of held-out data before any other, scores before losses.

    None where no name says which way it improves.
    """
    judging = [name for name in row.metrics if direction_of(name) and isfinite(_best(row, name))]
    return min(judging, key=_order, default=None)


def standing_of(reader: ProjectReader, row: RunRow) -> Standing | None:
    """None for a run without a metric to judge it by."""
    metric = objective_of(row)
    direction = direction_of(metric) if metric else None
    if metric is None or direction is None:
        return None
    value = _best(row, metric)
    sign = "<" if direction == MINIMIZE else ">"
    better = parse(f"{_best_name(metric)} {sign} {value!r}")
    known = parse(f"{_best_name(metric)} >= -inf")
    index = reader.index
    place = index.count(better, row.experiment_id) + 1
    return Standing(metric, direction, value, place, index.count(known, row.experiment_id))


def best_of(reader: ProjectReader, experiment: str, metric: str) -> RunRow | None:
    """The best run of an experiment by one metric; None where it has no direction, or no run."""
    direction = direction_of(metric)
    if direction is None:
        return None
    order = parse_order(f"{'' if direction == MINIMIZE else '-'}{_best_name(metric)}")
    known = parse(f"{_best_name(metric)} >= -inf")
    found = reader.index.runs(known, order, experiment, limit=1)
    return found[0] if found else None


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th …"""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _best(row: RunRow, name: str) -> float:
    summary = row.metrics[name]
    return summary.min if direction_of(name) == MINIMIZE else summary.max


def _best_name(metric: str) -> str:
    part = "min" if direction_of(metric) == MINIMIZE else "max"
    return str(Name(METRIC, metric, part))


def _order(name: str) -> tuple[bool, bool]:
    return _HELD_OUT.search(name.lower()) is None, direction_of(name) == MINIMIZE
