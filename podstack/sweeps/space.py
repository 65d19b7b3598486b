"""The search space of a sweep: its parameters, their distributions and conditions, its grid.

    SearchSpace.parse({
        "optimizer": {"values": ["adam", "sgd"]},
        "momentum": {"min": 0.0, "max": 0.99, "count": 4, "when": {"optimizer": "sgd"}},
        "model": {"depth": {"min": 2, "max": 8}},
    })

Names are flat inside, `model/depth`, and nested outside as the user wrote them. A parameter with
`when` is there only where the one categorical that it names has that value, or one of a list;
that one may be conditional itself. A `when` in a group holds for all of it.

A space is a value: two that are written alike are equal, `as_json` gives its one canonical
spelling, and nothing of it is ever multiplied out. A grid of 2^300 points is as cheap as one of 8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from podstack.errors import UsageError, WrongTypeError
from podstack.names import check_name, short
from podstack.parameters import JsonValue
from podstack.sweeps.conditions import Condition, check_conditions, condition_of
from podstack.sweeps.distributions import Distribution
from podstack.sweeps.grid_points import GridPoints
from podstack.sweeps.specification import distribution_of, is_specification

_MAX_DEPTH = 32  # nested groups; deeper ones are a cycle or a mistake


class Parameter(NamedTuple):
    """One parameter: where the user wrote it, what it may be, and when it is there."""

    path: tuple[str, ...]
    distribution: Distribution
    when: Condition | None = None

    @property
    def name(self) -> str:
        return "/".join(self.path)


@dataclass(frozen=True)
class SearchSpace:
    """What a sweep searches. Made by `parse`, which checks it."""

    parameters: tuple[Parameter, ...]

    @classmethod
    def parse(cls, parameters: Mapping[str, Any]) -> SearchSpace:
        """The space that a user, or a store, wrote.

        Raises:
            WrongTypeError: it is no dict of texts, or a value is of a type that cannot be meant.
            UsageError: it makes no sense. Both name the parameter and say the fix.
        """
        if isinstance(parameters, SearchSpace):
            return parameters
        if not isinstance(parameters, Mapping):
            raise WrongTypeError(
                f"parameters is {short(parameters)}. Write a dict of names and distributions: "
                "{'lr': {'min': 0.001, 'max': 0.1}}."
            )
        space = cls(tuple(_parameters((), parameters, None)))
        if not space.parameters:
            raise UsageError("The search space has no parameters. Give at least one.")
        _check_names(space)
        check_conditions({p.name: (p.distribution, p.when) for p in space.parameters})
        return space

    def as_json(self) -> dict[str, Any]:
        """The canonical spelling, in the order of the user; `parse` gives the same space."""
        written: dict[str, Any] = {}
        for parameter in self.parameters:
            conditions = {} if parameter.when is None else {"when": parameter.when.as_json()}
            _put(written, parameter.path, {**parameter.distribution.as_json(), **conditions})
        return written

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Flat names, in the order in which the user wrote them."""
        return tuple(self._by_name)

    @cached_property
    def _by_name(self) -> dict[str, Parameter]:
        return {parameter.name: parameter for parameter in self.parameters}

    @cached_property
    def distributions(self) -> Mapping[str, Distribution]:
        """Flat name → distribution."""
        return {name: parameter.distribution for name, parameter in self._by_name.items()}

    @cached_property
    def conditions(self) -> Mapping[str, Condition]:
        """Flat name → condition, of those parameters that have one."""
        return {n: p.when for n, p in self._by_name.items() if p.when is not None}

    @cached_property
    def drawing_order(self) -> tuple[str, ...]:
        """All names, each after the one that it depends on."""
        return tuple(sorted(self.names, key=self._depth))  # stable, so the user's order otherwise

    def _depth(self, name: str) -> int:
        when = self.conditions.get(name)
        return 0 if when is None else 1 + self._depth(when.name)

    def is_active(self, name: str, chosen: Mapping[str, JsonValue]) -> bool:
        """Whether a parameter is there, given the values of those before it in `drawing_order`."""
        when = self.conditions.get(name)
        return when is None or (when.name in chosen and when.allows(chosen[when.name]))

    def in_order(self, flat: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """`flat` in the order in which the user wrote the parameters."""
        return {name: flat[name] for name in self.names if name in flat}

    @cached_property
    def _grid(self) -> GridPoints:
        return GridPoints(self.distributions, self.conditions)

    @property
    def size(self) -> int | None:
        """How many points a grid has; None where a range has no count."""
        return None if self.without_count else self._grid.size

    @cached_property
    def without_count(self) -> tuple[str, ...]:
        """The parameters that keep the space from having a grid: continuous, and no `count`."""
        return tuple(n for n, each in self.distributions.items() if each.points is None)

    def grid_point(self, index: int) -> dict[str, JsonValue]:
        """Point `index` of the grid, from 0: flat names, the last one runs fastest.

        Each of the `size` points comes once. The order depends on the space alone.

        Raises:
            UsageError: the space has no grid, or not so many points.
        """
        self.check_grid()
        if not 0 <= index < self._grid.size:
            raise UsageError(
                f"The grid has {short(self._grid.size)} points, so there is no point "
                f"{short(index)}: they are numbered from 0."
            )
        return self.in_order(self._grid.point(index))

    def check_grid(self) -> None:
        """Raise a UsageError that names the parameters which have no points of a grid."""
        if self.without_count:
            name = short(self.without_count[0])
            more = len(self.without_count) - 1
            raise UsageError(
                f"Parameter {name}{f' (and {more} more)' if more else ''} is a continuous range, "
                "which has no grid. Give it a 'count', for instance 'count': 5, or a 'q', or list "
                "'values'; or use the strategy 'random' or 'bayesian'."
            )

    def nested(self, flat: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Parameters as the user nested them; unknown names stay as they are."""
        written: dict[str, Any] = {}
        for name, value in flat.items():
            known = self._by_name.get(name)
            _put(written, known.path if known else (name,), value)
        return written

    def contains(self, flat: Mapping[str, JsonValue]) -> bool:
        """Whether these are the parameters of a possible trial: all active ones and no others."""
        active = [name for name in self.drawing_order if self.is_active(name, flat)]
        return set(active) == set(flat) and all(
            self.distributions[name].contains(flat[name]) for name in active
        )


def _parameters(
    above: tuple[str, ...], written: Mapping[Any, Any], when: Condition | None
) -> Iterator[Parameter]:
    if len(above) > _MAX_DEPTH:
        raise UsageError(
            f"Parameters nest more than {_MAX_DEPTH} deep at {short('/'.join(above))}: "
            "does one hold itself?"
        )
    for key, value in written.items():
        path = (*above, check_name("parameter", key))
        name = check_name("parameter", "/".join(path))
        if isinstance(value, Mapping) and not is_specification(value):
            yield from _group(path, value, when)
        else:
            yield _parameter(path, name, value, when)


def _group(
    path: tuple[str, ...], written: Mapping[Any, Any], outer: Condition | None
) -> Iterator[Parameter]:
    name = short("/".join(path))
    members = dict(written)
    try:
        own = condition_of(members.pop("when")) if _has_condition(written) else None
    except UsageError as error:
        raise type(error)(f"Group {name}: {error}") from None
    if not members:
        raise UsageError(
            f"Parameter {name} is an empty dict. Give it min and max, values or a value; "
            "or leave it out."
        )
    if own and outer:
        raise _twice_conditional(name)
    yield from _parameters(path, members, own or outer)


def _has_condition(group: Mapping[Any, Any]) -> bool:
    """Whether a group's `when` is a condition, and not a parameter or a group of that name."""
    when = group.get("when")
    return isinstance(when, Mapping) and not is_specification(when) and not any(
        isinstance(value, Mapping) for value in when.values()
    )  # fmt: skip


def _parameter(
    path: tuple[str, ...], name: str, written: object, outer: Condition | None
) -> Parameter:
    try:
        given = isinstance(written, Mapping) and written.get("when") is not None
        own = condition_of(written["when"]) if given else None  # type: ignore[index]
        distribution = distribution_of(written)
    except UsageError as error:
        raise type(error)(f"Parameter {short(name)}: {error}") from None
    if own and outer:
        raise _twice_conditional(short(name))
    return Parameter(path, distribution, own or outer)


def _twice_conditional(name: str) -> UsageError:
    return UsageError(
        f"Parameter {name} has a 'when', and so has a group around it. Keep one: make the "
        "parameter that it names conditional instead."
    )


def _check_names(space: SearchSpace) -> None:
    known = set()
    for parameter in space.parameters:
        if parameter.name in known:
            raise UsageError(
                f"Parameter {short(parameter.name)} is there twice: once nested and once with a "
                "'/' in its name. Keep one."
            )
        known.add(parameter.name)
    for name in known:
        parts = name.split("/")
        above = next(("/".join(parts[:n]) for n in range(1, len(parts))
                      if "/".join(parts[:n]) in known), None)  # fmt: skip
        if above is not None:
            raise UsageError(
                f"Parameter {short(above)} has a value and, as {short(name)} says, parameters "
                "below it. Rename one."
            )


def _put(written: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for part in path[:-1]:
        written = written.setdefault(part, {})
    written[path[-1]] = value
