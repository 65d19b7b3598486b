"""From text to tokens, and what both parsers of the language say about names and mistakes.

A text is checked for its length before anything is read, and each token is found in time linear
in its length. Whatever is wrong is an ExpressionError that points at the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

from podstack.errors import UsageError
from podstack.expressions.tree import (
    ANY,
    ATTRIBUTE,
    ATTRIBUTES,
    METRIC,
    PARAM,
    PARTS,
    TAG,
    WORDS,
    Name,
)
from podstack.names import printable, short

MAX_LENGTH = 10_000  # characters, checked before anything is read

_SHOWN = 72  # characters of the text in a message

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    | (?P<name>(?P<sign>[+-]?)(?:(?P<prefix>\w+)\.)?`(?P<inner>(?:[^`]|``)+)`(?:\.(?P<part>\w+))?)
    | (?P<word>[+-]?\.?\w+(?:[./\-+:@%]+\w+)*(?:(?<=[0-9])\.(?![\w`]))?)
    | (?P<mark>==|!=|<>|<=|>=|[=<>()\[\],])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITY = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_NO_CHARACTER = re.compile("[\\0\\ud800-\\udfff]")
LETTER = re.compile(r"[^\W\d]")

_INSTEAD = {"&": "and", "|": "or", "!": "not", "~": "contains", ",": "and", "^": "and"}
_DOTS = "(a name with a dot in it goes in backticks: `a.b`)"
_KINDS = "write metrics., params. or tags."


class ExpressionError(UsageError):
    """A text that is no expression: `text`, the `position` of what is wrong, and why."""

    def __init__(self, message: str, *, text: str = "", position: int = 0) -> None:
        super().__init__(message)  # one positional argument, so that pickle can rebuild it
        self.text, self.position = text, position


class Token(NamedTuple):
    """kind: word, quoted, name (with backticks), mark, end. `text` is without quotes."""

    kind: str
    text: str
    start: int
    name: Name | None = None
    sign: str = ""

    @property
    def word(self) -> str:
        """The word in lower case, where it is one."""
        return self.text.lower() if self.kind == "word" else ""

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"'{clip(self.text, 40)}'"


class Reader:
    """A text as tokens, read one after the other; it also says what is wrong, and where."""

    def __init__(self, text: object, noun: str) -> None:
        if not isinstance(text, str):
            raise ExpressionError(f"The {noun} must be a text, not {short(text)}.")
        self.text, self.noun = text, noun
        self._check_text()
        # Read on demand: a parser that refuses the twentieth parenthesis needs no more of them.
        self._tokens: list[Token] = []
        self._read_to = self._next = 0

    @property
    def token(self) -> Token:
        return self._token(self._next)

    @property
    def following(self) -> Token:
        return self.token if self.token.kind == "end" else self._token(self._next + 1)

    @property
    def before(self) -> str:
        """The token before this one, for messages."""
        return f"after {self._tokens[self._next - 1]}" if self._next else "at the start"

    def advance(self) -> Token:
        token = self.token
        self._next += token.kind != "end"
        return token

    def take(self, *words: str) -> bool:
        """Whether the next token is one of these words or marks; if so, it is passed."""
        found = self.at(*words)
        if found:
            self.advance()
        return found

    def at(self, *words: str) -> bool:
        token = self.token
        return token.word in words or (token.kind == "mark" and token.text in words)

    def fail(self, problem: str, token: Token | None = None) -> NoReturn:
        self.fail_at((token or self.token).start, problem)

    def fail_at(self, position: int, problem: str) -> NoReturn:
        line, caret = _window(self.text, position)
        raise ExpressionError(
            f"Cannot read this {self.noun}: {problem}.\n  {line}\n  {' ' * caret}^",
            text=self.text,
            position=position,
        )

    def _check_text(self) -> None:
        if len(self.text) > MAX_LENGTH:
            raise ExpressionError(
                f"This {self.noun} has {len(self.text):,} characters; at most {MAX_LENGTH:,} are "
                "read. Ask in several steps."
            )
        if found := _NO_CHARACTER.search(self.text):
            self.fail_at(found.start(), "a NUL or half a surrogate pair is no character")
        if not self.text.strip():
            raise ExpressionError(
                f"This {self.noun} is empty. Write for example: metrics.val_acc > 0.9"
            )

    def _token(self, index: int) -> Token:
        while len(self._tokens) <= index:
            token, self._read_to = self._token_at(self._read_to)
            self._tokens.append(token)
        return self._tokens[index]

    def _token_at(self, position: int) -> tuple[Token, int]:
        match = _TOKEN.match(self.text, position)
        if match is None:
            self._fail_on_character(position)
        kind = match.lastgroup or ""
        # lastgroup is the last group that closed, and that of the name holds others.
        kind = "name" if match["name"] else kind
        text, start = match[kind], match.start(kind)
        if kind == "quoted":
            return Token(kind, _unquoted(text), start), match.end()
        if kind == "name":
            name = self._backticked(match["prefix"], match["inner"], match["part"], start)
            return Token(kind, text, start, name, match["sign"]), match.end()
        return Token(kind, text, start), match.end()

    def _fail_on_character(self, position: int) -> NoReturn:
        rest = self.text[position:]
        position += len(rest) - len(rest.lstrip())
        letter = self.text[position]
        if letter in "'\"`":
            self.fail_at(position, f"this {letter} is never closed")
        hint = f"; write {_INSTEAD[letter]}" if letter in _INSTEAD else ""
        self.fail_at(position, f"{printable(letter)!r} means nothing here{hint}")

    def _backticked(self, prefix: str | None, inner: str, part: str | None, start: int) -> Name:
        text = inner.replace("``", "`")
        if prefix not in (None, METRIC, PARAM, TAG):
            self.fail_at(start, f"no kind of name is called {clip(prefix or '', 40)!r}; " + _KINDS)
        if part and (part not in PARTS or prefix in (PARAM, TAG)):
            self.fail_at(start, _bad_part(part))
        default = "last" if prefix == METRIC else ""
        return Name(prefix or ANY, text, part or default)


def read_name(reader: Reader) -> Name:
    """The name that stands next: an attribute, a qualified name, or a bare one."""
    token = reader.token
    if token.kind == "name" and token.name:
        reader.advance()
        return token.name
    if token.kind != "word":
        reader.fail(f"expected a name {reader.before}, not {token}")
    name = _name_of_word(reader, token)
    reader.advance()
    return name


def read_signed_name(reader: Reader) -> tuple[str, Name]:
    """A name that + or - may precede, as in an order."""
    token = reader.token
    if token.kind == "word" and token.text[0] in "+-":
        name = _name_of_word(reader, token._replace(text=token.text[1:]))
        reader.advance()
        return token.text[0], name
    return token.sign, read_name(reader)


def number_in(token: Token) -> int | float | None:
    """The number that a token is; whole ones beyond int64 become floats, as SQLite has them."""
    if token.kind == "word" and _NUMBER.fullmatch(token.text):
        digits = token.text.lstrip("+-")
        whole = int(token.text) if digits.isdigit() and len(digits) < 20 else None
        return whole if whole is not None and -(2**63) <= whole < 2**63 else float(token.text)
    if token.kind == "word" and _INFINITY.fullmatch(token.text):
        return float(token.text)
    return None


def _name_of_word(reader: Reader, token: Token) -> Name:
    text = token.text
    if not LETTER.match(text):
        reader.fail("a name that starts so goes in backticks: " + f"`{clip(text, 40)}`")
    prefix, dot, rest = text.partition(".")
    if dot and prefix in (METRIC, PARAM, TAG):
        return _qualified(reader, prefix, rest)
    if dot:
        return _dotted(reader, prefix, rest)
    if text.lower() in WORDS:
        reader.fail(f"expected a name or a value {reader.before}, not {token}")
    if text.startswith("__"):
        reader.fail(f"a name that starts so goes in backticks: `{clip(text, 40)}`")
    return Name(ATTRIBUTE, text) if text in ATTRIBUTES else Name(ANY, text)


def _qualified(reader: Reader, prefix: str, rest: str) -> Name:
    if prefix != METRIC:
        return Name(prefix, rest)
    text, dot, part = rest.partition(".")
    if dot and part not in PARTS:
        reader.fail(_bad_part(part))
    return Name(METRIC, text, part or "last")


def _dotted(reader: Reader, prefix: str, rest: str) -> Name:
    """`val_acc.max` is a part of a metric; anything else with a dot is a slip."""
    if rest in PARTS and prefix not in ATTRIBUTES and not prefix.startswith("__"):
        return Name(ANY, prefix, rest)
    near = nearest(prefix, (METRIC, PARAM, TAG))
    meant = f"do you mean {near}.{clip(rest, 40)}?" if near else "write metrics.NAME or params.NAME"
    return reader.fail(f"no kind of name is called {clip(prefix, 40)!r}: {meant} {_DOTS}")


def _bad_part(part: str) -> str:
    near = nearest(part, PARTS)
    return (
        f"of a metric there are .{' .'.join(PARTS)}, not .{clip(part, 40)}"
        + (f" (do you mean .{near}?)" if near else "")
        + "; a name with a dot goes in backticks: metrics.`a.b`"
    )


def nearest(wanted: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only where something is already wrong

    return next(iter(get_close_matches(wanted[:100], list(known), n=1, cutoff=0.5)), "")


def _unquoted(text: str) -> str:
    quote = text[0]
    return re.sub(
        r"\\([\\'\"])|" + quote * 2, lambda match: match[1] or quote, text[1:-1], flags=re.DOTALL
    )


def clip(text: str, most: int) -> str:
    return printable(text if len(text) <= most else f"{text[: most - 1]}…")


def _window(text: str, position: int) -> tuple[str, int]:
    """The line around `position`, bounded, and where the caret stands in it."""
    flat = printable("".join(" " if letter.isspace() else letter for letter in text))
    start = max(0, min(position - _SHOWN // 2, len(flat) - _SHOWN))
    stop = start + _SHOWN
    before, after = "…" if start else "", "…" if stop < len(flat) else ""
    return before + flat[start:stop] + after, position - start + len(before)
