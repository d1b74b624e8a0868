"""Two-level designs: which patterns of k factors are run, and which of their interactions cannot be told apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from dsbench.errors import InputError

WHOLE = 4  # factors up to which all patterns are run
ROMAN = {4: "IV", 5: "V"}  # resolutions; the higher one stands for itself and all above
_MOST = 12  # factors of the largest design that is looked for, as a power of two


@dataclass(frozen=True)
class Fraction:
    """A regular fraction of all patterns of several two-level factors, of 2**`base` runs.

    Run r, from 0, has factor j at its high level where r and `columns`[j] share an odd number of bits: run 0 has all at
    the low one. (Box and Hunter 1961, The 2^(k-p) Fractional Factorial Designs, Technometrics 3.)
    """

    base: int
    columns: tuple[int, ...]

    @property
    def runs(self) -> int:
        """How many patterns it has."""
        return 2**self.base

    @property
    def whole(self) -> bool:
        """Whether these are all patterns."""
        return self.base == len(self.columns)

    @cached_property
    def patterns(self) -> np.ndarray:
        """Which factors are at their high level: (runs, factors), booleans."""
        shared = np.arange(self.runs)[:, None] & np.array(self.columns, dtype=np.int64)
        return np.bitwise_count(shared) % 2 == 1

    @cached_property
    def resolution(self) -> int:
        """The fewest factors whose product is the same in all runs, a word of the defining relation; 5 for 5 and more.

        From 4 on main effects are clear of interactions of two factors, from 5 on these are clear of each other.
        """
        if len({*self.columns}) < len(self.columns) or 0 in self.columns:
            return 2
        products = [first ^ second for first, second in combinations(self.columns, 2)]
        if {*products} & {*self.columns}:
            return 3
        return 4 if len({*products}) < len(products) else 5

    @cached_property
    def chains(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """The interactions of two factors, numbers from 0, in groups of those that cannot be told apart; in order."""
        out: dict[int, list[tuple[int, int]]] = {}
        for first, second in combinations(range(len(self.columns)), 2):
            out.setdefault(self.columns[first] ^ self.columns[second], []).append((first, second))
        return tuple(map(tuple, out.values()))


def smallest_fraction(factors: int, most: int) -> Fraction:
    """The smallest design of `factors`, one or more, in which interactions of two are clear of each other.

    All patterns where there are WHOLE factors at the most. Where such a design has more than `most` runs, the smallest
    in which main effects are clear of them. Raises InputError where that has more too.
    """
    clear = next(filter(None, (_of(factors, base, 5) for base in range(1, _largest(most) + 1))), None)
    enough = clear or _clear_of_main_effects(factors)
    if enough is None or enough.runs > most:
        needed = f"{enough.runs:,} patterns" if enough else f"more than {2**_MOST:,} patterns"
        raise InputError(f"sensitivity.runs={most} is too few for {factors} slots: {needed} tell their effects apart")
    return enough


def _largest(most: int) -> int:
    return min(max(most, 1).bit_length() - 1, _MOST)


def _clear_of_main_effects(factors: int) -> Fraction | None:
    return next(filter(None, (_of(factors, base, 4) for base in range(1, _MOST + 1))), None)


def _of(factors: int, base: int, resolution: int) -> Fraction | None:
    """A design of 2**`base` runs and at least this `resolution`, 4 or 5; None where none is found.

    Half a design has the product of all factors but one as the last, which is the highest resolution. Else column by
    column: for 5 the first that makes no word of four, which of 16 runs to 256 finds as many factors as any linear code
    of distance 5 allows (5, 6, 8, 11 and 17; Conway and Sloane 1986, Lexicographic Codes); for 4, of those with an odd
    number of bits, which make no word of three, the one that makes the fewest of four.
    """
    if base > factors or (base == factors - 1 and factors < resolution):
        return None
    if base >= factors - 1:
        bits = [1 << bit for bit in range(base)]
        return Fraction(base, tuple([*bits, 2**base - 1][:factors]))
    candidates = [value for value in range(1, 2**base) if resolution == 5 or value.bit_count() % 2]
    columns: list[int] = []
    products: set[int] = set()
    triples: Counter[int] = Counter()
    while len(columns) < factors:
        free = [value for value in candidates if value not in products and value not in columns]
        chosen = min(free, key=lambda value: triples[value], default=None)
        if chosen is None or (resolution == 5 and triples[chosen]):
            return None
        triples.update(first ^ second ^ chosen for first, second in combinations(columns, 2))
        products.update(column ^ chosen for column in columns)
        columns.append(chosen)
    return Fraction(base, tuple(columns))
