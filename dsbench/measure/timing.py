"""How often a measurement is repeated, and what its repetitions come to."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median, quantiles

BATCHES = (1, 128)  # images, at which latency is measured
LIMIT_SECONDS = 10.0  # of one measurement, a network, its warm-up aside, all repeats together
REPEATS = 5  # fresh processes that measure the same networks; one differs from the next by more than its rounds do
FEWEST_REPEATS = 3  # below which nothing is decided
THREADS = 1  # on which networks are measured, whatever they were trained on
MEASUREMENTS = 3  # of a network: latency at both batch sizes, training step
SETTLED_IQR = 0.05  # of the median
MIN_ROUNDS = 16
_LEAST_ROUNDS = 3  # however short the limit

Probe = Callable[[], Sequence[float]]  # seconds of one call, or of each of its parts


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call: median and interquartile range over `rounds_ms`, in the order of their taking.

    Each round is the mean of a block of calls. `settled` says that there were enough rounds and that the range is
    within 5 % of the median.
    """

    median_ms: float
    iqr_ms: float
    rounds_ms: tuple[float, ...]
    settled: bool

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """The timing of two rounds or more; quartiles interpolate as numpy's do."""
        middle = median(seconds)
        low, _, high = quantiles(seconds, n=4, method="inclusive")
        settled = len(seconds) >= MIN_ROUNDS and high - low <= SETTLED_IQR * middle
        return cls(1e3 * middle, 1e3 * (high - low), tuple(1e3 * value for value in seconds), settled)

    @classmethod
    def over(cls, repeats: Sequence[Timing]) -> Timing:
        """The timing of the rounds of all `repeats`."""
        if len(repeats) == 1:
            return repeats[0]
        return cls.of([ms / 1e3 for timing in repeats for ms in timing.rounds_ms])

    @property
    def mean_ms(self) -> float:
        """The geometric mean of the rounds: the log ratio of two is the mean of the log ratios by turns."""
        return geometric_mean(self.rounds_ms)


def interleaved(
    probes: Sequence[Probe], limit_seconds: float, clock: Callable[[], float] = time.perf_counter
) -> list[list[Timing]]:
    """A timing of each part of each probe, taken by turns, so that a disturbance of the machine disturbs all of them.

    Each round has an order of its own, drawn anew, so that no probe always follows the same neighbour. Rounds go on
    until all have settled or `limit_seconds` a probe have passed; a probe that has settled keeps its turn, so that the
    others are timed in the same surroundings to the end.
    """
    order = random.Random()
    rows: list[list[Sequence[float]]] = [[] for _ in probes]
    end = clock() + limit_seconds * len(probes)
    while True:
        for number in order.sample(range(len(probes)), len(probes)):
            rows[number].append(probes[number]())
        rounds = len(rows[0])
        if rounds < _LEAST_ROUNDS or (rounds < MIN_ROUNDS and clock() < end):
            continue
        timings = [[Timing.of(part) for part in zip(*row, strict=True)] for row in rows]
        if clock() >= end or all(timing.settled for parts in timings for timing in parts):
            return timings
