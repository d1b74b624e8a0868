"""The sign-flip permutation test of paired differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EXACT = 16  # pairs up to which all signs are tried, 65,536 at the most
SIGNS = 99_999  # random signs above that
_TIE = 1e-9  # of the sum of all sizes
_CHUNK = 10_000  # random signs at a time


def sign_flip_p(differences: Sequence[float] | np.ndarray, seed: int = 0) -> float | None:
    """The two-sided p of a mean of 0 among paired `differences`; None where there are none.

    Where neither of a pair is better, each difference is as likely to have the other sign: p is the share of all 2^n
    choices of signs whose mean is as far from 0 as the observed one or farther (Fisher 1935, The Design of Experiments,
    section 21). Above EXACT pairs it is (1 + b) / (1 + SIGNS), of which b of as many choices drawn with `seed` are
    (Phipson and Smyth 2010).

    Two sums count as equal where they differ by less than 1e-9 of the sum of all sizes: accuracies are multiples of one
    in 10,000 images, so that sums often tie, and their differences carry rounding errors of about 1e-16.
    """
    found = np.asarray(differences, dtype=float)
    if not len(found):
        return None
    least = abs(found.sum()) - _TIE * np.abs(found).sum()
    if len(found) <= EXACT:
        return float(np.mean(np.abs(_all_sums(found)) >= least))
    rng = np.random.default_rng(seed)
    beyond = 0
    for start in range(0, SIGNS, _CHUNK):
        signs = rng.integers(0, 2, size=(min(_CHUNK, SIGNS - start), len(found))) * 2 - 1
        beyond += int(np.count_nonzero(np.abs(signs @ found) >= least))
    return (1 + beyond) / (1 + SIGNS)


def smallest_p(n: int) -> float:
    """The smallest p that the test can give `n` pairs: 2 / 2^n, where all differences have one sign."""
    exact = min(1.0, 2.0 ** (1 - n))
    return exact if n <= EXACT else max(exact, 1 / (1 + SIGNS))


def _all_sums(values: np.ndarray) -> np.ndarray:
    """The 2^n sums of `values` (n) under all choices of signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums
