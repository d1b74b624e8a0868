"""Does training fail more often? Trainings that ended without a network that has learnt, of all that ended."""

from __future__ import annotations

from dataclasses import dataclass

from dsbench.statistics.means import Interval
from dsbench.statistics.proportions import boschloo_p, share_interval, trainings_per_success
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
