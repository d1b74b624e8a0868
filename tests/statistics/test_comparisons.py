"""Many comparisons, probability of improvement, seeds needed and factorial effects, against independent referees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from dsbench.statistics.paired import effects, probability_of_improvement, sign_flip_p
from dsbench.statistics.power import (
    holm,
    power,
    seeds_needed,
    seeds_to_settle,
    smallest_adjusted_p,
    smallest_adjusted_ps,
)

SAMPLES = 100


def closed_testing(ps: list[float]) -> list[float]:
    """Holm's adjustment as Marcus, Peritz and Gabriel (1976) define it: the largest Bonferroni p of all subsets."""
    out = []
    for index in range(len(ps)):
        with_it = [
            some
            for size in range(1, len(ps) + 1)
            for some in itertools.combinations(range(len(ps)), size)
            if index in some
        ]
        out.append(max(min(1.0, len(some) * min(ps[place] for place in some)) for some in with_it))
    return out


def test_holm_is_the_closed_test_of_bonferroni() -> None:
    rng = np.random.default_rng(0)
    for _ in range(SAMPLES):
        ps = (rng.integers(1, 129, rng.integers(1, 7)) / 256).tolist()  # with ties, as sign flips have them
        assert holm(ps) == pytest.approx(closed_testing(ps))


def test_a_comparison_without_a_p_counts_as_one_that_tells_nothing() -> None:
    assert holm([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.04)]
    assert holm([0.01, 1.0, 0.02])[::2] == holm([0.01, None, 0.02])[::2]
    assert holm([]) == []


def test_holm_makes_a_false_claim_in_one_of_twenty_sweeps_at_the_most() -> None:
    rng = np.random.default_rng(1)
    claims = sum(min(p for p in holm(ps) if p is not None) < 0.05 for ps in rng.uniform(size=(2_000, 6)).tolist())
    assert scipy.stats.binomtest(claims, 2_000, 0.05, alternative="greater").pvalue > 0.001


def test_probability_of_improvement_is_mann_whitneys_u_over_all_pairs() -> None:
    rng = np.random.default_rng(2)
    for _ in range(SAMPLES):
        candidate, reference = (rng.integers(0, 12, rng.integers(1, 12)) / 10_000 for _ in range(2))
        u = scipy.stats.mannwhitneyu(candidate, reference).statistic
        share = probability_of_improvement(candidate.tolist(), reference.tolist())
        assert share == pytest.approx(u / (len(candidate) * len(reference)))
    assert probability_of_improvement([], [0.1]) is None


def test_the_power_is_the_integral_that_defines_noncentral_t() -> None:
    """t exceeds c where a normal variable with mean d exceeds c times an independent chi over sqrt(df)."""
    rng = np.random.default_rng(3)
    for _ in range(SAMPLES):
        mean, sd, n, level = rng.normal(), rng.exponential() + 0.05, int(rng.integers(6, 60)), rng.uniform(0.001, 0.1)
        critical = scipy.stats.t.ppf(1 - level / 2, n - 1)
        spread = np.linspace(0, 4, 4_001)
        density = scipy.stats.chi.pdf(spread * np.sqrt(n - 1), n - 1) * np.sqrt(n - 1)
        beyond = scipy.stats.norm.sf(critical * spread - abs(mean) / sd * np.sqrt(n))
        assert power(mean, sd, n, level) == pytest.approx(scipy.integrate.simpson(beyond * density, x=spread), abs=1e-6)


def test_the_power_is_the_share_of_experiments_that_find_the_effect() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0.8, 1, (4_000, 12))
    significant = int((scipy.stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05).sum())
    assert scipy.stats.binomtest(significant, 4_000, power(0.8, 1, 12, 0.05)).pvalue > 0.001


def test_seeds_needed_are_the_fewest_that_reach_the_power() -> None:
    """At the fewest that can settle anything all differences must have one sign too, in four of five experiments."""
    rng = np.random.default_rng(5)
    for _ in range(SAMPLES):
        mean, sd, comparisons = rng.normal(0, 0.5), rng.exponential() + 0.05, int(rng.integers(1, 12))
        n = seeds_needed(mean, sd, comparisons)
        fewest = seeds_to_settle(comparisons)
        assert n is not None
        assert fewest is not None
        assert power(mean, sd, n, 0.05 / comparisons) >= 0.8
        one_sign = scipy.stats.norm.cdf(abs(mean) / sd) ** fewest >= 0.8
        assert n > fewest or one_sign
        assert n == fewest or power(mean, sd, n - 1, 0.05 / comparisons) < 0.8 or (n - 1 == fewest and not one_sign)


@pytest.mark.parametrize(
    ("effect", "comparisons", "share"), [(1.45, 1, 0.75), (2.0, 1, 0.75), (1.5, 3, 0.7), (1.5, 6, 0.7), (1.6, 10, 0.7)]
)
def test_so_many_seeds_let_the_sign_flip_test_find_the_effect_in_most_experiments(
    effect: float, comparisons: int, share: float
) -> None:
    """By the t test in 80 % of them."""
    n = seeds_needed(effect, 1.0, comparisons)
    assert n is not None
    values = np.random.default_rng(6).normal(effect, 1, (500, n))
    settled = [p < 0.05 / comparisons for sample in values if (p := sign_flip_p(sample)) is not None]
    assert np.mean(settled) > share


def test_the_fewest_seeds_that_can_settle_it_are_not_those_of_the_t_test_alone() -> None:
    """Six seeds have 80 % power by the t test at 1.45 sd, and by the sign-flip test 63 %."""
    needed = seeds_needed(1.45, 1.0)
    assert power(1.45, 1.0, 6, 0.05) >= 0.8
    assert needed is not None
    assert needed > 6


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_seeds_needed_are_those_of_cohens_tables(effect: float, n: int) -> None:
    """Small, medium and large effects at .05 two-sided and 80 % power, as G*Power gives them for matched pairs."""
    assert seeds_needed(effect, 1.0) == n


@pytest.mark.parametrize("ratio", [1e-6, 1e-3, 1e3, 1e9])
def test_extreme_effects_have_a_number_of_seeds_too(ratio: float) -> None:
    normal = ((scipy.stats.norm.ppf(0.975) + scipy.stats.norm.ppf(0.8)) / ratio) ** 2
    assert seeds_needed(ratio, 1.0) == pytest.approx(max(6, normal), rel=1e-4)


def test_where_there_is_no_effect_no_number_of_seeds_finds_it() -> None:
    assert seeds_needed(0.0, 1.0) is None
    assert seeds_needed(0.0, 0.0) is None
    assert seeds_needed(0.1, 0.0) == 6


@pytest.mark.parametrize(("comparisons", "n"), [(1, 6), (2, 7), (3, 7), (6, 8), (9, 9), (36, 11)])
def test_seeds_that_can_settle_are_what_arithmetic_says(comparisons: int, n: int) -> None:
    assert comparisons * 2 / 2**n < 0.05 <= comparisons * 2 / 2 ** (n - 1)
    assert seeds_to_settle(comparisons) == n
    assert smallest_adjusted_p(n, comparisons) == comparisons * 2 / 2**n


def test_eight_seeds_settle_the_six_pairs_of_a_group_but_not_nine_at_once() -> None:
    assert smallest_adjusted_p(8, 6) < 0.05 < smallest_adjusted_p(8, 9)
    assert holm([2 / 2**8] * 9) == [pytest.approx(smallest_adjusted_p(8, 9))] * 9


def test_so_many_comparisons_that_random_signs_settle_none() -> None:
    assert seeds_to_settle(4_999) is not None
    assert seeds_to_settle(5_001) is None
    assert seeds_needed(1.0, 1.0, 5_001) is None


def test_factorial_effects_are_the_coefficients_of_least_squares() -> None:
    """In the model y = m + r x_row + c x_column + i x_row x_column with x = -+1/2, r, c and i are the effects."""
    rng = np.random.default_rng(6)
    for scores in rng.normal(size=(SAMPLES, 2, 2)):
        row, column = np.meshgrid([-0.5, 0.5], [-0.5, 0.5], indexing="ij")
        design = np.stack([np.ones(4), row.ravel(), column.ravel(), (row * column).ravel()], axis=1)
        _, by_row, by_column, both = np.linalg.lstsq(design, scores.ravel(), rcond=None)[0]
        estimated = effects(scores[None])
        np.testing.assert_allclose(
            [estimated.rows[0], estimated.columns[0], estimated.interaction[0]], [by_row, by_column, both], atol=1e-12
        )


def test_no_seeds_have_no_effects() -> None:
    assert len(effects(np.empty((0, 2, 2))).rows) == 0


@pytest.mark.parametrize("numbers", [(8, 8, 8, 6, 6, 6), (5, 9), (0, 8, 7), (6,)])
def test_the_smallest_adjusted_p_is_what_holm_makes_of_differences_of_one_sign(numbers: tuple[int, ...]) -> None:
    """The other pairs may come to anything: it is reached where all of them agree."""
    smallest = smallest_adjusted_ps(numbers)
    assert smallest == holm([sign_flip_p([1.0] * n) if n else 1.0 for n in numbers])
    assert smallest[0] == {(8, 8, 8, 6, 6, 6): 6 * 2 / 256, (5, 9): 2 / 32, (0, 8, 7): 1.0, (6,): 2 / 64}[numbers]
    assert smallest[-1] == {(8, 8, 8, 6, 6, 6): 3 * 2 / 64, (5, 9): 4 / 512, (0, 8, 7): 4 / 128, (6,): 2 / 64}[numbers]
