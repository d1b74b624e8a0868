"""Shares of trainings that fail, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from dsbench.verdict.reliable import boschloo_p, share_interval, trainings_per_success

SAMPLES = 100


def test_the_interval_of_a_share_is_clopper_and_pearsons() -> None:
    rng = np.random.default_rng(0)
    for _ in range(SAMPLES):
        n, level = int(rng.integers(1, 40)), float(rng.uniform(0.001, 0.2))
        failed = int(rng.integers(0, n + 1))
        expected = scipy.stats.binomtest(failed, n).proportion_ci(1 - level, method="exact")
        found = share_interval(failed, n, level)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)


def test_none_and_all_of_eight_have_closed_forms() -> None:
    """0 of 8: the share of which .025 is the chance to see none."""
    none, every = share_interval(0, 8), share_interval(8, 8)
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 8)))
    assert round(100 * none.high) == 37
    assert (every.low, every.high) == (pytest.approx(0.025 ** (1 / 8)), 1.0)


def boschloo(failed: int, n: int, other_failed: int, other_n: int) -> float:
    """Twice the smaller one-sided p, over a fine grid of shares: of tables no likelier than Fisher's p of this one."""
    shares, first, second = np.linspace(0.001, 0.999, 999), np.arange(n + 1), np.arange(other_n + 1)
    chances = scipy.stats.binom.pmf(first[:, None], n, shares)[:, None]
    chances = chances * scipy.stats.binom.pmf(second[:, None], other_n, shares)
    ps = []
    for less in (True, False):
        hypergeometric = scipy.stats.hypergeom(n + other_n, first[:, None] + second, n)
        fisher = hypergeometric.cdf(first[:, None]) if less else hypergeometric.sf(first[:, None] - 1)
        ps.append(chances[fisher <= fisher[failed, other_failed] * (1 + 1e-9)].sum(axis=0).max())
    return min(1.0, 2 * min(ps))


def test_boschloos_p_is_that_of_a_fine_grid_of_shares() -> None:
    rng, compared = np.random.default_rng(1), 0
    while compared < SAMPLES:
        n, other_n = (int(size) for size in rng.integers(2, 9, 2))
        failed, other_failed = int(rng.integers(0, n + 1)), int(rng.integers(0, other_n + 1))
        if failed * other_n == other_failed * n:
            continue
        expected = boschloo(failed, n, other_failed, other_n)
        assert boschloo_p(failed, n, other_failed, other_n) == pytest.approx(expected, abs=1e-3)
        compared += 1


def test_boschloos_p_is_that_of_scipy_whichever_comes_first() -> None:
    expected = scipy.stats.boschloo_exact([[1, 6], [7, 3]]).pvalue
    assert boschloo_p(1, 8, 6, 9) == expected
    assert boschloo_p(6, 9, 1, 8) == pytest.approx(expected, rel=1e-3)


def test_three_of_eight_against_none_are_not_less_reliable() -> None:
    assert boschloo_p(3, 8, 0, 8) == pytest.approx(0.08, abs=0.005)
    assert boschloo_p(0, 8, 3, 8) == pytest.approx(boschloo_p(3, 8, 0, 8))


def test_shares_that_are_equal_have_a_p_of_1() -> None:
    assert boschloo_p(0, 8, 0, 8) == boschloo_p(8, 8, 8, 8) == boschloo_p(2, 4, 4, 8) == 1.0


def test_a_success_costs_as_many_trainings_as_are_made_until_one_succeeds() -> None:
    assert trainings_per_success(0, 8) == 1.0
    assert trainings_per_success(8, 8) is None
    mean = np.mean(np.random.default_rng(2).geometric(5 / 8, 20_000))
    assert trainings_per_success(3, 8) == pytest.approx(mean, rel=0.02)
