"""Plain aligned tables in which no figure stands alone: each has a baseline of the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

_NUMBERS = "0123456789"


class Table(NamedTuple):
    """What is printed: a title, the head of each column, rows of text, and lines of explanation."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()


class Target(NamedTuple):
    """What a figure should reach: `excess(value, ratio)` is 1 there, and more beyond."""

    text: str
    excess: Callable[[float, float], float]


class Figure(NamedTuple):
    """One measured value beside its baseline, both in `unit`: s, us, bytes, /s, or a noun."""

    what: str
    value: float
    unit: str
    baseline: float
    baseline_name: str
    target: Target | None = None


def ratio_at_most(limit: float) -> Target:
    return Target(f"≤ {limit:.3g}×", lambda value, ratio: ratio / limit)


def ratio_at_least(limit: float) -> Target:
    return Target(f"≥ {limit:.3g}×", lambda value, ratio: limit / ratio if ratio else float("inf"))


def at_most(limit: float, unit: str) -> Target:
    return Target(f"≤ {quantity(limit, unit)}", lambda value, ratio: value / limit)


def growth_at_most(limit: float, unit: str) -> Target:
    """For a figure whose baseline is its own earlier value."""
    return Target(
        f"≤ +{quantity(limit, unit)}", lambda value, ratio: (value - value / ratio) / limit
    )


def figures_table(title: str, figures: Iterable[Figure], *notes: str) -> Table:
    head = ("figure", "value", "baseline", "ratio", "target", "")
    return Table(title, head, [_row(figure) for figure in figures], notes)


def _row(figure: Figure) -> tuple[str, ...]:
    ratio = figure.value / figure.baseline if figure.baseline else float("inf")
    baseline = f"{quantity(figure.baseline, figure.unit)} {figure.baseline_name}"
    value = quantity(figure.value, figure.unit)
    return (figure.what, value, baseline, times(ratio), *_verdict(figure, ratio))


def _verdict(figure: Figure, ratio: float) -> tuple[str, str]:
    if figure.target is None:
        return "–", ""
    excess = figure.target.excess(figure.value, ratio)
    return figure.target.text, "met" if excess <= 1 else f"missed by {times(excess)}"


def times(ratio: float) -> str:
    """`1.43×`: three digits, without an exponent."""
    return f"{_three_digits(ratio)}×"


def quantity(value: float, unit: str) -> str:
    """A value in the size of its unit that reads best: `2.35 µs`, `430 MB`, `3,800,000 /s`."""
    if unit == "s":
        scale, name = next((x for x in _SECONDS if value >= x[0]), _SECONDS[-1])
        return f"{_three_digits(value / scale)} {name}"
    if unit == "bytes":
        scale, name = next((x for x in _BYTES if abs(value) >= x[0]), _BYTES[-1])
        return f"{_three_digits(value / scale)} {name}"
    return f"{_three_digits(value)} {unit}".rstrip()


_SECONDS = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]
_BYTES = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")]


def _three_digits(value: float) -> str:
    decimals = next((n for n, limit in enumerate((100, 10, 1)) if abs(value) >= limit), 3)
    return f"{value:,.{decimals}f}"


def text_of(table: Table) -> str:
    """The table as lines: columns of numbers to the right, of words to the left."""
    columns = list(zip(table.head, *table.rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [_is_numeric(column[1:]) for column in columns]
    rows = [table.head, tuple("-" * width for width in widths), *table.rows]
    lines = [_line(row, widths, right) for row in rows]
    return "\n".join([table.title, "=" * len(table.title), *lines, *table.notes])


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = zip(row, widths, right, strict=True)
    return "  ".join(t.rjust(width) if r else t.ljust(width) for t, width, r in cells).rstrip()


def _is_numeric(cells: Sequence[str]) -> bool:
    return all(cell[:1] in _NUMBERS + "-–" for cell in cells) and not all(
        cell == "–" for cell in cells
    )
