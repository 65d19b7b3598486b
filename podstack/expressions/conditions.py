"""What an alert waits for: a condition on the values of one call of `log_metrics`.

`val_loss > 2.0 and not (val_acc > 0.5)`, `val_loss is nan`, `no improvement in val_acc for 5`.
The grammar is that of `__init__.py`, of which only metrics and numbers are allowed here. This
runs inside of the training loop: a comparison with a number is one dict lookup in one function.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from podstack.directions import MAXIMIZE, MINIMIZE, direction_of
from podstack.errors import UsageError
from podstack.expressions.closures import OPERATORS, Getter, Holds, as_float, compiled
from podstack.expressions.parser import parse_tree
from podstack.expressions.tokens import ExpressionError, Reader, Token, clip, number_in, read_name
from podstack.expressions.tree import (
    ANY,
    METRIC,
    MISSING,
    Compare,
    Is,
    Junction,
    Name,
    Node,
    Not,
    leaves_in,
    literal,
    names_in,
    quoted_name,
)
from podstack.names import check_name, short

_NOUN = "condition"
_COMPARATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "ne": "!="}
_SHAPE = "no improvement in NAME for N [logs | steps] [by DELTA] [(min) | (max)]"
_DIRECTIONS = {"min": MINIMIZE, "minimize": MINIMIZE, "max": MAXIMIZE, "maximize": MAXIMIZE}
_NAN = float("nan")


class Condition:
    """An expression over metrics.

    text: its canonical form. metrics: the names it reads, in reading order; a call of
    `log_metrics` that lacks one of them decides nothing. `holds(values)` says whether it is true
    of the values of one call; NaN is a value, and no comparison holds of it.
    """

    __slots__ = ("holds", "metrics", "text")

    def __init__(self, tree: Node) -> None:
        self.text = str(_bare(tree))
        self.metrics = tuple(dict.fromkeys(name.name for name in names_in(tree)))
        self.holds: Callable[[Mapping[str, float]], bool] = _quick(tree) or compiled(tree, _get)

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"


class NoImprovement(NamedTuple):
    """A metric has not been better than its best by more than `delta`, `patience` times over.

    patience: how many logged values, or, where unit is "steps", how many steps.
    direction: "minimize" or "maximize"; where the text does not say, the metric's name decides
    (`directions.py`), and a name that does not say either is taken for one to maximize.
    """

    metric: str
    patience: int
    direction: str
    delta: float = 0.0
    unit: str = "logs"

    @property
    def text(self) -> str:
        """Its canonical form."""
        delta = f" by {literal(self.delta)}" if self.delta else ""
        return (
            f"no improvement in {quoted_name(self.metric)} for {self.patience} {self.unit}"
            f"{delta} ({self.direction[:3]})"
        )

    @property
    def metrics(self) -> tuple[str, ...]:
        return (self.metric,)

    def better(self, value: float, best: float) -> bool:
        """Whether `value` improves on `best`; NaN never does, and anything does on NaN."""
        if math.isnan(best):
            return not math.isnan(value)
        if self.direction == MINIMIZE:
            return value < best - self.delta
        return value > best + self.delta


def parse_condition(text: str) -> Condition | NoImprovement:
    """The condition that `text` is.

    Raises:
        ExpressionError: it is none, or it asks for more than one call of `log_metrics` tells.
    """
    if isinstance(text, str) and re.match(r"\s*no\s+improvement\b", text[:200], re.IGNORECASE):
        return _no_improvement(Reader(text, _NOUN))
    tree = parse_tree(text, _NOUN, _metric_only)
    _refuse_missing(text, tree)
    return Condition(tree)


def condition_of(metric_key: str, comparator: str, threshold: float) -> str:
    """The text of `create_alert("val_loss", condition="gt", threshold=2.0)`: `val_loss > 2.0`.

    Raises:
        UsageError: the comparator is none of gt gte lt lte eq ne, the threshold no number.
    """
    check_name("metric", metric_key)
    sign = _COMPARATORS.get(comparator, comparator) if isinstance(comparator, str) else None
    if sign not in OPERATORS:
        raise UsageError(
            f"An alert compares by one of {', '.join(_COMPARATORS)}, not {short(comparator)}."
        )
    return f"{quoted_name(metric_key)} {sign} {literal(_threshold(threshold))}"


def _threshold(threshold: Any) -> int | float:
    if isinstance(threshold, (bool, str)) or not hasattr(threshold, "__float__"):
        raise UsageError(f"An alert's threshold must be a number, not {short(threshold)}.")
    if isinstance(threshold, int):
        exact = -(2**53) <= threshold <= 2**53  # beyond, the value logged was rounded too
        return threshold if exact else as_float(threshold)
    number = float(threshold)
    if math.isnan(number):
        raise UsageError("Nothing equals or exceeds NaN; write the condition as 'NAME is nan'.")
    return number


def _metric_only(reader: Reader, token: Token, name: Name) -> Name:
    if name.kind not in (ANY, METRIC):
        reader.fail(
            "an alert looks at metrics only; "
            f"a metric of that name is metrics.{clip(quoted_name(name.name), 40)}",
            token,
        )
    if name.part not in ("", "last"):
        reader.fail(
            f"an alert looks at the value being logged; write {clip(quoted_name(name.name), 60)}",
            token,
        )
    return Name(METRIC, name.name, "last")


def _refuse_missing(text: str, tree: Node) -> None:
    for leaf in leaves_in(tree):
        if isinstance(leaf, Is) and leaf.state == "missing":
            raise ExpressionError(
                "Cannot read this condition: what a call of log_metrics lacks decides nothing, so "
                "an alert cannot ask whether a metric is missing.",
                text=text,
            )


def _bare(node: Node) -> Node:
    """The tree with `val_loss` for `metrics.val_loss`, where that means the same."""
    if isinstance(node, Junction):
        return Junction(node.word, tuple(map(_bare, node.parts)))
    if isinstance(node, Not):
        return Not(_bare(node.part))
    return node._replace(name=Name(ANY, node.name.name))


def _get(name: Name) -> Getter:
    text = name.name
    return lambda values: values.get(text, MISSING)


def _quick(tree: Node) -> Holds | None:
    """One comparison with a number, or `is nan`: the usual alerts.

    NaN stands for what is missing, and alone differs from itself.
    """
    if isinstance(tree, Is):
        name = tree.name.name
        return lambda values: (value := values.get(name)) != value
    if not isinstance(tree, Compare) or not isinstance(tree.value, (int, float)):
        return None
    make = _QUICK.get(tree.operator)
    return make(tree.name.name, tree.value) if make else None


# Written out, for a call of operator.gt would take half as long again.
_QUICK: dict[str, Callable[[str, float], Holds]] = {
    ">": lambda name, limit: lambda values: values.get(name, _NAN) > limit,
    ">=": lambda name, limit: lambda values: values.get(name, _NAN) >= limit,
    "<": lambda name, limit: lambda values: values.get(name, _NAN) < limit,
    "<=": lambda name, limit: lambda values: values.get(name, _NAN) <= limit,
    "=": lambda name, limit: lambda values: values.get(name, _NAN) == limit,
}


def _no_improvement(reader: Reader) -> NoImprovement:
    reader.advance()  # no
    reader.advance()  # improvement
    if not reader.take("in"):
        reader.fail(f"expected in {reader.before}, not {reader.token}: {_SHAPE}")
    token = reader.token
    metric = _metric_only(reader, token, read_name(reader)).name
    found: dict[str, Any] = {}
    while reader.token.kind != "end":
        start = reader.token
        option = _option(reader)
        if found.keys() & option.keys():
            reader.fail("said twice", start)
        found |= option
    if "patience" not in found:
        reader.fail(f"expected for and a number {reader.before}: {_SHAPE}")
    return NoImprovement(metric, **{"direction": direction_of(metric) or MAXIMIZE, **found})


def _option(reader: Reader) -> dict[str, Any]:
    if reader.take("for"):
        return _patience(reader)
    if reader.take("by"):
        delta = number_in(reader.token)
        if delta is None or not 0 <= delta < math.inf:
            reader.fail(f"expected a number from 0 on {reader.before}, not {reader.token}")
        reader.advance()
        return {"delta": float(delta)}
    if not reader.take("("):
        reader.fail(f"expected for, by or (min) {reader.before}, not {reader.token}: {_SHAPE}")
    direction = _DIRECTIONS.get(reader.token.word)
    if direction is None:
        reader.fail(f"expected min or max {reader.before}, not {reader.token}")
    reader.advance()
    if not reader.take(")"):
        reader.fail(f"expected ) {reader.before}, not {reader.token}")
    return {"direction": direction}


def _patience(reader: Reader) -> dict[str, Any]:
    patience = number_in(reader.token)
    if not isinstance(patience, int) or patience < 1:
        reader.fail(f"expected a whole number from 1 on {reader.before}, not {reader.token}")
    reader.advance()
    if reader.take("steps", "step"):
        return {"patience": patience, "unit": "steps"}
    reader.take("logs", "log", "times")
    return {"patience": patience, "unit": "logs"}
