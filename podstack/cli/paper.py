"""Where a command writes: plain and whole for a pipe, coloured and fitted for a terminal, JSON.

All text from a store is text here: nothing of it steers the terminal or is read as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from podstack.clock import monotonic
from podstack.names import printable
from podstack.tables import Column, cut, fitted, numbers, terminal_width, width_of, wrapped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text as RichText

COLOURS = {
    "running": "blue",
    "completed": "green",
    "active": "blue",
    "failed": "red",
    "killed": "yellow",
    "damaged": "bold red",
    "bad": "bold red",
    "warning": "yellow",
    "ok": "green",
    "added": "green",
    "removed": "red",
}


class Paper:
    """What a command prints on."""

    def __init__(self, *, json: bool = False, colour: bool = True, quiet: bool = False) -> None:
        self.is_json = json
        self._colour, self.is_quiet = colour, quiet
        self._console: Console | None = None
        self.is_terminal = sys.stdout.isatty()

    def json(self, value: Any) -> None:
        """The whole answer as one document."""
        import json

        print(json.dumps(plain(value), indent=2, allow_nan=False))

    def note(self, text: str) -> None:
        """Something beside the answer, for the person: to stderr, unless --quiet."""
        if not self.is_quiet:
            print(printable(text), file=sys.stderr)

    def flush(self) -> None:
        sys.stdout.flush()

    def line(self, text: str = "", style: str = "") -> None:
        if self.is_terminal and style:
            from rich.text import Text

            self.console.print(Text(printable(text), style=style), soft_wrap=True)
        else:
            print(printable(text))

    def heading(self, text: str) -> None:
        self.line()
        self.line(text, "bold")

    def text(self, text: str) -> None:
        """Several lines; exactly what is stored where no terminal could be steered by them."""
        shown = text if not self.is_terminal else "\n".join(map(_tame, text.split("\n")))
        sys.stdout.write(shown if shown.endswith("\n") or not shown else f"{shown}\n")

    def facts(self, rows: Iterable[tuple[str, str]], indent: int = 2) -> None:
        """Names and what they are, in two columns."""
        listed = [(printable(name), text) for name, text in rows]
        width = min(40, max((width_of(name) for name, _ in listed), default=0))
        for name, text in listed:
            gap = " " * max(0, width - width_of(name))
            self.line(f"{' ' * indent}{name}{gap}  {text}")

    def table(self, columns: Sequence[Column], hint: str = "", indent: int = 0) -> None:
        """A table: what does not fit a terminal is left out and named; a pipe gets all of it."""
        if self.is_terminal:
            self._draw(columns, hint, indent)
            return
        for line in _whole(columns):
            print(" " * indent + line)

    def drawn(self, columns: Sequence[Column], indent: int = 0) -> RichText:
        """As many of the columns as fit a terminal, for rich to print."""
        from rich.text import Text

        found = fitted(columns, terminal_width() - indent).columns
        picture = Text(no_wrap=True, overflow="crop")
        for row in range(len(found[0][1]) if found else 0):
            picture.append("\n" if row else "").append(" " * indent)
            for i, (column, cells) in enumerate(found):
                picture.append("  " if i else "")
                picture.append(printable(cells[row]), style=_style(column, row))
        return picture

    def _draw(self, columns: Sequence[Column], hint: str, indent: int) -> None:
        self.console.print(self.drawn(columns, indent))
        width = terminal_width() - indent
        hidden = fitted(columns, width).hidden
        if hidden and hint:
            self.line(" " * indent + wrapped(hint, hidden, width), "dim")

    @property
    def console(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                no_color=None if self._colour else True,
                highlight=False,
                markup=False,
                emoji=False,
                width=terminal_width(),
            )
        return self._console


class Counter:
    """One line on the terminal that says how far something is; none in a pipe, none if quiet."""

    def __init__(self, paper: Paper) -> None:
        self._wanted = not paper.is_quiet and sys.stderr.isatty()
        self._due = monotonic() + 0.5

    def show(self, text: str) -> None:
        if self._wanted and monotonic() >= self._due:
            self._due = monotonic() + 0.1
            sys.stderr.write(f"\r\x1b[2K{cut(printable(text), terminal_width() - 1)}")
            sys.stderr.flush()

    def close(self) -> None:
        if self._wanted:
            sys.stderr.write("\r\x1b[2K")


def _style(column: Column, row: int) -> str:
    """Of the heading, which is row 0, or of a cell."""
    if row == 0:
        return "dim"
    if row - 1 in column.best:
        return "bold green"
    word = column.cells[row - 1].partition(" ")[0] if row <= len(column.cells) else ""
    return COLOURS.get(word, "") if column.is_status else ""


def _whole(columns: Sequence[Column]) -> list[str]:
    """All columns, none cut."""
    padded = [_padded(column) for column in columns]
    return ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]


def _padded(column: Column) -> list[str]:
    cells = [printable(text) for text in (column.head, *column.cells)]
    width = max(map(width_of, cells))
    gaps = [" " * (width - width_of(text)) for text in cells]
    return [
        gap + text if column.right else text + gap for gap, text in zip(gaps, cells, strict=True)
    ]


def _tame(line: str) -> str:
    return printable(line.replace("\t", "    ").rstrip("\r"))


def number(value: float) -> str:
    """One number, for itself."""
    return numbers([value])[0]


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN and infinities as text, tuples as lists, keys as text."""
    if isinstance(value, float):
        return value if isfinite(value) else _word(value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _word(value: float) -> str:
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
