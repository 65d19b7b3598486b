"""Answers as JSON and back: what an index and a run say, between a server and its clients.

Numbers that JSON lacks are the texts of FORMAT.md: `"NaN"`, `"Infinity"`, `"-Infinity"`. What comes
back equals what went out, to the last bit.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from math import isfinite, nan
from typing import Any

from podstack.errors import BackendError
from podstack.index.answers import ExperimentRow, Names, RunRow
from podstack.series import Columns, Summary

_WORDS = {"NaN": nan, "Infinity": float("inf"), "-Infinity": float("-inf")}


def plain(value: Any) -> Any:
    """A value whose floats are all JSON."""
    if isinstance(value, float):
        return value if isfinite(value) else _word(value)
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value


def floats(values: Iterable[float]) -> list[float | str]:
    return [value if isfinite(value) else _word(value) for value in values]


def _word(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def run_out(row: RunRow) -> dict[str, Any]:
    facts = row._asdict()
    facts["metrics"] = {name: plain(summary._asdict()) for name, summary in row.metrics.items()}
    return facts


def run_in(facts: Any) -> RunRow:
    """
    Raises:
        BackendError: it is no run.
    """
    try:
        metrics = {name: summary_in(told) for name, told in facts["metrics"].items()}
        return RunRow(**{**{name: facts[name] for name in RunRow._fields}, "metrics": metrics})
    except (KeyError, TypeError, AttributeError):
        raise _odd("a run") from None


def summary_in(told: Mapping[str, Any]) -> Summary:
    return Summary(**{name: number(told[name]) for name in Summary._fields})


def number(value: Any) -> Any:
    if isinstance(value, str):
        return _WORDS[value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise TypeError("no number")


def experiment_in(facts: Any) -> ExperimentRow:
    """
    Raises:
        BackendError: it is no experiment.
    """
    try:
        return ExperimentRow(**{name: facts[name] for name in ExperimentRow._fields})
    except (KeyError, TypeError):
        raise _odd("an experiment") from None


def names_in(facts: Any) -> Names:
    """
    Raises:
        BackendError: they are no names.
    """
    try:
        return Names(**{field: dict(facts[field]) for field in Names._fields})
    except (KeyError, TypeError, ValueError):
        raise _odd("names") from None


def columns_out(columns: Columns) -> dict[str, Any]:
    return {
        "steps": columns.steps.tolist(),
        "values": floats(columns.values),
        "times": floats(columns.times),
    }


def columns_in(facts: Any) -> Columns:
    """
    Raises:
        BackendError: they are no points.
    """
    try:
        found = Columns(
            array("q", facts["steps"]),
            array("d", [number(value) for value in facts["values"]]),
            array("d", [number(time) for time in facts["times"]]),
        )
    except (KeyError, TypeError, OverflowError):
        raise _odd("points") from None
    if not len(found.steps) == len(found.values) == len(found.times):
        raise _odd("points")
    return found


def _odd(what: str) -> BackendError:
    return BackendError(f"The server's answer holds {what} that cannot be understood.")
