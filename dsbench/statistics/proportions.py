"""How often training fails: shares with exact intervals, and whether two differ."""

from __future__ import annotations

from dsbench.statistics.means import ALPHA, Interval


def share_interval(failed: int, n: int, level: float = ALPHA) -> Interval:
    """The exact interval at 1 - `level` of the share that fails, by `failed` of `n` (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    low = float(betaincinv(failed, n - failed + 1, level / 2)) if failed else 0.0
    high = float(betaincinv(failed + 1, n - failed, 1 - level / 2)) if failed < n else 1.0
    return Interval(low, high)


def boschloo_p(failed: int, n: int, other_failed: int, other_n: int) -> float:
    """The two-sided p that both fail equally often (Boschloo 1970); 1 where the shares are equal."""
    if failed * other_n == other_failed * n:
        return 1.0
    from scipy.stats import boschloo_exact

    table = [[failed, other_failed], [n - failed, other_n - other_failed]]
    return float(boschloo_exact(table).pvalue)


def trainings_per_success(failed: int, n: int) -> float | None:
    """How many trainings one success costs, 1 / (1 - q) with q the share that failed; None where all failed."""
    return n / (n - failed) if failed < n else None
