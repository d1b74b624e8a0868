"""Does training fail more often? Trainings that ended without a network that has learnt, of all that ended."""

from __future__ import annotations

from dataclasses import dataclass

from dsbench.statistics.means import ALPHA, Interval
from dsbench.verdict.cells import Cell
from dsbench.verdict.rule import Answer


@dataclass(frozen=True)
class Trainings:
    """Of `n` trainings `failed` (collapsed or diverged), and the exact interval of the share that fails.

    `per_success` is how many trainings one trained network costs, None where all failed, `seconds` how many seconds of
    training that is.
    """

    failed: int
    n: int
    interval: Interval | None
    per_success: float | None
    seconds: float | None


@dataclass(frozen=True)
class Reliable:
    """Whether the candidate's training fails less or more often than the reference's, at `level`."""

    answer: Answer
    reference: Trainings
    candidate: Trainings
    p: float | None
    level: float


def reliable(reference: Cell, candidate: Cell, level: float) -> Reliable:
    """By Boschloo's exact test at `level`; the intervals are Clopper and Pearson's at 1 - `level`."""
    before, after = _trainings(reference, level), _trainings(candidate, level)
    p = boschloo_p(after.failed, after.n, before.failed, before.n) if before.n and after.n else None
    answer = Answer.NO_DIFFERENCE
    if p is None:
        answer = Answer.TOO_FEW
    elif p < level:
        fewer = after.failed * before.n < before.failed * after.n
        answer = Answer.MORE_RELIABLE if fewer else Answer.LESS_RELIABLE
    return Reliable(answer, before, after, p, level)


def _trainings(cell: Cell, level: float) -> Trainings:
    failed, n = len(cell.untrained), cell.ended
    per_success = trainings_per_success(failed, n) if n else None
    ended = [run.train_seconds for run in (*cell.done, *cell.untrained) if run.train_seconds is not None]
    seconds = sum(ended) / len(cell.done) if cell.done and len(ended) == n else None
    return Trainings(failed, n, share_interval(failed, n, level) if n else None, per_success, seconds)


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
