"""Differences in accuracy: of families alone, drawn where they are, with the verdict's own intervals."""

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
WORSE = Difference("dwsep\nminus cnn", -0.31, -0.5, -0.12, 0.2, "worse", (3, 4))
ALONE = Difference("alone", 1.5, None, None, 0.0, "too few runs", (1, 1))


def test_rows_are_drawn_where_their_numbers_are_over_the_bands_of_their_margins() -> None:
    panel = forest.draw([WORSE, ALONE], "title", "points").axes[0]
    means = [line for line in panel.get_lines() if line.get_label() == "mean"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in means] == [(-0.31, 0), (1.5, 1)]
    (interval,) = (line for line in panel.get_lines() if line.get_label() == "interval")
    assert list(interval.get_xdata()) == [-0.5, -0.12]
    (band,) = (shape.get_paths()[0].vertices for shape in panel.collections)
    assert (band[:, 0].min(), band[:, 0].max(), band[:, 1].min(), band[:, 1].max()) == (-0.2, 0.2, -0.5, 0.5)
    assert panel.get_ylim()[0] > panel.get_ylim()[1]  # the first row is on top


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (WORSE, "\N{MINUS SIGN}0.31 [\N{MINUS SIGN}0.50, \N{MINUS SIGN}0.12]\nworse, n = 4 and 3"),
        (ALONE, "+1.50\ntoo few runs, n = 1 and 1"),
    ],
)
def test_a_difference_has_its_interval_answer_and_runs_in_words(difference: Difference, text: str) -> None:
    assert forest.in_words(difference) == text


def judged(sweep: Made) -> Verdict:
    return verdict(sweep.outputs, sweep.runs)


def test_pairs_are_those_of_the_verdict_that_are_of_two_families(four: Made) -> None:
    assert [(reference.called, candidate.called) for reference, candidate in pairs(judged(four), four.cells)] == [
        ("cnn, width 4", "dwsep, width 4"),
        ("cnn, width 8", "dwsep, width 8"),
    ]


def test_differences_are_of_all_runs_that_are_done_with_scipys_welch_interval_and_the_margin(made: Make) -> None:
    cnn, dwsep = (0.90, 0.91, 0.93, 0.95), (0.92, 0.90, 0.97, 0.91)
    records = [run(model="cnn", seed=seed, test_acc=value) for seed, value in enumerate(cnn)]
    records += [run(model="dwsep", seed=seed, test_acc=value) for seed, value in enumerate(dwsep, start=1)]
    records[-2] |= {"status": "collapsed"}
    (difference,) = differences(judged(made(records)))
    done = (0.92, 0.90, 0.91)
    low, high = stats.ttest_ind(done, cnn, equal_var=False).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx((100 * low, 100 * high))
    assert difference.mean == pytest.approx(100 * (sum(done) / 3 - sum(cnn) / 4))
    assert (difference.margin, difference.runs) == (pytest.approx(0.2), (4, 3))


def test_one_run_a_side_has_no_interval_and_none_no_row(made: Make) -> None:
    sweep = made([run(model="cnn"), run(model="dwsep"), run("collapsed", model="hybrid")])
    (difference,) = differences(judged(sweep))
    assert (difference.low, difference.high, difference.runs) == (None, None, (1, 1))
