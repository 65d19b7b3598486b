"""What one parameter of a search space may be: a range, a bell curve, a list of values, a constant.

Each is a value without state: `at(u)` turns a number in [0, 1) into a value (the inverse of its
cumulative distribution, so every sampler serves all of them), `points` and `point(index)` are its
part of a grid, `contains` says whether a value could have come from it.

Logarithmic bounds are values, not exponents. A multiple of `q` is computed in decimals, so that
0.1 three times is 0.3; it is an int where `q` (and `min`, where there is one) are ints. A sampler
never leaves [min, max]; both ends belong to it.

Raises, throughout: UsageError where the arguments describe no distribution. The message says the
fix; whoever knows the parameter's name puts it in front (specification.py).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar, Protocol

from podstack.errors import UsageError
from podstack.names import short
from podstack.parameters import JsonValue
from podstack.sweeps.bounds import (
    MAX_WHOLE,
    bounded,
    check_bell,
    check_count,
    check_distinct,
    check_log,
    check_probabilities,
    check_range,
    check_step,
    check_whole_range,
)
from podstack.sweeps.spacing import (
    bell,
    below,
    distinct,
    exact,
    is_number,
    multiple,
    nearest_step,
    share,
    spread,
    within,
)

_WIDEST = 10  # sigmas; a draw beyond has a probability of 1e-23
_LARGEST_EXPONENT = 700.0  # exp(709.8) is the end of float64


class Distribution(Protocol):
    """All that strategies ask of a parameter."""

    kind: ClassVar[str]
    discrete: ClassVar[bool]  # whether its values can be counted

    @property
    def points(self) -> int | None:
        """How many points a grid has here; None for a continuous range without a `count`."""

    def point(self, index: int) -> JsonValue:
        """Point `index`, from 0, in ascending order, or in that of the list."""

    def at(self, unit: float) -> JsonValue:
        """The value below which a share of `unit`, 0 ≤ unit < 1, of all draws lie."""

    def contains(self, value: JsonValue) -> bool:
        """Whether `value` is one that `at` or `point` could give, its type included."""

    def as_json(self) -> dict[str, Any]:
        """The canonical spelling."""


class _Spelled:
    """The canonical spelling of a dataclass: its kind, and its fields that are not None."""

    kind: ClassVar[str]
    discrete: ClassVar[bool] = False

    def as_json(self) -> dict[str, Any]:
        given = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {
            "distribution": self.kind,
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, value in given.items()
                if value is not None or name == "value"
            },
        }


@dataclass(frozen=True)
class Uniform(_Spelled):
    """Any float from min to max, all equally likely; a grid has `count` evenly spaced ones."""

    min: float
    max: float
    count: int | None = None
    kind: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        check_range(self.min, self.max)
        check_count(self.count)
        check_distinct(self.min, self.max, self.count)

    @property
    def points(self) -> int | None:
        return self.count

    def point(self, index: int) -> float:
        last = (self.count or 2) - 1
        return self.max if index == last else self.at(index / last)

    def at(self, unit: float) -> float:
        return within(self.min + unit * (self.max - self.min), self.min, self.max)

    def contains(self, value: JsonValue) -> bool:
        return is_number(value) and self.min <= value <= self.max


@dataclass(frozen=True)
class LogUniform(_Spelled):
    """A float from min to max whose logarithm is uniform; a multiple of q, if that is given."""

    min: float
    max: float
    q: float | None = None
    count: int | None = None
    kind: ClassVar[str] = "log_uniform"

    def __post_init__(self) -> None:
        check_range(self.min, self.max)
        check_log(self.min)
        check_count(self.count)
        check_distinct(math.log(self.min), math.log(self.max), self.count)
        if self.q is not None:
            check_step(self.q)
            if self._highest < self._lowest:
                raise UsageError(
                    f"no multiple of q {self.q!r} lies between min {self.min!r} and max "
                    f"{self.max!r}. Use a smaller q."
                )

    @cached_property
    def _lowest(self) -> int:
        return math.ceil(exact(self.min) / exact(self.q or 1.0))

    @cached_property
    def _highest(self) -> int:
        return math.floor(exact(self.max) / exact(self.q or 1.0))

    @cached_property
    def _grid(self) -> tuple[JsonValue, ...]:
        return distinct(self.at(share(i, self.count)) for i in range(bounded(self.count)))

    @property
    def points(self) -> int | None:
        return len(self._grid) if self.q is not None and self.count else self.count

    def point(self, index: int) -> float:
        if self.q is not None:
            return self._grid[index]  # type: ignore[no-any-return]
        return self.at(share(index, self.count)) if index else self.min

    def at(self, unit: float) -> float:
        low, high = math.log(self.min), math.log(self.max)
        value = within(math.exp(low + unit * (high - low)), self.min, self.max)
        return self.nearest(value if unit < 1 else self.max)

    def nearest(self, value: float) -> float:
        """`value`, or the multiple of q in the range that is nearest to it."""
        if self.q is None:
            return value
        return multiple(within(nearest_step(value, self.q), self._lowest, self._highest), self.q)

    def contains(self, value: JsonValue) -> bool:
        return (
            is_number(value)
            and self.min <= value <= self.max
            and (self.q is None or bool(self.nearest(value) == value))
        )


@dataclass(frozen=True)
class IntUniform(_Spelled):
    """Any whole number from min to max; a grid has all of them, or `count` evenly spaced ones."""

    min: int
    max: int
    count: int | None = None
    kind: ClassVar[str] = "int"
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole_range(self.min, self.max)
        check_count(self.count, self.max - self.min + 1)

    @property
    def points(self) -> int:
        return self.count or self.max - self.min + 1

    def point(self, index: int) -> int:
        return self.min + spread(index, self.points, self.max - self.min + 1)

    def at(self, unit: float) -> int:
        return min(self.max, self.min + int(unit * (self.max - self.min + 1)))

    def contains(self, value: JsonValue) -> bool:
        return type(value) is int and self.min <= value <= self.max


@dataclass(frozen=True)
class IntLogUniform(_Spelled):
    """A whole number from min ≥ 1 to max whose logarithm is uniform, rounded.

    Each number has the share of its half-open neighbourhood, the ends included, as in Optuna.
    A grid has all numbers, or those next to `count` points that are evenly spaced in logarithms;
    fewer, where two of these share a number.
    """

    min: int
    max: int
    count: int | None = None
    kind: ClassVar[str] = "int_log_uniform"
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole_range(self.min, self.max)
        check_log(self.min)
        check_count(self.count, self.max - self.min + 1)

    @cached_property
    def _grid(self) -> tuple[JsonValue, ...]:
        low, high = math.log(self.min), math.log(self.max)
        shares = (share(index, self.count) for index in range(bounded(self.count)))
        return distinct(self._round(low + share * (high - low)) for share in shares)

    @property
    def points(self) -> int:
        return len(self._grid) if self.count else self.max - self.min + 1

    def point(self, index: int) -> int:
        return self._grid[index] if self.count else self.min + index

    def at(self, unit: float) -> int:
        low, high = math.log(self.min - 0.5), math.log(self.max + 0.5)
        return self._round(low + unit * (high - low))

    def _round(self, logarithm: float) -> int:
        return within(round(math.exp(logarithm)), self.min, self.max)

    def contains(self, value: JsonValue) -> bool:
        return type(value) is int and self.min <= value <= self.max


@dataclass(frozen=True)
class QUniform(_Spelled):
    """min, min + q, min + 2 q … up to max, all equally likely; ints where min and q are.

    A grid has all of them, or `count` evenly spaced ones.
    """

    min: float
    max: float
    q: float
    count: int | None = None
    kind: ClassVar[str] = "q_uniform"
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range(self.min, self.max)
        check_step(self.q)
        if self.steps == 1:
            raise UsageError(
                f"q {self.q!r} is larger than max - min. Use a smaller q, or {{'value': …}}."
            )
        if self.steps > MAX_WHOLE:
            raise UsageError(f"q {self.q!r} is too small for that range. Use 'uniform'.")
        check_count(self.count, self.steps)

    @cached_property
    def steps(self) -> int:
        """How many values there are."""
        return 1 + math.floor((exact(self.max) - exact(self.min)) / exact(self.q))

    @property
    def points(self) -> int:
        return self.count or self.steps

    def point(self, index: int) -> float:
        return self.step(spread(index, self.points, self.steps))

    def at(self, unit: float) -> float:
        return self.step(min(self.steps - 1, int(unit * self.steps)))

    def step(self, index: int) -> float:
        """Value `index` of all."""
        if isinstance(self.min, int) and isinstance(self.q, int):
            return self.min + index * self.q
        return float(exact(self.min) + index * exact(self.q))

    def index_of(self, value: float) -> int:
        """Which of all values is nearest to `value`."""
        return within(round((value - self.min) / self.q), 0, self.steps - 1)

    def contains(self, value: JsonValue) -> bool:
        return (
            is_number(value)
            and self.min <= value <= self.max
            and self.step(self.index_of(value)) == value
        )


@dataclass(frozen=True)
class _Bell(_Spelled):
    """What two bell curves share. A grid has the middles of `count` equally likely parts."""

    mu: float
    sigma: float
    q: float | None = None
    count: int | None = None

    @cached_property
    def _grid(self) -> tuple[JsonValue, ...]:
        parts = bounded(self.count)
        return distinct(self.at((index + 0.5) / parts) for index in range(parts))

    @property
    def points(self) -> int | None:
        return len(self._grid) if self.count else None

    def point(self, index: int) -> float:
        return self._grid[index]  # type: ignore[no-any-return]

    def at(self, unit: float) -> float:
        return self.nearest(self._on_curve(bell(unit, self.mu, self.sigma)))

    def _on_curve(self, drawn: float) -> float:
        """The value that a draw from the bell itself stands for."""
        return drawn

    def nearest(self, value: float) -> float:
        """`value`, or the multiple of q that is nearest to it."""
        return value if self.q is None else multiple(nearest_step(value, self.q), self.q)


@dataclass(frozen=True)
class Normal(_Bell):
    """A bell curve around mu with the standard deviation sigma; a multiple of q, if given.

    A grid has the middles of `count` equally likely parts.
    """

    kind: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        check_bell(self.mu, self.sigma, self.q, self.count)
        if not math.isfinite(_WIDEST * self.sigma + abs(self.mu)):
            raise UsageError(f"mu {self.mu!r} and sigma {self.sigma!r} go beyond float64.")

    def unit_of(self, value: float) -> float:
        """The share of draws below `value`, between 0 and 1: what `at` takes."""
        return below(value, self.mu, self.sigma)

    def contains(self, value: JsonValue) -> bool:
        return is_number(value) and math.isfinite(value) and self.nearest(value) == value


@dataclass(frozen=True)
class LogNormal(_Bell):
    """A value whose natural logarithm is a bell curve around mu; a multiple of q, if given."""

    kind: ClassVar[str] = "log_normal"

    def __post_init__(self) -> None:
        check_bell(self.mu, self.sigma, self.q, self.count)
        if _WIDEST * self.sigma + abs(self.mu) > _LARGEST_EXPONENT:
            raise UsageError(
                f"mu {self.mu!r} and sigma {self.sigma!r} are those of the logarithm and go beyond "
                f"float64: |mu| + {_WIDEST} sigma may be {_LARGEST_EXPONENT:.0f}. For values "
                "around 1000 write mu = math.log(1000)."
            )

    def _on_curve(self, drawn: float) -> float:
        return math.exp(drawn)

    def unit_of(self, value: float) -> float:
        """The share of draws below `value`, between 0 and 1: what `at` takes."""
        return below(math.log(value), self.mu, self.sigma) if value > 0 else 0.0

    def contains(self, value: JsonValue) -> bool:
        low = value > 0 or (value == 0 and self.q is not None) if is_number(value) else False
        return low and math.isfinite(value) and self.nearest(value) == value


@dataclass(frozen=True)
class Categorical(_Spelled):
    """One of a list of texts, numbers, bools and None, equally likely or as `probabilities` say.

    1, 1.0 and True are three values. Probabilities are shares of random draws; a grid has every
    value once, and a Bayesian search starts from them and then follows what it finds.
    """

    values: tuple[JsonValue, ...]
    probabilities: tuple[float, ...] | None = None
    kind: ClassVar[str] = "categorical"
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.values:
            raise UsageError("values is empty. List at least one.")
        if len(self._places) < len(self.values):
            raise UsageError(f"values holds {short(self._twice())} twice. List each value once.")
        if self.probabilities is not None:
            check_probabilities(self.probabilities, len(self.values))

    @cached_property
    def _places(self) -> dict[tuple[type, JsonValue], int]:
        return {(type(value), value): place for place, value in enumerate(self.values)}

    def _twice(self) -> JsonValue:
        places = enumerate(self.values)
        return next(value for place, value in places if self._places[type(value), value] != place)

    @cached_property
    def _ends(self) -> list[float]:
        return list(accumulate(self.probabilities or ()))

    @property
    def points(self) -> int:
        return len(self.values)

    def point(self, index: int) -> JsonValue:
        return self.values[index]

    def at(self, unit: float) -> JsonValue:
        count = len(self.values)
        place = (
            int(unit * count)
            if self.probabilities is None
            else bisect_right(self._ends, unit * self._ends[-1])
        )
        return self.values[min(place, count - 1)]

    def place_of(self, value: JsonValue) -> int:
        """The place of a value in the list, from 0."""
        return self._places[type(value), value]

    def contains(self, value: JsonValue) -> bool:
        hashable = isinstance(value, (str, int, float)) or value is None
        return hashable and (type(value), value) in self._places


@dataclass(frozen=True)
class Constant(_Spelled):
    """Always the same value."""

    value: JsonValue
    kind: ClassVar[str] = "constant"
    discrete: ClassVar[bool] = True

    @property
    def points(self) -> int:
        return 1

    def point(self, index: int) -> JsonValue:
        return self.value

    def at(self, unit: float) -> JsonValue:
        return self.value

    def contains(self, value: JsonValue) -> bool:
        return type(value) is type(self.value) and bool(value == self.value)
