"""Which rows are trained on and which are validated on: a function of the images alone, never of a seed."""

from __future__ import annotations

import numpy as np

from dsbench.errors import InputError


def canonical_order(digests: np.ndarray) -> np.ndarray:
    """Rows (n,) of `digests` (n, 32) uint8 in ascending order, so that the order of a source is forgotten."""
    words = np.ascontiguousarray(digests).view(">u8")
    return np.lexsort(words.T[::-1])


def per_class(counts: np.ndarray, size: int) -> np.ndarray:
    """Share `size` out over the classes in proportion to `counts` (classes,), by largest remainder.

    Equal remainders go to the lower class. Raises InputError unless 0 <= size < counts.sum().
    """
    total = int(counts.sum())
    if not 0 <= size < total:
        raise InputError(f"{size} validation images do not fit in a train part of {total}")
    shares, remainders = np.divmod(counts.astype(np.int64) * size, total)
    missing = size - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return shares


def stratified(labels: np.ndarray, validation_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Split rows in canonical order into (train_index, validation_index), each ascending int64.

    `labels` is (n,) of a non-negative integer type. The first rows of each class validate, as many as `per_class`
    gives it, so the split depends on the images alone. Raises InputError when `validation_size` does not fit.
    """
    counts = np.bincount(labels)
    shares = per_class(counts, validation_size)
    by_class = np.argsort(labels, kind="stable")
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    validates = np.empty(len(labels), dtype=bool)
    validates[by_class] = np.arange(len(labels)) - starts < shares[labels[by_class]]
    return np.flatnonzero(~validates), np.flatnonzero(validates)
