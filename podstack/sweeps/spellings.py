"""Search spaces in the spelling of other tools, translated into ours.

What another tool means a little differently is said, one line for each parameter; what has no
equal here is refused with the nearest that there is. The result is checked like everything else:
by `SearchSpace.parse`.

Source: the sweep configuration of Weights & Biases, docs.wandb.ai, "Sweep configuration options".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from podstack.errors import UsageError, WrongTypeError
from podstack.names import short
from podstack.sweeps.bounds import MAX_WHOLE

_Given = Mapping[str, Any]
_Translated = tuple[dict[str, Any], str]  # ours, and what differs; empty where nothing does

_HALF_ENDS = "the two ends are as likely as the other values; W&B gives them half of that"


def from_wandb(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The `parameters` of a W&B sweep as ours.

    Returns:
        What `SearchSpace.parse` takes, and one line for each parameter that is drawn differently,
        with its name in front.

    Raises:
        WrongTypeError: it is no dict, or a parameter is none.
        UsageError: a distribution has no equal here, or lacks a bound; the parameter is named.
    """
    differences: list[str] = []
    return _group("", parameters, differences), differences


def _group(above: str, parameters: object, differences: list[str]) -> dict[str, Any]:
    if not isinstance(parameters, Mapping):
        raise WrongTypeError(
            f"{above or 'parameters'} is {short(parameters)}. Write a dict of parameters."
        )
    return {key: _parameter(f"{above}{key}", given, differences)
            for key, given in parameters.items()}  # fmt: skip


def _parameter(name: str, given: object, differences: list[str]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise WrongTypeError(
            f"Parameter {short(name)} is {short(given)}. In a W&B sweep it is a dict: "
            "{'value': …}, {'values': [… , …]} or {'min': …, 'max': …}."
        )
    if "parameters" in given:
        return _group(f"{name}/", given["parameters"], differences)
    try:
        ours, difference = _translated(given)
    except UsageError as error:
        raise type(error)(f"Parameter {short(name)}: {error}") from None
    if difference:
        differences.append(f"{name}: {difference}")
    return ours


def _translated(given: _Given) -> _Translated:
    kind = given.get("distribution") or _implied(given)
    if not isinstance(kind, str):
        raise WrongTypeError(f"the distribution is a name, not {short(kind)}.")
    if kind in _NONE:
        raise UsageError(f"W&B's {kind!r} has no equal here. Use {_NONE[kind]}.")
    if kind not in _KINDS:
        near = get_close_matches(str(kind)[:100], _KINDS, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"W&B knows no distribution {short(kind)}.{guess}")
    translate, keys = _KINDS[kind]
    for key in given:
        if key not in ("distribution", *keys):
            raise UsageError(f"{short(key)} means nothing for {kind!r}, which takes "
                             f"{', '.join(keys)}.")  # fmt: skip
    return translate(given)


def _implied(given: _Given) -> str:
    if "values" in given:
        return "categorical_w_probabilities" if "probabilities" in given else "categorical"
    if "value" in given:
        return "constant"
    bounds = [given.get(key) for key in ("min", "max")]
    whole = all(isinstance(bound, int) and not isinstance(bound, bool) for bound in bounds)
    return "int_uniform" if whole else "uniform"


def _copied(kind: str) -> Callable[[_Given], _Translated]:
    """The same words with the same meaning."""
    return lambda given: ({**given, "distribution": kind}, "")


def _exponents(given: _Given, sign: int = 1) -> tuple[float, float]:
    """Bounds that W&B gives as exponents of e, as values."""
    low, high = sorted(sign * bound for bound in _bounds(given))
    try:
        return math.exp(low), math.exp(high)
    except OverflowError:
        raise UsageError(
            f"e to the power of {high!r} is beyond float64: W&B's bounds are exponents here. "
            "Did you mean 'log_uniform_values'?"
        ) from None


def _bounds(given: _Given) -> tuple[float, float]:
    low, high = (_number(given, key) for key in ("min", "max"))
    if low >= high:
        raise UsageError(f"min {low!r} is not below max {high!r}. Give the smaller one as min.")
    return low, high


def _number(given: _Given, key: str, default: float | None = None) -> float:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WrongTypeError(f"{key} is {short(value)}, not a number.")
    return value


def _log(low: float, high: float) -> dict[str, Any]:
    return {"distribution": "log_uniform", "min": low, "max": high}


def _log_uniform(given: _Given) -> _Translated:
    return _log(*_exponents(given)), ""


def _inv_log_uniform(given: _Given) -> _Translated:
    return _log(*_exponents(given, -1)), ""


def _log_values(given: _Given) -> _Translated:
    return _log(*_bounds(given)), ""


def _q_log_uniform(given: _Given) -> _Translated:
    return _stepped_log(*_exponents(given), _number(given, "q", 1))


def _q_log_values(given: _Given) -> _Translated:
    return _stepped_log(*_bounds(given), _number(given, "q", 1))


def _stepped_log(low: float, high: float, q: float) -> _Translated:
    moved = "multiples of q beyond min and max, to which W&B may round, are left out"
    return {**_log(low, high), "q": q}, moved


def _q_uniform(given: _Given) -> _Translated:
    """W&B rounds a uniform number to multiples of q, ours begin at min and go in steps of q."""
    (low, high), q = _bounds(given), _number(given, "q", 1)
    if not 0 < q < math.inf or abs(low / q) > MAX_WHOLE or abs(high / q) > MAX_WHOLE:
        raise UsageError(f"q {q!r} does not fit min {low!r} and max {high!r}.")
    ends = [_rounded(bound, q) for bound in (low, high)]
    return {"distribution": "q_uniform", "min": ends[0], "max": ends[1], "q": q}, _HALF_ENDS


def _rounded(value: float, q: float) -> float:
    """The multiple of q next to a value, in as many decimals as q has."""
    from podstack.sweeps.spacing import multiple, nearest_step

    return multiple(nearest_step(value, q), q)


def _bell(kind: str, *, stepped: bool) -> Callable[[_Given], _Translated]:
    def translate(given: _Given) -> _Translated:
        ours = {"mu": _number(given, "mu", 0.0), "sigma": _number(given, "sigma", 1.0)}
        steps = {"q": _number(given, "q", 1)} if stepped else {}
        return {"distribution": kind, **ours, **steps}, ""

    return translate


_Kind = tuple[Callable[[_Given], _Translated], tuple[str, ...]]
_RANGE, _STEPS = ("min", "max"), ("min", "max", "q")
_KINDS: dict[str, _Kind] = {
    "constant": (_copied("constant"), ("value",)),
    "categorical": (_copied("categorical"), ("values", "probabilities")),
    "categorical_w_probabilities": (_copied("categorical"), ("values", "probabilities")),
    "int_uniform": (_copied("int"), _RANGE),
    "uniform": (_copied("uniform"), _RANGE),
    "q_uniform": (_q_uniform, _STEPS),
    "log_uniform": (_log_uniform, _RANGE),
    "log_uniform_values": (_log_values, _RANGE),
    "inv_log_uniform": (_inv_log_uniform, _RANGE),
    "inv_log_uniform_values": (_log_values, _RANGE),
    "q_log_uniform": (_q_log_uniform, _STEPS),
    "q_log_uniform_values": (_q_log_values, _STEPS),
    "normal": (_bell("normal", stepped=False), ("mu", "sigma")),
    "q_normal": (_bell("normal", stepped=True), ("mu", "sigma", "q")),
    "log_normal": (_bell("log_normal", stepped=False), ("mu", "sigma")),
    "q_log_normal": (_bell("log_normal", stepped=True), ("mu", "sigma", "q")),
}
_NONE = {
    "beta": "'uniform', or 'normal' with the middle and spread that you want",
    "q_beta": "'q_uniform', or 'normal' with a 'q'",
}
