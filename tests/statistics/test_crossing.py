"""Where a ratio crosses 1: what is not monotone or not decided is not told as if it were."""

from __future__ import annotations

import math

import pytest

from dsbench.statistics.crossing import Crossing, Difference, crossings, whole
from dsbench.statistics.means import Interval


def column(**logs: float | tuple[float, float]) -> dict[int, Difference]:
    """c8=0.5 is decided within 0.01; c8=(0.5, 0.6) has that half width."""
    out = {}
    for name, value in logs.items():
        log, half = value if isinstance(value, tuple) else (value, 0.01)
        out[int(name[1:])] = Difference(log, Interval(log - half, log + half), 5)
    return out


def test_a_crossing_is_interpolated_on_logarithmic_scales() -> None:
    (found,) = crossings(column(c8=0.3, c12=-0.1))
    expected = 8 * 1.5 ** (0.3 / 0.4)
    low, high = (8 * 1.5 ** ((0.3 + off) / 0.4) for off in (-0.01, 0.01))
    assert found == Crossing(pytest.approx(expected), pytest.approx(low), pytest.approx(high), falls=True)


def test_points_that_are_undecided_widen_the_interval() -> None:
    (found,) = crossings(column(c8=0.5, c12=(0.1, 0.2), c16=(-0.1, 0.2), c24=-0.5))
    assert 12 < found.at < 16
    assert 8 < found.low < 12  # where the lower end leaves the side above
    assert 16 < found.high < 24


def test_points_far_apart_are_the_interval() -> None:
    (found,) = crossings(column(c4=1.0, c16=-1.0, c24=-2.0))
    assert (found.at, found.low, found.high) == (pytest.approx(8), 4, 16)


def test_a_column_that_is_not_monotone_has_all_its_crossings() -> None:
    found = crossings(column(c8=-0.5, c12=0.5, c16=0.4, c24=-0.3, c32=(0.1, 0.5), c48=-0.2, c64=0.2))
    assert [one.falls for one in found] == [False, True, False]
    assert [one.low < one.at < one.high for one in found] == [True] * 3
    assert [(12, 16, 32)[n] < one.at for n, one in enumerate(found[1:], 1)] == [True, True]


def test_without_a_crossing_that_is_decided_there_is_none() -> None:
    assert crossings(column(c8=(0.5, 0.6), c16=(-0.5, 0.6))) == []
    assert crossings({8: Difference(0.5, None, 2), 16: Difference(-0.5, None, 2)}) == []


@pytest.mark.parametrize(
    ("logs", "side"),
    [
        ({"c8": 0.5, "c16": 0.2}, 1),
        ({"c8": -0.5, "c16": (-0.1, 0.2)}, -1),
        ({"c8": -0.5, "c16": 0.5}, 0),
        ({"c8": 0.5, "c16": (-0.1, 0.2)}, 0),
        ({"c8": -0.5, "c16": (0.1, 0.2), "c24": (0.1, 0.2)}, 0),
        ({"c8": (0.1, 0.2)}, 0),
    ],
)
def test_one_side_wins_everywhere_only_where_half_is_decided_and_none_against(logs: dict, side: int) -> None:
    assert whole(column(**logs)) == side


def test_three_repeats_decide_and_two_do_not() -> None:
    assert Difference.of([0.5, 0.5001]).sign == 0
    assert Difference.of([0.5, 0.5001, 0.4999]).sign == 1
    assert Difference.of([-0.5, 0.5, 0.1]).sign == 0
    low, high = Difference.of([0.1, 0.2, 0.3]).limits
    half = 4.302653 * 0.1 / math.sqrt(3)  # of Student's table, 2 degrees of freedom
    assert (low, high) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))
