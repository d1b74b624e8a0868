"""How often training fails is a question of its own."""

from __future__ import annotations

import pytest
import scipy.stats
from made import cell, pair

from dsbench.verdict.rule import Answer


def runs(done: int, failed: int, status: str = "collapsed") -> list[float | str | None]:
    return [*[0.9 + 0.001 * seed for seed in range(done)], *[status] * failed]


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        ((8, 0), (8, 0), Answer.NO_DIFFERENCE),
        ((8, 0), (5, 3), Answer.NO_DIFFERENCE),
        ((8, 0), (2, 6), Answer.LESS_RELIABLE),
        ((1, 7), (8, 0), Answer.MORE_RELIABLE),
    ],
)
def test_shares_of_failed_trainings_are_compared_exactly(
    before: tuple[int, int], after: tuple[int, int], answer: Answer
) -> None:
    reliable = pair(cell(runs(*before)), cell(runs(*after), "dwsep")).reliable
    exact = scipy.stats.boschloo_exact([[after[1], before[1]], [after[0], before[0]]])
    assert reliable.answer is answer
    if before != after:
        assert reliable.p == pytest.approx(exact.pvalue, abs=1e-3)
    for side, (done, failed) in ((reliable.reference, before), (reliable.candidate, after)):
        interval = scipy.stats.binomtest(failed, done + failed).proportion_ci(0.95)
        assert side.interval is not None
        assert (side.failed, side.n) == (failed, done + failed)
        assert (side.interval.low, side.interval.high) == pytest.approx((interval.low, interval.high))
        assert side.per_success == pytest.approx((done + failed) / done)


def test_where_all_trainings_fail_no_number_of_them_gives_a_network() -> None:
    reliable = pair(cell(runs(4, 0)), cell(runs(0, 4), "dwsep")).reliable
    assert (reliable.candidate.per_success, reliable.candidate.seconds) == (None, None)


def test_a_trained_network_costs_the_seconds_of_those_that_failed_too() -> None:
    after = [record | {"train_seconds": 10.0} for record in cell(runs(4, 2), "dwsep")]
    assert pair(cell(runs(4, 0)), after).reliable.candidate.seconds == pytest.approx(15.0)


def test_runs_that_ended_without_a_result_are_no_failures_of_training() -> None:
    reliable = pair(cell(runs(4, 0)), cell([*runs(4, 0), "failed", "killed", "running"], "dwsep")).reliable
    assert (reliable.candidate.failed, reliable.candidate.n) == (0, 4)


def test_runs_that_diverged_have_failed() -> None:
    assert pair(cell(runs(4, 0)), cell(runs(3, 1, "diverged"), "dwsep")).reliable.candidate.failed == 1
