"""Paired differences: their mean, its intervals, and its p."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsbench.statistics.signflip import sign_flip_p

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
    found = np.asarray(differences, dtype=float)
    p = sign_flip_p(found)
    if p is None:
        return None
    balanced = abs(found.mean()) <= _SAME * np.abs(found).mean()
    mean, sd = 0.0 if balanced else float(found.mean()), _sd(found) if len(found) > 1 else None
    return Paired(len(found), mean, sd, t_interval(found), bca_interval(found), p)


def t_interval(values: Sequence[float] | np.ndarray, level: float = CONFIDENCE) -> Interval | None:
    """The interval of the mean by Student's t (see half_width); None below two values."""
    found = np.asarray(values, dtype=float)
    if len(found) < 2:
        return None
    half = float(half_width(_sd(found), len(found), level))
    return Interval(float(found.mean()) - half, float(found.mean()) + half)


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
    found = np.asarray(values, dtype=float)
    if len(found) < 3:
        return None
    if _all_equal(found):
        return Interval(float(found.mean()), float(found.mean()))
    from scipy.stats import bootstrap

    rng = np.random.default_rng(seed)
    low, high = bootstrap(
        (found,), np.mean, confidence_level=level, n_resamples=RESAMPLES, method="BCa", rng=rng
    ).confidence_interval
    return Interval(float(low), float(high))


def _sd(values: np.ndarray) -> float:
    """The standard deviation (n - 1), exactly 0 where values differ by rounding alone."""
    return 0.0 if _all_equal(values) else float(values.std(ddof=1))


def _all_equal(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= _SAME * np.abs(values).max())
