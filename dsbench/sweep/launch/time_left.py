"""How long the jobs of a launch still take, by the plan, by those that have ended and by those that run."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any


@dataclass
class JobCourse:
    """What has been seen of a job; times are those of time.monotonic, `took` is in seconds.

    It trains `runs` of one cell, `failed` of which are known to have no result; by seed are the validation accuracies
    of the last epoch, the results and the logs.
    """

    label: str
    cell: Hashable
    runs: int = 1
    started: float = 0.0
    took: float | None = None
    epochs: int | None = None
    epoch: int = 0
    val_accs: dict[Any, float | None] = field(default_factory=dict)
    finished: dict[Any, Mapping[str, Any]] = field(default_factory=dict)
    failed: int = 0
    logs: dict[Any, str] = field(default_factory=dict)
    waits_for: str | None = None

    @property
    def open(self) -> int:
        """How many of its runs have not ended."""
        return self.runs - len(self.finished) - self.failed

    @property
    def val_acc(self) -> float | None:
        """The mean validation accuracy of its runs."""
        known = [accuracy for accuracy in self.val_accs.values() if accuracy is not None]
        return fmean(known) if known else None


def time_left(
    jobs: Sequence[JobCourse],
    running: Sequence[JobCourse],
    at_once: int,
    now: float,
    expected: Mapping[Hashable, float],
) -> float | None:
    """Seconds that `jobs` still take, those that are `running` among them; None where nothing is known.

    `expected` is what the plan says of a run of each cell; of a cell of which none has ended the epochs of those that
    run say more.
    """
    took: dict[Hashable, list[float]] = {}
    for job in jobs:
        if job.took is not None:
            took.setdefault(job.cell, []).append(job.took)
    for job in running:
        if job.epoch and job.epochs and job.cell not in took:
            took[job.cell] = [(now - job.started) * max(1.0, job.epochs / job.epoch)]
    spent = [(job.cell, now - job.started) for job in running]
    unstarted = [(job.cell, 0.0) for job in jobs if not job.started]
    return seconds_left(took, spent + unstarted, at_once, expected)


def seconds_left(
    took: Mapping[Hashable, Sequence[float]],
    spent: Sequence[tuple[Hashable, float]],
    at_once: int,
    expected: Mapping[Hashable, float] | None = None,
) -> float | None:
    """Seconds that runs still take, `at_once` at a time, by what others of their cells `took`.

    `spent` is the cell of each run and the seconds that it has had. A run of a cell that none has ended of takes what
    was `expected` of its cell, as many times as those that took longer or less than was expected of them; without that
    the mean of the cells. None where nothing is known.
    """
    means = {cell: fmean(seconds) for cell, seconds in took.items()}
    known = [cell for cell in means if (expected or {}).get(cell)]
    level = sum(map(means.__getitem__, known)) / sum((expected or {})[cell] for cell in known) if known else 1.0
    by_plan = {cell: level * seconds for cell, seconds in (expected or {}).items()}
    if not means and not by_plan:
        return None
    mean = fmean((means or by_plan).values())
    left = [max(0.0, means.get(cell, by_plan.get(cell, mean)) - had) for cell, had in spent]
    return max(max(left, default=0.0), sum(left) / at_once)
