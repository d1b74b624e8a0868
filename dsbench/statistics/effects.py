"""Effects of two-level factors on a response, and their interactions, by least squares over patterns and seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dsbench.statistics.means import Contrast, Interval

Term = tuple[int, ...]  # the factors, numbers from 0, whose product it is: one for an effect, two for an interaction
_SAME = 1e-9  # of the largest size: what differs by less differs by rounding


def columns(patterns: np.ndarray, terms: Sequence[Term]) -> np.ndarray:
    """The columns (patterns, 1 + terms) of a regression: the mean, then the product of the factors of each term.

    Of `patterns` (patterns, factors) True is 1/2 and False -1/2. So the coefficient of a factor is the difference that
    its high level makes, in the mean over the others' levels, and that of two is by how much the difference of the one
    changes when the other goes to its high level (Box, Hunter and Hunter 2005, Statistics for Experimenters, chapter 5,
    who halve interactions).
    """
    levels = np.where(patterns, 0.5, -0.5)
    return np.column_stack([np.ones(len(levels)), *(levels[:, list(term)].prod(axis=1) for term in terms)])


@dataclass(frozen=True)
class Effects:
    """What was fitted to the values of several patterns: the `mean`, and the coefficient of each of the `terms`.

    `inverse` is that of the cross products of the columns of all `n` values. `error` is the variance of values of one
    pattern, pooled over patterns, with `df` degrees of freedom; None where no pattern has two values.
    """

    terms: tuple[Term, ...]
    coefficients: np.ndarray
    inverse: np.ndarray
    n: int
    error: float | None
    df: int

    def of(self, term: Term) -> float:
        """The coefficient of a term."""
        return float(self.coefficients[self._place(term)])

    def interval(self, term: Term, level: float) -> Interval | None:
        """That of the coefficient at 1 - `level`, by Student's t; None where there is no error to go by."""
        if self.error is None:
            return None
        from scipy.special import stdtrit

        place = self._place(term)
        half = float(stdtrit(self.df, 1 - level / 2)) * math.sqrt(self.error * self.inverse[place, place])
        value = self.of(term)
        return Interval(value - half, value + half)

    def values_to_decide(self, term: Term, level: float, margin: float) -> int | None:
        """About how many values in all decide the sign of a coefficient, or that it is within `margin`.

        As dsbench.statistics.means.Contrast.seeds_to_decide has it, with as many degrees of freedom as values but one.
        None where nothing is known of the error, and above the most values that are looked for.
        """
        if self.error is None:
            return None
        place = self._place(term)
        return Contrast(self.of(term), (self.n,), (self.error * self.inverse[place, place],)).seeds_to_decide(
            level, margin
        )

    def predicted(self, patterns: np.ndarray) -> np.ndarray:
        """What is to be expected of `patterns` (patterns, factors)."""
        return columns(patterns, self.terms) @ self.coefficients

    def changes(
        self, patterns: np.ndarray, reference: np.ndarray, level: float
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """What is to be expected of `patterns` (patterns, factors) less of the `reference` (1, factors).

        Both are (patterns): the changes, and half the interval of each at 1 - `level`, None without an error to go by.
        """
        difference = columns(patterns, self.terms) - columns(reference, self.terms)
        if self.error is None:
            return difference @ self.coefficients, None
        from scipy.special import stdtrit

        variances = self.error * ((difference @ self.inverse) * difference).sum(axis=1)
        return difference @ self.coefficients, float(stdtrit(self.df, 1 - level / 2)) * np.sqrt(variances.clip(0))

    @cached_property
    def _places(self) -> dict[Term, int]:
        return {term: number for number, term in enumerate(self.terms, 1)}

    def _place(self, term: Term) -> int:
        return self._places[term]


def fitted_effects(patterns: np.ndarray, values: Sequence[Sequence[float]], terms: Sequence[Term]) -> Effects | None:
    """The effects of `terms` on `values`, some numbers of each of `patterns` (patterns, factors), none of some.

    By ordinary least squares over all values, each of which weighs alike. The error is that within patterns alone, so
    that what the terms do not describe is no part of it. None where the patterns that have values do not tell the terms
    apart.
    """
    of = np.repeat(np.arange(len(patterns)), [len(own) for own in values])
    flat = np.concatenate([np.asarray(own, dtype=float) for own in values]) if len(of) else np.zeros(0)
    matrix = columns(patterns, terms)[of]
    if len(flat) < matrix.shape[1] or np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        return None
    inverse = np.linalg.inv(matrix.T @ matrix)
    coefficients = inverse @ matrix.T @ flat
    coefficients[np.abs(coefficients) <= _SAME * np.abs(flat).max()] = 0.0
    within = [np.asarray(own, dtype=float) for own in values if len(own)]
    squares = sum(float(((own - own.mean()) ** 2).sum()) for own in within if np.ptp(own) > _SAME * np.abs(own).max())
    df = len(flat) - len(within)
    return Effects(tuple(terms), coefficients, inverse, len(flat), squares / df if df else None, df)
