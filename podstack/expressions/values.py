"""The literals of an expression, typed by the name that they are compared with.

A kind that could never match is refused here, so that a slip does not just find nothing.
"""

from __future__ import annotations

import re

from podstack.expressions.tokens import LETTER, Reader, Token, clip, nearest, number_in
from podstack.expressions.tree import (
    ALL_TAGS,
    ATTRIBUTE,
    DURATION,
    METRIC,
    TEXTS,
    TIMES,
    Name,
    Scalar,
)
from podstack.names import STATUSES

ORDERINGS = ("<", "<=", ">", ">=")

_OTHER_WORDS = {
    "success": "completed",
    "succeeded": "completed",
    "finished": "completed",
    "done": "completed",
    "error": "failed",
    "crashed": "failed",
    "lost": "failed",
    "stopped": "killed",
    "cancelled": "killed",
    "active": "running",
}
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|d|h|m|s)")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def value_for(reader: Reader, name: Name, operator: str, token: Token) -> Scalar:
    """The literal as the left side wants it; a kind that can never match is refused here."""
    problem: str | None = None
    value: Scalar = None
    if name.kind == ATTRIBUTE and name.name in TEXTS:
        value, problem = token.text, _status_problem(name, operator, token)
    elif name.kind == ATTRIBUTE and name.name in TIMES:
        value, problem = _moment(operator, token)
    elif name == Name(ATTRIBUTE, DURATION):
        value, problem = _duration(token)
    elif name == ALL_TAGS:
        value = token.text
    elif name.kind == METRIC:
        value = number_in(token)
        problem = _not_a_number(name, token) if value is None else None
    else:
        value, problem = _free_value(operator, token)
    if problem:
        reader.fail(problem, token)
    return value


def _status_problem(name: Name, operator: str, token: Token) -> str | None:
    if name.name != "status" or token.text in STATUSES:
        return None
    word = token.text.lower()
    near = nearest(_OTHER_WORDS.get(word, word), STATUSES)
    hint = f" (do you mean {near}?)" if near else ""
    return f"status is one of {', '.join(STATUSES)}, not {token}{hint}"


def _moment(operator: str, token: Token) -> tuple[Scalar, str | None]:
    """Epoch seconds; a date or date-time is of this machine's time zone unless it names one."""
    number = number_in(token)
    if number is not None:
        return number, None
    from datetime import datetime  # only for a date: an alert on a training loop needs none

    text = token.text[:-1] + "+00:00" if token.text[-1:] in "zZ" else token.text
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None, f"expected a date such as 2026-11-01 or '2026-11-01 18:30', not {token}"
    if operator not in ORDERINGS:
        return None, "no run starts on the dot: ask for a range, created >= DAY and created < NEXT"
    return moment, None


def _duration(token: Token) -> tuple[Scalar, str | None]:
    """Seconds, or 90s, 5m, 1h30m, 2d."""
    number = number_in(token)
    parts = _SPAN.findall(token.text)
    if number is None and parts and "".join(map("".join, parts)) == token.text:
        number = sum(float(count) * _SECONDS[unit] for count, unit in parts)
    if number is None:
        return None, f"expected seconds, or a time such as 90s, 5m, 1h30m or 2d, not {token}"
    return number, None


def _not_a_number(name: Name, token: Token) -> str:
    if token.word == "nan":
        return f"nothing equals nan; write: {shown(name)} is nan"
    if token.kind == "word" and LETTER.match(token.text):
        return (
            f"{shown(name)} is a number, and {token} is none; "
            f"another metric is written metrics.{clip(token.text, 40)}"
        )
    return f"{shown(name)} is a number; expected a number, not the text {token}"


def _free_value(operator: str, token: Token) -> tuple[Scalar, str | None]:
    """What a parameter, which may be of any kind, is compared with: a word is a text."""
    if token.kind == "quoted":
        return token.text, None
    number = number_in(token)
    if number is not None:
        return number, None
    if token.word in ("nan", "missing"):
        return None, f"nothing equals {token.word}; write: is {token.word}"
    if operator in ORDERINGS:
        text = clip(token.text, 40)
        return None, (
            f"expected a number or a name after '{operator}'; "
            f"another metric is written metrics.{text}, a text '{text}'"
        )
    words: dict[str, Scalar] = {"true": True, "false": False, "none": None, "null": None}
    return words.get(token.word, token.text), None


def shown(name: Name) -> str:
    return clip(str(name), 60)
