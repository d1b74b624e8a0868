"""Paired differences: the sign-flip test, intervals of their mean, the chance of improvement, factorial effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

EXACT = 16  # pairs up to which all signs are tried, 65,536 at the most
SIGNS = 99_999  # random signs above that
_TIE = 1e-9  # of the sum of all sizes
_CHUNK = 10_000  # random signs at a time
CONFIDENCE = 0.95  # of intervals
RESAMPLES = 9_999  # of the bootstrap
_SAME = 1e-9  # of the largest size: a range below it is rounding


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """What `n` paired differences come to; `p` is that of the sign-flip test.

    Two pairs or more have `sd` (n - 1) and `t`, three or more `bca`.
    """

    n: int
    mean: float
    sd: float | None
    t: Interval | None
    bca: Interval | None
    p: float


def paired(differences: Sequence[float] | np.ndarray) -> Paired | None:
    """What `differences` come to; None where there are none. A mean that is rounding alone is 0."""
    values = np.asarray(differences, dtype=float)
    p = sign_flip_p(values)
    if p is None:
        return None
    balanced = abs(values.mean()) <= _SAME * np.abs(values).mean()
    mean, sd = 0.0 if balanced else float(values.mean()), _sd(values) if len(values) > 1 else None
    return Paired(len(values), mean, sd, t_interval(values), bca_interval(values), p)


def sign_flip_p(differences: Sequence[float] | np.ndarray, seed: int = 0) -> float | None:
    """The two-sided p of a mean of 0 among paired `differences`; None where there are none.

    Where neither of a pair is better, each difference is as likely to have the other sign: p is the share of all 2^n
    choices of signs whose mean is as far from 0 as the observed one or farther (Fisher 1935, The Design of Experiments,
    section 21). Above EXACT pairs it is (1 + b) / (1 + SIGNS), of which b of as many choices drawn with `seed` are
    (Phipson and Smyth 2010).

    Two sums count as equal where they differ by less than 1e-9 of the sum of all sizes: accuracies are multiples of one
    in 10,000 images, so that sums often tie, and their differences carry rounding errors of about 1e-16.
    """
    values = np.asarray(differences, dtype=float)
    if not len(values):
        return None
    least = abs(values.sum()) - _TIE * np.abs(values).sum()
    if len(values) <= EXACT:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= least))
    rng = np.random.default_rng(seed)
    beyond = 0
    for start in range(0, SIGNS, _CHUNK):
        signs = rng.integers(0, 2, size=(min(_CHUNK, SIGNS - start), len(values))) * 2 - 1
        beyond += int(np.count_nonzero(np.abs(signs @ values) >= least))
    return (1 + beyond) / (1 + SIGNS)


def smallest_p(n: int) -> float:
    """The smallest p that the test can give `n` pairs: 2 / 2^n, where all differences have one sign."""
    exact = min(1.0, 2.0 ** (1 - n))
    return exact if n <= EXACT else max(exact, 1 / (1 + SIGNS))


def t_interval(values: Sequence[float] | np.ndarray, level: float = CONFIDENCE) -> Interval | None:
    """The interval of the mean by Student's t (see half_width); None below two values."""
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2:
        return None
    half = float(half_width(_sd(numbers), len(numbers), level))
    return Interval(float(numbers.mean()) - half, float(numbers.mean()) + half)


def half_width(sd: Any, n: Any, level: float = CONFIDENCE) -> Any:
    """Half the interval of the mean of `n` values, two or more, by Student's t: t(n - 1) sd / sqrt(n).

    Of numbers, or of arrays element by element. (Student 1908, The Probable Error of a Mean.)
    """
    from scipy.special import stdtrit

    return stdtrit(n - 1, (1 + level) / 2) * sd / n**0.5


def bca_interval(values: Sequence[float] | np.ndarray, level: float = CONFIDENCE, seed: int = 0) -> Interval | None:
    """The bootstrap interval of the mean, bias-corrected and accelerated (Efron 1987), over draws made with `seed`.

    None below three values, of which resampling knows next to nothing. Where all are equal nothing can be resampled and
    the interval is that value; it says nothing of the spread that more values would have.
    """
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 3:
        return None
    if _all_equal(numbers):
        return Interval(float(numbers.mean()), float(numbers.mean()))
    from scipy.stats import bootstrap

    rng = np.random.default_rng(seed)
    low, high = bootstrap(
        (numbers,), np.mean, confidence_level=level, n_resamples=RESAMPLES, method="BCa", rng=rng
    ).confidence_interval
    return Interval(float(low), float(high))


def _sd(values: np.ndarray) -> float:
    """The standard deviation (n - 1), exactly 0 where values differ by rounding alone."""
    return 0.0 if _all_equal(values) else float(values.std(ddof=1))


def _all_equal(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= _SAME * np.abs(values).max())


def probability_of_improvement(candidate: Sequence[float], reference: Sequence[float]) -> float | None:
    """The chance that a run of `candidate` is above one of `reference`: P(c > r) + P(c = r) / 2 over all pairs of runs.

    The Mann-Whitney U over the number of pairs, as Agarwal et al. (2021, Deep Reinforcement Learning at the Edge of the
    Statistical Precipice) have it for one task; 1/2 where neither is better, None where one has no runs.
    """
    if not len(candidate) or not len(reference):
        return None
    above = np.subtract.outer(np.asarray(candidate, dtype=float), np.asarray(reference, dtype=float))
    return float(np.mean((above > 0) + (above == 0) / 2))


@dataclass(frozen=True)
class Effects:
    """The effects in each replicate, arrays (n)."""

    rows: np.ndarray
    columns: np.ndarray
    interaction: np.ndarray


def effects(scores: np.ndarray) -> Effects:
    """The effects in `scores` (n, 2, 2), that is replicate, level of the first factor, level of the second.

    A main effect is the mean over the levels of the other factor of (second level - first level); the interaction is
    how much the first factor's effect changes from the first to the second level of the other (Montgomery, Design and
    Analysis of Experiments, chapter 6, who halves the interaction).
    """
    values = np.asarray(scores, dtype=float)
    by_row, by_column = values[:, 1, :] - values[:, 0, :], values[:, :, 1] - values[:, :, 0]
    return Effects(by_row.mean(axis=1), by_column.mean(axis=1), by_row[:, 1] - by_row[:, 0])
