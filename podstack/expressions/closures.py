"""From tree to a Python function, which says what `sql.py` says in SQL.

Compiled once: a closure for each node, and no decision left that the tree has already made.
`source` is whatever the getters take their values from.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import orjson

from podstack.expressions.sql import ascii_lower
from podstack.expressions.tree import (
    ALL_TAGS,
    ANY,
    ATTRIBUTE,
    METRIC,
    MISSING,
    PARAM,
    Compare,
    Contains,
    Is,
    Junction,
    Leaf,
    Member,
    Name,
    Node,
    Not,
    Scalar,
)

Getter = Callable[[Any], Any]  # source -> value or MISSING
Holds = Callable[[Any], bool]  # source -> whether it matches
Test = Callable[[Any], bool]  # value -> whether it passes

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compiled(node: Node, getter: Callable[[Name], Getter]) -> Holds:
    """`node` as a function of a source. `getter` makes the function that fetches one name."""
    if isinstance(node, Junction):
        parts = [compiled(part, getter) for part in node.parts]
        return _all(parts) if node.word == "and" else _some(parts)
    if isinstance(node, Not):
        part = compiled(node.part, getter)
        return lambda source: not part(source)
    if isinstance(node, Compare) and isinstance(node.value, Name):
        return _pair(plain_value(node.name, getter), node.operator, plain_value(node.value, getter))
    get, test = plain_value(node.name, getter), _test(node)
    return lambda source: test(get(source))


def kind_of(value: Any) -> str:
    """number, nan, text, bool, none, missing."""
    if value is MISSING:
        return "missing"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number" if value == value else "nan"  # NaN alone differs from itself
    return "text"


def plain_value(name: Name, getter: Callable[[Name], Getter]) -> Getter:
    """The value of a name as the index has it."""
    if name.kind == ANY:
        metric = getter(Name(METRIC, name.name, name.part or "last"))
        param = _plain(getter(Name(PARAM, name.name)))
        if name.part:
            return metric
        return lambda source: param(source) if (v := metric(source)) is MISSING else v
    get = getter(name)
    if name.kind == PARAM:
        return _plain(get)
    if name.kind == ATTRIBUTE:
        return lambda source: MISSING if (value := get(source)) is None else value
    return get


def _plain(get: Getter) -> Getter:
    """Lists and dicts as their compact JSON, whole numbers within int64: as the index has them."""

    def plain(source: Any) -> Any:
        value = get(source)
        if isinstance(value, (list, dict, tuple)):
            return orjson.dumps(value).decode()
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return as_float(value)
        return value

    return plain


def as_float(value: int) -> float:
    """A whole number of any size as a float; what is beyond all floats is infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _all(parts: list[Holds]) -> Holds:
    def holds(source: Any) -> bool:
        for part in parts:  # noqa: SIM110  # half the time of all() over a generator
            if not part(source):
                return False
        return True

    return holds


def _some(parts: list[Holds]) -> Holds:
    def holds(source: Any) -> bool:
        for part in parts:  # noqa: SIM110
            if part(source):
                return True
        return False

    return holds


def _test(leaf: Leaf) -> Test:
    name = leaf.name
    if name == ALL_TAGS:
        return _tags(leaf)
    if isinstance(leaf, Is):
        return _is(name, leaf.state)
    if isinstance(leaf, Contains):
        return _wanted(leaf.wanted, _each(name, _contains(leaf.text)))
    if isinstance(leaf, Member):
        return _wanted(leaf.wanted, _each(name, _equals(leaf.values)))
    assert not isinstance(leaf.value, Name)
    if leaf.operator in ("=", "!="):
        return _wanted(leaf.operator == "=", _each(name, _equals((leaf.value,))))
    return _each(name, _ordered(leaf.operator, leaf.value))


def _wanted(wanted: bool, found: Test) -> Test:
    if wanted:
        return found
    return lambda value: kind_of(value) not in ("missing", "nan") and not found(value)


def _each(name: Name, test: Test) -> Test:
    """An experiment may be looked up as (name, id): either will do."""
    if name != Name(ATTRIBUTE, "experiment"):
        return test
    return lambda value: any(map(test, value)) if isinstance(value, tuple) else test(value)


def _equals(values: tuple[Scalar, ...]) -> Test:
    wanted = {(kind_of(value), value) for value in values}
    return lambda value: (kind_of(value), value) in wanted


def _ordered(sign: str, right: Scalar) -> Test:
    kind, compare = kind_of(right), OPERATORS[sign]
    return lambda value: kind_of(value) == kind and compare(value, right)


def _contains(text: str) -> Test:
    wanted = ascii_lower(text)
    return lambda value: isinstance(value, str) and wanted in ascii_lower(value)


def _is(name: Name, state: str) -> Test:
    if name.kind == ATTRIBUTE:
        present = _each(name, lambda value: value is not MISSING and value != "")
        return lambda value: not present(value)
    if state == "missing":
        return lambda value: value is MISSING
    if state == "none":
        return lambda value: value is None
    if name.kind == METRIC:
        return lambda value: kind_of(value) == "nan"
    return lambda value: kind_of(value) == "nan" or value == "NaN"


def _tags(leaf: Leaf) -> Test:
    if isinstance(leaf, Contains):
        tag, wanted = leaf.text, leaf.wanted
        return lambda tags: (tags is not MISSING and tag in tags) is wanted
    if isinstance(leaf, Member):
        listed, wanted = frozenset(leaf.values), leaf.wanted
        return lambda tags: (tags is not MISSING and not listed.isdisjoint(tags)) is wanted
    return lambda tags: tags is MISSING or not tags


def _pair(left: Getter, sign: str, right: Getter) -> Holds:
    compare = OPERATORS[sign]
    ordered = sign not in ("=", "!=")

    def holds(source: Any) -> bool:
        a, b = left(source), right(source)
        kind, other = kind_of(a), kind_of(b)
        if "missing" in (kind, other) or "nan" in (kind, other):
            return False
        if kind != other:
            return sign == "!="
        return not (ordered and kind not in ("number", "text")) and compare(a, b)

    return holds
