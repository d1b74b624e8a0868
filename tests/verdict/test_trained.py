"""Seconds of training decide nothing, and cells are ranked by what compares alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from made import cell, group, pair, timed, verdict

from dsbench.verdict.answers import Answer, Measure

SEEDS = [0.9, 0.91, 0.92]


def trained(n_jobs: tuple[int | None, int | None] = (2, 2), **after: Any) -> dict[str, Measure]:
    seconds = [10.0 + seed for seed in range(8)]
    cells = [
        [one | {"train_seconds": factor * own, "epochs": 5} for one, own in zip(some, seconds, strict=True)]
        for some, factor in (
            (cell([0.9] * 8, n_jobs=n_jobs[0]), 1.0),
            (cell([0.9] * 8, "dwsep", **{"n_jobs": n_jobs[1], **after}), 1.5),
        )
    ]
    return {one.name: one for one in pair(*cells).trained}


def test_seconds_of_training_are_paired_by_seed_and_decide_nothing() -> None:
    found = trained()
    seconds = np.arange(10.0, 18.0)
    exact = scipy.stats.permutation_test(
        (1.5 * seconds, seconds), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    )
    for name, share in (("training, as trained", 1), ("epoch, as trained", 5)):
        one = found[name]
        assert (one.answer, one.decides, one.n, one.p) == (Answer.NO, False, 8, pytest.approx(exact.pvalue))
        assert (one.reference, one.candidate) == pytest.approx((13.5 / share, 1.5 * 13.5 / share))
    assert "n_jobs 2" in found["epoch, as trained"].note


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"n_jobs": (1, 2)}, "trained with different n_jobs: 1 and 2"),
        ({"n_jobs": (None, 2)}, "n_jobs is not recorded of all runs"),
        ({"device": "another CPU"}, "trained with different device: a CPU and another CPU"),
        ({"threads": 2}, "trained with different threads: 1 and 2"),
    ],
    ids=str,
)
def test_seconds_of_training_under_other_conditions_are_refused(case: dict[str, Any], said: str) -> None:
    for one in trained(**case).values():
        assert (one.answer, one.reason, one.p) == (Answer.REFUSED, said, None)
        assert one.ratio == pytest.approx(1.5)


def test_seconds_of_training_in_two_precisions_are_refused_where_the_two_are_asked_for() -> None:
    cells = cell(SEEDS, n_jobs=1), cell(SEEDS, "dwsep", n_jobs=1, precision="bf16")
    (judged,) = verdict(*cells, compare="cnn,dwsep").groups
    reasons = {one.reason for one in judged.pairs[0].trained}
    assert reasons == {"trained with different precision: 32 and bf16"}


def test_epochs_that_may_be_cut_short_are_refused() -> None:
    stop = {"stop": {"by": "train_macs", "target": 1e12}}
    judged = group(cell(SEEDS, n_jobs=1, **stop), cell(SEEDS, "dwsep", n_jobs=1, **stop))
    found = {one.name: one for one in judged.pairs[0].trained}
    assert found["epoch, as trained"].reason == "the last epoch may be cut short under stop.by=train_macs"
    assert found["training, as trained"].reason == ""


@pytest.mark.parametrize(
    ("before", "after", "by", "said"),
    [
        ({"n_jobs": 1}, {"n_jobs": 1}, "train_seconds", None),
        ({"n_jobs": 2}, {"n_jobs": 2}, "train_seconds", "trained 2 at a time, which slows them unequally"),
        ({}, {"n_jobs": 1}, "train_seconds", "n_jobs is not recorded of all runs"),
        ({"n_jobs": 1}, {"n_jobs": 1, "threads": 2}, "train_seconds", "trained with different threads: 1 and 2"),
        ({}, {"data": "cifar10"}, "accuracy", "accuracies of different data: mnist and cifar10"),
        ({}, {}, "accuracy", None),
    ],
)
def test_cells_are_ranked_by_what_compares_alone(
    before: dict[str, Any], after: dict[str, Any], by: str, said: str | None
) -> None:
    assert verdict(cell(SEEDS, **before), cell(SEEDS, "dwsep", **after)).unranked.get(by) == said


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({}, None),
        ({"session": "b"}, "not measured by turns"),
        ({"threads": 2}, "measured with different threads (1 and 2)"),
    ],
)
def test_cells_are_ranked_by_latencies_of_one_place_and_session(where: dict[str, Any], said: str | None) -> None:
    before, after = timed(cell(SEEDS[:1]), 1.0), timed(cell(SEEDS[:1], "dwsep"), 2.0, **where)
    assert verdict(before, after).unranked.get("latency") == said
