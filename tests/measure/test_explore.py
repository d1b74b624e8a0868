"""Which points a map measures next: few of them find where a ratio crosses 1, and all of them find every crossing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from dsbench.measure.explore import beyond, bisecting, coarse, filling
from dsbench.measure.map import CHANNELS
from dsbench.statistics.crossing import Difference, crossings
from dsbench.statistics.means import Interval


def searched(log: Callable[[int], float], grid: Sequence[int] = CHANNELS) -> dict[int, float]:
    """The points that a search over `log` measures."""
    logs = {point: log(point) for point in coarse(grid)}
    while new := bisecting(grid, logs):
        logs |= {point: log(point) for point in new}
    return logs


@pytest.mark.parametrize("place", range(1, len(CHANNELS)))
def test_the_neighbours_of_a_boundary_are_found_with_half_of_the_grid(place: int) -> None:
    boundary = math.sqrt(CHANNELS[place - 1] * CHANNELS[place])
    logs = searched(lambda channels: math.log(boundary / channels))
    assert {CHANNELS[place - 1], CHANNELS[place]} <= logs.keys()
    assert len(logs) <= 7
    assert sorted(logs) == sorted(set(logs))


def test_the_search_goes_on_to_the_side_where_the_crossing_may_be() -> None:
    points = coarse(CHANNELS)
    assert sorted(points) == [4, 16, 64, 256, 512]
    assert set(points[:2]) == {16, 64}
    assert beyond(points, {16: 0.5, 64: 0.1}) == [256]
    assert beyond(points, {16: -0.1, 64: -0.5}) == [4]
    assert beyond(points, {16: 0.5, 64: -0.5}) == beyond(points, {}) == beyond(points, {4: -1.0}) == []


def test_of_two_crossings_between_coarse_points_filling_finds_both() -> None:
    def log(channels: int) -> float:
        return -1.0 if channels in (8, 12) else 1.0

    logs = searched(log)
    assert 8 not in logs  # which is what the search alone cannot know
    while new := bisecting(CHANNELS, logs) or filling(CHANNELS, logs)[:1]:
        logs |= {point: log(point) for point in new}
    assert logs.keys() == set(CHANNELS)
    assert len(crossings({point: Difference(logs[point], Interval(*[logs[point]] * 2), 3) for point in CHANNELS})) == 2
