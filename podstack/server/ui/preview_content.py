"""What a file holds, as far as a page shows it: lines, a tree, a table, the cells of a notebook.

Pure: bytes in, tuples out, and a template escapes every text of them. Whatever cannot be read as
what its name says is shown as lines, and what is no text is not shown. All of it is bounded: the
first 256 KB of a text, 1,000 rows of a table, 5,000 values of a tree, 300 cells of a notebook.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any, NamedTuple

from podstack.server.media import media_type
from podstack.server.ui import markdown

TEXT_BYTES = 256 << 10
TREE_BYTES = 2 << 20
TABLE_BYTES = 4 << 20
NOTEBOOK_BYTES = 16 << 20

ROWS, COLUMNS = 1000, 50
_YAML_BYTES = 200_000
_NODES, _DEPTH, _LONGEST = 5000, 40, 2000
_CELLS, _OUTPUT = 300, 20_000  # cells; characters of one output
_CELL = 500  # characters of a table's cell
_DELIMITERS = ",\t;|"
_NUMBER = re.compile(
    r"[+-]?(?:\d[\d_]{0,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,4})?%?|[+-]?(?:nan|inf)",
    re.I,
)
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Lines(NamedTuple):
    """A text. left_out: bytes that follow. numbers: as many lines, for the margin."""

    text: str
    numbers: str
    left_out: int


class Node(NamedTuple):
    """A value of a tree. kind: text, number, true (and false), none, list, dict, or more."""

    key: str
    kind: str
    text: str
    children: tuple[Node, ...]


class Table(NamedTuple):
    """numeric: places of the columns that hold numbers and nothing else."""

    head: list[str]
    rows: list[list[str]]
    numeric: frozenset[int]
    columns_left_out: int
    is_cut: bool


class Output(NamedTuple):
    """picture: a data: URL that holds one, else empty. is_error: it is a traceback."""

    text: str
    picture: str
    is_error: bool


class Cell(NamedTuple):
    """html: of a Markdown cell, rendered; code otherwise. number: as it was executed."""

    html: str
    code: str
    number: str
    outputs: list[Output]


class Notebook(NamedTuple):
    cells: list[Cell]
    left_out: int
    language: str


def lines_of(data: bytes, size: int) -> Lines:
    """The beginning of a text of `size` bytes, of which `data` is the first part."""
    text = data[:TEXT_BYTES].decode("utf-8", "replace")
    if size > TEXT_BYTES:
        text = text[: text.rfind("\n") + 1] or text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _ANSI.sub("", text))
    count = text.count("\n") + (not text.endswith("\n"))
    numbers = "\n".join(map(str, range(1, count + 1)))
    return Lines(text, numbers, max(0, size - TEXT_BYTES))


# Trees ---------------------------------------------------------------------------------------


def json_tree(data: bytes) -> Node | None:
    """None where it is no JSON, or too deep."""
    try:
        return _tree(json.loads(data))
    except (ValueError, RecursionError):
        return None


def yaml_tree(data: bytes) -> Node | None:
    """None where it is no YAML, merges keys, is long, or PyYAML is not installed."""
    if len(data) > _YAML_BYTES or b"<<" in data:
        return None
    try:
        import yaml  # type: ignore[import-untyped]  # an extra of sweeps; else the text is shown
    except ModuleNotFoundError:
        return None
    try:
        return _tree(yaml.safe_load(data))
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        return None


def _tree(value: Any) -> Node:
    return _Tree().node("", value, 0)


class _Tree:
    """Counts the values that are shown, so that the tree stays one that a page can hold."""

    def __init__(self) -> None:
        self._left = _NODES

    def node(self, key: str, value: Any, depth: int) -> Node:
        self._left -= 1
        if isinstance(value, dict):
            pairs = ((str(name), item) for name, item in value.items())
            return self._branch(key, "dict", len(value), pairs, depth)
        if isinstance(value, list):
            pairs = ((str(index), item) for index, item in enumerate(value))
            return self._branch(key, "list", len(value), pairs, depth)
        return Node(key[:_LONGEST], *_leaf(value), ())

    def _branch(
        self, key: str, kind: str, count: int, pairs: Iterator[tuple[str, Any]], depth: int
    ) -> Node:
        children = list(self._children(pairs, depth)) if depth < _DEPTH else []
        if len(children) < count:
            children.append(Node("", "more", f"{count - len(children):,} more", ()))
        return Node(key[:_LONGEST], kind, f"{count:,}", tuple(children))

    def _children(self, pairs: Iterator[tuple[str, Any]], depth: int) -> Iterator[Node]:
        for key, value in pairs:
            if self._left <= 0:
                return
            yield self.node(key, value, depth + 1)


def _leaf(value: Any) -> tuple[str, str]:
    if value is None:
        return "none", "null"
    if isinstance(value, bool):
        return "true", "true" if value else "false"
    if isinstance(value, (int, float)):
        return "number", _number(value)
    return "text", _cut(str(value), _LONGEST)


def _number(value: float) -> str:
    if isinstance(value, int) and value.bit_length() > 10_000:
        return f"an integer of {value.bit_length():,} bits"
    return repr(value)


# Tables --------------------------------------------------------------------------------------


def table_of(data: bytes, size: int) -> Table | None:
    """The first rows of a file of values between commas, tabs, semicolons or bars; else None."""
    text = data[:TABLE_BYTES].decode("utf-8-sig", "replace")
    if size > TABLE_BYTES:
        text = text[: text.rfind("\n") + 1]
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = list(islice(csv.reader(io.StringIO(text), delimiter=delimiter), ROWS + 2))
    except csv.Error:
        return None
    rows = [row for row in rows if row]
    if not rows:
        return None
    head, shown = rows[0], rows[1 : ROWS + 1]
    widest = max(map(len, rows))
    is_cut = len(rows) > ROWS + 1 or size > TABLE_BYTES
    filled = [*head, *[""] * (widest - len(head))]
    cells = [[_cut(cell, _CELL) for cell in row[:COLUMNS]] for row in [filled, *shown]]
    return Table(cells[0], cells[1:], _numeric(cells[1:]), max(0, widest - COLUMNS), is_cut)


def _numeric(rows: list[list[str]]) -> frozenset[int]:
    if not rows:
        return frozenset()
    columns = zip_longest(*rows, fillvalue="")
    return frozenset(at for at, column in enumerate(columns) if _are_numbers(column))


def _are_numbers(cells: tuple[str, ...]) -> bool:
    known = [cell.strip() for cell in cells if cell.strip()]
    return bool(known) and all(map(_NUMBER.fullmatch, known))


# Notebooks -----------------------------------------------------------------------------------


def notebook_of(data: bytes) -> Notebook | None:
    """A notebook of format 4, inert: no output but text and pictures. None where it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    cells = found.get("cells") if isinstance(found, dict) else None
    if not isinstance(cells, list):
        return None
    known = [cell for cell in cells if isinstance(cell, dict)]
    shown = [_cell(cell) for cell in known[:_CELLS]]
    return Notebook(shown, len(known) - len(shown), _language(found))


def _language(found: dict[str, Any]) -> str:
    metadata = _dict(found.get("metadata"))
    return str(_dict(metadata.get("kernelspec")).get("display_name", ""))[:100]


def _cell(cell: dict[str, Any]) -> Cell:
    source = _text(cell.get("source"))
    if cell.get("cell_type") == "markdown":
        return Cell(markdown.render(source), "", "", [])
    number = cell.get("execution_count")
    outputs = cell.get("outputs")
    found = [_output(one) for one in (outputs if isinstance(outputs, list) else [])[:50]]
    return Cell(
        "",
        _cut(source, TEXT_BYTES),
        str(number) if isinstance(number, int) else "",
        [one for one in found if one.text or one.picture],
    )


def _output(output: Any) -> Output:
    output = _dict(output)
    if output.get("output_type") == "error":
        trace = "\n".join(map(str, output.get("traceback") or [output.get("evalue", "")]))
        return Output(_shown(trace), "", True)
    data = _dict(output.get("data"))
    for kind in ("image/png", "image/jpeg"):
        picture = _picture(kind, _text(data.get(kind)))
        if picture:
            return Output("", picture, False)
    return Output(_shown(_text(data.get("text/plain") or output.get("text"))), "", False)


def _picture(kind: str, packed: str) -> str:
    """A data: URL, if the bytes are the picture that they are said to be."""
    try:
        content = base64.b64decode("".join(packed.split()), validate=True)
    except ValueError:
        return ""
    if media_type("", content[:64]) != kind:
        return ""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _shown(text: str) -> str:
    return _cut(_CONTROL.sub("", _ANSI.sub("", text)), _OUTPUT)


def _text(value: Any) -> str:
    """A text of a notebook: one, or a list of its lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
