"""Levels of repeated looks against published boundaries and scipy's multivariate normal distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from dsbench.statistics.looks import fraction, nominal_levels, spent


def boundaries(fractions: tuple[float, ...], level: float = 0.05) -> np.ndarray:
    return -scipy.stats.norm.ppf(np.array(nominal_levels(fractions, level)) / 2)


def equal(looks: int) -> tuple[float, ...]:
    return tuple((look + 1) / looks for look in range(looks))


@pytest.mark.parametrize(
    ("looks", "published"),
    [
        (2, (2.157, 2.201)),
        (3, (2.279, 2.295, 2.296)),
        (4, (2.368, 2.368, 2.358, 2.350)),
        (5, (2.438, 2.427, 2.410, 2.397, 2.386)),
    ],
)
def test_boundaries_of_equal_looks_are_those_of_lan_and_demets(looks: int, published: tuple[float, ...]) -> None:
    """Spending of .05, two-sided, that comes near to Pocock's."""
    np.testing.assert_allclose(boundaries(equal(looks)), published, atol=1e-3)


def crossed(z: np.ndarray, fractions: tuple[float, ...]) -> float:
    """The chance that a normal statistic is beyond +-z at any look, with correlation sqrt(t / t')."""
    covariance = [[math.sqrt(min(a, b) / max(a, b)) for a in fractions] for b in fractions]
    normal = scipy.stats.multivariate_normal(np.zeros(len(z)), covariance, abseps=1e-6, maxpts=300_000, seed=0)
    return float(1 - normal.cdf(z, lower_limit=-z))


@pytest.mark.parametrize(
    "fractions", [(3 / 16, 5 / 16, 8 / 16, 12 / 16, 1.0), (0.05, 0.1, 0.9), (0.5, 0.501, 1.0), (0.3,)]
)
@pytest.mark.parametrize("level", [0.05, 0.05 / 3, 0.001])
def test_each_look_spends_what_it_may(fractions: tuple[float, ...], level: float) -> None:
    z = boundaries(fractions, level)
    for look in range(1, len(fractions) + 1):
        expected = level * math.log(1 + (math.e - 1) * fractions[look - 1])
        assert spent(fractions[look - 1], level) == pytest.approx(expected)
        assert crossed(z[:look], fractions[:look]) == pytest.approx(expected, rel=5e-3, abs=1e-5)


def test_many_looks_a_thousandth_from_one_another_spend_no_more() -> None:
    """Random walks, looked at a hundred times near their end."""
    fractions = tuple(step / 1_000 for step in range(901, 1_001))
    z, rng, crossings = boundaries(fractions), np.random.default_rng(0), []
    for _ in range(10):
        walks = rng.normal(0, math.sqrt(0.9), (4_000, 1)) + rng.normal(0, math.sqrt(0.001), (4_000, 100)).cumsum(axis=1)
        crossings.append((np.abs(walks) > z * np.sqrt(fractions)).any(axis=1))
    assert np.mean(crossings) == pytest.approx(0.05, abs=0.004)


def test_one_look_at_all_has_the_full_level() -> None:
    assert nominal_levels((1.0,)) == (pytest.approx(0.05, rel=1e-9),)
    assert (spent(0.0), spent(1.0), spent(1.5)) == (0.0, pytest.approx(0.05), pytest.approx(0.05))


def test_the_past_of_a_look_does_not_depend_on_its_future() -> None:
    assert nominal_levels(equal(5))[:3] == nominal_levels(equal(5)[:3])


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.6, 0.5), (0.0, 1.0), (0.5, 1.1)])
def test_looks_that_do_not_ascend_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="do not ascend"):
        nominal_levels(fractions)


def test_the_fraction_is_of_the_side_with_fewer_seeds() -> None:
    assert fraction((8, 5), 16) == 5 / 16
    assert fraction((20, 17), 16) == 1.0
