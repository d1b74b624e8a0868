"""Looking at results as seeds are added: how much of the level each look may spend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from dsbench.statistics.means import ALPHA

_BOUND = 8.0  # standard deviations beyond which nothing is integrated
_NODES = 200  # of the integral over each look


def spent(fraction: float, level: float = ALPHA) -> float:
    """What of `level` is spent when a `fraction` of all seeds is there: level ln(1 + (e - 1) fraction).

    The spending function that comes near to Pocock's boundaries (Lan and DeMets 1983, Biometrika 70).
    """
    return level * math.log(1 + (math.e - 1) * min(max(fraction, 0.0), 1.0))


@cache
def nominal_levels(fractions: tuple[float, ...], level: float = ALPHA) -> tuple[float, ...]:
    """The two-sided level at which each look is taken, so that all together claim falsely with a chance of `level`.

    `fractions` of all seeds at the looks, ascending, above 0 and at most 1. At each look the boundary of the normal
    statistic is where the chance to cross it first there is what `spent` allows (Armitage, McPherson and Rowe 1969, by
    numerical integration). Raises ValueError for fractions in another order.
    """
    if any(not 0 < now <= 1 for now in fractions) or list(fractions) != sorted(set(fractions)):
        raise ValueError(f"fractions {fractions} do not ascend from above 0 to 1 at the most")
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    levels: list[float] = []
    at = before = 0.0
    values, density = np.zeros(1), np.ones(1)  # of the sum, whose variance is the fraction, where nothing was crossed
    for fraction in fractions:
        to_spend, step = spent(fraction, level) - before, math.sqrt(fraction - at)
        low, high = 0.0, _BOUND
        for _ in range(60):
            z = (low + high) / 2
            edge = z * math.sqrt(fraction)
            crossing = density @ (ndtr((values - edge) / step) + ndtr((-values - edge) / step))
            low, high = (z, high) if crossing > to_spend else (low, z)
        levels.append(float(2 * ndtr(-z)))
        inside, mass = edge * nodes, edge * weights
        distances = (inside[:, None] - values[None]) / step
        density = mass * (np.exp(-(distances**2) / 2) / (step * math.sqrt(2 * math.pi)) @ density)
        values, at, before = inside, fraction, before + to_spend
    return tuple(levels)


def fraction(seeds: Sequence[int], most: int) -> float:
    """The share of all seeds that is there: of the side with fewer trained seeds, failed ones included, of `most`."""
    return min(min(seeds) / most, 1.0)
