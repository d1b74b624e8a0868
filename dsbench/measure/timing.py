"""How often a measurement is repeated, and what its repetitions come to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from dsbench.statistics.paired import EXACT

BATCHES = (1, 128)  # images, at which latency is measured
LIMIT_SECONDS = 10.0  # of one measurement, a network, its warm-up aside
MEASUREMENTS = 3  # of a network: latency at both batch sizes, training step
SETTLED_IQR = 0.05  # of the median
MIN_ROUNDS = EXACT  # as many as the test by turns has blocks
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


def interleaved(
    probes: Sequence[Probe], limit_seconds: float, clock: Callable[[], float] = time.perf_counter
) -> list[list[Timing]]:
    """A timing of each part of each probe, taken by turns, so that a disturbance of the machine disturbs all of them.

    Every other round goes in reverse order (ABBA...), so that no probe always follows the same neighbour. Rounds go on
    until all have settled or `limit_seconds` a probe have passed; a probe that has settled keeps its turn, so that the
    others are timed in the same surroundings to the end.
    """
    rows: list[list[Sequence[float]]] = [[] for _ in probes]
    end = clock() + limit_seconds * len(probes)
    while True:
        turn = list(zip(probes, rows, strict=True))
        for probe, row in turn if len(rows[0]) % 2 == 0 else reversed(turn):
            row.append(probe())
        rounds = len(rows[0])
        if rounds < _LEAST_ROUNDS or (rounds < MIN_ROUNDS and clock() < end):
            continue
        timings = [[Timing.of(part) for part in zip(*row, strict=True)] for row in rows]
        if clock() >= end or all(timing.settled for parts in timings for timing in parts):
            return timings
