"""From what users log as a metric to exact float64 values under flat names.

Accepted: Python numbers and bools, and whatever holds exactly one number and says so with
`.item()` or `__float__`: numpy scalars, torch, tensorflow and jax 0-d values, Decimal, Fraction.
Nested dicts flatten with `/`. Everything else is refused by name, and nothing of its call is
stored.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

from podstack.errors import UsageError, WrongTypeError
from podstack.names import check_name, short

MAX_DEPTH = 32  # nested dicts; deeper ones are a cycle or a mistake
_INT64 = 1 << 63


def flat_scalars(values: object) -> dict[str, float]:
    """`values` as `{name: float}`.

    Raises:
        WrongTypeError: `values` is no mapping, or one of them is not a scalar; it is named.
        UsageError: a name is empty, too long or not text, a number is beyond float64, or the
            dicts nest deeper than 32.
    """
    if not isinstance(values, Mapping):
        raise WrongTypeError(
            f"log_metrics takes a dict of names and numbers, not {short(values)}. "
            "Write run.log_metrics({'loss': loss}, step=step)."
        )
    return {name: scalar(name, value) for name, value in _flatten("", values, MAX_DEPTH)}


def scalar(name: str, value: Any) -> float:
    """`value` as the float64 it stands for; NaN and infinities are values too.

    Raises:
        WrongTypeError: it is not one real number.
        UsageError: it is a number that float64 cannot hold.
    """
    if isinstance(value, (str, bytes, bytearray, complex)) or value is None:
        raise _not_a_scalar(name, value)
    try:
        item = value if isinstance(value, (int, float)) else _item(value)
        return float(item)
    except OverflowError:
        raise UsageError(
            f"Metric {short(name)} is {short(value)}, which float64 cannot hold."
        ) from None
    except Exception as error:  # a foreign __float__ may raise anything
        raise _not_a_scalar(name, value) from error


def whole_step(step: Any) -> int:
    """`step` as an int64.

    Raises:
        WrongTypeError: it is not a whole number.
        UsageError: it is beyond int64.
    """
    try:
        number = operator.index(step)
    except Exception:  # noqa: BLE001  # a foreign __index__ may raise anything
        number = _whole_float(step)
    if not -_INT64 <= number < _INT64:
        raise UsageError(f"step {short(step)} is beyond int64; steps run from -2**63 to 2**63 - 1.")
    return number


def _whole_float(step: Any) -> int:
    try:
        as_float = None if isinstance(step, (str, bytes, complex)) else float(step)
    except Exception:  # noqa: BLE001  # a foreign __float__ may raise anything
        as_float = None
    if as_float is None or not as_float.is_integer():
        raise WrongTypeError(
            f"step must be a whole number, not {short(step)}. Write step=epoch or step=global_step."
        )
    return int(as_float)


def _item(value: Any) -> Any:
    """The one Python number inside an array-like; arrays of more raise here."""
    item = getattr(value, "item", None)
    found = item() if callable(item) else value
    if isinstance(found, (str, bytes, complex)):
        raise TypeError("not a real number")
    return found


def _flatten(prefix: str, values: Mapping[Any, Any], depth: int) -> Iterator[tuple[str, Any]]:
    if not depth:
        raise UsageError(
            f"Metrics nest more than {MAX_DEPTH} deep at {short(prefix)}: is one inside itself?"
        )
    for key, value in values.items():
        name = prefix + check_name("metric", key)
        if isinstance(value, Mapping):
            yield from _flatten(f"{name}/", value, depth - 1)
        else:
            yield check_name("metric", name), value


def _not_a_scalar(name: str, value: object) -> WrongTypeError:
    return WrongTypeError(
        f"Metric {short(name)} is {short(value)}, not a number. Metrics are single numbers; "
        "log text with log_params or set_notes, and arrays as artifacts or one number each."
    )
