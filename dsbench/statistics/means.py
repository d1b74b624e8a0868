"""Differences of mean accuracies: their interval over new seeds and new images, checks of it, and seeds to decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

ALPHA = 0.05  # the chance of a false claim that each family of comparisons has
FEWEST = 3  # runs a side, below which nothing is decided
POWER = 0.8  # the chance to decide that is asked of a number of seeds
MOST_SEEDS = 1_000  # beyond which no number of seeds is named
_EXACT = 200_000  # splits up to which the permutation test tries all
_RANDOM = 19_999  # splits drawn above that
_SAME = 1e-9  # of the largest size: what differs by less differs by rounding


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float


def half_width(sd: Any, n: Any, level: float = ALPHA) -> Any:
    """Half the interval at 1 - level of the mean of `n` values, two or more, by Student's t: t(n - 1) sd / sqrt(n).

    Of numbers, or of arrays element by element. (Student 1908, The Probable Error of a Mean.)
    """
    from scipy.special import stdtrit

    return stdtrit(n - 1, 1 - level / 2) * sd / n**0.5


def t_interval(values: Sequence[float] | np.ndarray, level: float = ALPHA) -> Interval | None:
    """The interval of the mean by Student's t (see half_width); None below two values."""
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2:
        return None
    mean, half = float(numbers.mean()), float(half_width(math.sqrt(variance(numbers)), len(numbers), level))
    return Interval(mean - half, mean + half)


def variance(values: np.ndarray) -> float:
    """The variance (n - 1), exactly 0 where values differ by rounding alone."""
    return 0.0 if np.ptp(values) <= _SAME * np.abs(values).max() else float(values.var(ddof=1))


@dataclass(frozen=True)
class Sample:
    """The accuracies of the runs of a cell, shares of 1, with the weight that their mean has in a contrast.

    `correct` (runs, images) says which test images each run got right, where that is known.
    """

    values: np.ndarray
    weight: float = 1.0
    correct: np.ndarray | None = None


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of means, of which `runs` were one a sample, and the parts of its variance.

    `seeds` has the part of each sample over its seeds. `images` is the part of the images, `residual` what stands in
    both; they are None, with `n_images`, where the images that runs got right are not known.
    """

    difference: float
    runs: tuple[int, ...]
    seeds: tuple[float, ...]
    images: float | None = None
    residuals: tuple[float, ...] | None = None
    n_images: int | None = None

    @property
    def seeds_alone(self) -> Contrast:
        """The same, of new seeds on these images."""
        return Contrast(self.difference, self.runs, self.seeds)

    @property
    def variance(self) -> float:
        """Of the difference, over new seeds and, where they are known, new images.

        Seeds and images are crossed: the mean squares of both have the residual in them, which counts once (Searle,
        Casella and McCulloch 1992, Variance Components, chapter 4); never less than the larger of the two parts.
        """
        seeds = sum(self.seeds)
        if self.images is None or self.residuals is None:
            return seeds
        return max(seeds + self.images - sum(self.residuals), seeds, self.images)

    @property
    def images_alone(self) -> float:
        """The part of the variance that no number of seeds makes smaller; 0 where it is not known."""
        if self.images is None or self.residuals is None:
            return 0.0
        return max(self.images - sum(self.residuals), 0.0)

    @property
    def df(self) -> float:
        """Degrees of freedom of the variance (Satterthwaite 1946, over all its terms; Welch 1947 of seeds alone)."""
        terms = [(part, n - 1) for part, n in zip(self.seeds, self.runs, strict=True)]
        if self.images is not None and self.residuals is not None and self.n_images is not None:
            terms.append((self.images, self.n_images - 1))
            terms += [(part, (n - 1) * (self.n_images - 1)) for part, n in zip(self.residuals, self.runs, strict=True)]
        below = sum(part**2 / df for part, df in terms if df > 0)
        return self.variance**2 / below if below else float(min(self.runs) - 1)

    @property
    def decides(self) -> bool:
        """Whether there are runs enough to decide by."""
        return min(self.runs) >= FEWEST

    def interval(self, level: float = ALPHA) -> Interval | None:
        """The interval at 1 - `level` by Student's t; None where a sample has one run alone."""
        if min(self.runs) < 2:
            return None
        from scipy.special import stdtrit

        half = float(stdtrit(self.df, 1 - level / 2)) * math.sqrt(self.variance)
        return Interval(self.difference - half, self.difference + half)

    @property
    def p(self) -> float | None:
        """The two-sided p of no difference, of this comparison alone; None where a sample has one run alone."""
        if min(self.runs) < 2:
            return None
        if self.variance == 0:
            return 1.0 if self.difference == 0 else 0.0
        from scipy.special import stdtr

        return float(2 * stdtr(self.df, -abs(self.difference) / math.sqrt(self.variance)))

    def seeds_to_decide(self, level: float, margin: float = 0.0) -> int | None:
        """The fewest seeds a side that decide with a chance of POWER if all is as observed; None above MOST_SEEDS.

        Decided is a difference whose interval at 1 - `level` is clear of 0 or, with a `margin`, within it. That is so
        where the distance to 0 or to the margin is t(1 - level / 2) + z(POWER) standard errors.
        """
        if min(self.runs) < 2:
            return None
        from scipy.special import ndtri, stdtrit

        n = np.arange(FEWEST, MOST_SEEDS + 1)
        parts = [part * runs / n for part, runs in zip(self.seeds, self.runs, strict=True)]
        total = np.sum(parts, axis=0) + self.images_alone
        below = np.sum([part**2 / (n - 1) for part in parts], axis=0)
        below = below + self.images_alone**2 / max((self.n_images or 2) - 1, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            df = np.where(below > 0, total**2 / below, n - 1.0)
        needed = (stdtrit(df, 1 - level / 2) + ndtri(POWER)) * np.sqrt(total)
        room = max(abs(self.difference), margin - abs(self.difference))
        enough = np.flatnonzero((needed <= room) if room > 0 else np.zeros(len(n), dtype=bool))
        return int(n[enough[0]]) if len(enough) else None

    def images_cannot_tell(self, level: float, margin: float = 0.0) -> bool:
        """Whether the images alone leave more room than the difference, or the margin beside it, however many seeds."""
        if not self.images_alone:
            return False
        from scipy.special import ndtri

        half = float(ndtri(1 - level / 2)) * math.sqrt(self.images_alone)
        return half >= max(abs(self.difference), margin - abs(self.difference))


def contrast(samples: Sequence[Sample]) -> Contrast | None:
    """The weighted sum of the means of `samples`; None where one of them is empty.

    Over images too where every sample says of the same images which were right. With m(i) the weighted sum of the
    shares of each sample's runs that got image i right, the images' part is the variance of m over the N images by N.
    A sample of weight w, n runs, variance s2 of their accuracies and mean square r2 of what is left when runs and
    images have explained their parts has w2 s2 / n in the seeds' part and w2 r2 / (n N) in the residual's.
    """
    if not all(len(sample.values) for sample in samples):
        return None
    runs = tuple(len(sample.values) for sample in samples)
    difference = sum(sample.weight * float(sample.values.mean()) for sample in samples)
    largest = max(float(np.abs(sample.values).max()) for sample in samples)
    difference = 0.0 if abs(difference) <= _SAME * largest else difference
    seeds = tuple(
        sample.weight**2 * variance(sample.values) / n if n > 1 else 0.0
        for sample, n in zip(samples, runs, strict=True)
    )
    known = [sample.correct for sample in samples if sample.correct is not None]
    n_images = {correct.shape[1] for correct in known}
    if len(known) < len(samples) or len(n_images) != 1 or min(runs) < 2:
        return Contrast(difference, runs, seeds)
    images = n_images.pop()
    by_image = sum(sample.weight * sample.correct.mean(axis=0) for sample in samples if sample.correct is not None)
    residuals = tuple(
        sample.weight**2 * _residual(correct) / (n * images)
        for sample, correct, n in zip(samples, known, runs, strict=True)
    )
    return Contrast(difference, runs, seeds, float(np.var(by_image, ddof=1)) / images, residuals, images)


def _residual(correct: np.ndarray) -> float:
    """The mean square that is left of (runs, images) when the means of both are taken out."""
    runs, images = correct.shape
    by_run, by_image, mean = correct.mean(axis=1), correct.mean(axis=0), correct.mean()
    total = float(((correct - mean) ** 2).sum())
    explained = images * float(((by_run - mean) ** 2).sum()) + runs * float(((by_image - mean) ** 2).sum())
    return max(total - explained, 0.0) / ((runs - 1) * (images - 1))


def smallest_permutation_p(runs: Sequence[int]) -> float:
    """The smallest two-sided p that the permutation test of two samples can give: 2 over the number of splits."""
    first, second = runs
    return min(1.0, 2 / math.comb(first + second, first))


def permutation_p(reference: np.ndarray, candidate: np.ndarray, seed: int = 0) -> float:
    """The two-sided p of equal means over all splits of the runs into two such samples, by Welch's t.

    Studentised, so that it holds for means where spreads differ too (Janssen 1997). Up to _EXACT splits all are tried;
    above that p is (1 + b) / (1 + _RANDOM) over as many drawn with `seed` (Phipson and Smyth 2010). Splits tie with the
    observed one where their statistic is less by 1e-9 of its size.
    """
    pooled, n = np.concatenate([reference, candidate]).astype(float), len(reference)
    observed = float(_welch(pooled[None], np.arange(n)[None])[0])
    if math.comb(len(pooled), n) <= _EXACT:
        return float(np.mean(_welch(pooled[None], _splits(len(pooled), n)) >= observed - _SAME * abs(observed)))
    shuffled = np.random.default_rng(seed).permuted(np.tile(pooled, (_RANDOM, 1)), axis=1)
    beyond = np.count_nonzero(_welch(shuffled, np.arange(n)[None]) >= observed - _SAME * abs(observed))
    return (1 + int(beyond)) / (1 + _RANDOM)


@cache
def _splits(total: int, n: int) -> np.ndarray:
    """All choices of `n` out of `total`, a row each."""
    from itertools import chain, combinations

    count = math.comb(total, n)
    flat = np.fromiter(chain.from_iterable(combinations(range(total), n)), dtype=np.int8, count=count * n)
    return flat.reshape(count, n)


def _welch(pooled: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The size of Welch's t of each split; infinite where neither part spreads and the means differ, 0 where not."""
    rows = np.arange(len(pooled))[:, None]
    total, squares, n = pooled.sum(axis=1), (pooled**2).sum(axis=1), first.shape[1]
    centre = pooled.mean(axis=1, keepdims=True)
    centred = pooled - centre  # squares of accuracies near 1 lose their digits else
    total, squares = centred.sum(axis=1), (centred**2).sum(axis=1)
    chosen = centred[rows, first]
    m, s1, q1 = pooled.shape[1] - n, chosen.sum(axis=1), (chosen**2).sum(axis=1)
    s2, q2 = total - s1, squares - q1
    v1 = np.maximum(q1 - s1**2 / n, 0) / max(n - 1, 1) / n
    v2 = np.maximum(q2 - s2**2 / m, 0) / max(m - 1, 1) / m
    difference, spread = np.abs(s1 / n - s2 / m), np.sqrt(v1 + v2)
    same = _SAME * np.abs(centred).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > same, difference / spread, np.where(difference > same, np.inf, 0.0))


def equal_variances_p(first: np.ndarray, second: np.ndarray) -> float:
    """The two-sided p of equal variances by the F test (Fisher 1924); 1 where neither spreads, 0 where one does."""
    from scipy.special import fdtr, fdtrc

    a, b = variance(first), variance(second)
    if not a or not b:
        return 1.0 if a == b else 0.0
    below, above = (float(f(len(first) - 1, len(second) - 1, a / b)) for f in (fdtr, fdtrc))
    return min(1.0, 2 * min(below, above))


def probability_of_improvement(candidate: Sequence[float], reference: Sequence[float]) -> float | None:
    """The chance that a run of `candidate` is above one of `reference`: P(c > r) + P(c = r) / 2 over all pairs of runs.

    The Mann-Whitney U over the number of pairs, as Agarwal et al. (2021, Deep Reinforcement Learning at the Edge of the
    Statistical Precipice) have it for one task; 1/2 where neither is better, None where one has no runs.
    """
    if not len(candidate) or not len(reference):
        return None
    above = np.subtract.outer(np.asarray(candidate, dtype=float), np.asarray(reference, dtype=float))
    return float(np.mean((above > 0) + (above == 0) / 2))


def mcnemar_p(first: np.ndarray, second: np.ndarray) -> float:
    """The exact two-sided p that two trained networks are equally often right on new images (McNemar 1947).

    `first` and `second` (images) say which each got right; only images that one alone got right count, by a binomial
    test with a share of one half.
    """
    from scipy.stats import binomtest

    alone, other = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    return float(binomtest(alone, alone + other).pvalue) if alone + other else 1.0
