"""Where a run stands among the runs of its experiment: 2nd of 214 on val_accuracy.

What a run is judged by is said in objectives.py; each run counts with its best value of it, as in
comparisons (measured.py), if that is finite. Two counts in the index, so ten thousand runs take
milliseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from podstack.directions import MINIMIZE
from podstack.expressions import Expression, Name, parse, parse_order
from podstack.expressions.tree import METRIC
from podstack.index import RunRow
from podstack.server import objectives
from podstack.server.objectives import best_value, stated
from podstack.server.readers import ProjectReader
from podstack.sweeps.records import Objective


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
    """What a run is judged by (objectives.py); None where nothing judges it."""
    return objectives.judge_of(row, stated(reader).get(row.experiment_id))


def standing_of(reader: ProjectReader, row: RunRow) -> Standing | None:
    """None for a run without a metric to judge it by, and for a deleted one: it does not count."""
    judge = None if row.deleted else judge_of(reader, row)
    if judge is None:
        return None
    value = best_value(row, judge)
    sign = "<" if judge.direction == MINIMIZE else ">"
    better = parse(f"{_counts(judge)} and {_best_name(judge)} {sign} {value!r}")
    index = reader.index
    place = index.count(better, row.experiment_id) + 1
    return Standing(*judge, value, place, index.count(_counts(judge), row.experiment_id))


def best_beside(reader: ProjectReader, row: RunRow) -> RunRow | None:
    """The best run of a run's experiment, which may be that run itself; None without a judge."""
    judge = judge_of(reader, row)
    if judge is None:
        return None
    order = parse_order(_order_by(judge))
    found = reader.index.runs(_counts(judge), order, row.experiment_id, limit=1)
    return found[0] if found else None


def place_of(standing: Standing | None) -> str:
    """`2nd of 214`; of two runs and more, and `best of 214` for the first."""
    if standing is None or standing.among < 2:
        return ""
    place = "best" if standing.place == 1 else ordinal(standing.place)
    return f"{place} of {standing.among:,}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th …"""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _best_name(judge: Objective) -> str:
    return str(Name(METRIC, judge.metric, "min" if judge.direction == MINIMIZE else "max"))


def _order_by(judge: Objective) -> str:
    return f"{'' if judge.direction == MINIMIZE else '-'}{_best_name(judge)}"


def _counts(judge: Objective) -> Expression:
    """The runs whose best value is finite."""
    return parse(f"{_best_name(judge)} > -inf and {_best_name(judge)} < inf")
