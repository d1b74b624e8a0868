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
_EXACT = 20_000  # splits up to which the permutation test tries all: up to 8 runs a side
_RANDOM = 19_999  # splits drawn above that
_SAME = 1e-9  # of the largest size: what differs by less differs by rounding


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of its width, which says how many digits its middle bears."""
        return (self.high - self.low) / 2


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

    `correct` (runs, images) says which test images runs got right, of those of which that is known.
    """

    values: np.ndarray
    weight: float = 1.0
    correct: np.ndarray | None = None


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of means, of which `runs` were one a sample, and the parts of its variance.

    `seeds` has the part of each sample over its seeds. `images` is the part of the images and `residuals` what of it is
    no image's own, by `imaged` runs of each sample and `n_images` images; all are None where too few runs say which
    they got right.
    """

    difference: float
    runs: tuple[int, ...]
    seeds: tuple[float, ...]
    images: float | None = None
    residuals: tuple[float, ...] | None = None
    n_images: int | None = None
    imaged: tuple[int, ...] | None = None
    cautious: bool = False  # of several looks: see df

    @property
    def seeds_alone(self) -> Contrast:
        """The same, of new seeds on these images."""
        return Contrast(self.difference, self.runs, self.seeds, cautious=self.cautious)

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
        """Degrees of freedom of the variance (Satterthwaite 1946, over all its terms; Welch 1947 of seeds alone).

        Of few runs whose spreads differ these are too many, by so little that one look keeps its level, and several
        do not: a `cautious` contrast has those of the part that has most of the variance for its own, where they are
        fewer (see docs/concepts/simulation.md).
        """
        terms = [(part, n - 1) for part, n in zip(self.seeds, self.runs, strict=True)]
        if self.images is not None and self.residuals and self.n_images and self.imaged:
            images = self.n_images - 1
            terms += [(self.images, images)]
            terms += [(part, (n - 1) * images) for part, n in zip(self.residuals, self.imaged, strict=True)]
        below = [(part, df) for part, df in terms if part and df > 0]
        if not below or not self.variance:  # residuals may be there where seeds and images agree
            return float(min(self.runs) - 1)
        df = self.variance**2 / sum(part**2 / df for part, df in below)
        return min(df, self.variance / max(part / df for part, df in below)) if self.cautious else df

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

        Decided is a difference whose interval at 1 - `level` is clear of 0 or, with a `margin`, within it: one beyond
        t(1 - level / 2) standard errors, or nearer to 0 than the margin less as much. Its chance is a normal one.
        """
        if min(self.runs) < 2:
            return None
        from scipy.special import ndtr, stdtrit

        n = np.arange(FEWEST, MOST_SEEDS + 1)
        parts = [part * runs / n for part, runs in zip(self.seeds, self.runs, strict=True)]
        total, d = np.sum(parts, axis=0) + self.images_alone, abs(self.difference)
        below = np.sum(np.square(parts), axis=0) / (n - 1)
        below = below + self.images_alone**2 / max((self.n_images or 2) - 1, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = stdtrit(np.where(below > 0, total**2 / below, n - 1.0), 1 - level / 2)
            at, edge = d / np.sqrt(total), margin / np.sqrt(total) - t
            clear = ndtr(at - t) + ndtr(-at - t)
            within = np.maximum(ndtr(edge - at) - ndtr(-edge - at), 0)
        exact = float(d > 0 or margin > 0)  # where nothing varies
        enough = np.flatnonzero(np.where(total > 0, clear + within, exact) >= POWER)
        return int(n[enough[0]]) if len(enough) else None

    def images_cannot_tell(self, level: float, margin: float = 0.0) -> bool:
        """Whether the images alone leave more room than the difference, or the margin beside it, however many seeds.

        More seeds would change the difference too: it is taken at whichever end of its interval over seeds alone
        leaves more room.
        """
        if not self.images_alone:
            return False
        from scipy.special import ndtri

        half = float(ndtri(1 - level / 2)) * math.sqrt(self.images_alone)
        seeds = self.seeds_alone.interval()
        low, high = (seeds.low, seeds.high) if seeds else (-math.inf, math.inf)
        return half >= max(abs(low), abs(high), margin - max(low, -high, 0.0))


def contrast(samples: Sequence[Sample], cautious: bool = False) -> Contrast | None:
    """The weighted sum of the means of `samples`; None where one of them is empty; `cautious` where one looks again.

    Over images too where two runs or more of every sample say of the same images which they got right. With m(i) the
    weighted sum of the shares of each sample's such runs that got image i right, the images' part is the variance of m
    over the N images by N. A sample of weight w, n runs, variance s2 of their accuracies, and of the k runs that say
    which images a mean square r2 of what is left when runs and images have explained their parts, has w2 s2 / n in the
    seeds' part and w2 r2 / (k N) in the residual's.
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
    matrices = [sample.correct for sample in samples if sample.correct is not None and len(sample.correct) > 1]
    n_images = {correct.shape[1] for correct in matrices}
    if len(matrices) < len(samples) or len(n_images) != 1:
        return Contrast(difference, runs, seeds, cautious=cautious)
    images, imaged = n_images.pop(), tuple(map(len, matrices))
    weighted = list(zip((sample.weight for sample in samples), matrices, strict=True))
    by_image = sum(weight * correct.mean(axis=0) for weight, correct in weighted)
    residuals = tuple(weight**2 * _residual(correct) / correct.size for weight, correct in weighted)
    part = float(np.var(by_image, ddof=1)) / images
    return Contrast(difference, runs, seeds, part, residuals, images, imaged, cautious)


def _residual(correct: np.ndarray) -> float:
    """The mean square that is left of (runs, images) when the means of both are taken out."""
    runs, images = correct.shape
    by_run, by_image, mean = correct.mean(axis=1), correct.mean(axis=0), correct.mean()
    total = float(((correct - mean) ** 2).sum())
    explained = images * float(((by_run - mean) ** 2).sum()) + runs * float(((by_image - mean) ** 2).sum())
    return max(total - explained, 0.0) / ((runs - 1) * (images - 1))


def smallest_permutation_p(runs: Sequence[int]) -> float:
    """The smallest two-sided p that the permutation test of two samples can give: 2 over the number of splits tried."""
    first, second = runs
    splits = math.comb(first + second, first)
    return min(1.0, 2 / splits) if splits <= _EXACT else 1 / (1 + _RANDOM)


def permutation_p(reference: np.ndarray, candidate: np.ndarray, seed: int = 0) -> float:
    """The two-sided p of equal means over all splits of the runs into two such samples, by Welch's t.

    Studentised, so that it holds for means where spreads differ too (Janssen 1997). Up to _EXACT splits all are tried;
    above that p is (1 + b) / (1 + _RANDOM) over as many drawn with `seed` (Phipson and Smyth 2010). Splits tie with the
    observed one where their statistic is less by 1e-9 of its size.
    """
    pooled, n = np.concatenate([reference, candidate]).astype(float), len(reference)
    least = float(_welch(pooled[None], n)[0]) * (1 - _SAME)
    if math.comb(len(pooled), n) <= _EXACT:
        return float(np.mean(_welch(pooled[_splits(len(pooled), n)], n) >= least))
    shuffled = np.random.default_rng(seed).permuted(np.tile(pooled, (_RANDOM, 1)), axis=1)
    return (1 + int(np.count_nonzero(_welch(shuffled, n) >= least))) / (1 + _RANDOM)


@cache
def _splits(total: int, n: int) -> np.ndarray:
    """All choices of `n` out of `total`, a row each: first those chosen, then the others."""
    from itertools import combinations

    chosen = np.array(list(combinations(range(total), n)), dtype=np.int8)
    others = np.ones((len(chosen), total), dtype=bool)
    np.put_along_axis(others, chosen.astype(np.intp), False, axis=1)
    return np.hstack([chosen, np.nonzero(others)[1].reshape(len(chosen), -1).astype(np.int8)])


def _welch(splits: np.ndarray, n: int) -> np.ndarray:
    """The size of Welch's t of the first `n` of each row against the rest; infinite where neither part spreads."""
    means, squared_errors = [], []
    for part in (splits[:, :n], splits[:, n:]):
        mean, size = part.mean(axis=1), part.shape[1]
        means.append(mean)
        squared_errors.append(((part - mean[:, None]) ** 2).sum(axis=1) / max(size - 1, 1) / size)
    same = _SAME * np.abs(splits).max(axis=1)
    difference, error = np.abs(means[0] - means[1]), np.sqrt(sum(squared_errors))
    difference = np.where(difference > same, difference, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error > same, difference / error, np.where(difference > 0, np.inf, 0.0))


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
