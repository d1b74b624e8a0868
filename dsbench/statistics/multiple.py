"""Many comparisons at once."""

from __future__ import annotations

from collections.abc import Sequence


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
