"""What an expression is made of: names, comparisons, and the words that join them.

Every node prints as text that parses to the same node again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

ATTRIBUTE, METRIC, PARAM, TAG, ANY = "attribute", "metrics", "params", "tags", "any"

TEXTS = ("status", "name", "id", "user", "experiment", "parent", "notes")
TIMES = ("created", "ended")
DURATION, TAGS = "duration", "tags"
ATTRIBUTES = (*TEXTS, *TIMES, DURATION, TAGS)

PARTS = ("last", "min", "max", "last_step", "min_step", "max_step", "steps")
WORDS = ("and", "or", "not", "in", "contains", "is")
LITERALS = ("true", "false", "none", "null", "nan", "missing", "inf", "infinity")
KEYWORDS = frozenset((*WORDS, *LITERALS))

Scalar = int | float | str | bool | None

_WORDS = {None: "none", True: "true", False: "false"}
_WORD = re.compile(r"[^\W\d][\w/\-+:@%]*")


class _Missing(Enum):
    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing.MISSING


class Name(NamedTuple):
    """Something that a run has.

    kind: "attribute" (one of ATTRIBUTES), "metrics", "params", "tags", or "any" for a bare name:
    the metric of that name, else the parameter. part: of a metric, one of PARTS, "last" unless
    another is named; a bare name has one only where it was written, and is a metric then.
    """

    kind: str
    name: str
    part: str = ""

    def __str__(self) -> str:
        if self.kind == ATTRIBUTE:
            return self.name
        prefix = "" if self.kind == ANY else f"{self.kind}."
        default = "last" if self.kind == METRIC else ""
        part = "" if self.part == default else f".{self.part}"
        return f"{prefix}{quoted_name(self.name)}{part}"


ALL_TAGS = Name(ATTRIBUTE, TAGS)


class Compare(NamedTuple):
    """`operator` is one of = != < <= > >=."""

    name: Name
    operator: str
    value: Name | Scalar

    def __str__(self) -> str:
        right = self.value
        if isinstance(right, Name):
            return f"{self.name} {self.operator} {_on_the_right(right)}"
        return f"{self.name} {self.operator} {literal(right)}"


class Contains(NamedTuple):
    """A text within a text, or a tag among the tags."""

    name: Name
    text: str
    wanted: bool = True

    def __str__(self) -> str:
        return f"{self.name} {'' if self.wanted else 'not '}contains {literal(self.text)}"


class Member(NamedTuple):
    """One of a list."""

    name: Name
    values: tuple[Scalar, ...]
    wanted: bool = True

    def __str__(self) -> str:
        listed = ", ".join(map(literal, self.values))
        return f"{self.name} {'' if self.wanted else 'not '}in ({listed})"


class Is(NamedTuple):
    """`state` is one of nan, none, missing."""

    name: Name
    state: str

    def __str__(self) -> str:
        return f"{self.name} is {self.state}"


class Not(NamedTuple):
    part: Node

    def __str__(self) -> str:
        return f"not {_bracketed(self.part)}"


class Junction(NamedTuple):
    """Two or more parts joined by `word`, which is "and" or "or"."""

    word: str
    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return f" {self.word} ".join(map(_bracketed, self.parts))


Leaf = Compare | Contains | Member | Is
Node = Leaf | Not | Junction


def leaves_in(node: Node) -> Iterator[Leaf]:
    """Every condition of the tree, in reading order."""
    if isinstance(node, Junction):
        for part in node.parts:
            yield from leaves_in(part)
    elif isinstance(node, Not):
        yield from leaves_in(node.part)
    else:
        yield node


def names_in(node: Node) -> Iterator[Name]:
    """Every name of the tree, in reading order; repeated names are repeated."""
    for leaf in leaves_in(node):
        yield leaf.name
        if isinstance(leaf, Compare) and isinstance(leaf.value, Name):
            yield leaf.value


def literal(value: Scalar) -> str:
    """A value as the grammar writes it."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return _WORDS[value] if value is None or isinstance(value, bool) else repr(value)


def quoted_name(text: str) -> str:
    """A metric's or parameter's name, in backticks where it is not one plain word."""
    plain = (
        _WORD.fullmatch(text)
        and text[-1] not in "/-+:@%"
        and not text.startswith("__")
        and text.lower() not in KEYWORDS
        and text not in ATTRIBUTES
    )
    return text if plain else f"`{_doubled(text)}`"


def _on_the_right(name: Name) -> str:
    """A bare name needs backticks there, for it would be a text."""
    if name.kind != ANY:
        return str(name)
    return f"`{_doubled(name.name)}`" + (f".{name.part}" if name.part else "")


def _doubled(text: str) -> str:
    return text.replace("`", "``")


def _bracketed(part: Node) -> str:
    return f"({part})" if isinstance(part, Junction) else str(part)
