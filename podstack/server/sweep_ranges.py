"""What a new sweep can be made of: the parameters and metrics that an experiment's runs have.

A range reaches from the least to the greatest value seen, rounded outward to three figures, and is
logarithmic where the one is over 100 times the other; texts and flags become a list of choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from math import isfinite
from typing import Any

import orjson
from starlette.responses import Response

from podstack.directions import direction_of
from podstack.server.access import VIEWER, Here, Routes
from podstack.server.asking import answer, experiment_of, reader_of

MOST_RUNS = 1_000  # the latest ones
MOST_NAMES = 300  # parameters, and as many metrics, the most frequent ones
MOST_CHOICES = 50
LOG_FROM = 100  # greatest / least past which a range is logarithmic
_FIGURES = 3

routes = Routes()


@routes.add("GET", "/projects/{project}/experiments/{experiment}/ranges", VIEWER)
def ranges(here: Here, experiment: str) -> Response:
    """Parameters of the runs as a sweep takes them, and metrics with their directions.

    Each parameter comes with how many of the latest 1,000 runs have it; the most frequent first.
    """
    reader = reader_of(here)
    reader.index.refresh()
    inside = experiment_of(reader, experiment).id
    total = reader.index.count(None, inside)
    found = reader.index.columns(
        None, None, inside, limit=MOST_RUNS, offset=max(0, total - MOST_RUNS)
    )
    params = [_parameter(name, values) for name, values in found.params.items()]
    known = sorted((one for one in params if one), key=lambda one: (-one["runs"], one["name"]))
    metrics = sorted(
        found.metrics, key=lambda name: (sum(one is None for one in found.metrics[name]), name)
    )
    return answer(
        {
            "runs": len(found.tags),
            "parameters": known[:MOST_NAMES],
            "metrics": [
                {"name": name, "direction": direction_of(name)} for name in metrics[:MOST_NAMES]
            ],
        }
    )


def _parameter(name: str, column: Sequence[Any]) -> dict[str, Any] | None:
    """None where nothing can be searched in what was seen: lists, objects and None alone."""
    values = [value for value in column if value is not None and value != []]
    if any(_is_container(value) for value in values):
        return None
    spec = range_of(values)
    return None if spec is None else {"name": name, "runs": len(values), "spec": spec}


def _is_container(value: Any) -> bool:
    """Whether it is the JSON text of a list or a dict, which an index tells so."""
    if not isinstance(value, str) or value[:1] not in ("[", "{"):
        return False
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return True


def range_of(values: Sequence[Any]) -> dict[str, Any] | None:
    """The specification of a parameter that had these values; None where there can be none."""
    if not values:
        return None
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return _numbers([value for value in values if isfinite(value)])
    choices = list({(type(value), value): value for value in values}.values())
    if len(choices) == 1:
        return {"value": choices[0]}
    return {"values": sorted(choices, key=str)} if len(choices) <= MOST_CHOICES else None


def _numbers(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    low, high = min(values), max(values)
    if low == high:
        return {"value": low}
    is_whole = all(isinstance(value, int) for value in values)
    if not is_whole:
        low, high = _rounded(low, ROUND_FLOOR), _rounded(high, ROUND_CEILING)
    is_log = low > 0 and high / low > LOG_FROM
    kinds = {(True, True): "int_log_uniform", (True, False): "int", (False, True): "log_uniform"}
    return {"distribution": kinds.get((is_whole, is_log), "uniform"), "min": low, "max": high}


def _rounded(value: float, way: str) -> float:
    """The next number of three figures below or above; 0.1 stays 0.1."""
    return float(Context(prec=_FIGURES, rounding=way).create_decimal(repr(float(value))))
