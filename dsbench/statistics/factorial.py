"""A two-by-two factorial over seeds: the effect of each factor apart from that of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Effects:
    """The effects in each replicate, arrays (n)."""

    rows: np.ndarray
    columns: np.ndarray
    interaction: np.ndarray


def effects(scores: np.ndarray) -> Effects:
    """The effects in `scores` (n, 2, 2), that is replicate, level of the first factor, level of the second.

    A main effect is the mean over the levels of the other factor of (second level - first level); the interaction is
    how much the first factor's effect changes from the first to the second level of the other (Montgomery, Design and
    Analysis of Experiments, chapter 6, who halves the interaction).
    """
    found = np.asarray(scores, dtype=float)
    by_row, by_column = found[:, 1, :] - found[:, 0, :], found[:, :, 1] - found[:, :, 0]
    return Effects(by_row.mean(axis=1), by_column.mean(axis=1), by_row[:, 1] - by_row[:, 0])
