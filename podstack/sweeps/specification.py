"""From what a user writes for one parameter to its distribution.

    {"min": 1e-4, "max": 1e-1, "distribution": "log_uniform"}
    {"min": 1, "max": 8}                                two ints: whole numbers
    {"values": ["adam", "sgd"], "probabilities": [0.7, 0.3]}
    {"type": "loguniform", "min": 1e-4, "max": 1e-1}    the published SDK's spelling
    0.9                                                 a constant

Numbers may be numpy's. Whatever is not understood is refused with the parameter's name, what
would be accepted, and the nearest known word; nothing is guessed, and nothing that is code is
ever called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any

from podstack.errors import UsageError, WrongTypeError
from podstack.names import check_text, short
from podstack.parameters import JsonValue
from podstack.sweeps.distributions import (
    Categorical,
    Constant,
    Distribution,
    IntLogUniform,
    IntUniform,
    LogNormal,
    LogUniform,
    Normal,
    QUniform,
    Uniform,
)

_OTHER_WORDS = {
    "loguniform": "log_uniform",
    "log_uniform_values": "log_uniform",
    "int_uniform": "int",
    "choice": "categorical",
}
_MAX_TEXT = 10_000  # characters of one value


def is_specification(written: Mapping[Any, Any]) -> bool:
    """Whether a dict describes one parameter, rather than a group of them.

    It does if one of its keys is a word of this language and holds no dict: so a group may have
    parameters that are called `min` or `type`, written as dicts.
    """
    return any(key in _WORDS and not isinstance(written[key], Mapping) for key in written)


def distribution_of(written: object) -> Distribution:
    """The distribution that one parameter is given, `when` left out.

    Raises:
        WrongTypeError: something in it is of a type that cannot be meant.
        UsageError: it describes no distribution. Neither message names the parameter.
    """
    if not isinstance(written, Mapping):
        return Constant(json_scalar("the value", written))
    given = {key: value for key, value in written.items() if key != "when"}
    kind = _kind(given)
    read, keys = _KINDS[kind]
    known = {*keys, "distribution", "type"}
    for key in given:
        if key not in known:
            raise UsageError(
                f"{short(key)} means nothing for {kind!r}, which takes {', '.join(keys)}."
                f"{_nearest(key, known)}"
            )
    return read({key: given[key] for key in keys if key in given})


def _kind(given: Mapping[Any, Any]) -> str:
    if "distribution" in given and "type" in given:
        raise UsageError("both 'distribution' and 'type' are given. Keep 'distribution'.")
    named = given.get("distribution", given.get("type"))
    if named is None:
        return _guessed_from_keys(given)
    if not isinstance(named, str):
        raise WrongTypeError(f"the distribution is a name, not {short(named)}. {_all_kinds()}")
    kind = _OTHER_WORDS.get(named, named)
    if kind not in _KINDS:
        raise UsageError(
            f"no distribution is called {short(named)}. {_all_kinds()}{_nearest(named, _KINDS)}"
        )
    return kind


def _guessed_from_keys(given: Mapping[Any, Any]) -> str:
    if "values" in given:
        return "categorical"
    if "value" in given:
        return "constant"
    if "mu" in given or "sigma" in given:
        raise UsageError("mu and sigma need a 'distribution': 'normal' or 'log_normal'.")
    if "min" not in given and "max" not in given:
        raise UsageError(
            f"{short(dict(given))} says neither min and max, nor values, nor value."
            f"{_nearest(next(iter(given), ''), _WORDS)}"
        )
    if given.get("q") is not None:
        return "q_uniform"
    whole = all(_is_whole(given.get(bound)) for bound in ("min", "max"))
    return "int" if whole else "uniform"


def _is_whole(value: object) -> bool:
    plain = _plain(value)
    return isinstance(plain, int) and not isinstance(plain, bool)


def _all_kinds() -> str:
    return f"There are {', '.join(_KINDS)}."


def _nearest(word: object, known: Iterable[str]) -> str:
    near = get_close_matches(str(word)[:100], sorted(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


# Values --------------------------------------------------------------------------------------


def json_scalar(what: str, value: object) -> JsonValue:
    """`value` as the text, number, bool or None that it is; numpy's scalars as Python's.

    Raises:
        WrongTypeError: it is something else.
        UsageError: it is NaN, infinite, a whole number beyond 64 bits, or a text that is too long
            or cannot be stored.
    """
    plain = _plain(value)
    if plain is None or isinstance(plain, bool):
        return plain
    if isinstance(plain, str):
        return _text(what, plain)
    if isinstance(plain, int):
        return _whole_number(what, plain)
    if isinstance(plain, float):
        return _finite(what, plain)
    raise WrongTypeError(
        f"{what} is {short(value)}. A parameter is a text, a number, a bool or None; write a list "
        "or an object as a text, and give it its meaning in the training."
    )


def _plain(value: Any) -> Any:
    """Python's own type instead of a subclass of it or of a numpy scalar."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()
    for own in (bool, int, float):
        if isinstance(value, own):
            return own(value)
    return str.__str__(value) if isinstance(value, str) else value


def _text(what: str, text: str) -> str:
    if len(text) > _MAX_TEXT:
        raise UsageError(
            f"{what} has {len(text)} characters; at most {_MAX_TEXT:,}. Give it a short name."
        )
    return check_text(what, text)


def _whole_number(what: str, number: int) -> int:
    if not -(1 << 63) <= number < 1 << 63:
        raise UsageError(f"{what} is {short(number)}, beyond 64 bits. Write it as a text.")
    return number


def _finite(what: str, number: float) -> float:
    if number != number or number in (float("inf"), float("-inf")):
        raise UsageError(f"{what} is {number!r}, which is no JSON. Write it as a text.")
    return number


def _number(given: Mapping[str, object], key: str) -> float:
    if key not in given:
        raise UsageError(f"{key} is missing. {' and '.join(repr(k) for k in given)} alone say "
                         "too little.")  # fmt: skip
    value = _plain(given[key])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WrongTypeError(f"{key} is {short(given[key])}, not a number.")
    if isinstance(value, int):
        _whole_number(key, value)
    return value


def _whole(given: Mapping[str, object], key: str) -> int:
    value = _number(given, key)
    if value != value or not float(value).is_integer():
        raise UsageError(f"{key} is {value!r}, not a whole number. Use 'uniform' or 'q_uniform'.")
    return int(value)


def _float(given: Mapping[str, object], key: str) -> float:
    return float(_number(given, key))


def _count(given: Mapping[str, object]) -> int | None:
    return None if given.get("count") is None else _whole(given, "count")


def _q(given: Mapping[str, object]) -> float | None:
    return None if given.get("q") is None else _number(given, "q")


# One reader for each distribution ------------------------------------------------------------


def _uniform(given: Mapping[str, object]) -> Distribution:
    return Uniform(_float(given, "min"), _float(given, "max"), _count(given))


def _log_uniform(given: Mapping[str, object]) -> Distribution:
    return LogUniform(_float(given, "min"), _float(given, "max"), _q(given), _count(given))


def _ints(made: Callable[[int, int, int | None], Distribution], given: Mapping[str, object]) -> (
    Distribution
):  # fmt: skip
    return made(_whole(given, "min"), _whole(given, "max"), _count(given))


def _q_uniform(given: Mapping[str, object]) -> Distribution:
    low, high, q = (_number(given, key) for key in ("min", "max", "q"))
    return QUniform(low, high, q, _count(given))


def _bell(
    made: Callable[[float, float, float | None, int | None], Distribution],
    given: Mapping[str, object],
) -> Distribution:
    return made(_float(given, "mu"), _float(given, "sigma"), _q(given), _count(given))


def _categorical(given: Mapping[str, object]) -> Distribution:
    values = _list("values", given.get("values"))
    shares = given.get("probabilities")
    return Categorical(
        tuple(json_scalar("one of the values", value) for value in values),
        None if shares is None else tuple(_probability(s) for s in _list("probabilities", shares)),
    )


def _probability(share: object) -> float:
    return _float({"a probability": share}, "a probability")


def _list(key: str, values: Any) -> list[Any]:
    if type(values).__module__ == "numpy" and len(getattr(values, "shape", ())) == 1:
        return values.tolist()  # type: ignore[no-any-return]
    if isinstance(values, (list, tuple, range)):
        return list(values)
    raise WrongTypeError(f"{key} is {short(values)}. Write a list: {{'{key}': [… , …]}}.")


def _constant(given: Mapping[str, object]) -> Distribution:
    if "value" not in given:
        raise UsageError("value is missing.")
    return Constant(json_scalar("the value", given["value"]))


_Reader = Callable[[Mapping[str, object]], Distribution]
_KINDS: dict[str, tuple[_Reader, tuple[str, ...]]] = {
    "uniform": (_uniform, ("min", "max", "count")),
    "log_uniform": (_log_uniform, ("min", "max", "q", "count")),
    "int": (partial(_ints, IntUniform), ("min", "max", "count")),
    "int_log_uniform": (partial(_ints, IntLogUniform), ("min", "max", "count")),
    "q_uniform": (_q_uniform, ("min", "max", "q", "count")),
    "normal": (partial(_bell, Normal), ("mu", "sigma", "q", "count")),
    "log_normal": (partial(_bell, LogNormal), ("mu", "sigma", "q", "count")),
    "categorical": (_categorical, ("values", "probabilities")),
    "constant": (_constant, ("value",)),
}
_WORDS = frozenset(key for _, keys in _KINDS.values() for key in keys) | {"distribution", "type"}
