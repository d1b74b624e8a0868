"""Seconds of training decide nothing, and cells are ranked by what compares alone."""

from __future__ import annotations

from typing import Any

import pytest
from made import cell, group, pair, timed, verdict

from dsbench.verdict.lighter import Measure
from dsbench.verdict.rule import Answer

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
    return {seconds.name: seconds for seconds in pair(*cells).trained}


def test_seconds_of_training_are_means_and_decide_nothing() -> None:
    for name, share in (("training, as trained", 1), ("epoch, as trained", 5)):
        seconds = trained()[name]
        assert (seconds.answer, seconds.decides, seconds.n) == (Answer.CANNOT_TELL, False, 8)
        assert (seconds.reference, seconds.candidate) == pytest.approx((13.5 / share, 1.5 * 13.5 / share))
    assert "n_jobs 2" in trained()["epoch, as trained"].note


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"n_jobs": (1, 2)}, "trained with different n_jobs: 1 and 2"),
        ({"n_jobs": (None, 2)}, "n_jobs is not recorded of all runs"),
        ({"device": "another CPU"}, "trained with different device: a CPU and another CPU"),
        ({"threads": 2}, "trained with different threads: 1 and 2"),
        ({"fused": 8}, "trained in groups of 1 and 8, whose seconds these are"),
        ({"graph": True}, "trained with different graph: False and True"),
    ],
    ids=str,
)
def test_seconds_of_training_under_other_conditions_are_refused(case: dict[str, Any], reason: str) -> None:
    for seconds in trained(**case).values():
        assert (seconds.answer, seconds.reason) == (Answer.NOT_COMPARABLE, reason)
        assert seconds.ratio == pytest.approx(1.5)


def test_seconds_of_training_in_two_precisions_are_refused_where_the_two_are_asked_for() -> None:
    cells = cell(SEEDS, n_jobs=1), cell(SEEDS, "dwsep", n_jobs=1, precision="bf16")
    (judged,) = verdict(*cells, compare="cnn,dwsep").groups
    reasons = {seconds.reason for seconds in judged.comparisons[0].trained}
    assert reasons == {"trained with different precision: 32 and bf16"}


def test_epochs_that_may_be_cut_short_are_refused() -> None:
    stop = {"stop": {"by": "train_macs", "target": 1e12}}
    judged = group(cell(SEEDS, n_jobs=1, **stop), cell(SEEDS, "dwsep", n_jobs=1, **stop))
    found = {seconds.name: seconds for seconds in judged.comparisons[0].trained}
    assert found["epoch, as trained"].reason == "the last epoch may be cut short under stop.by=train_macs"
    assert found["training, as trained"].reason == ""


@pytest.mark.parametrize(
    ("before", "after", "by", "said"),
    [
        ({"n_jobs": 1}, {"n_jobs": 1}, "train_seconds", None),
        ({"n_jobs": 2}, {"n_jobs": 2}, "train_seconds", "trained 2 at a time, which slows them unequally"),
        (
            {"n_jobs": 1, "fused": 4},
            {"n_jobs": 1, "fused": 4},
            "train_seconds",
            "trained in groups of 4, whose seconds these are",
        ),
        ({"n_jobs": 1}, {"n_jobs": 1, "fused": 1}, "train_seconds", None),
        ({"n_jobs": 1}, {"n_jobs": 1, "graph": False}, "train_seconds", None),
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
