"""How often one training beats another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def probability_of_improvement(candidate: Sequence[float], reference: Sequence[float]) -> float | None:
    """The chance that a run of `candidate` is above one of `reference`: P(c > r) + P(c = r) / 2 over all pairs of runs.

    The Mann-Whitney U over the number of pairs, as Agarwal et al. (2021, Deep Reinforcement Learning at the Edge of the
    Statistical Precipice) have it for one task; 1/2 where neither is better, None where one has no runs.
    """
    if not len(candidate) or not len(reference):
        return None
    above = np.subtract.outer(np.asarray(candidate, dtype=float), np.asarray(reference, dtype=float))
    return float(np.mean((above > 0) + (above == 0) / 2))
