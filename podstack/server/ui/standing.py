"""Where a run stands among the runs of its experiment: 2nd of 214 on val_accuracy.

The metric is the objective of a sweep, or one whose name says which way it improves; each run
counts with its best value of it, as in comparisons (measured.py). Two counts in the index, so ten
thousand runs take milliseconds.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import NamedTuple

from podstack.directions import MINIMIZE, direction_of
from podstack.expressions import Expression, Name, parse, parse_order
from podstack.expressions.tree import METRIC
from podstack.index import RunRow
from podstack.server.objectives import stated
from podstack.server.readers import ProjectReader
from podstack.sweeps.records import Objective

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
        return _order_by(Objective(self.metric, self.direction))


def judge_of(reader: ProjectReader, row: RunRow) -> Objective | None:
    """What a run is judged by: what a sweep of its experiment improves, else what names say.

    Of names, held-out data come before any other, and scores before losses. None where no name of
    a metric of the run says which way it improves.
    """
    said = stated(reader).get(row.experiment_id)
    named = (Objective(name, way) for name in sorted(row.metrics) if (way := direction_of(name)))
    known = [one for one in (said, *sorted(named, key=_order)) if one and _is_known(row, one)]
    return known[0] if known else None


def standing_of(reader: ProjectReader, row: RunRow) -> Standing | None:
    """None for a run without a metric to judge it by."""
    judge = judge_of(reader, row)
    if judge is None:
        return None
    value = _best(row, judge)
    sign = "<" if judge.direction == MINIMIZE else ">"
    better = parse(f"{_best_name(judge)} {sign} {value!r}")
    index = reader.index
    place = index.count(better, row.experiment_id) + 1
    return Standing(*judge, value, place, index.count(_has(judge), row.experiment_id))


def best_beside(reader: ProjectReader, row: RunRow) -> RunRow | None:
    """The best run of a run's experiment, which may be that run itself; None without a judge."""
    judge = judge_of(reader, row)
    if judge is None:
        return None
    order = parse_order(_order_by(judge))
    found = reader.index.runs(_has(judge), order, row.experiment_id, limit=1)
    return found[0] if found else None


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th …"""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _best(row: RunRow, judge: Objective) -> float:
    summary = row.metrics[judge.metric]
    return summary.min if judge.direction == MINIMIZE else summary.max


def _is_known(row: RunRow, judge: Objective) -> bool:
    return judge.metric in row.metrics and isfinite(_best(row, judge))


def _best_name(judge: Objective) -> str:
    return str(Name(METRIC, judge.metric, "min" if judge.direction == MINIMIZE else "max"))


def _order_by(judge: Objective) -> str:
    return f"{'' if judge.direction == MINIMIZE else '-'}{_best_name(judge)}"


def _has(judge: Objective) -> Expression:
    return parse(f"{_best_name(judge)} >= -inf")


def _order(judge: Objective) -> tuple[bool, bool]:
    return _HELD_OUT.search(judge.metric.lower()) is None, judge.direction == MINIMIZE
