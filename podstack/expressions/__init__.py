"""One small language for search, table filters and alerts.

    metrics.val_acc > 0.9 and params.optimizer = adamw and status != failed

Names
    val_acc                     the metric of that name, else the parameter
    metrics.val_acc             a metric: its last value; .min .max .last_step .min_step
                                .max_step .steps are its other figures
    params.lr                   a parameter
    tags.baseline               alone: the run has that tag
    status name id user experiment parent notes     texts; an experiment by its name or its id
    created ended               times: 2026-11-01, '2026-11-01 18:30' in this machine's time zone,
                                or epoch seconds
    duration                    seconds, or 90s, 5m, 1h30m, 2d; of a running run: until now
    metrics.`val acc`           backticks around what is not one plain word (letters, digits and
                                _ / - + : @ %); a backtick within is doubled

Conditions
    x = 1   x != 1   x < 1   x <= 1   x > 1   x >= 1        == and <> are taken too
    x in (1, 2)   x not in [a, b]
    name contains resnet        a text within a text; a to z in either case
    tags contains baseline      'baseline' in tags, tags in (a, b): any of them, tags not in (a, b)
    x is nan   x is none   x is missing   x is not nan

Joined by `and`, `or`, `not` and parentheses: `not` binds tightest, then `and`, then `or`.
Keywords may be written in any case.

Values are numbers (1, -0.5, 1e-4, inf), texts ('adam', "it's", 'it''s', 'it\\'s'), true, false and
none. A word without quotes on the right is a text: `status != failed`. A name stands on the right
only where it cannot be taken for one: `metrics.val_loss > metrics.train_loss`, or in backticks.

Every condition is true or false. A comparison with what is missing or NaN is false, and so are
`!=`, `not in` and `not contains`; `not (...)` and `is not` are the plain opposite. Numbers compare
with numbers, texts with texts, true and false with themselves; values of different kinds are
unequal and in no order. Lists and dicts among parameters count as their JSON text. Two texts are
ordered by their characters' numbers.

An alert watches one call of `log_metrics`: a condition on metrics alone, or

    no improvement in val_acc for 5 [logs | steps] [by 0.001] [(min) | (max)]

An order is one or more names, the first the most important: `-metrics.val_acc`, or
`metrics.val_acc desc, created`. What is missing, none or NaN comes last in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from podstack.expressions.closures import Holds, compiled, kind_of, plain_value
from podstack.expressions.conditions import (
    Condition,
    NoImprovement,
    condition_of,
    parse_condition,
)
from podstack.expressions.parser import parse_tree
from podstack.expressions.sql import Sql, condition, value
from podstack.expressions.tokens import (
    ExpressionError,
    Reader,
    clip,
    nearest,
    read_name,
    read_signed_name,
)
from podstack.expressions.tree import (
    ALL_TAGS,
    ANY,
    ATTRIBUTE,
    ATTRIBUTES,
    METRIC,
    MISSING,
    PARAM,
    PARTS,
    TAG,
    TAGS,
    Name,
    Node,
    names_in,
    quoted_name,
)

__all__ = [
    "parse",
    "Expression",
    "parse_name",
    "parse_order",
    "Order",
    "Key",
    "parse_condition",
    "condition_of",
    "Condition",
    "NoImprovement",
    "ExpressionError",
    "Name",
    "MISSING",
    "Sql",
    "lookup_in",
    "doubt_about",
    "ANY",
    "ATTRIBUTE",
    "ATTRIBUTES",
    "METRIC",
    "PARAM",
    "PARTS",
    "TAG",
    "TAGS",
]

Lookup = Callable[[Name], Any]
T = TypeVar("T")

_MAX_KEYS = 10


def parse(text: str) -> Expression:
    """The expression that `text` is.

    Raises:
        ExpressionError: it is none; the message points at the place and says what was expected.
    """
    return Expression(text, parse_tree(text, "filter"))


def parse_order(order: str | Iterable[str]) -> Order:
    """The order that a text such as "-metrics.val_acc, created" is, or a list of such texts.

    Raises:
        ExpressionError: it is none, or has more than ten names.
    """
    texts = [order] if isinstance(order, str) else list(order)
    keys = [key for text in texts[: _MAX_KEYS + 1] for key in _keys(text)]
    if not keys or len(keys) > _MAX_KEYS:
        raise ExpressionError(f"An order has 1 to {_MAX_KEYS} names, not {len(keys)}.")
    return Order(tuple(keys))


def parse_name(text: str) -> Name:
    """The name that `text` is: `val_acc`, `metrics.val_acc.max`, `params.lr`, `tags.x`, `status`.

    Raises:
        ExpressionError: it is none.
    """
    reader = Reader(text, "name")
    name = read_name(reader)
    if reader.token.kind != "end":
        reader.fail(f"expected the end {reader.before}, not {reader.token}")
    return name


class Expression:
    """A parsed filter. `str()` of it is its one canonical text; `text` is what was typed."""

    def __init__(self, text: str, tree: Node) -> None:
        self.text, self.tree = text, tree

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """What it asks about, each once, in reading order. Tags are Name("attribute", "tags")."""
        return tuple(dict.fromkeys(names_in(self.tree)))

    def sql(self) -> Sql:
        """A condition over the alias `runs` of the index: 0 or 1, all values bound to ?."""
        return condition(self.tree)

    def matches(self, lookup: Lookup) -> bool:
        """Whether it is true of what `lookup` finds.

        `lookup` gets names of kind attribute, metrics or params, and gives the value or MISSING:
        numbers, texts, bools, None, lists or dicts of a parameter. `tags` is a collection of
        texts, `experiment` a text or the tuple (name, id). See `lookup_in`.
        """
        return self._holds(lookup)

    @cached_property
    def _holds(self) -> Holds:
        return compiled(self.tree, lambda name: lambda lookup: lookup(name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return str(self.tree)

    def __repr__(self) -> str:
        return f"Expression({str(self)!r})"


def doubt_about(name: Name, metrics: Collection[str], params: Collection[str]) -> str | None:
    """What to tell who searched by `name`, if no run has it: that, and the nearest that exists."""
    sources = {METRIC: [metrics], PARAM: [params], ANY: [metrics, params]}.get(name.kind, [])
    if not sources or any(name.name in source for source in sources):
        return None
    known = dict.fromkeys(known for source in sources for known in source)
    near = nearest(name.name, [*known, *(ATTRIBUTES if name.kind == ANY else ())])
    what = {METRIC: "metric", PARAM: "parameter"}.get(name.kind, "metric or parameter")
    hint = f" Do you mean {clip(near, 60)}?" if near else ""
    return f"No run has a {what} {clip(quoted_name(name.name), 60)}.{hint}"


class Key(NamedTuple):
    """One name of an order."""

    name: Name
    descending: bool

    def __str__(self) -> str:
        return f"{self.name}{' desc' if self.descending else ''}"


class Order(NamedTuple):
    """What to sort by, the most important first."""

    keys: tuple[Key, ...]

    def sql(self) -> Sql:
        """The terms behind ORDER BY, without these words, so that a last resort can be added."""
        terms = [_term(key) for key in self.keys]
        return Sql(
            ", ".join(term.text for term in terms),
            tuple(arg for term in terms for arg in term.args),
        )

    def sorted(self, rows: Iterable[T], lookup_of: Callable[[T], Lookup] | None = None) -> list[T]:
        """The rows in this order, as SQLite would sort them; equal ones stay as they come."""
        found = list(rows)
        lookup_of = lookup_of or lookup_in
        for key in reversed(self.keys):
            present = [(rank, row) for row in found if (rank := _rank(key.name, lookup_of(row)))]
            absent = [row for row in found if not _rank(key.name, lookup_of(row))]
            present.sort(key=lambda pair: pair[0], reverse=key.descending)
            found = [row for _, row in present] + absent
        return found

    def __str__(self) -> str:
        return ", ".join(map(str, self.keys))


def lookup_in(row: Any) -> Lookup:
    """A lookup in a row of the index (RunRow), or in anything with the same fields."""

    def lookup(name: Name) -> Any:
        if name.kind == METRIC:
            summary = row.metrics.get(name.name)
            return MISSING if summary is None else getattr(summary, name.part or "last")
        if name.kind == PARAM:
            return row.params.get(name.name, MISSING)
        if name.name == "experiment":
            return tuple(text for text in (row.experiment, row.experiment_id) if text is not None)
        return getattr(row, name.name)

    return lookup


def _keys(text: str) -> list[Key]:
    reader = Reader(text, "order")
    keys = [_key(reader)]
    while reader.take(","):
        keys.append(_key(reader))
    if reader.token.kind != "end":
        reader.fail(f"expected , desc, asc or the end {reader.before}, not {reader.token}")
    return keys


def _key(reader: Reader) -> Key:
    start = reader.token
    sign, name = read_signed_name(reader)
    if name.kind == TAG or name == ALL_TAGS:
        reader.fail("runs cannot be ordered by tags", start)
    descending = reader.take("desc")
    ascending = not descending and reader.take("asc")
    if sign and (descending or ascending):
        reader.fail("write either a sign or asc and desc, not both", start)
    return Key(name, descending or sign == "-")


def _term(key: Key) -> Sql:
    """SQLite holds NULL for the smallest, so only a rising order has to say that it comes last."""
    term = value(key.name)
    if key.descending:
        return Sql(f"{term.text} DESC", term.args)
    return Sql(f"{term.text} IS NULL, {term.text}", term.args * 2)


def _rank(name: Name, lookup: Lookup) -> tuple[int, Any] | None:
    """Numbers (true is 1) before texts; None for what comes last."""
    found = plain_value(name, lambda name: lambda lookup: lookup(name))(lookup)
    if isinstance(found, tuple):
        found = found[0] if found else MISSING
    kind = kind_of(found)
    return None if kind in ("missing", "none", "nan") else (kind == "text", found)
