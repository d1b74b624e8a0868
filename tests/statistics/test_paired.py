"""Paired differences against scipy, closed forms and integer arithmetic."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
import scipy.stats

from dsbench.statistics.paired import EXACT, SIGNS, Interval, bca_interval, paired, sign_flip_p, smallest_p, t_interval

SAMPLES = 100


def samples(sizes: tuple[int, int], count: int = SAMPLES) -> list[np.ndarray]:
    """Random differences, each of a size, mean and spread of its own."""
    rng = np.random.default_rng(sum(sizes))
    return [rng.normal(rng.normal(), rng.exponential(), rng.integers(*sizes)) for _ in range(count)]


def test_mean_spread_and_t_interval_are_those_of_scipy() -> None:
    for values in samples((2, 40)):
        result = paired(values)
        assert result is not None
        assert (result.n, result.mean, result.sd) == (len(values), pytest.approx(values.mean()), values.std(ddof=1))
        interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert result.t is not None
        assert (result.t.low, result.t.high) == pytest.approx((interval.low, interval.high), rel=1e-12)


def test_the_sign_flip_p_is_that_of_all_permutations_in_scipy() -> None:
    for values in samples((2, 10)):
        exact = scipy.stats.permutation_test(
            (values, np.zeros_like(values)), lambda a, b, axis: np.mean(a - b, axis), permutation_type="samples",
            vectorized=True, n_resamples=np.inf,
        )  # fmt: skip
        assert sign_flip_p(values) == pytest.approx(exact.pvalue, rel=1e-12)


def test_ties_of_accuracies_count_as_integers_say() -> None:
    """Differences of accuracies are images / 10,000; as whole images their sums tie exactly."""
    rng = np.random.default_rng(0)
    for _ in range(SAMPLES):
        n = rng.integers(2, 9)
        before, after = rng.integers(9_700, 9_712, (2, n))
        images = [int(a - b) for a, b in zip(after, before, strict=True)]
        flips = itertools.product((-1, 1), repeat=int(n))
        sums = [abs(sum(sign * value for sign, value in zip(signs, images, strict=True))) for signs in flips]
        expected = sum(value >= abs(sum(images)) for value in sums) / 2 ** int(n)
        assert sign_flip_p(after / 10_000 - before / 10_000) == expected


def integer_p(images: np.ndarray) -> float:
    """The exact p of whole numbers, from how many choices of signs have each sum: their generating polynomial."""
    counts = np.ones(1)
    for size in np.abs(images):
        counts = np.convolve(counts, np.bincount([0, 2 * size], minlength=2 * size + 1) if size else [2.0])
    sums = np.abs(np.arange(len(counts)) - np.abs(images).sum())
    return float(counts[sums >= abs(images.sum())].sum() / 2.0 ** len(images))


def test_all_signs_and_random_signs_agree_with_integers() -> None:
    """Whole images, as random as accuracies are: exact to EXACT pairs, within four standard errors above."""
    rng = np.random.default_rng(7)
    for _ in range(SAMPLES):
        images = rng.integers(-6, 12, rng.integers(2, EXACT + 1))
        assert sign_flip_p(images / 10_000) == pytest.approx(integer_p(images), rel=1e-12)
        more = rng.integers(-8, 12, rng.integers(EXACT + 1, EXACT + 5))
        exact = integer_p(more)
        assert sign_flip_p(more / 10_000) == pytest.approx(exact, abs=4 * math.sqrt(exact / SIGNS))


def test_random_signs_come_close_to_all_signs() -> None:
    """Above EXACT pairs, for differences of +-1 the p is twice a binomial tail, in closed form."""
    for n in range(EXACT + 1, EXACT + 11):
        positive = n // 2 + 4
        values = np.array([1.0] * positive + [-1.0] * (n - positive))
        exact = min(1.0, 2 * scipy.stats.binom.sf(positive - 1, n, 0.5))
        assert sign_flip_p(values) == pytest.approx(exact, abs=4 * math.sqrt(exact / SIGNS))
        assert sign_flip_p(values) == sign_flip_p(values)


def test_both_ways_of_counting_meet_where_one_takes_over() -> None:
    values = np.random.default_rng(1).normal(0.5, 1, EXACT)
    doubled = np.append(values, 0.0)  # a pair without a difference changes no p
    assert sign_flip_p(doubled) == pytest.approx(sign_flip_p(values), abs=0.006)


@pytest.mark.parametrize("n", range(1, 13))
def test_the_smallest_p_is_that_of_differences_of_one_sign(n: int) -> None:
    values = np.random.default_rng(n).uniform(0.1, 1, n)
    assert sign_flip_p(values) == smallest_p(n) == 2 / 2**n


def test_five_seeds_cannot_come_below_five_hundredths_and_six_can() -> None:
    assert smallest_p(5) > 0.05 > smallest_p(6) == 0.03125
    assert smallest_p(30) == 1 / (SIGNS + 1)
    assert sign_flip_p([1.0] * 30) == smallest_p(30)


def bca_by_hand(values: np.ndarray, resampled: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Efron 1987 for a mean: bias from the share of resampled means below it, acceleration from the jackknife."""
    share = (np.mean(resampled < values.mean()) + np.mean(resampled <= values.mean())) / 2
    bias = scipy.stats.norm.ppf(share)
    left_out = (values.sum() - values) / (len(values) - 1)
    deviations = left_out.mean() - left_out
    acceleration = (deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5)
    ends = [bias + scipy.stats.norm.ppf(p) for p in ((1 - level) / 2, (1 + level) / 2)]
    shares = [scipy.stats.norm.cdf(bias + z / (1 - acceleration * z)) for z in ends]
    low, high = np.quantile(resampled, shares)
    return float(low), float(high)


def test_the_bca_interval_is_that_of_efrons_formulas() -> None:
    for values in samples((4, 20)):
        draws = np.random.default_rng(0).integers(0, len(values), (9_999, len(values)))
        resampled = values[draws].mean(axis=1)
        interval = bca_interval(values, seed=0)
        assert interval is not None
        assert (interval.low, interval.high) == pytest.approx(bca_by_hand(values, resampled), rel=1e-9)
        assert interval == bca_interval(values)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-4, 1 / 3])
def test_equal_differences_have_an_interval_of_no_width(value: float) -> None:
    accuracies = np.arange(5) / 7 + 0.1
    values = (accuracies + value) - accuracies  # equal but for rounding
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = paired(values)
    assert result is not None
    assert (result.mean, result.sd) == (pytest.approx(value), 0)
    assert result.t == result.bca == Interval(values.mean(), values.mean())


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_differences_have_what_can_be_said_of_them(n: int) -> None:
    values = np.array([0.1, 0.3, 0.2])[:n]
    result = paired(values)
    if n == 0:
        assert result is None
        return
    assert result is not None
    assert (result.sd is None, result.t is None) == (n < 2, n < 2)
    assert (result.bca is None) == (n < 3)
    assert result.p == min(1, 2 / 2**n)


def test_no_sample_lets_a_warning_escape() -> None:
    """Warnings are errors here; few values, ties and tiny differences are where a bootstrap degenerates."""
    rng = np.random.default_rng(2)
    for _ in range(SAMPLES):
        n = rng.integers(3, 8)
        interval = bca_interval(rng.integers(0, 2, n) * rng.choice([1e-12, 1e-4, 1.0]))
        assert interval is not None
        assert math.isfinite(interval.low)
        assert math.isfinite(interval.high)


def test_a_mean_of_rounding_alone_is_no_effect() -> None:
    result = paired([0.1 + 0.2 - 0.3, 0.1, -0.1])
    assert result is not None
    assert result.mean == 0


def test_the_t_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for values in rng.normal(0.3, 1, (2_000, 8)):
        interval = t_interval(values)
        assert interval is not None
        covered += interval.low <= 0.3 <= interval.high
    assert scipy.stats.binomtest(covered, 2_000, 0.95).pvalue > 0.001
