"""Figures and times as words, as the pages write them; static/core/format.js writes the same.

Times are `<time>` elements in UTC, which the page's script puts into the reader's own zone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from markupsafe import Markup

from podstack import clock

NOTHING = "–"
_DIGITS = 4  # significant ones of a number


def number(value: float | str | None) -> str:
    """Four significant digits: `0.9342`, `12,840`, `4.74e-5`."""
    if value is None or isinstance(value, (str, bool)):
        return NOTHING if value is None else str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if not 1e-3 <= abs(value) < 1e7:
        mantissa, _, exponent = f"{_figures(value, 3):.2e}".partition("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}"
    if abs(value) < 1:
        return _trimmed(f"{_figures(value, _DIGITS):f}")
    places = max(_DIGITS - len(str(int(abs(value)))), 0)
    return _trimmed(f"{Decimal(repr(value)).quantize(Decimal(10) ** -places, ROUND_HALF_UP):,f}")


def signed(value: float) -> str:
    """A difference, with its sign: `+0.02`, `−0.13`."""
    return f"+{number(value)}" if value > 0 else number(value).replace("-", "\N{MINUS SIGN}", 1)


def _figures(value: float, digits: int) -> Decimal:
    """So many significant digits; half way is away from zero, as scripts round."""
    return Context(prec=digits, rounding=ROUND_HALF_UP).create_decimal(Decimal(value))


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float | None) -> str:
    """`8 ms`, `2.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{round(1000 * seconds)} ms" if seconds else "0 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    for size, unit, lesser_size, lesser in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // lesser_size
            return f"{whole // size} {unit} {rest} {lesser}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def size(count: float | None) -> str:
    """Bytes: `812 B`, `1.4 kB`, `3.2 GB`."""
    if count is None:
        return NOTHING
    amount = float(count)
    unit, *larger = ("B", "kB", "MB", "GB", "TB")
    while abs(amount) >= 999.5 and larger:
        amount, unit = amount / 1000, larger.pop(0)
    return f"{_trimmed(f'{_figures(amount, 3):f}')} {unit}"


def escaped(text: str) -> str:
    """A text as a regular expression of JavaScript that matches it alone."""
    return re.sub(r"[\\^$.*+?()\[\]{}|]", r"\\\g<0>", text)


def moment(time: float | None) -> Markup:
    """An absolute time."""
    return _time(time, lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC", "moment")


def ago(time: float | None) -> Markup:
    """A time as its distance from now."""
    return _time(time, lambda at: since(clock.now() - at.timestamp()), "ago")


def since(seconds: float) -> str:
    """`just now`, `12 s ago`, `3 min ago`, `5 h ago`, `yesterday`, `12 d ago`, `3 mo ago`."""
    if seconds < 5:
        return "just now"
    for limit, size_, unit in (
        (60, 1, "s"),
        (3600, 60, "min"),
        (86400, 3600, "h"),
        (60 * 86400, 86400, "d"),
        (730 * 86400, 30 * 86400, "mo"),
    ):
        if seconds < limit:
            return f"{int(seconds // size_)} {unit} ago"
    return f"{int(seconds // (365 * 86400))} y ago"


def _time(time: float | None, told: Callable[[datetime], str], kind: str) -> Markup:
    if time is None:
        return Markup(NOTHING)
    try:
        at = datetime.fromtimestamp(time, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return Markup(NOTHING)
    return Markup('<time datetime="{}" data-time="{}" data-as="{}">{}</time>').format(
        at.isoformat(), repr(float(time)), kind, told(at)
    )


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "signed": signed,
    "re_escape": escaped,
    "duration": duration,
    "bytes": size,
    "moment": moment,
    "ago": ago,
}
