"""What a terminal would show of a stream of text, as plain lines that never change again.

A progress bar that redraws itself is one line: its last state. Pure: no I/O and no clock in here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

ROWS = 100  # that a cursor may go back up to
LONGEST = 65_536  # characters of one line; a longer one is cut into several

_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)"
    r"|\x1b\[(?P<arguments>[0-?]*)[ -/]*(?P<command>[@-~])"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links and other strings
    r"|(?P<unfinished>\x1b"  # the rest follows with the next write
    r"(?:\[[0-?]{0,100}[ -/]{0,9}|[\]PX^_][^\x07\x1b]{0,4000}\x1b?|[ -/]{0,9})\Z)"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
)
_WIDEST = 1_000  # columns that a cursor may be sent to


class _Row(NamedTuple):
    text: str
    given: str | None  # what was given out of it so far


class Transcript:
    """Turns what is written to a terminal into finished lines.

    A line is given out at its newline. Colours and control characters go; carriage returns,
    backspaces and cursor moves do what they do on a screen. A row that was given out and is then
    written over, as bars on several rows are, is given out once more in its last state: together
    with the next new line below it, or by `settle`.
    """

    def __init__(self) -> None:
        self._line = ""  # the row that the cursor is on
        self._column = 0
        self._given: str | None = None  # what was given out of that row
        self._above: list[_Row] = []
        self._below: list[_Row] = []  # the nearest is the last
        self._is_redrawn = False  # rows above may differ from what was given out of them
        self._unfinished = ""  # the beginning of an escape sequence

    def feed(self, text: str) -> str:
        """Take what was written; returns the lines that are finished now, each with its newline."""
        if self._column == len(self._line) < LONGEST - len(text) and not self._unfinished:
            line, newline, more = text.partition("\n")
            if not more and (not line or line.isprintable()):  # the usual print
                self._line += line
                self._column += len(line)
                return self._newline() if newline else ""
        if self._unfinished:
            text, self._unfinished = self._unfinished + text, ""
        return "".join(map(self._take, _TOKEN.finditer(text)))

    def settle(self) -> str:
        """What would be lost if nothing more came: rows that are unfinished or written over.

        Given out as lines. What changes of them later is given out again.
        """
        rows = [*self._above, _Row(self._line, self._given), *reversed(self._below)]
        changed = [row.text for row in rows if row.text and row.text != row.given]
        self._above = [_Row(row.text, row.text) for row in self._above]
        self._below = [_Row(row.text, row.text) for row in self._below]
        self._given = self._line or self._given
        self._is_redrawn = False
        return "".join(f"{text}\n" for text in changed)

    @property
    def last_rows(self) -> list[str]:
        """The rows up to the cursor, as they stand."""
        return [*(row.text for row in self._above), self._line]

    def _take(self, token: re.Match[str]) -> str:
        if token["text"]:
            return self._put(token["text"])
        if token["command"]:
            self._move(token["command"], token["arguments"])
        elif token["unfinished"]:
            self._unfinished = token["unfinished"]
        elif token["control"] == "\n":
            return self._newline()
        elif token["control"] == "\r":
            self._column = 0
        elif token["control"] == "\b":
            self._column = max(0, self._column - 1)
        return ""

    def _put(self, text: str) -> str:
        line, start = self._line, self._column
        end = start + len(text)
        if start < len(line):
            line = (line[:start] + text + line[end:]).rstrip(" ")  # bars are wiped with blanks
        else:
            line = line.ljust(start) + text
        self._line, self._column = line, end
        return self._cut() if len(line) >= LONGEST else ""

    def _cut(self) -> str:
        pieces = [self._line[i : i + LONGEST] for i in range(0, len(self._line), LONGEST)]
        self._line = pieces.pop() if len(pieces[-1]) < LONGEST else ""
        self._column, self._given = len(self._line), None
        return "".join(f"{piece}\n" for piece in pieces)

    def _newline(self) -> str:
        if self._below:
            self._down()
            self._column = 0
            return ""
        finished = f"{self._line}\n" if self._given is None or self._line != self._given else ""
        if self._is_redrawn:
            finished = self._redrawn_above() + finished
        self._above.append(_Row(self._line, self._line))
        if len(self._above) > 2 * ROWS:
            del self._above[:-ROWS]
        self._line, self._column, self._given = "", 0, None
        return finished

    def _redrawn_above(self) -> str:
        changed = [row.text for row in self._above if row.text and row.text != row.given]
        self._above = [_Row(row.text, row.text) for row in self._above]
        self._is_redrawn = False
        return "".join(f"{text}\n" for text in changed)

    def _move(self, command: str, arguments: str) -> None:
        first = arguments.partition(";")[0][:5]
        count = int(first) if first.isascii() and first.isdigit() else 0
        if command == "K":
            self._erase_in_row(count)
        elif command == "J" and count in (0, 2, 3):
            self._erase_in_row(count)
            self._below = [_Row("", row.given) for row in self._below]
        elif command in "AF":
            self._up(count or 1)
        elif command in "BE":
            for _ in range(min(count or 1, len(self._below))):
                self._down()
        elif command in "CDG":
            here = {
                "C": self._column + (count or 1),
                "D": self._column - (count or 1),
                "G": count - 1,
            }
            self._column = min(max(0, here[command]), _WIDEST)
        if command in "EF":
            self._column = 0

    def _up(self, count: int) -> None:
        for _ in range(min(count, len(self._above), ROWS)):
            self._below.append(_Row(self._line, self._given))
            self._line, self._given = self._above.pop()
            self._is_redrawn = True

    def _down(self) -> None:
        self._above.append(_Row(self._line, self._given))
        self._line, self._given = self._below.pop()

    def _erase_in_row(self, how: int) -> None:
        if how == 0:
            self._line = self._line[: self._column]
        elif how == 1:
            self._line = " " * self._column + self._line[self._column :]
        else:
            self._line = ""
