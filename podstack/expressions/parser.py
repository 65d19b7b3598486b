"""From text to tree. The grammar is described in `__init__.py`.

A hand-written descent: every limit is checked before the work that it bounds, so no text is slow,
none recurses deep, and whatever is wrong is an ExpressionError that points at the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

from podstack.expressions.tokens import Reader, Token, clip, number_in, read_name
from podstack.expressions.tree import (
    ALL_TAGS,
    ATTRIBUTE,
    DURATION,
    METRIC,
    PARAM,
    TAG,
    TIMES,
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
from podstack.expressions.values import shown, value_for

MAX_DEPTH = 20  # parentheses and `not` within each other
MAX_CONDITIONS = 200
MAX_LIST = 500

_SAME = {"==": "=", "<>": "!="}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")

Resolve = Callable[[Reader, Token, Name], Name]


def parse_tree(text: str, noun: str, resolve: Resolve | None = None) -> Node:
    """The tree of a whole text. `resolve` may put one name in place of another, or refuse it."""
    reader = Reader(text, noun)
    parser = _Parser(reader, resolve or (lambda reader, token, name: name))
    node = parser.disjunction(0)
    if reader.token.kind != "end":
        reader.fail(f"expected and, or, or the end {reader.before}, not {reader.token}")
    return node


class _Parser:
    def __init__(self, reader: Reader, resolve: Resolve) -> None:
        self.reader, self.resolve = reader, resolve
        self.conditions = 0

    def disjunction(self, depth: int) -> Node:
        return self._joined("or", self._conjunction, depth)

    def _conjunction(self, depth: int) -> Node:
        return self._joined("and", self._negation, depth)

    def _joined(self, word: str, part: Callable[[int], Node], depth: int) -> Node:
        parts = [part(depth)]
        while self.reader.take(word):
            parts.append(part(depth))
        if len(parts) == 1:
            return parts[0]
        return Junction(word, tuple(_flat(word, parts)))

    def _negation(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.reader.fail(f"more than {MAX_DEPTH} parentheses or nots within each other")
        if self.reader.take("not"):
            part = self._negation(depth + 1)
            return part.part if isinstance(part, Not) else Not(part)
        if self.reader.take("("):
            return self._parenthesis(depth + 1)
        return self._condition()

    def _parenthesis(self, depth: int) -> Node:
        node = self.disjunction(depth)
        if not self.reader.take(")"):
            self.reader.fail(
                f"expected and, or, or ) {self.reader.before}, not {self.reader.token}"
            )
        return node

    def _condition(self) -> Node:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            self.reader.fail(f"more than {MAX_CONDITIONS} conditions in one {self.reader.noun}")
        token = self.reader.token
        if token.kind == "quoted" or number_in(token) is not None:
            return self._literal_first()
        if self.reader.following.word in ("in", "not") and self._is_tag_in_tags():
            return self._literal_first()
        return self._name_first()

    def _is_tag_in_tags(self) -> bool:
        """`baseline in tags`: the only place where a word on the left is a text."""
        text = self.reader.text[self.reader.following.start :]
        return bool(re.match(r"(?i:(?:not\s+)?in)\s+tags\b(?![.`])", text[:200]))

    def _literal_first(self) -> Node:
        """`0.9 < val_acc`, `'baseline' in tags`."""
        reader, token = self.reader, self.reader.advance()
        wanted = not reader.take("not")
        if reader.take("in"):
            if reader.at("(", "["):
                reader.fail(f"the left side of in must be a name, not {token}", token)
            return self._contains(self._name(), token, wanted)
        operator = self._comparison() if wanted else None
        if operator is None:
            reader.fail(
                f"expected in or a comparison such as < {reader.before}, not {reader.token}"
            )
        if reader.token.kind == "quoted" or number_in(reader.token) is not None:
            reader.fail("one side of a comparison must be a name")
        return self._checked_end(
            self._compare(self._name(), _FLIPPED.get(operator, operator), token)
        )

    def _name_first(self) -> Node:
        reader, start = self.reader, self.reader.token
        name = self._name()
        if name.kind == TAG:
            return Contains(ALL_TAGS, name.name)
        if reader.take("is"):
            return self._is(name, start)
        wanted = not reader.take("not")
        if reader.take("in"):
            return self._member(name, wanted)
        if reader.take("contains"):
            token = reader.token
            if token.kind not in ("word", "quoted"):
                reader.fail(f"expected a text {reader.before}, not {token}")
            return self._contains(name, reader.advance(), wanted)
        operator = self._comparison() if wanted else None
        if operator is None:
            self._fail_without_operator(start, wanted)
        return self._checked_end(self._compare(name, operator, None))

    def _fail_without_operator(self, start: Token, wanted: bool) -> NoReturn:
        reader = self.reader
        if not wanted:
            reader.fail(f"expected in or contains {reader.before}, not {reader.token}")
        hint = ""
        if reader.token.kind == "word":
            hint = " (a name with a space in it goes in backticks: `val acc`)"
        if reader.token.word == "like":
            hint = " (write contains for a text within a text)"
        if reader.token.kind == "end" or reader.at("and", "or", ")"):
            hint = f" (is it a tag? write tags.{clip(start.text, 40)})"
        reader.fail(
            f"expected an operator such as = > in contains is {reader.before}, "
            f"not {reader.token}{hint}"
        )

    def _name(self) -> Name:
        token = self.reader.token
        name = read_name(self.reader)
        if token.sign:
            self.reader.fail("a name has no sign", token)
        return self.resolve(self.reader, token, name)

    def _comparison(self) -> str | None:
        token = self.reader.token
        operator = _SAME.get(token.text, token.text)
        if token.kind != "mark" or operator not in _COMPARISONS:
            return None
        self.reader.advance()
        return operator

    def _checked_end(self, node: Node) -> Node:
        token = self.reader.token
        if token.kind == "mark" and _SAME.get(token.text, token.text) in _COMPARISONS:
            self.reader.fail("comparisons do not chain; write: 0 < x and x < 1")
        return node

    def _compare(self, name: Name, operator: str, token: Token | None) -> Leaf:
        """`name` against a literal already read, or against whatever stands next."""
        if name == ALL_TAGS:
            self.reader.fail("tags are many: write tags contains 'baseline', or tags.baseline")
        right = self._name_on_the_right() if token is None else None
        if right is not None:
            return Compare(name, operator, right)
        if token is None:
            token = self._literal("a number, a text or a name")
        return Compare(name, operator, value_for(self.reader, name, operator, token))

    def _name_on_the_right(self) -> Name | None:
        """A name, where it cannot be taken for a text: qualified, or in backticks."""
        token = self.reader.token
        qualified = token.kind == "word" and token.text.startswith((f"{METRIC}.", f"{PARAM}."))
        if token.kind != "name" and not qualified:
            return None
        name = self._name()
        if name.kind == TAG:
            self.reader.fail("a tag stands alone, without a comparison", token)
        return name

    def _literal(self, expected: str) -> Token:
        if self.reader.token.kind not in ("word", "quoted"):
            self.reader.fail(f"expected {expected} {self.reader.before}")
        return self.reader.advance()

    def _member(self, name: Name, wanted: bool) -> Leaf:
        reader = self.reader
        if not reader.take("(", "["):
            reader.fail(f"expected a list such as (1, 2) {reader.before}, not {reader.token}")
        values: list[Scalar] = []
        while not values or reader.take(","):
            if len(values) == MAX_LIST:
                reader.fail(f"more than {MAX_LIST} values in a list")
            values.append(value_for(self.reader, name, "in", self._literal("a number or a text")))
        if not reader.take(")", "]"):
            reader.fail(f"expected , or ) {reader.before}, not {reader.token}")
        return Member(name, tuple(values), wanted)

    def _contains(self, name: Name, token: Token, wanted: bool) -> Leaf:
        if name.kind == METRIC or (name.kind == ATTRIBUTE and name.name in (*TIMES, DURATION)):
            self.reader.fail(f"{shown(name)} is a number and contains nothing", token)
        if not token.text:
            self.reader.fail("every text contains the empty text; write a text to look for", token)
        return Contains(name, token.text, wanted)

    def _is(self, name: Name, start: Token) -> Node:
        reader = self.reader
        wanted = not reader.take("not")
        state = {"null": "none"}.get(reader.token.word, reader.token.word)
        if state not in ("nan", "none", "missing"):
            reader.fail(f"expected nan, none or missing {reader.before}, not {reader.token}")
        if state == "nan" and name.kind == ATTRIBUTE:
            reader.fail(f"{shown(name)} is never nan; ask for missing", start)
        if state == "none" and name.kind == METRIC:
            reader.fail(f"{shown(name)} is a number or missing, never none", start)
        reader.advance()
        return Is(name, state) if wanted else Not(Is(name, state))


def _flat(word: str, parts: Iterable[Node]) -> Iterator[Node]:
    """(a and b) and c is a and b and c."""
    for part in parts:
        if isinstance(part, Junction) and part.word == word:
            yield from part.parts
        else:
            yield part
