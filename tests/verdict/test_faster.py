"""Faster is what was measured in one place, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats
from dsbench.verdict.answers import Answer, Measure
from made import answers, budget, cell, pair, timed, verdict

SEEDS = [0.9, 0.91, 0.92]


SEEDS = [0.9, 0.91, 0.92]


def measured(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> tuple[Measure, ...]:
    found = pair(before, after)
    return tuple(one for one in found.by_turns)


@pytest.mark.parametrize(("ms", "answer"), [(0.5, "yes"), (2.0, "no"), (1.04, "cannot tell"), (0.96, "cannot tell")])
def test_measured_times_decide(ms: float, answer: str) -> None:
    before, after = timed(cell([0.9]), 1.0), timed(cell([0.9], "dwsep"), ms)
    found = measured(before, after)
    assert answers(found) == {
        "training step": answer,
        "latency at batch 1": answer,
        "latency at batch 128": answer,
        "latency at batch 1, onnx": answer,
    }
    assert pair(before, after).answers["faster"] == answer
    assert [one.name for one in found if not one.decides] == ["latency at batch 1, onnx"]


def by_rounds(before: Sequence[float], after: Sequence[float]) -> Measure:
    """The training step, measured in these rounds."""
    both = timed(cell([0.9]), 1.0), timed(cell([0.9], "dwsep"), 1.0)
    for (one,), rounds in zip(both, (before, after), strict=True):
        one["train_step_ms"]["total"] |= {"rounds_ms": list(rounds), "median": float(np.median(rounds))}
    return measured(*both)[0]


@pytest.mark.parametrize("n", [7, 16, 50])
def test_times_are_compared_round_by_round_whatever_disturbs_both(n: int) -> None:
    """The machine becomes five times slower meanwhile; the candidate takes 1.2 times as long all along."""
    rng = np.random.default_rng(n)
    before = np.linspace(1, 5, n) * rng.lognormal(sigma=0.02, size=n)
    after = 1.2 * np.linspace(1, 5, n) * rng.lognormal(sigma=0.02, size=n)
    found = by_rounds(before, after)
    blocks = [np.median(block) for block in np.array_split(np.log(after / before), min(n, 16))]
    exact = scipy.stats.permutation_test(
        (blocks, np.zeros(len(blocks))), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    )
    assert (found.answer, found.n, found.p) == (Answer.NO, n, pytest.approx(exact.pvalue))
    interval = scipy.stats.t.interval(0.95, len(blocks) - 1, np.mean(blocks), scipy.stats.sem(blocks))
    assert found.ratio_interval == pytest.approx(np.exp(interval))


def test_rounds_that_disagree_cannot_tell_however_far_the_medians() -> None:
    before = np.ones(20)
    after = np.where(np.arange(20) % 5 < 3, 1.3, 0.7)
    assert (np.median(after), by_rounds(before, after).answer) == (1.3, Answer.CANNOT_TELL)


def test_medians_and_ratios_by_turns_that_disagree_cannot_tell() -> None:
    """The machine slows down half way, in the candidate's round a moment sooner: 2 % slower, by medians 104 %."""
    before = np.array([1.0] * 16 + [2.0] * 15)
    after = 1.02 * np.array([1.0] * 15 + [2.0] * 16)
    found = by_rounds(before, after)
    assert found.p == pytest.approx(2 / 2**16)
    assert found.ratio == pytest.approx(2.04)
    assert found.answer is Answer.CANNOT_TELL


def test_records_that_keep_no_rounds_are_to_be_measured_anew() -> None:
    before, after = timed(cell([0.9]), 1.0), timed(cell([0.9], "dwsep"), 2.0)
    for one in after:
        one["train_step_ms"]["total"] = {"median": 2.0, "iqr": 0.01, "rounds": 9, "settled": True, "session": "2026 a"}
        one["latency_ms"]["batch_1"]["torch"]["rounds_ms"][3] = 0.0  # damaged
    found = verdict(before, after)
    times = {one.name: one for one in found.groups[0].pairs[0].by_turns}
    for name in ("training step", "latency at batch 1"):
        assert (times[name].answer, times[name].reason) == (Answer.UNSETTLED, "its rounds were not kept")
    assert times["latency at batch 128"].answer is Answer.NO
    assert found.unsettled == (before[0]["run_id"], after[0]["run_id"])


def test_p_is_adjusted_over_the_pairs_of_all_groups_for_each_thing_that_is_timed() -> None:
    """Nine rounds: .0039 a pair; over the three pairs of one group and the one of another four times that."""
    cells = [timed(cell([0.9], width=8 + number), 1.0 + number, n=9) for number in range(3)]
    for number, some in enumerate(cells):
        for one in some:
            one |= budget(1000) | {"macs": 1000 + 100 * number}
    other = [timed(cell([0.9], model, data="cifar10"), ms, n=9) for model, ms in (("cnn", 1.0), ("dwsep", 2.0))]
    found = verdict(*cells, *other)
    pairs = [one for group in found.groups for one in group.pairs]
    assert len(pairs) == 4
    assert {one.p for pair in pairs for one in pair.by_turns} == {4 * 2 / 2**9}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"device": "another CPU"}, "measured with different device (a CPU and another CPU)"),
        ({"threads": 2}, "measured with different threads (1 and 2)"),
        ({"precision": "bf16"}, "measured with different precision (32 and bf16)"),
        ({"versions": {"torch": "2.12.0"}}, "measured with different torch (2.13.0 and 2.12.0)"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_times_of_two_places_are_refused(where: dict[str, Any], said: str) -> None:
    found = pair(timed(cell([0.9]), 1.0), timed(cell([0.9], "dwsep"), 0.1, **where))
    assert {one.answer for one in found.by_turns} == {Answer.REFUSED}
    assert {one.reason for one in found.by_turns} == {said}
    assert found.answers["faster"] is Answer.REFUSED


def test_a_place_that_both_have_is_taken_where_there_is_one() -> None:
    before = timed(cell([0.9, None]), 1.0) + timed(cell([None, 0.9]), 9.0, device="another CPU", time="2027")
    found = measured(before, timed(cell([0.9], "dwsep"), 2.0))
    assert [(one.reference, one.candidate, str(one.answer)) for one in found[:1]] == [(1.0, 2.0, "no")]


@pytest.mark.parametrize("sessions", [("a", "b"), (None, None)])
def test_times_that_were_not_measured_by_turns_are_refused_and_asked_for(sessions: tuple[str | None, ...]) -> None:
    """As train.bench leaves them, which measures each run by itself, and records that name no session."""
    before, after = timed(cell([0.9]), 1.0, session=sessions[0]), timed(cell([0.9], "dwsep"), 0.1, session=sessions[1])
    found = verdict(before, after)
    (one,) = found.groups[0].pairs
    assert {(step.answer, step.reason) for step in one.by_turns} == {(Answer.REFUSED, "not measured by turns")}
    assert found.to_measure == (before[0]["run_id"], after[0]["run_id"])
    assert found.unranked["latency"] == "not measured by turns"


def test_each_time_is_compared_within_the_last_session_that_both_share() -> None:
    """The candidate's training step alone was measured anew."""
    before = timed(cell([0.9]), 1.0)
    after = timed(cell([0.9], "dwsep"), 2.0)
    after[0]["train_step_ms"]["total"] |= {"median": 9.0, "session": "2027 b"}
    assert answers(measured(before, after)) == {
        "training step": "refused",
        "latency at batch 1": "no",
        "latency at batch 128": "no",
        "latency at batch 1, onnx": "no",
    }
    both = timed(cell([0.9, None]), 1.0) + timed(cell([None, 0.9]), 5.0, session="b")
    others = timed(cell([0.9, None], "dwsep"), 2.0) + timed(cell([None, 0.9], "dwsep"), 4.0, session="b")
    assert [(one.reference, one.candidate) for one in measured(both, others)[:1]] == [(5.0, 4.0)]
    assert [(one.reference, one.candidate) for one in measured(both[:1], others)[:1]] == [(1.0, 2.0)]


def test_what_is_measured_anew_takes_the_groups_along_that_share_a_cell() -> None:
    """cnn stands in two groups; measured with the one alone, its times would be by turns with the other no more."""
    cells = [
        timed(cell([0.9], width=8, params=1000, macs=9000, acts=1, **budget(1000)), 1.0),
        timed(cell([0.9], "dwsep", width=20, params=1001, macs=8000, acts=2, **budget(1000)), 2.0),
        cell([0.9], "dwsep", width=24, params=1300, macs=9001, acts=3, **budget(9000, "macs")),
    ]
    found = verdict(*cells)
    assert [group.times for group in found.groups] == [{Answer.NO}, {Answer.NOT_MEASURED}]
    assert found.to_measure == tuple(some[0]["run_id"] for some in cells)


def test_a_measured_epoch_is_its_steps_where_the_record_tells_how_many() -> None:
    """1,000 images in batches of 64 are 16 steps, the last of which is not full."""
    course = {"epochs": 3, "images_per_second": 300.0, "train_seconds": 10.0, "stop": {"by": "epochs", "target": 3}}
    before, after = (
        [one | course for one in timed(cell([0.9], model), ms)] for model, ms in (("cnn", 250.0), ("dwsep", 500.0))
    )
    found = {one.name: one for one in pair(before, after).by_turns}["epoch of such steps"]
    assert (found.reference, found.candidate, found.unit) == (pytest.approx(16 * 0.25), pytest.approx(8.0), "s")
    assert (found.answer, found.decides, found.reference_spread) == (Answer.NO, False, pytest.approx(16 * 0.005))
    cut = [[one | {"stop": {"by": "seconds", "target": 3}} for one in some] for some in (before, after)]
    assert "epoch of such steps" not in {one.name for one in pair(*cut).by_turns}


@pytest.mark.parametrize("times", [("2026", "2027"), ("2027", "2026")])
def test_of_two_places_that_both_have_the_last_measured_counts(times: tuple[str, str]) -> None:
    both = [
        timed(cell([0.9, None], model), ms, time=times[0])
        + timed(cell([None, 0.9], model), 10 * ms, threads=2, time=times[1])
        for model, ms in (("cnn", 1.0), ("dwsep", 3.0))
    ]
    (step, *_) = measured(*both)
    assert (step.reference, step.candidate) == ((10.0, 30.0) if times[1] == "2027" else (1.0, 3.0))


def test_too_few_rounds_are_no_answer_and_unsteady_ones_are() -> None:
    (step, *_) = measured(timed(cell([0.9]), 1.0, n=5), timed(cell([0.9], "dwsep"), 3.0, n=5))
    assert (step.answer, step.reason) == (Answer.UNSETTLED, "5 rounds cannot settle it")
    (step, *_) = measured(timed(cell([0.9]), 1.0, 0.4, n=6), timed(cell([0.9], "dwsep"), 3.0, n=6))
    assert (step.answer, step.p) == (Answer.NO, pytest.approx(2 / 2**6))


@pytest.mark.parametrize("ms", [0.5, 2.0])
@pytest.mark.parametrize("lost", ["refused", "unsettled", "not measured", "too close"])
def test_one_settled_time_does_not_speak_for_the_others(ms: float, lost: str) -> None:
    """Of a step, an image and 128 of them only the step is left."""
    before, after = timed(cell([0.9]), 1.0), timed(cell([0.9], "dwsep"), ms)
    for one, other in zip(before, after, strict=True):
        if lost == "refused":
            one["train_step_ms"]["batch_size"] = 128
        elif lost == "not measured":
            del other["latency_ms"]["batch_128"]
        else:
            found = other["latency_ms"]["batch_1"]["torch"]
            short = found["rounds_ms"][:3]
            found |= {"rounds_ms": short} if lost == "unsettled" else {"median": 0.1, "rounds_ms": [0.1] * 20}
    found = pair(before, after)
    spoken = {str(one.answer) for one in found.by_turns if one.decides}
    assert spoken & {"yes", "no"} == {"yes" if ms < 1 else "no"}
    assert found.answers["faster"] == ("in part" if ms < 1 else "no in part")


def test_a_large_batch_is_any_that_both_were_measured_at() -> None:
    before, after = timed(cell([0.9]), 1.0), timed(cell([0.9], "dwsep"), 2.0)
    for one in (*before, *after):
        one["latency_ms"]["batch_32"] = one["latency_ms"].pop("batch_128")
    assert pair(before, after).answers["faster"] is Answer.NO
    before[0]["latency_ms"]["batch_64"] = before[0]["latency_ms"].pop("batch_32")
    assert answers(measured(before, after))["latency at a large batch"] == "not measured"


def test_steps_of_other_batches_are_refused_and_latencies_are_not() -> None:
    after = timed(cell([0.9], "dwsep"), 3.0)
    for one in after:
        one["train_step_ms"]["batch_size"] = 128
    found = pair(timed(cell([0.9]), 1.0), after)
    assert found.by_turns[0].reason == "steps of 64 and of 128 images"
    assert found.answers["faster"] is Answer.NOT_IN_PART
    assert {str(one.answer) for one in found.by_turns if one.name.startswith("latency")} == {"no"}


def test_of_several_runs_in_one_session_one_counts_that_settled() -> None:
    times = zip((50.0, 1.0, 1.2), (0.5, 0.02, 0.02), strict=True)
    runs = [timed(cell([None] * seed + [0.9]), ms, iqr)[0] for seed, (ms, iqr) in enumerate(times)]
    (step, *_) = measured(runs, timed(cell([0.9], "dwsep"), 2.0))
    assert (step.reference, step.candidate) == (1.0, 2.0)


def test_without_measurements_it_says_what_to_measure() -> None:
    before, after, other = timed(cell(SEEDS), 1.0), cell(SEEDS, "dwsep"), cell(SEEDS, data="cifar10")
    found = verdict(before, after, other)
    assert found.groups[0].pairs[0].answers["faster"] is Answer.NOT_MEASURED
    assert found.to_measure == (before[0]["run_id"], after[0]["run_id"])
    assert verdict(before, timed(after, 2.0)).to_measure == ()
    short = verdict(timed(before, 1.0, n=5), timed(after, 2.0, n=5))
    assert (short.to_measure, short.unsettled) == ((), found.to_measure)
