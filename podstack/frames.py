"""Rows as plain columns, and those as a pandas or a polars table with typed columns.

Neither library is needed to use podstack: each is imported when it is asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from podstack.errors import MissingExtraError

Row = Mapping[str, Any]
_INT64 = range(-(2**63), 2**63)


class Absent:
    """Stands where a row has no such field, which is not the same as one that is None."""

    def __repr__(self) -> str:
        return "–"

    def __bool__(self) -> bool:
        return False


ABSENT = Absent()


def pandas() -> Any:
    """The module.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise _missing(error, "pandas") from error
    return pandas


def polars() -> Any:
    """The module.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import polars
    except ModuleNotFoundError as error:
        raise _missing(error, "polars") from error
    return polars


def _missing(cause: ModuleNotFoundError, library: str) -> Exception:
    if (cause.name or "").partition(".")[0] != library:
        return cause
    return MissingExtraError(
        f".to_{library}() needs {library}, which is not installed. Run: pip install {library}"
    )


def columns_of(rows: Sequence[Row], names: Iterable[str] = ()) -> dict[str, list[Any]]:
    """The rows as columns; ABSENT where a row has no such field. `names` come first."""
    order = dict.fromkeys(names)
    for row in rows:
        order.update(dict.fromkeys(row))
    return {name: [row.get(name, ABSENT) for row in rows] for name in order}


def pandas_table(columns: Mapping[str, list[Any]], times: Iterable[str] = ()) -> Any:
    """A DataFrame; `times` name columns of epoch seconds, which become UTC timestamps.

    A column of integers with gaps is `Int64`, one of bools with gaps `boolean`, so that neither
    turns into floats. A column of several kinds holds the objects as they are.
    """
    library, stamps = pandas(), set(times)
    found = {}
    for name, values in columns.items():
        plain = [None if value is ABSENT else value for value in values]
        if name in stamps:
            found[name] = _pandas_times(library, plain)
        else:
            found[name] = library.Series(plain, dtype=_pandas_type(plain))
    return library.DataFrame(found, columns=list(columns))


def polars_table(columns: Mapping[str, list[Any]], times: Iterable[str] = ()) -> Any:
    """A DataFrame; `times` name columns of epoch seconds, which become UTC timestamps.

    A column of several kinds is text: strings as they are, all else as JSON.
    """
    library, stamps = polars(), set(times)
    found = []
    for name, values in columns.items():
        plain = [None if value is ABSENT else value for value in values]
        if name in stamps:
            micros = [None if value is None else round(value * 1e6) for value in plain]
            kind: Any = library.Datetime("us", "UTC")
            found.append(library.Series(name, micros, dtype=library.Int64).cast(kind))
        else:
            found.append(_polars_column(library, name, plain))
    return library.DataFrame(found)


def points_pandas(steps: Any = (), values: Any = (), times: Any = ()) -> Any:
    """A DataFrame of one series: step, value, time."""
    library = pandas()
    return library.DataFrame(
        {
            "step": library.Series(steps, dtype="int64"),
            "value": library.Series(values, dtype="float64"),
            "time": _pandas_times(library, times),
        }
    )


def _pandas_times(library: Any, seconds: Any) -> Any:
    """UTC timestamps with microseconds: a float of today's seconds holds no more."""
    numbers = library.Series(seconds, dtype="float64")
    return library.to_datetime(numbers, unit="s", utc=True).dt.as_unit("us")


def points_polars(steps: Any = (), values: Any = (), times: Any = ()) -> Any:
    """A DataFrame of one series: step, value, time."""
    library = polars()
    seconds = library.Series("time", _listed(times), dtype=library.Float64)
    return library.DataFrame(
        [
            library.Series("step", _listed(steps), dtype=library.Int64),
            library.Series("value", _listed(values), dtype=library.Float64),
            (seconds * 1e6).round().cast(library.Int64).cast(library.Datetime("us", "UTC")),
        ]
    )


def _listed(column: Any) -> Any:
    """A numpy array as it is; a plain array, which polars would not know, as a list."""
    return list(column) if isinstance(column, array) else column


def _polars_column(library: Any, name: str, values: list[Any]) -> Any:
    kinds = {
        "bool": library.Boolean,
        "int": library.Int64,
        "float": library.Float64,
        "text": library.String,
        "texts": library.List(library.String),
    }
    kind = _kind(values)
    if kind == "mixed":
        values = [_as_text(value) for value in values]
    elif kind == "float":
        values = [None if value is None else float(value) for value in values]
    return library.Series(name, values, dtype=kinds.get(kind, library.String))


def _pandas_type(values: list[Any]) -> str | None:
    kind, has_gaps = _kind(values), any(value is None for value in values)
    if kind == "int":
        return "Int64" if has_gaps else "int64"
    if kind == "bool":
        return "boolean" if has_gaps else "bool"
    if kind == "float":
        return "float64"
    return None if kind == "text" and not all(value is None for value in values) else "object"


def _kind(values: Sequence[Any]) -> str:
    """What all of them are that are not None: bool, int, float, text, texts, or mixed."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int" if all(v in _INT64 for v in values if v is not None) else "mixed"
    if kinds and kinds <= {int, float}:
        return "float" if all(_fits(v) for v in values) else "mixed"
    if kinds <= {str}:
        return "text"
    is_texts = kinds == {list} and all(type(t) is str for v in values if v for t in v)
    return "texts" if is_texts else "mixed"


def _fits(value: int | float | None) -> bool:
    """Whether a float64 can hold it without losing a digit."""
    return not isinstance(value, int) or abs(value) <= 2**53


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and value not in _INT64:
        return str(value)  # beyond what orjson writes
    return orjson.dumps(value).decode()
