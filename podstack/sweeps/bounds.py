"""What the arguments of a distribution have to be: the checks, each with the fix in its message."""

from __future__ import annotations

import math
from collections.abc import Sequence

from podstack.errors import UsageError
from podstack.names import short

MAX_WHOLE = 1 << 53  # beyond it float64, and so JavaScript and Optuna, skip whole numbers
MAX_MATERIALISED = 100_000  # points of a grid that have to be computed to know how many they are


def check_range(low: float, high: float) -> None:
    for name, bound in (("min", low), ("max", high)):
        if not math.isfinite(bound):
            raise UsageError(f"{name} is {bound!r}. A bound is a finite number.")
    if low >= high:
        raise UsageError(
            f"min {low!r} is not below max {high!r}. Give the smaller one as min; "
            f"for one value only write {{'value': {low!r}}}."
        )
    if not math.isfinite(high - low):
        raise UsageError(
            f"max {high!r} - min {low!r} is beyond float64. Use smaller bounds, or 'log_uniform'."
        )


def check_whole_range(low: int, high: int) -> None:
    if max(abs(low), abs(high)) > MAX_WHOLE:
        raise UsageError(
            f"min {short(low)} and max {short(high)} go beyond ±2**53, where float64 skips whole "
            "numbers. Use smaller bounds, or search over the exponent."
        )
    check_range(low, high)


def check_log(low: float) -> None:
    if low <= 0:
        raise UsageError(
            f"min {low!r} has no logarithm. Give a min above 0, or use 'uniform' or 'int'; "
            "bounds are values, not exponents."
        )


def check_count(count: int | None, values: int | None = None) -> None:
    if count is None:
        return
    if count < 2:
        raise UsageError(
            f"count is {short(count)}. A grid of a range has at least 2 points; "
            "for one write {'value': …}."
        )
    if values is not None and count > values:
        raise UsageError(
            f"count is {short(count)}, but there are only {values} values. Leave count out "
            "to have them all."
        )


def check_distinct(low: float, high: float, count: int | None) -> None:
    if count is None:
        return
    step = (high - low) / (count - 1)
    if low + step == low or high - step == high:
        raise UsageError(
            f"count {short(count)} sets points closer together than float64 can tell. Use fewer."
        )


def check_step(q: float) -> None:
    if not math.isfinite(q) or q <= 0:
        raise UsageError(f"q is {q!r}. It is the distance of two values, a number above 0.")


def check_bell(mu: float, sigma: float, q: float | None, count: int | None) -> None:
    if not math.isfinite(mu):
        raise UsageError(f"mu is {mu!r}. It is the middle, a finite number.")
    if not math.isfinite(sigma) or sigma <= 0:
        raise UsageError(f"sigma is {sigma!r}. It is the standard deviation, a number above 0.")
    if q is not None:
        check_step(q)
    check_count(count)
    bounded(count)


def check_probabilities(probabilities: Sequence[float], values: int) -> None:
    if len(probabilities) != values:
        raise UsageError(
            f"there are {values} values and {len(probabilities)} probabilities. Give one for each."
        )
    wrong = [share for share in probabilities if not 0 < share <= 1]
    if wrong:
        raise UsageError(
            f"a probability is {wrong[0]!r}. Each is above 0 and at most 1; leave out the value "
            "that shall never come."
        )
    total = math.fsum(probabilities)
    if abs(total - 1) > 1e-6:
        raise UsageError(
            f"the probabilities add up to {total:.6g}, not 1. Divide each by {total:.6g}."
        )


def bounded(count: int | None) -> int:
    """`count`, where all points have to be computed to know them."""
    if count is not None and count > MAX_MATERIALISED:
        raise UsageError(f"count is {short(count)}; at most {MAX_MATERIALISED:,} here. Use fewer.")
    return count or 0
