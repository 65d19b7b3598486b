"""What is wrong with a sweep that is being written down on a page: where, and in which words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podstack.directions import direction_of
from podstack.errors import MissingExtraError, UsageError
from podstack.server.sweep_questions import exact
from podstack.sweeps.creating import Wanted, definition_of, problems
from podstack.sweeps.definition import Definition
from podstack.sweeps.space import SearchSpace
from podstack.sweeps.specification import is_specification

GRID = "grid"
_DEEPEST = 32  # groups, as in a search space
_NO_POINTS = "A grid needs points of it: say how many grid points, or list its values."


def defined(told: Mapping[str, Any], experiment: str) -> Definition:
    """The sweep that a body describes.

    Raises: as `definition_of`.
    """
    return definition_of(_wanted(told), experiment, (), [])


def checked(told: Mapping[str, Any]) -> dict[str, Any]:
    """What `sweeps/check` answers; nothing is stored."""
    wanted = _wanted(told)
    errors, fields = _parameter_errors(told), problems(wanted)
    trials = None if errors else _trials(told, wanted)
    if not errors and not fields:
        fields = _errors_together(wanted)
    direction = direction_of(wanted.objective_metric or "")
    return {"trials": exact(trials), "errors": errors, "fields": fields, "direction": direction}


def _wanted(told: Mapping[str, Any]) -> Wanted:
    return Wanted(**{name: _whole(told.get(name)) for name in Wanted._fields})


def _whole(value: Any) -> Any:
    """A form tells 20 as 20.0 at times."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _parameter_errors(told: Mapping[str, Any]) -> dict[str, str]:
    """By the parameters that are wrong alone, else as a whole."""
    try:
        space = SearchSpace.parse(told["parameters"])
    except UsageError as error:
        alone = {name: _error_of(name, spec) for name, spec in _leaves((), told["parameters"])}
        found = {name: text for name, text in alone.items() if text}
        return found or {"": str(error)}
    return dict.fromkeys(space.without_count, _NO_POINTS) if told.get("strategy") == GRID else {}


def _leaves(above: tuple[str, ...], group: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each parameter by its whole name."""
    for name, spec in group.items():
        path = (*above, name)
        is_group = isinstance(spec, Mapping) and spec and not is_specification(spec)
        if is_group and len(path) < _DEEPEST:
            yield from _leaves(path, spec)
        else:
            yield "/".join(path), spec


def _error_of(name: str, spec: Any) -> str:
    """What is wrong with one parameter, whatever the condition on another one says."""
    told = {k: v for k, v in spec.items() if k != "when"} if isinstance(spec, dict) else spec
    try:
        SearchSpace.parse({name: told})
    except UsageError as error:
        return str(error)
    return ""


def _errors_together(wanted: Wanted) -> dict[str, str]:
    """What only all arguments together show: that it cannot run here, or would never end."""
    try:
        definition_of(wanted, "", (), [])
    except MissingExtraError as error:
        return {"strategy": str(error)}
    except UsageError as error:
        return {"max_trials": str(error)}
    return {}


def _trials(told: Mapping[str, Any], wanted: Wanted) -> int | None:
    """How many trials a sweep with a good space has; None where nothing says so."""
    size = SearchSpace.parse(told["parameters"]).size if told.get("strategy") == GRID else None
    limit = wanted.max_trials if isinstance(wanted.max_trials, int) else None
    return min((count for count in (size, limit) if count is not None), default=None)
