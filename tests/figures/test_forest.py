"""Paired differences: of the same seeds, of families alone, drawn where they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from made_sweeps import Made
from scipy import stats
from synthetic import run

from dsbench.figures import forest
from dsbench.figures.forest import Difference, differences, pairs
from dsbench.verdict.verdict import Verdict, verdict

Make = Callable[..., Made]
DIFFERENCE = Difference("dwsep\nminus cnn", -0.31, -0.5, -0.12, (-0.4, -0.3, -0.23), 0.008)
NONE = Difference("alone", 1.5, None, None, (1.5,), None)


def test_rows_are_drawn_where_their_numbers_are() -> None:
    panel = forest.draw([DIFFERENCE, NONE], "title", "points").axes[0]
    means = [line for line in panel.get_lines() if line.get_label() == "mean"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in means] == [(-0.31, 0), (1.5, 1)]
    dots = [dot.get_offsets()[:, 0].tolist() for dot in panel.collections]
    assert dots == [pytest.approx([-0.4, -0.3, -0.23]), [1.5]]
    bars = [list(line.get_xdata()) for line in panel.get_lines() if line.get_linewidth() == 2.0]
    assert bars == [[-0.5, -0.12]]
    assert panel.get_ylim()[0] > panel.get_ylim()[1]  # the first row is on top


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (DIFFERENCE, "\N{MINUS SIGN}0.31 [\N{MINUS SIGN}0.50, \N{MINUS SIGN}0.12]\np = 0.008, n = 3"),
        (NONE, "+1.50\nn = 1"),
        (Difference("", 0.0, -1.0, 1.0, (0.0, 0.0), 1.0), "+0.00 [\N{MINUS SIGN}1.00, +1.00]\np = 1, n = 2"),
        (Difference("", 0.5, 0.4, 0.6, (0.5, 0.5), 0.00004), "+0.50 [+0.40, +0.60]\np < 0.0001, n = 2"),
    ],
)
def test_a_difference_is_said_with_interval_p_and_n(difference: Difference, text: str) -> None:
    assert forest.in_words(difference) == text


def judged(sweep: Made) -> Verdict:
    return verdict(sweep.outputs, sweep.runs)


def test_pairs_are_those_of_the_verdict_that_are_of_two_families(four: Made) -> None:
    assert [(first.called, second.called) for first, second in pairs(judged(four), four.cells)] == [
        ("cnn, width 4", "dwsep, width 4"),
        ("cnn, width 8", "dwsep, width 8"),
    ]


def test_differences_are_of_common_seeds_with_scipys_interval_and_the_p_of_the_verdict(made: Make) -> None:
    cnn, dwsep = (0.90, 0.91, 0.93, 0.95), (0.92, 0.90, 0.97, 0.91)
    records = [run(model="cnn", seed=seed, test_acc=value) for seed, value in enumerate(cnn)]
    records += [run(model="dwsep", seed=seed, test_acc=value) for seed, value in enumerate(dwsep, start=1)]
    records[-2] |= {"status": "collapsed"}
    (difference,) = differences(judged(made(records)))
    expected = [100 * (0.92 - 0.91), 100 * (0.90 - 0.93)]
    interval = stats.ttest_1samp(expected, 0).confidence_interval(0.95)
    assert difference.points == pytest.approx(expected)
    assert (difference.mean, difference.low, difference.high) == pytest.approx((sum(expected) / 2, *interval))
    assert difference.p_adjusted == 1.0  # of two pairs of unlike sign every flip is as large


def test_one_common_seed_has_no_interval_and_none_no_row(made: Make) -> None:
    sweep = made([run(model="cnn", seed=0), run(model="dwsep", seed=0), run(model="hybrid", seed=1)])
    (difference,) = differences(judged(sweep))
    assert (difference.low, difference.high, difference.n) == (None, None, 1)
