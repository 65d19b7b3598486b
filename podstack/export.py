"""Runs as files for other programs: their points, or a table of runs, as CSV, JSON or Parquet.

Written metric by metric into a file beside the target, which takes its place once it is whole. A
file that is there is never replaced unless that is asked for.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@` or a tab for a formula. Names and
texts come from whoever logged them, so in CSV such a text gets a `'` before it; numbers do not.
NaN and the infinities are `NaN`, `Infinity` and `-Infinity`; in JSON, which has no such numbers,
they are texts, as in the store.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import isfinite, isnan
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

import orjson

from podstack import frames, parquet
from podstack.errors import BackendError, UsageError
from podstack.frames import ABSENT
from podstack.metrics import Metrics
from podstack.names import short
from podstack.point_logs import PointLogs
from podstack.reader import OpLogs
from podstack.series import Series
from podstack.store import Store

FORMATS = ("csv", "json", "parquet")
POINTS, RUNS = "points", "runs"
COLUMNS = ("run", "name", "step", "value", "time")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_ROWS = 100_000  # rows of one write
_INT64 = range(-(2**63), 2**63)


class HasStore(Protocol):
    """A client."""

    _store: Store


class Exported(NamedTuple):
    """How far an export came: runs out of `of`, and rows."""

    runs: int
    of: int
    rows: int


Progress = Callable[[Exported], None]


def export_runs(
    source: Store | HasStore,
    ids: Iterable[str],
    format: str,
    out: str | os.PathLike[str],
    *,
    what: str = POINTS,
    replace: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write runs to a file.

    Args:
        source: a client or its store.
        format: csv, json (an array of objects) or parquet.
        out: the file.
        what: `points`, a row for each step of each metric: run, name, step, value, time (epoch
            seconds; in Parquet a UTC timestamp); or `runs`, a row for each run with its facts,
            `params.` and `metrics.`.
        replace: whether a file that is there may be replaced.
        progress: called with how far it came, after each metric.

    Raises:
        UsageError: the format is none, or there is such a file already.
        MissingExtraError: pyarrow is not installed, for Parquet and for compacted runs.
        BackendError: the file cannot be written, or the store does not answer.
    """
    store = source if isinstance(source, Store) else source._store
    if format not in FORMATS:
        raise UsageError(f"format is one of {', '.join(FORMATS)}, not {short(format)}.")
    if what not in (POINTS, RUNS):
        raise UsageError(f"what is {POINTS} or {RUNS}, not {short(what)}.")
    runs = list(ids)
    target = Path(out)
    with _beside(target, replace=replace) as temporary:
        if what == RUNS:
            table = _table(store, runs)
            _TABLES[format](temporary, table)
            return Exported(len(runs), len(runs), _height(table))
        with _SINKS[format](temporary) as sink:
            return _write_points(store, runs, sink, progress)


def _write_points(
    store: Store, runs: Sequence[str], sink: _Sink, progress: Progress | None
) -> Exported:
    so_far = Exported(0, len(runs), 0)
    for run in runs:
        for series in _metrics(store, run).values():
            sink.add(run, series)
            so_far = so_far._replace(rows=so_far.rows + len(series))
            if progress is not None:
                progress(so_far)
        so_far = so_far._replace(runs=so_far.runs + 1)
        if progress is not None:
            progress(so_far)
    return so_far


def _metrics(store: Store, run: str) -> Metrics:
    facts = OpLogs(store.backend, store.keys.meta(run))
    points = PointLogs(store.backend, store.keys.metrics(run))

    def logs() -> Any:
        fold = facts.fold()
        points.refresh(fold.below("seals"), fold.below("writers"))
        return points.logs()

    return Metrics(logs(), logs)


@contextmanager
def _beside(target: Path, *, replace: bool) -> Iterator[Path]:
    """A path to write to, whose file takes the target's place in the end, or goes.

    Raises:
        UsageError: the target is there, or is a folder.
        BackendError: the disk refuses.
    """
    _refuse(target, replace=replace)
    temporary = target.with_name(f".podstack-{os.urandom(8).hex()}.tmp")
    try:
        yield temporary
        _refuse(target, replace=replace)
        os.replace(temporary, target)
    except OSError as error:
        if isinstance(error, BackendError):
            raise
        reason = error.strerror or error
        raise BackendError(f"Cannot write {target}: {reason}. Name another file.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _refuse(target: Path, *, replace: bool) -> None:
    if target.is_dir():
        raise UsageError(f"{target} is a folder: name a file in it.")
    if target.exists() and not replace:
        raise UsageError(f"{target} is there already: name another file, or ask to replace it.")


# Points ----------------------------------------------------------------------------------------


class _Sink:
    """A file that takes one metric after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Sink:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def open(self) -> None: ...

    def add(self, run: str, series: Series) -> None: ...

    def close(self) -> None: ...


class _Csv(_Sink):
    def open(self) -> None:
        self._file = _text(self._path)
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, run: str, series: Series) -> None:
        label = (_harmless(run), _harmless(series.name))
        for columns in _slices(series):
            rows = zip(*columns, strict=True)
            self._writer.writerows((*label, s, _number(value), time) for s, value, time in rows)

    def close(self) -> None:
        self._file.close()


class _Json(_Sink):
    def open(self) -> None:
        self._file = _text(self._path)
        self._separator = "[\n"

    def add(self, run: str, series: Series) -> None:
        label = f'{{"run":{_json(run)},"name":{_json(series.name)},"step":'
        for steps, values, times in _slices(series):
            rows = [
                f'{label}{step},"value":{_json(_number(value))},"time":{time!r}}}'
                for step, value, time in zip(steps, values, times, strict=True)
            ]
            self._file.write(self._separator + ",\n".join(rows))
            self._separator = ",\n"

    def close(self) -> None:
        self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")
        self._file.close()


class _Parquet(_Sink):
    def open(self) -> None:
        self._pa = pa = parquet.pyarrow()
        label = pa.dictionary(pa.int32(), pa.string())
        kinds = (label, label, pa.int64(), pa.float64(), pa.timestamp("us", "UTC"))
        self._schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
        self._writer = pa.parquet.ParquetWriter(self._path, self._schema, compression="zstd")

    def add(self, run: str, series: Series) -> None:
        pa = self._pa
        for steps, values, times in _slices(series):
            micros = pa.array([round(time * 1e6) for time in times], pa.int64())
            labels = [
                pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), len(steps)), [t])
                for t in (run, series.name)
            ]
            rest = [pa.array(steps, pa.int64()), pa.array(values, pa.float64())]
            columns = [*labels, *rest, micros.cast(self._schema.field("time").type)]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


_SINKS: dict[str, type[_Sink]] = {"csv": _Csv, "json": _Json, "parquet": _Parquet}


def _slices(series: Series) -> Iterator[tuple[list[int], list[float], list[float]]]:
    for start in range(0, len(series), _ROWS):
        part = slice(start, start + _ROWS)
        steps, values, times = series.steps[part], series.values[part], series.times[part]
        yield steps.tolist(), values.tolist(), times.tolist()


# The table of runs -----------------------------------------------------------------------------

Table = dict[str, list[Any]]
_TIMES = ("created", "ended", "lost_since")


def _table(store: Store, runs: Sequence[str]) -> Table:
    from podstack.query import RunTable

    store.index.refresh()
    rows = {row.id: row for row in store.index.rows(runs)}
    found = RunTable.of([rows[run] for run in runs if run in rows])
    return frames.columns_of(found.to_dicts(), found.columns)


def _height(table: Table) -> int:
    return len(next(iter(table.values()), []))


def _csv_table(path: Path, table: Table) -> None:
    with _text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(_harmless, table))
        writer.writerows(
            [_cell(value) for value in row] for row in zip(*table.values(), strict=True)
        )


def _json_table(path: Path, table: Table) -> None:
    rows = [
        {name: value for name, value in zip(table, row, strict=True) if value is not ABSENT}
        for row in zip(*table.values(), strict=True)
    ]
    with _text(path) as file:
        lines = ",\n".join(_json(row) for row in rows)
        file.write(f"[\n{lines}\n]\n" if rows else "[]\n")


def _parquet_table(path: Path, table: Table) -> None:
    pa = parquet.pyarrow()
    columns = {}
    for name, values in table.items():
        plain = [None if value is ABSENT else value for value in values]
        columns[name] = _typed(pa, plain, is_time=name in _TIMES)
    pa.parquet.write_table(pa.table(columns), path, compression="zstd")


_TABLES: dict[str, Callable[[Path, Table], None]] = {
    "csv": _csv_table,
    "json": _json_table,
    "parquet": _parquet_table,
}


def _typed(pa: Any, values: list[Any], *, is_time: bool) -> Any:
    """A column; where its values are of several kinds, all that is not text is JSON."""
    if is_time:
        micros = [None if value is None else round(value * 1e6) for value in values]
        return pa.array(micros, pa.timestamp("us", "UTC"))
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(value in _INT64 for value in values if value is not None):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    texts = [v if v is None or isinstance(v, str) else _json(v) for v in values]
    return pa.array(texts, pa.string())


# Cells -----------------------------------------------------------------------------------------


def _text(path: Path) -> TextIO:
    return open(path, "x", encoding="utf-8", newline="")


def _cell(value: Any) -> Any:
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, str):
        return _harmless(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _harmless(_json(value))
    return _number(value)


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _number(value: float) -> float | str:
    if isfinite(value):
        return value
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _json(value: Any) -> str:
    return orjson.dumps(_spelled(value)).decode()


def _spelled(value: Any) -> Any:
    """The same with NaN, infinities and integers beyond 64 bits as texts."""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict):
        return {name: _spelled(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(inner) for inner in value]
    if isinstance(value, int) and value not in _INT64:
        return str(value)
    return value
