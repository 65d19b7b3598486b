"""When a parameter is there at all: where one other, a categorical, has one of certain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from podstack.errors import UsageError, WrongTypeError
from podstack.names import check_name, short
from podstack.parameters import JsonValue
from podstack.sweeps.distributions import Categorical, Distribution
from podstack.sweeps.specification import json_scalar

_MAX_CHAIN = 32  # conditions that hang on one another


class Condition(NamedTuple):
    """The flat name of a categorical parameter, and the values of it that are meant."""

    name: str
    values: tuple[JsonValue, ...]

    def allows(self, value: JsonValue) -> bool:
        """Whether `value` is one of them; True, 1 and 1.0 are three values."""
        return any(type(each) is type(value) and each == value for each in self.values)

    def as_json(self) -> dict[str, Any]:
        return {self.name: list(self.values)}


def condition_of(written: object) -> Condition:
    """What a `when` says.

    Raises:
        WrongTypeError: it is no dict, or what it names is no name and no value.
        UsageError: it names no parameter, or more than one.
    """
    if not isinstance(written, Mapping):
        raise WrongTypeError(f"when is {short(written)}. Write {{'when': {{'optimizer': 'sgd'}}}}.")
    if len(written) != 1:
        raise UsageError(
            f"when names {len(written)} parameters. Name one; for more, make that one conditional "
            "itself."
        )
    ((name, values),) = written.items()
    listed = values if isinstance(values, (list, tuple)) else [values]
    if not listed:
        raise UsageError("when lists no value. Give at least one, or leave the parameter out.")
    return Condition(
        check_name("parameter", name), tuple(json_scalar("a value in when", v) for v in listed)
    )


def check_conditions(given: Mapping[str, tuple[Distribution, Condition | None]]) -> None:
    """Refuse conditions on what does not exist, is no categorical, or depends on itself."""
    for name, (_, when) in given.items():
        if when is not None:
            _check_parent(name, when, given)
    for name in given:
        _check_chain(name, given)


def _check_parent(
    name: str, when: Condition, given: Mapping[str, tuple[Distribution, Condition | None]]
) -> None:
    if when.name not in given:
        near = ", ".join(short(other) for other in _nearest(when.name, given))
        raise UsageError(
            f"Parameter {short(name)}: when names {short(when.name)}, which is no parameter. "
            f"Write its whole name{f'; nearest: {near}' if near else ''}."
        )
    parent = given[when.name][0]
    if not isinstance(parent, Categorical):
        raise UsageError(
            f"Parameter {short(name)}: when names {short(when.name)}, which is no list of values. "
            "Only a parameter with 'values' can be a condition."
        )
    for value in when.values:
        if not parent.contains(value):
            raise UsageError(
                f"Parameter {short(name)}: {short(when.name)} is never {short(value)}. "
                f"It has {short(list(parent.values))}."
            )


def _nearest(name: str, known: Mapping[str, object]) -> list[str]:
    from difflib import get_close_matches  # only where something is already wrong

    return get_close_matches(name[:100], list(known), n=3, cutoff=0.4)


def _check_chain(name: str, given: Mapping[str, tuple[Distribution, Condition | None]]) -> None:
    chain = [name]
    while (when := given[chain[-1]][1]) is not None:
        if when.name in chain:
            circle = " → ".join(short(each) for each in [*chain, when.name])
            raise UsageError(f"Conditions go in a circle: {circle}. Leave one out.")
        if len(chain) > _MAX_CHAIN:
            raise UsageError(
                f"Parameter {short(name)} hangs on more than {_MAX_CHAIN} conditions. Use fewer."
            )
        chain.append(when.name)
