"""Independent draws, or evenly spread ones, from a hash of the seed and the trial's number.

Nothing is drawn one after the other: each number of each parameter is a hash, so that trial 70 is
the same whoever asks for it, and adding a parameter does not change the values of the others.
SHA-256 stands for chance, since it is the same in every process and version of Python.

Source of the evenly spread ones: A. B. Owen, "A randomized Halton algorithm in R",
arXiv:1706.02808, 2017: digit j of trial n in base p, the prime of the parameter, goes through a
random permutation of its own. SciPy's Sobol points need SciPy (35 MB, and 0.3 s to import) and
are balanced only in powers of two of trials, which sweeps seldom have.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

from podstack.parameters import JsonValue
from podstack.sweeps.grid import check_number
from podstack.sweeps.records import TrialRecord
from podstack.sweeps.space import SearchSpace

_BITS = 53  # of a float64 between 0 and 1


class RandomSearch:
    """The strategy `random`. What was seen changes nothing.

    Args:
        quasi: spread the trials evenly (a scrambled Halton sequence) instead of independently.
    """

    def __init__(self, space: SearchSpace, seed: int, *, quasi: bool = False) -> None:
        self.size: int | None = None
        self._space, self._seed, self._quasi = space, seed, quasi

    def suggest(self, number: int, seen: Sequence[TrialRecord]) -> dict[str, JsonValue]:
        check_number(number)
        return drawn(self._space, lambda name: self.unit(number, name))

    def unit(self, number: int, name: str) -> float:
        """The number in (0, 1) that decides a parameter of a trial."""
        if self._quasi:
            return scrambled_halton(self._seed, number, self._bases[name])
        return unit_of(self._seed, number, name)

    @cached_property
    def _bases(self) -> dict[str, int]:
        names = self._space.drawing_order
        return dict(zip(names, _primes(len(names)), strict=True))


def drawn(space: SearchSpace, unit: Callable[[str], float]) -> dict[str, JsonValue]:
    """A value for each active parameter, from numbers in (0, 1)."""
    chosen: dict[str, JsonValue] = {}
    for name in space.drawing_order:
        if space.is_active(name, chosen):
            chosen[name] = space.distributions[name].at(unit(name))
    return space.in_order(chosen)


def hashed(*parts: int | str) -> int:
    """256 bits that depend on the parts and on nothing else."""
    text = "\0".join(str(part) for part in parts)  # no name holds a NUL
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def unit_of(*parts: int | str) -> float:
    """A number in (0, 1), both ends left out, that looks drawn."""
    return ((hashed(*parts) >> (256 - _BITS)) + 0.5) / (1 << _BITS)


def scrambled_halton(seed: int, number: int, base: int) -> float:
    """The radical inverse of `number` in a prime base, each digit permuted at random."""
    unit, weight, place = 0.0, 1.0, 0
    while weight * (1 << _BITS) >= 1:
        number, digit = divmod(number, base)
        weight /= base
        unit += weight * _permutation(seed, base, place)[digit]
        place += 1
    return min(max(unit, 2.0**-54), 1 - 2.0**-53)


@lru_cache(maxsize=4096)
def _permutation(seed: int, base: int, place: int) -> tuple[int, ...]:
    """The digits of `base`, shuffled by their hashes."""
    return tuple(sorted(range(base), key=lambda digit: hashed(seed, "halton", base, place, digit)))


def _primes(count: int) -> list[int]:
    known: list[int] = []
    candidates = itertools.count(2)
    while len(known) < count:
        candidate = next(candidates)
        if all(candidate % prime for prime in known):
            known.append(candidate)
    return known
