"""Points as Parquet and back: the only file that knows pyarrow (extra `parquet`).

Columns: `key` (string), `step` (int64), `time` (timestamp, µs, UTC), `rest` (double), `value`
(double), `line` (int64); sorted by key, step and line. `line` counts the lines of the range from
0, so that the order of arrival can be had back. A time is `time` in seconds plus `rest`, exactly:
microseconds alone would lose the last two bits of a float64 of today's seconds. Where steps rise
as lines do, which is nearly always, `line` costs nothing and `rest` a third of a byte.

One metric lies in row groups of its own, or, if it is small, whole within one that it shares.
"""

from __future__ import annotations

import io
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from podstack import compacted
from podstack.compacted import Column, Damage, Group, Index, Seal
from podstack.errors import MissingExtraError
from podstack.series import Columns, Series

_LARGE = 1 << 16  # rows that get a row group of their own
_LARGEST = 1 << 20  # rows of one row group
_MICRO = 1e6
_DELTA = "DELTA_BINARY_PACKED"
_ENCODINGS = {"step": _DELTA, "time": _DELTA, "line": _DELTA, "value": "BYTE_STREAM_SPLIT"}
_READ = ["step", "time", "rest", "value", "line"]


class Unfit(ValueError):
    """Points that cannot be kept in this form without a loss."""


class Rows(NamedTuple):
    """The points of one metric in the order of arrival; `lines` rises, shape (n,), int64."""

    columns: Columns
    lines: array[int]

    def between(self, first: int, stop: int) -> Rows:
        """Those of lines `first` to `stop`."""
        a, b = bisect_left(self.lines, first), bisect_left(self.lines, stop)
        c = self.columns
        return Rows(Columns(c.steps[a:b], c.values[a:b], c.times[a:b]), self.lines[a:b])

    def extend(self, other: Rows, lines_before: int) -> None:
        """Add what was logged after these, whose lines are counted from `lines_before` on."""
        self.columns.extend(other.columns)
        self.lines.extend(_shifted(other.lines, lines_before))

    def is_same(self, other: Rows) -> bool:
        """Bit for bit: NaN is NaN, and -0.0 is not 0.0."""
        ours, theirs = self.columns, other.columns
        return (
            self.lines == other.lines
            and ours.steps == theirs.steps
            and ours.values.tobytes() == theirs.values.tobytes()
            and ours.times.tobytes() == theirs.times.tobytes()
        )


def _shifted(lines: array[int], by: int) -> array[int]:
    if not by:
        return lines
    pa = pyarrow()
    return _array("q", pa.chunked_array([pa.compute.add(_column(pa, lines), _scalar(pa, "q", by))]))


def no_rows() -> Rows:
    return Rows(Columns(array("q"), array("d"), array("d")), array("q"))


def pyarrow() -> Any:
    """The module, with its Parquet part.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise MissingExtraError(
            "Compacted runs are Parquet, which needs pyarrow, and that is not installed. "
            "Run: pip install 'podstack[parquet]'"
        ) from error
    return pyarrow


# Writing ---------------------------------------------------------------------------------------


def encode(names: Iterable[str], rows_of: Callable[[str], Rows], segments: list[Seal]) -> bytes:
    """A compacted object.

    Args:
        names: the metrics, in the order in which they came; each has points.
        rows_of: called once for each, so that only one need be in memory.
        segments: what the object replaces.

    Raises:
        Unfit: a time is not one that `time` and `rest` can hold.
        MissingExtraError: pyarrow is not installed.
    """
    writer = _Writer()
    order = list(names)
    for name in sorted(order, key=str.encode):
        writer.add(name, rows_of(name))
    data, groups = writer.close()
    columns = {name: writer.columns[name] for name in order}
    return compacted.with_index(data, Index(segments, columns, groups, writer.last_time))


class _Writer:
    """Rows in the order of their keys, cut into row groups."""

    def __init__(self) -> None:
        self._pa = pyarrow()
        self._sink = io.BytesIO()
        self._schema = _schema(self._pa)
        self._parquet = self._pa.parquet.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            use_dictionary=["key", "rest"],
            column_encoding=_ENCODINGS,
            write_page_checksum=True,
            store_schema=False,
        )
        self._small: list[Any] = []  # tables that will share a row group
        self._small_rows = 0
        self._rows = 0
        self.columns: dict[str, Column] = {}
        self.last_time = float("-inf")

    def add(self, name: str, rows: Rows) -> None:
        count = len(rows.lines)
        series = Series(name, rows.columns)
        self.columns[name] = Column(self._rows, count, int(series.steps[0]), series.summary)
        self.last_time = max(self.last_time, max(rows.columns.times))
        self._rows += count
        table = self._table(name, rows)
        if count >= _LARGE:
            self._write_small()
            for start in range(0, count, _LARGEST):
                self._write(table.slice(start, _LARGEST))
            return
        self._small.append(table)
        self._small_rows += count
        if self._small_rows >= _LARGE:
            self._write_small()

    def _write_small(self) -> None:
        if self._small:
            self._write(self._pa.concat_tables(self._small))
        self._small, self._small_rows = [], 0

    def _write(self, table: Any) -> None:
        self._parquet.write_table(table, row_group_size=len(table))

    def _table(self, name: str, rows: Rows) -> Any:
        pa, columns = self._pa, rows.columns
        time, rest = self._split(_column(pa, columns.times))
        key = pa.repeat(_text(pa, name), len(rows.lines))
        steps, values, lines = (_column(pa, c) for c in (columns.steps, columns.values, rows.lines))
        table = pa.Table.from_arrays([key, steps, time, rest, values, lines], schema=self._schema)
        if rows.columns.rises:
            return table
        return table.sort_by([("step", "ascending"), ("line", "ascending")])

    def _split(self, times: Any) -> tuple[Any, Any]:
        """Epoch seconds as whole microseconds, and what those lack."""
        pa, compute = self._pa, self._pa.compute
        try:
            micros = compute.round(compute.multiply(times, _scalar(pa, "d", _MICRO)))
            micros = compute.cast(micros, pa.int64())
        except pa.ArrowInvalid as error:
            raise Unfit("a time is beyond what a timestamp can hold") from error
        rest = compute.subtract(times, _seconds(pa, micros))
        if not compute.all(compute.equal(_whole(pa, micros, rest), times)).as_py():
            raise Unfit("a time is beyond what a timestamp can hold")
        return compute.cast(micros, pa.timestamp("us", "UTC")), rest

    def close(self) -> tuple[bytes, list[Group]]:
        """The file, and its row groups, which tile it from its first byte up to the footer."""
        self._write_small()
        self._parquet.close()
        data = self._sink.getvalue()
        facts = self._pa.parquet.read_metadata(self._pa.BufferReader(data))
        starts = [_start(facts.row_group(i)) for i in range(facts.num_row_groups)]
        stops = [*starts[1:], len(data) - 8 - facts.serialized_size]
        view, groups = memoryview(data), []
        for i, (start, stop) in enumerate(zip([0, *starts[1:]], stops, strict=True)):
            crc = compacted.checksum(view[start:stop])
            groups.append(Group(start, stop, facts.row_group(i).num_rows, crc))
        return data, groups


# Made of buffers: given a Python value, pyarrow first loads all of pandas, a quarter of a second.


def _column(pa: Any, values: array[Any]) -> Any:
    kind = pa.int64() if values.typecode == "q" else pa.float64()
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _scalar(pa: Any, code: str, value: float) -> Any:
    return _column(pa, array(code, [value]))[0]


def _text(pa: Any, text: str) -> Any:
    data = text.encode()
    ends = pa.py_buffer(array("i", [0, len(data)]))
    return pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(data)])[0]


def _schema(pa: Any) -> Any:
    kinds = {
        "key": pa.string(),
        "step": pa.int64(),
        "time": pa.timestamp("us", "UTC"),
        "rest": pa.float64(),
        "value": pa.float64(),
        "line": pa.int64(),
    }
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])


def _start(group: Any) -> int:
    """Where the first page of a row group lies."""
    columns = [group.column(i) for i in range(group.num_columns)]
    offsets = [(c.dictionary_page_offset, c.data_page_offset) for c in columns]
    return min(int(offset) for pair in offsets for offset in pair if offset is not None)


def _seconds(pa: Any, micros: Any) -> Any:
    whole = pa.compute.cast(micros, pa.float64(), safe=False)
    return pa.compute.divide(whole, _scalar(pa, "d", _MICRO))


def _whole(pa: Any, micros: Any, rest: Any) -> Any:
    return pa.compute.add(_seconds(pa, micros), rest)


# Reading ---------------------------------------------------------------------------------------


def decode(
    index: Index, name: str, size: int, tail: bytes, fetch: Callable[[int, int], bytes]
) -> Rows:
    """The points of one metric.

    Args:
        size, tail: bytes of the whole object, and its last ones, the footer among them.
        fetch: called once, with the bytes (start, stop) of the row groups that are needed.

    Raises:
        Damage: the bytes are not what was written.
        MissingExtraError: pyarrow is not installed.
    """
    if name not in index.columns:
        raise Damage("its index is that of another range")
    pa, column = pyarrow(), index.columns[name]
    needed, before = _groups_of(index, column)
    first, last = index.groups[needed[0]], index.groups[needed[-1]]
    data = fetch(first.start, last.stop)
    for group in (index.groups[i] for i in needed):
        part = memoryview(data)[group.start - first.start : group.stop - first.start]
        compacted.check_group(group, part)
    try:
        table = _read(pa, _Window(size, {first.start: data, size - len(tail): tail}), needed)
    except (pa.ArrowException, OSError) as error:
        raise Damage(f"its rows cannot be read: {error}") from error
    return _rows(pa, table.slice(column.row - before, column.rows))


def _groups_of(index: Index, column: Column) -> tuple[list[int], int]:
    """The row groups that hold a metric, and how many rows lie before them."""
    needed, before, row = [], 0, 0
    for i, group in enumerate(index.groups):
        if row + group.rows <= column.row:
            before = row + group.rows
        elif row < column.row + column.rows:
            needed.append(i)
        row += group.rows
    return needed, before


def _read(pa: Any, source: io.RawIOBase, groups: list[int], names: list[str] = _READ) -> Any:
    file = pa.parquet.ParquetFile(pa.PythonFile(source, "r"), page_checksum_verification=True)
    return file.read_row_groups(groups, columns=names)


def _rows(pa: Any, table: Any) -> Rows:
    if len(table) > 1:
        lines = table["line"].combine_chunks()
        if not pa.compute.all(pa.compute.less(lines[:-1], lines[1:])).as_py():
            table = table.take(pa.compute.sort_indices(lines))
    micros = pa.compute.cast(table["time"], pa.int64())
    columns = Columns(
        _array("q", table["step"]),
        _array("d", table["value"]),
        _array("d", _whole(pa, micros, table["rest"])),
    )
    return Rows(columns, _array("q", table["line"]))


def _array(code: str, column: Any) -> array[Any]:
    found = array(code)
    for chunk in column.chunks:
        start = chunk.offset * 8
        found.frombytes(memoryview(chunk.buffers()[1])[start : start + len(chunk) * 8])
    return found


def keys_of(data: bytes) -> Iterator[tuple[str, int]]:
    """(key, number of rows) in the order of a whole file, as other readers see it."""
    pa = pyarrow()
    file = pa.parquet.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
    for i in range(file.num_row_groups):
        column = file.read_row_group(i, columns=["key"])["key"].combine_chunks()
        runs = pa.compute.run_end_encode(column)
        ends = [0, *runs.run_ends.to_pylist()]
        for key, start, end in zip(runs.values.to_pylist(), ends, ends[1:], strict=False):
            yield key, end - start


class _Window(io.RawIOBase):
    """A file of which only some parts were fetched: `{start: bytes}`."""

    def __init__(self, size: int, parts: dict[int, bytes]) -> None:
        self._size, self._parts, self._at = size, parts, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = origin + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        """
        Raises:
            OSError: these bytes were not fetched.
        """
        stop = self._size if size is None or size < 0 else min(self._size, self._at + size)
        for start, data in self._parts.items():
            if start <= self._at and stop <= start + len(data):
                found = data[self._at - start : stop - start]
                self._at = stop
                return found
        raise OSError(f"bytes {self._at} to {stop} of {self._size} were not fetched")
