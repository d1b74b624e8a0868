"""Many comparisons at once: Holm's adjustment, what so many seeds can settle, and how many would."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dsbench.statistics.paired import EXACT, smallest_p

ALPHA = 0.05  # adjusted p below which a comparison is answered
POWER = 0.8  # the chance to settle a comparison that is asked of a number of seeds


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values by which the chance of one false claim or more among all stays below the level.

    In ascending order the i-th of m (from 0) is max over j <= i of (m - j) p_j, at most 1 (Holm 1979, Scandinavian
    Journal of Statistics 6). A comparison that has no p yet, None, counts among the m all the same, so that no answer
    is taken back once it has.
    """
    known = sorted((p, index) for index, p in enumerate(ps) if p is not None)
    out: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, (len(ps) - rank) * p))
        out[index] = largest
    return out


def smallest_adjusted_p(n: int, comparisons: int) -> float:
    """The smallest p that `n` pairs can reach once it is adjusted by Holm for `comparisons` of as many pairs each."""
    return min(1.0, comparisons * smallest_p(n))


def smallest_adjusted_ps(numbers: Sequence[int]) -> list[float]:
    """The smallest p that each of several comparisons can reach, of these numbers of pairs, adjusted for all by Holm.

    Those of more pairs come before it, so that it is adjusted for fewer.
    """
    return [p for p in holm([min(1.0, smallest_p(n)) for n in numbers]) if p is not None]


def seeds_to_settle(comparisons: int, level: float = ALPHA) -> int | None:
    """The fewest seeds with which the sign-flip test, adjusted for `comparisons`, can come below `level` at all.

    Six for one comparison. None where no number of seeds can, as for 5,000 and more: above EXACT pairs p is counted
    over random signs and has a least value.
    """
    numbers = range(1, EXACT + 3)  # from EXACT + 2 on the least p no longer falls
    return next((n for n in numbers if smallest_adjusted_p(n, comparisons) < level), None)


def power(mean: float, sd: float, n: int, level: float) -> float:
    """The chance that a two-sided paired t test of `n` differences with this true mean and sd > 0 comes below `level`.

    t is noncentral with n - 1 degrees of freedom and noncentrality mean / sd * sqrt(n) (Cohen 1988, Statistical Power
    Analysis). Only the tail on the side of the effect counts.
    """
    from scipy.special import stdtrit
    from scipy.stats import nct

    return float(nct.sf(stdtrit(n - 1, 1 - level / 2), n - 1, abs(mean) / sd * math.sqrt(n)))


def seeds_needed(
    mean: float, sd: float, comparisons: int = 1, level: float = ALPHA, wanted: float = POWER
) -> int | None:
    """The fewest seeds that probably settle this comparison among `comparisons`, if the differences are as observed.

    As many as give a paired t test the power `wanted` at level / comparisons, where Holm's procedure begins. That of
    the sign-flip test is up to ten points lower, and still lower for the fewest seeds that can settle anything: there
    all differences must have one sign, so that the chance of this, Phi(mean / sd)^n of normal differences, has to be
    `wanted` as well.

    None where the mean is 0, so that there is no effect to find, and where no number of seeds can settle so many
    comparisons.
    """
    fewest = seeds_to_settle(comparisons, level)
    if mean == 0 or fewest is None:
        return None

    from scipy.special import ndtr

    def enough(n: int) -> bool:
        return power(mean, sd, n, level / comparisons) >= wanted

    if sd == 0 or (float(ndtr(abs(mean) / sd)) ** fewest >= wanted and enough(fewest)):
        return fewest
    low = high = fewest + 1
    while not enough(high):
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high
