"""Tables for a terminal and for a notebook: aligned, no wider than they may be, harmless.

Whatever a store holds is text here: nothing of it steers a terminal, forges a line or becomes
an element of a page.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape
from math import floor, isfinite, isnan, log10
from typing import Any, NamedTuple

from podstack.frames import ABSENT
from podstack.names import printable

NOTHING = "–"
STAR = "* "  # before the note on what is best; a page shows it in bold instead
_GAP = 2
_WIDEST = 40  # characters of a column in a terminal
_LONGEST = 300  # characters of a cell anywhere
WHOLE = _WIDEST  # as `least`: never cut
_HEAD = 12  # characters of a heading that are kept where its cells are narrower


class Column(NamedTuple):
    """A heading and its cells, as text.

    Where the width is short, the columns of the largest `rank` are left out first, and texts are
    cut down to `least` characters. `best` are the rows to point out. `is_status` cells start
    with a status word.
    """

    head: str
    cells: list[str]
    right: bool = False
    rank: int = 0
    best: frozenset[int] = frozenset()
    is_status: bool = False
    least: int = 12


class Text(NamedTuple):
    """The lines of a table, and the headings of the columns that found no room."""

    lines: list[str]
    hidden: list[str]


def terminal_width() -> int:
    return max(20, shutil.get_terminal_size().columns)


# Cells -------------------------------------------------------------------------------------


def cell(value: Any) -> str:
    """Any value on one line, without control characters, and bounded."""
    if value is ABSENT:
        return NOTHING
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else _listed(value)
    text = printable(" ".join(text[: 4 * _LONGEST].split()))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def cells(values: Sequence[Any]) -> list[str]:
    """The cells of one column or row: its floats as short as they may be and still differ."""
    floats = {value for value in values if isinstance(value, float) and value == value}
    for digits in (4, 6, 17):
        if len({f"{value:.{digits}g}" for value in floats}) == len(floats):
            break
    return [f"{v:.{digits}g}" if isinstance(v, float) else cell(v) for v in values]


def _listed(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        shown = ", ".join(cell(item) for item in value[:50])
        return f"[{shown}{', …' if len(value) > 50 else ''}]"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"{'-' if value < 0 else ''}2^{value.bit_length() - 1}…"  # no 5,000 digits
    return str(value)


def numbers(values: Sequence[float | None]) -> list[str]:
    """The values of one column, short, and with their points in line wherever that reads well."""
    sizes = [abs(v) for v in values if v is not None and isfinite(v) and v]
    if all(size == floor(size) for size in sizes) and max(sizes, default=0.0) < 1e9:
        return [_number(value, ".0f") for value in values]
    top, low = floor(log10(max(sizes))), floor(log10(min(sizes)))
    digits = max(0, 3 - top)
    in_line = top < 6 and low + digits >= 1 and digits <= 7
    return [_number(value, f".{digits}f" if in_line else ".4g") for value in values]


def _number(value: float | None, form: str) -> str:
    if value is None:
        return NOTHING
    return format(value, form) if isfinite(value) else ("NaN" if isnan(value) else f"{value:g}")


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# In a terminal -----------------------------------------------------------------------------


class Fitted(NamedTuple):
    """The columns that found room, each with its heading and cells cut or padded to its width."""

    columns: list[tuple[Column, list[str]]]
    hidden: list[str]


def fitted(columns: Sequence[Column], width: int) -> Fitted:
    """The table in at most `width` characters, column by column."""
    marked = [_marked(column) for column in columns]
    needs = [_least(column) for column in marked]
    kept: list[int] = []
    room = width + _GAP
    for i in sorted(range(len(marked)), key=lambda i: (marked[i].rank, i)):
        if not kept or needs[i] + _GAP <= room:
            kept.append(i)
            room -= needs[i] + _GAP
    widths = {}
    for i in kept:
        more = max(0, min(room, _natural(marked[i]) - needs[i]))
        widths[i] = min(width, needs[i] + more)
        room -= more
    height = 1 + max((len(column.cells) for column in columns), default=0)
    found = [
        (columns[i], [_fitted(marked[i], row, widths[i]) for row in range(height)])
        for i in sorted(kept)
    ]
    return Fitted(found, [column.head for i, column in enumerate(columns) if i not in widths])


def text_table(columns: Sequence[Column], width: int) -> Text:
    """The table in lines of at most `width` characters."""
    found, hidden = fitted(columns, width)
    rows = zip(*(cells for _, cells in found), strict=True)
    return Text([(" " * _GAP).join(row).rstrip() for row in rows], hidden)


def _marked(column: Column) -> Column:
    """With a star after the best cells, and room for it after the others."""
    if not column.best:
        return column
    cells = [f"{text}{'*' if i in column.best else ' '}" for i, text in enumerate(column.cells)]
    return column._replace(cells=cells, head=f"{column.head} ")


def _natural(column: Column) -> int:
    return min(_WIDEST, max(width_of(column.head), _widest(column.cells)))


def _least(column: Column) -> int:
    return max(min(column.least, _widest(column.cells)), min(_HEAD, width_of(column.head)))


def _widest(cells: Iterable[str]) -> int:
    return max(map(width_of, cells), default=0)


def _fitted(column: Column, row: int, width: int) -> str:
    if not row:  # the end of a name tells more than its start: `…encoder/loss`
        text = cut(column.head, width, keep_end=True)
    else:
        text = cut(column.cells[row - 1] if row <= len(column.cells) else "", width)
    padding = " " * (width - width_of(text))
    return padding + text if column.right else text + padding


def width_of(text: str) -> int:
    """The columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int, *, keep_end: bool = False) -> str:
    """`text` in at most `width` columns, `…` for what is left out."""
    if width_of(text) <= width:
        return text
    kept, room = [], width - 1
    for letter in reversed(text) if keep_end else text:
        room -= _width(letter)
        if room < 0:
            break
        kept.append(letter)
    return "…" + "".join(reversed(kept)) if keep_end else "".join(kept) + "…"


def plain_lines(lines: Iterable[str], width: int) -> str:
    """The lines as one text, none of them wider, none that steers a terminal."""
    return "\n".join(cut(printable(line), width) for line in lines)


def wrapped(prefix: str, names: Sequence[str], width: int) -> str:
    """`prefix` and as many names as fit in one line, then how many more there are."""
    line = prefix
    for i, name in enumerate(names):
        rest = len(names) - i - 1
        grown = f"{line}{', ' if i else ''}{cut(cell(name), 30)}"
        if width_of(grown) + (len(f" … {rest} more") if rest else 0) > width:
            more = f" … {len(names) - i} more" if i else f"{len(names)} columns"
            return cut(line + more, width)
        line = grown
    return line


# In a notebook -----------------------------------------------------------------------------


def html_table(columns: Sequence[Column]) -> str:
    """The table as HTML; `display.STYLE` holds the style for it."""
    heads = "".join(f"<th{_align(c)}>{escape(printable(c.head))}</th>" for c in columns)
    height = max((len(column.cells) for column in columns), default=0)
    rows = "".join(
        f"<tr>{''.join(_html_cell(column, row) for column in columns)}</tr>"
        for row in range(height)
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def html_page(title: str, table: str, notes: Iterable[str] = ()) -> str:
    """A table under its title, with notes below it."""
    from podstack.display import STYLE

    below = "<br>".join(escape(printable(note.removeprefix(STAR))) for note in notes)
    return (
        f"{STYLE}<div class='podstack full'><b>{escape(printable(title))}</b>"
        f"<div class=wide>{table}</div><span class=dim>{below}</span></div>"
    )


def _align(column: Column) -> str:
    return " class=n" if column.right else ""


def _html_cell(column: Column, row: int) -> str:
    from podstack.display import dot

    text = printable(column.cells[row])
    shown = escape(text)
    if column.is_status and text:
        shown = f"{dot(text.split()[0])} {shown}"
    if row in column.best:
        shown = f"<b class=best>{shown}</b>"
    return f"<td{_align(column)}>{shown}</td>"
