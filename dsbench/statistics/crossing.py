"""Where a difference crosses 0 along what it was measured at: of times along channels, of accuracies along a cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from dsbench.statistics.means import FEWEST, Interval, t_interval

FINE = 1.6  # times as much at the next point: up to there the difference is taken to be a straight line between


@dataclass(frozen=True)
class Difference:
    """The candidate's figure less the reference's: its `mean`, and the interval of it, of `n` repeats or runs.

    Of times it is that of their logarithms, which is the logarithm of their ratio. None is the interval of too few.
    """

    mean: float
    interval: Interval | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Difference:
        """Of one repeat or more, a value each; the interval is Student's at 95 %, of three or more."""
        return cls(fmean(values), t_interval(values) if len(values) >= FEWEST else None, len(values))

    @property
    def sign(self) -> int:
        """1 where the candidate has more, -1 where the reference has, 0 where the interval has both."""
        if self.interval is None:
            return 0
        return (self.interval.low > 0) - (self.interval.high < 0)

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the interval; without one everything."""
        return (-math.inf, math.inf) if self.interval is None else (self.interval.low, self.interval.high)


Along = Mapping[float, Difference]  # by channels, or by a cost


@dataclass(frozen=True)
class Crossing:
    """Where the difference crosses 0: `at`, between `low` and `high`; where it `falls`, the reference has more above.

    `at` interpolates between points measured, along the logarithm of what they are measured at; from `low` to `high`
    the interval, interpolated alike, contains 0. Between points that are further apart than FINE nothing is known:
    there `low` and `high` are these points.
    """

    at: float
    low: float
    high: float
    falls: bool


def crossings(column: Along) -> list[Crossing]:
    """Each crossing between two points that are decided in opposite ways, with none decided between them.

    Of a column that is not monotone there are several. Points between whose means lie on both sides several times count
    as one crossing, in the middle of these.
    """
    points = sorted(column)
    decided = [point for point in points if column[point].sign]
    out = []
    for first, last in pairwise(decided):
        if column[first].sign != column[last].sign:
            inside = [point for point in points if first <= point <= last]
            out.append(_crossing({point: column[point] for point in inside}, column[first].sign))
    return out


def _crossing(column: Along, sign: int) -> Crossing:
    """The crossing between the first and the last point of `column`, which are decided; `sign` is the first's."""
    points = list(column)
    means = zeros(points, [sign * column[point].mean for point in points])
    # Turned so that it falls: its interval leaves the one side at the first zero of its lower end, and is all on the
    # other from the last zero of its upper end on.
    ends = [sorted(sign * end for end in column[point].limits) for point in points]
    low = zeros(points, [end[0] for end in ends])[0]
    high = zeros(points, [end[1] for end in ends])[-1]
    low, high = min(low, means[0]), max(high, means[-1])
    for start, end in pairwise(points):
        if end > FINE * start and start <= high and end >= low:
            low, high = min(low, start), max(high, end)
    return Crossing(math.sqrt(means[0] * means[-1]), low, high, sign > 0)


def zeros(points: Sequence[float], values: Sequence[float]) -> list[float]:
    """Where `values`, joined by straight lines over the logarithms of `points`, are zero."""
    out = []
    for (start, before), (end, after) in pairwise(zip(points, values, strict=True)):
        if (before > 0) != (after > 0):
            share = before / (before - after) if math.isfinite(before - after) else 0.5
            out.append(start * (end / start) ** share)
    return out


def whole(column: Along) -> int:
    """1 where the candidate has more at all points that are decided, -1 where it has less at all, else 0.

    0 too where fewer than half of the points are decided, or the mean of one that is not lies on the other side.
    """
    signs = [one.sign for one in column.values()]
    sides = {one.mean > 0 for one in column.values()}
    if 2 * sum(map(abs, signs)) < len(signs) or not any(signs) or len(sides) > 1:
        return 0
    return max(signs) or min(signs)
