"""Differences of means over new seeds and new images, against scipy, closed forms and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from dsbench.statistics.means import (
    FEWEST,
    MOST_SEEDS,
    Contrast,
    Interval,
    Sample,
    contrast,
    equal_variances_p,
    mcnemar_p,
    permutation_p,
    probability_of_improvement,
    smallest_permutation_p,
    t_interval,
)

SAMPLES = 100


def accuracies(rng: np.random.Generator, fewest: int = 2, most: int = 12) -> np.ndarray:
    """Of a few runs, near one another."""
    return rng.normal(rng.uniform(0.5, 0.95), rng.exponential(0.02), rng.integers(fewest, most))


def pair(reference: np.ndarray, candidate: np.ndarray) -> Contrast:
    difference = contrast([Sample(reference, -1.0), Sample(candidate)])
    assert difference is not None
    return difference


def crossed(*cells: tuple[float, np.ndarray]) -> Contrast:
    """Of cells, a weight and (runs, images) each."""
    difference = contrast([Sample(correct.mean(axis=1), weight, correct) for weight, correct in cells])
    assert difference is not None
    return difference


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def test_the_interval_of_one_mean_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(SAMPLES):
        values, level = accuracies(rng), rng.uniform(0.001, 0.2)
        expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(1 - level)
        assert ends(t_interval(values, level)) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert t_interval([0.5]) is None
    low, high = ends(t_interval([0.1 + 0.2, 0.3, 0.3]))
    assert low == high == pytest.approx(0.3)


def test_over_seeds_p_degrees_of_freedom_and_interval_are_welchs_in_scipy() -> None:
    rng = np.random.default_rng(1)
    for _ in range(SAMPLES):
        reference, candidate, level = accuracies(rng), accuracies(rng), rng.uniform(0.001, 0.2)
        found, expected = pair(reference, candidate), scipy.stats.ttest_ind(candidate, reference, equal_var=False)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
        assert found.df == pytest.approx(expected.df, rel=1e-9)
        both = expected.confidence_interval(1 - level)
        assert ends(found.interval(level)) == pytest.approx((both.low, both.high), rel=1e-9)


def test_an_effect_of_four_cells_is_welchs_with_weights() -> None:
    rng = np.random.default_rng(2)
    for _ in range(SAMPLES):
        cells = [accuracies(rng) for _ in range(4)]
        found = contrast([Sample(own, weight) for own, weight in zip(cells, (-0.5, -0.5, 0.5, 0.5), strict=True)])
        assert found is not None
        parts = [np.var(own, ddof=1) / len(own) / 4 for own in cells]
        df = sum(parts) ** 2 / sum(part**2 / (len(own) - 1) for part, own in zip(parts, cells, strict=True))
        means = [own.mean() for own in cells]
        assert found.difference == pytest.approx((means[2] + means[3] - means[0] - means[1]) / 2)
        assert (found.variance, found.df) == pytest.approx((sum(parts), df))


def test_the_parts_of_one_cell_are_the_mean_squares_of_an_analysis_of_variance() -> None:
    """3 runs of 4 images, by hand: the sum of all squares about the mean of 1/2 is 12/4."""
    correct = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]], dtype=np.uint8)
    found = crossed((1.0, correct))
    runs = 4 * sum((mean - 1 / 2) ** 2 for mean in (2 / 4, 3 / 4, 1 / 4))
    images = 3 * sum((mean - 1 / 2) ** 2 for mean in (3 / 3, 2 / 3, 1 / 3, 0))
    left = 3 - runs - images
    assert found.seeds == (pytest.approx(runs / 2 / 12),)
    assert found.images == pytest.approx(images / 3 / 12)
    assert found.residuals == (pytest.approx(left / 6 / 12),)
    assert found.n_images == 4
    assert found.variance == pytest.approx((runs / 2 + images / 3 - left / 6) / 12)


def test_the_parts_of_a_pair_are_those_of_its_cells_and_of_their_difference() -> None:
    """By least squares in each cell, and by scipy's standard error of the differences image by image."""
    rng = np.random.default_rng(3)
    for _ in range(SAMPLES):
        before, after = (rng.random((rng.integers(2, 6), 30)) < rng.uniform(0.3, 0.9, 30) for _ in range(2))
        found = crossed((-1.0, before), (1.0, after))
        expected = []
        for correct in (before, after):
            n, images = correct.shape
            run, image = (index.ravel() for index in np.indices(correct.shape))
            design = np.hstack([np.eye(n)[run], np.eye(images)[image]])
            left = correct.ravel() - design @ np.linalg.lstsq(design, correct.ravel().astype(float), rcond=None)[0]
            expected.append(left @ left / ((n - 1) * (images - 1)) / (n * images))
        assert found.residuals == pytest.approx(tuple(expected))
        by_image = after.mean(axis=0) - before.mean(axis=0)
        assert found.images == pytest.approx(scipy.stats.sem(by_image) ** 2)
        seeds = tuple(scipy.stats.sem(correct.mean(axis=1)) ** 2 for correct in (before, after))
        assert found.seeds == pytest.approx(seeds)


def test_the_variance_is_unbiased_and_its_interval_covers_over_new_seeds_and_images() -> None:
    """Of additive normal runs and images: sd .03 and .02 of runs, .3 of an image in each cell, .4 of what is left."""
    rng, n, images, inside, variances, differences = np.random.default_rng(4), (4, 6), 50, 0, [], []
    for _ in range(2_000):
        cells = [
            rng.normal(0, sd, (runs, 1)) + rng.normal(0, 0.3, (1, images)) + rng.normal(0, 0.4, (runs, images))
            for sd, runs in zip((0.03, 0.02), n, strict=True)
        ]
        found = crossed((-1.0, cells[0]), (1.0, cells[1]))
        low, high = ends(found.interval())
        inside += low <= 0 <= high
        assert found.images is not None
        assert found.residuals is not None
        variances.append(sum(found.seeds) + found.images - sum(found.residuals))
        differences.append(found.difference)
    truth = 0.03**2 / 4 + 0.02**2 / 6 + 2 * 0.3**2 / 50 + 0.4**2 / 50 * (1 / 4 + 1 / 6)
    assert np.var(differences) == pytest.approx(truth, rel=0.1)
    assert np.mean(variances) == pytest.approx(truth, rel=0.02)
    assert scipy.stats.binomtest(inside, 2_000, 0.95).pvalue > 0.001


def test_degrees_of_freedom_are_satterthwaites_over_all_parts() -> None:
    found = Contrast(0.01, (3, 5), (4.0, 2.0), images=3.0, residuals=(1.0, 0.5), n_images=11, imaged=(3, 5))
    assert found.variance == 7.5
    assert found.df == pytest.approx(7.5**2 / (16 / 2 + 4 / 4 + 9 / 10 + 1 / 20 + 0.25 / 40))
    assert found.images_alone == 1.5
    assert found.seeds_alone.variance == 6.0
    assert found.seeds_alone.df == pytest.approx(36 / (16 / 2 + 4 / 4))


def test_the_variance_is_never_below_its_larger_part() -> None:
    assert Contrast(0.0, (3, 3), (1.0, 1.0), images=3.0, residuals=(2.0, 2.0), n_images=9).variance == 3.0
    assert Contrast(0.0, (3, 3), (4.0, 1.0), images=3.0, residuals=(2.0, 2.0), n_images=9).variance == 5.0


def test_images_count_only_where_every_run_tells_of_the_same_ones() -> None:
    rng = np.random.default_rng(5)
    few, many = rng.random((3, 20)) < 0.7, rng.random((3, 30)) < 0.7
    first = Sample(few.mean(axis=1), -1.0, few)
    for other in (
        Sample(many.mean(axis=1), 1.0, many),
        Sample(many.mean(axis=1)),
        Sample(few[:1].mean(axis=1), 1.0, few[:1]),
    ):
        found = contrast([first, other])
        assert found is not None
        assert (found.images, found.residuals, found.n_images) == (None, None, None)
        assert found.variance == sum(found.seeds)


def test_without_runs_there_is_no_difference_and_with_one_no_interval() -> None:
    assert contrast([Sample(np.array([])), Sample(np.array([0.5]))]) is None
    one = pair(np.array([0.5]), np.array([0.6, 0.7]))
    assert one.difference == pytest.approx(0.15)
    assert (one.interval(), one.p, one.seeds_to_decide(0.05), one.decides) == (None, None, None, False)


def test_accuracies_that_are_all_equal_differ_exactly_or_not_at_all() -> None:
    same = pair(np.full(3, 0.1 + 0.2), np.full(3, 0.3))
    assert (same.difference, same.p, same.interval()) == (0.0, 1.0, Interval(0.0, 0.0))
    better = pair(np.full(3, 0.99), np.full(4, 1.0))
    assert (better.p, better.df) == (0.0, 2.0)
    assert ends(better.interval()) == pytest.approx((0.01, 0.01))
    perfect = crossed((-1.0, np.ones((3, 500), dtype=np.uint8)), (1.0, np.ones((3, 500), dtype=np.uint8)))
    assert (perfect.variance, perfect.p, perfect.images_alone) == (0.0, 1.0, 0.0)


def test_runs_enough_are_three_a_side() -> None:
    two, three = np.array([0.5, 0.6]), np.array([0.5, 0.6, 0.7])
    assert pair(three, three).decides
    assert not pair(three, two).decides


def welch_t(reference: np.ndarray, candidate: np.ndarray, axis: int) -> np.ndarray:
    t = scipy.stats.ttest_ind(candidate, reference, equal_var=False, axis=axis).statistic
    return np.nan_to_num(np.round(np.abs(t), 9), posinf=np.inf)  # ties tie


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of scipy where a split does not spread
def test_the_permutation_p_is_that_of_all_splits_in_scipy() -> None:
    """Accuracies are whole images of 500, so that many splits tie."""
    rng = np.random.default_rng(6)
    for _ in range(SAMPLES):
        images = [rng.integers(440, 450, rng.integers(2, 6)) for _ in range(2)]
        expected = scipy.stats.permutation_test(
            images, welch_t, vectorized=True, n_resamples=np.inf, alternative="greater"
        )
        assert permutation_p(images[0] / 500, images[1] / 500) == pytest.approx(expected.pvalue, rel=1e-12)


def test_a_difference_without_any_spread_has_the_smallest_permutation_p() -> None:
    for n, m in ((3, 3), (5, 5), (3, 6)):
        splits = math.comb(n + m, n)
        assert permutation_p(np.full(n, 0.1), np.full(m, 0.2)) == (2 if n == m else 1) / splits
        assert smallest_permutation_p((n, m)) == 2 / splits
        assert permutation_p(np.full(n, 0.3), np.full(m, 0.1 + 0.2)) == 1.0
    assert smallest_permutation_p((1, 1)) == 1.0


def test_random_splits_come_close_to_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    samples = [(rng.normal(0, 1, 7), rng.normal(shift, 2, 6)) for shift in (0, 1, 2, 3)]
    exact = [permutation_p(*both) for both in samples]
    monkeypatch.setattr("dsbench.statistics.means._EXACT", 0)
    for both, p in zip(samples, exact, strict=True):
        assert permutation_p(*both) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 20_000) + 1e-4)
    assert permutation_p(np.arange(16) / 1e3, 1 + np.arange(16) / 1e3) == 1 / 20_000


def test_equal_variances_are_tested_by_f() -> None:
    rng = np.random.default_rng(8)
    for _ in range(SAMPLES):
        first, second = accuracies(rng), accuracies(rng)
        f = scipy.stats.f(len(first) - 1, len(second) - 1)
        ratio = first.var(ddof=1) / second.var(ddof=1)
        assert equal_variances_p(first, second) == pytest.approx(2 * min(f.cdf(ratio), f.sf(ratio)), rel=1e-9)
    assert equal_variances_p(np.ones(3), np.ones(3)) == 1.0
    assert equal_variances_p(np.ones(3), np.arange(3.0)) == 0.0


@pytest.mark.parametrize("kind", [bool, np.uint8])
def test_two_trained_networks_are_compared_by_the_binomial_test_of_images_that_one_got_right(kind: type) -> None:
    rng = np.random.default_rng(9)
    for _ in range(SAMPLES):
        first, second = (rng.random(100) < rng.uniform(0.5, 0.9) for _ in range(2))
        alone, other = sum(first & ~second), sum(second & ~first)
        expected = scipy.stats.binomtest(alone, alone + other, 0.5).pvalue
        assert mcnemar_p(first.astype(kind), second.astype(kind)) == pytest.approx(expected)
    assert mcnemar_p(np.ones(5, dtype=kind), np.ones(5, dtype=kind)) == 1.0


def test_probability_of_improvement_is_mann_whitneys_u_over_all_pairs() -> None:
    rng = np.random.default_rng(10)
    for _ in range(SAMPLES):
        candidate, reference = (rng.integers(0, 12, rng.integers(1, 12)) / 10_000 for _ in range(2))
        u = scipy.stats.mannwhitneyu(candidate, reference).statistic
        expected = u / (len(candidate) * len(reference))
        assert probability_of_improvement(candidate.tolist(), reference.tolist()) == pytest.approx(expected)
    assert probability_of_improvement([], [0.1]) is None


SPREAD = np.array([-1.0, 0.0, 1.0])  # accuracies with a sd of 1


@pytest.mark.parametrize("d", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("margin", [0.0, 1.5])
def test_so_many_seeds_decide_in_four_of_five_experiments(d: float, margin: float) -> None:
    """Of normal accuracies, judged by scipy's Welch interval at level .02."""
    level = 0.02
    n = pair(SPREAD, SPREAD + d).seeds_to_decide(level, margin)
    if d == margin == 0:
        assert n is None
        return
    assert n is not None

    def decided(n: int) -> float:
        rng = np.random.default_rng(11)
        before, after = rng.normal(0, 1, (2_000, n)), rng.normal(d, 1, (2_000, n))
        both = scipy.stats.ttest_ind(after, before, equal_var=False, axis=1).confidence_interval(1 - level)
        clear = (both.low > 0) | (both.high < 0)
        return float(np.mean(clear | ((both.low > -margin) & (both.high < margin))))

    assert 0.72 < decided(n) < 0.92
    assert n == FEWEST or decided(n - 1) < 0.82


def test_seeds_to_decide_know_when_no_number_is_enough() -> None:
    assert pair(SPREAD, SPREAD + 1e-3).seeds_to_decide(0.05) is None
    assert pair(np.ones(3), np.ones(3)).seeds_to_decide(0.05) is None
    assert pair(np.ones(3), np.ones(3)).seeds_to_decide(0.05, margin=0.1) == FEWEST
    assert pair(np.ones(3), np.zeros(3)).seeds_to_decide(0.05) == FEWEST
    images = Contrast(0.1, (3, 3), (0.001, 0.001), images=0.01, residuals=(0.0, 0.0), n_images=500)
    assert images.seeds_to_decide(0.05) is None  # the images alone have a sd of .1
    assert Contrast(0.1, (3, 3), (0.001, 0.001)).seeds_to_decide(0.05) is not None


def test_many_seeds_are_those_of_the_normal_approximation_up_to_the_most_that_are_named() -> None:
    """d = (z(level / 2) + z(power)) sqrt(2 / n) sd."""
    factor = scipy.stats.norm.ppf(0.975) + scipy.stats.norm.ppf(0.8)
    for n in (300, 900):
        assert pair(SPREAD, SPREAD + factor * math.sqrt(2 / n)).seeds_to_decide(0.05) == pytest.approx(n, rel=0.01)
    assert pair(SPREAD, SPREAD + factor * math.sqrt(2 / (MOST_SEEDS + 20))).seeds_to_decide(0.05) is None


def test_images_cannot_tell_what_is_nearer_to_0_and_to_the_margin_than_their_part() -> None:
    """Their part has a sd of .01, and 1.96 times that decides at .05, whatever the seeds."""
    for d, margin, cannot in (
        (0.0195, 0.0, True),
        (0.0197, 0.0, False),
        (-0.0197, 0.0, False),
        (0.0, 0.0195, True),
        (0.0, 0.0197, False),
        (0.01, 0.0295, True),
        (0.01, 0.0297, False),
    ):
        found = Contrast(d, (3, 3), (0.0, 0.0), images=1.5e-4, residuals=(3e-5, 2e-5), n_images=500)
        assert found.images_cannot_tell(0.05, margin) is cannot
    assert not Contrast(0.0, (3, 3), (0.0, 0.0)).images_cannot_tell(0.05)
    alike = Contrast(0.0, (3, 3), (0.0, 0.0), images=1e-5, residuals=(1e-5, 1e-5), n_images=500)
    assert not alike.images_cannot_tell(0.05)


def test_images_cannot_tell_only_where_more_seeds_cannot_bring_a_difference_that_they_can() -> None:
    """Over seeds alone the interval is d -+ t(4) sd; images decide from .0196 on."""
    t = scipy.stats.t.ppf(0.975, 4)
    for d, margin, reach, cannot in (
        (0.005, 0.0, 0.0145, True),
        (0.005, 0.0, 0.0148, False),
        (-0.005, 0.0, 0.0145, True),
        (-0.005, 0.0, 0.0148, False),
        (0.01, 0.025, 0.004, True),  # the nearest to 0 is .006, which leaves .019 to the margin
        (0.01, 0.025, 0.005, False),
        (-0.01, 0.025, 0.005, False),
        (0.001, 0.0195, 0.005, True),  # 0 leaves .0195
    ):
        part = (reach / t) ** 2 / 2
        found = Contrast(d, (3, 3), (part, part), images=1e-4, residuals=(0.0, 0.0), n_images=500)
        assert found.images_cannot_tell(0.05, margin) is cannot


def test_networks_that_answer_different_single_classes_differ_by_nothing_for_certain() -> None:
    classes = np.arange(500) % 10
    first, second = (np.array([classes == answer for answer in answers]) for answers in ([1, 2, 3], [1, 3, 2]))
    assert ends(crossed((-1.0, first), (1.0, second)).interval()) == (0, 0)
