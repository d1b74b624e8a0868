"""Faster is what repeats in one place, by turns, say: an interval of the ratio that is clear of the margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats
from made import answers, budget, cell, pair, repeats, timed, verdict

from dsbench.verdict.lighter import Measure
from dsbench.verdict.rule import Answer, Rule
from dsbench.verdict.timings import over_days

SEEDS = [0.9, 0.91, 0.92]


def both(ms: float, **where: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A conventional cell whose step takes 1 ms, and a separable one whose step takes `ms`."""
    return timed(cell([0.9]), 1.0), timed(cell([0.9], "dwsep"), ms, **where)


def measured(before: list[dict[str, Any]], after: list[dict[str, Any]], rule: Rule = Rule()) -> tuple[Measure, ...]:  # noqa: B008
    return pair(before, after, rule=rule).measured


@pytest.mark.parametrize(
    ("ms", "answer"), [(0.5, "faster"), (2.0, "slower"), (1.04, "as fast"), (0.96, "as fast"), (1.11, "slower")]
)
def test_measured_times_decide_by_a_margin_of_ten_percent(ms: float, answer: str) -> None:
    before, after = both(ms)
    found = measured(before, after)
    assert answers(found) == {
        "training step": answer,
        "latency at batch 1": answer,
        "latency at batch 128": answer,
        "latency at batch 1, onnx": answer,
    }
    assert pair(before, after).answers["faster"] == answer
    assert [one.name for one in found if not one.decides] == ["latency at batch 1, onnx"]


def test_another_margin_is_another_answer() -> None:
    for margin, answer in ((10.0, Answer.SLOWER), (25.0, Answer.AS_FAST)):
        assert measured(*both(1.2), rule=Rule(speed_margin=margin))[0].answer is answer


def by_repeats(ratios: Sequence[float], days: Sequence[str] = ("2026-11-28",)) -> Measure:
    """The training step in repeats of these ratios, an equal number on each of `days`, on a machine that drifts."""
    before, after = both(1.0)
    per_day = len(ratios) // len(days)
    for (one,), factors in ((before, np.ones(len(ratios))), (after, np.asarray(ratios))):
        ms = factors * np.linspace(1, 5, len(ratios))
        one["train_step_ms"]["total"]["repeats"] = [
            entry
            for number, day in enumerate(days)
            for entry in repeats([float(value) for value in ms[number * per_day :][:per_day]], at=day)
        ]
    return measured(before, after)[0]


@pytest.mark.parametrize("n", [3, 5, 12])
def test_the_interval_is_students_over_the_log_ratios_of_repeats(n: int) -> None:
    ratios = 1.3 * np.random.default_rng(n).lognormal(sigma=0.03, size=n)
    step = by_repeats([float(ratio) for ratio in ratios])
    logs = np.log(ratios)
    expected = np.exp(scipy.stats.t.interval(0.95, n - 1, np.mean(logs), scipy.stats.sem(logs)))
    assert step.interval is not None
    assert (step.interval.low, step.interval.high) == pytest.approx(tuple(expected))
    assert (step.ratio, step.n) == (pytest.approx(np.exp(np.mean(logs))), n)
    assert step.answer is (Answer.SLOWER if expected[0] > 1.1 else Answer.CANNOT_TELL)


def test_on_two_days_the_day_is_a_block_and_both_are_shown() -> None:
    """The later day adds 20 %, the same to all its repeats: a block takes that out, of the mean it stays a part."""
    rng = np.random.default_rng(0)
    logs = np.log(1.3) + rng.normal(scale=0.01, size=10) + np.repeat([0.0, 0.2], 5)
    step = by_repeats([float(ratio) for ratio in np.exp(logs)], ("2026-11-28", "2026-11-30"))
    design = np.column_stack([np.ones(10), np.repeat([-1, 1], 5)])  # effects that add up to 0
    fitted, residuals, *_ = np.linalg.lstsq(design, logs, rcond=None)
    half = scipy.stats.t.ppf(0.975, 8) * np.sqrt(residuals[0] / 8 * np.linalg.inv(design.T @ design)[0, 0])
    assert step.interval is not None
    assert np.log([step.interval.low, step.interval.high]) == pytest.approx([fitted[0] - half, fitted[0] + half])
    first, second = np.exp([np.mean(logs[:5]), np.mean(logs[5:])])
    shown = f"on 2026-11-28 (5 repeats, {first:.3g} times) and 2026-11-30 (5 repeats, {second:.3g} times), 10 repeats"
    assert f"on a CPU, {shown}, 1 thread, precision 32" in step.note


def test_days_of_unequal_size_weigh_as_their_repeats() -> None:
    days = [np.array([0.1, 0.12, 0.14, 0.1]), np.array([0.3, 0.34])]
    interval = over_days([list(day) for day in days], 0.05)
    squares = sum(float(((day - day.mean()) ** 2).sum()) for day in days)
    expected = scipy.stats.t.interval(0.95, 4, np.concatenate(days).mean(), np.sqrt(squares / 4 / 6))
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_days_of_one_repeat_each_leave_nothing_to_tell_by() -> None:
    step = by_repeats([2.0, 2.0, 2.0], ("2026-11-28", "2026-11-29", "2026-11-30"))
    assert (step.answer, step.interval, step.reason) == (Answer.CANNOT_TELL, None, "3 of 5 repeats on 3 days")


def test_repeats_that_disagree_cannot_tell_however_far_the_mean() -> None:
    step = by_repeats([1.0, 2.5, 1.0, 2.5, 2.5])
    assert (step.answer, step.reason) == (Answer.CANNOT_TELL, "")
    assert step.ratio is not None
    assert step.ratio > 1.5


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_repeats_cannot_tell_and_say_so(n: int) -> None:
    step = measured(timed(cell([0.9]), 1.0, n=n), timed(cell([0.9], "dwsep"), 3.0, n=5))[0]
    assert (step.answer, step.interval, step.reason) == (Answer.CANNOT_TELL, None, f"{n} of 5 repeats")
    enough = measured(timed(cell([0.9]), 1.0, n=3), timed(cell([0.9], "dwsep"), 3.0, n=5))[0]
    assert (enough.answer, enough.reason, enough.n) == (Answer.SLOWER, "", 3)
    assert "on 2026-11-28, 3 of 5 repeats" in enough.note


@pytest.mark.parametrize("kept", [{"rounds_ms": [2.0] * 16}, {"rounds_ms": [2.0, 0.0]}, {"rounds": 9}, {}])
def test_older_records_count_as_one_repeat(kept: dict[str, Any]) -> None:
    cells = both(1.0)
    for (one,) in cells:
        one["train_step_ms"]["total"] = {"median": 2.0, "iqr": 0.01, "settled": True, "session": "2026 a"} | kept
        del one["measured_on"]["identity"]
    found = verdict(*cells)
    step = found.groups[0].comparisons[0].measured[0]
    assert (step.answer, step.reason, step.reference, step.candidate) == (
        Answer.CANNOT_TELL,
        "1 of 5 repeats",
        2.0,
        pytest.approx(2.0),
    )
    assert found.unsettled == tuple(some[0]["run_id"] for some in cells)


def test_the_level_is_that_of_the_family() -> None:
    """Of three cells of one group one pair is the headline's, with 5 %; the other two share theirs."""
    cells = [
        timed(cell([0.9], model, params=1000, macs=1000 + number, **budget(1000)), 1.0 + number, 0.02 * number)
        for number, model in enumerate(("cnn", "dwsep", "hybrid"))
    ]
    half = {}
    for comparison in verdict(*cells).groups[0].comparisons:
        interval = comparison.measured[0].interval
        assert interval is not None
        half[comparison.better.family, comparison.better.level] = np.log(interval.high / interval.low) / 2
    assert len({level for _, level in half}) == 2
    for (_, level), value in half.items():
        widths = [np.log(1 + spread * np.array([1, -1, 1, -1, 1])) for spread in (0.02, 0.04)]
        possible = [*widths, widths[1] - widths[0]]
        expected = [scipy.stats.t.ppf(1 - level / 2, 4) * scipy.stats.sem(logs) for logs in possible]
        assert min(abs(value - one) for one in expected) == pytest.approx(0, abs=1e-9)


ANOTHER = {"family": "26", "model": "1"}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"device": "another CPU"}, "measured with different device (a CPU and another CPU)"),
        ({"threads": 2}, "measured with different threads (1 and 2)"),
        ({"precision": "bf16"}, "measured with different precision (32 and bf16)"),
        ({"versions": {"torch": "2.12.0"}}, "measured with different torch (2.13.0 and 2.12.0)"),
        ({"identity": ANOTHER}, "measured with different processor's family (25 and 26)"),
        ({"identity": None}, "measured on processors one of which is known by its name alone"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_times_of_two_places_are_not_compared(where: dict[str, Any], said: str) -> None:
    found = pair(*both(0.1, **where))
    assert {one.answer for one in found.measured} == {Answer.NOT_COMPARABLE}
    assert {(one.reason, one.interval) for one in found.measured} == {(said, None)}
    assert found.answers["faster"] is Answer.NOT_COMPARABLE


def test_a_place_that_both_have_is_taken_where_there_is_one() -> None:
    before = timed(cell([0.9, None]), 1.0) + timed(cell([None, 0.9]), 9.0, device="another CPU", time="2027-01-01")
    found = measured(before, timed(cell([0.9], "dwsep"), 2.0))
    assert (found[0].reference, found[0].candidate, found[0].answer) == (1.0, pytest.approx(2.0), Answer.SLOWER)


@pytest.mark.parametrize("sessions", [("a", "b"), (None, None)])
def test_times_that_were_not_measured_by_turns_are_not_compared_and_asked_for(sessions: tuple[str | None, ...]) -> None:
    """As train.bench leaves them, which measures each run by itself, and records that name no session."""
    cells = both(0.1)
    for (one,), session in zip(cells, sessions, strict=True):
        for entry in (
            one["train_step_ms"]["total"],
            *(one["latency_ms"][f"batch_{size}"]["torch"] for size in (1, 128)),
        ):
            for repeat in entry["repeats"]:
                repeat["session"] = f"{session}{repeat['session']}" if session else ""
    found = verdict(*cells)
    (one,) = found.groups[0].comparisons
    deciding = [step for step in one.measured if step.decides]
    assert {(step.answer, step.reason) for step in deciding} == {(Answer.NOT_COMPARABLE, "not measured by turns")}
    assert found.to_measure == tuple(some[0]["run_id"] for some in cells)
    assert found.unranked["latency"] == "not measured by turns"


def test_only_repeats_in_which_both_took_turns_count() -> None:
    """The candidate was in three sessions more, beside others, while the machine was slow."""
    before, after = both(2.0)
    total = after[0]["train_step_ms"]["total"]
    total["repeats"] += repeats([90.0, 91.0, 92.0], "elsewhere", "2026-11-29")
    found = measured(before, after)[0]
    assert (found.reference, found.candidate, found.n) == (pytest.approx(1.0), pytest.approx(2.0), 5)


def test_repeats_of_several_runs_of_a_cell_are_pooled_and_one_session_counts_once() -> None:
    before, after = (
        timed(cell([0.9, None], model), ms) + timed(cell([None, 0.9], model), ms, session="b") for model, ms in PAIR
    )
    assert measured(before, after)[0].n == 10
    again = before + [one | {"run_id": "again", "seed": 2} for one in timed(cell([0.9]), 7.0)]
    assert measured(again, after)[0].n == 10


PAIR = (("cnn", 1.0), ("dwsep", 3.0))


def test_what_is_measured_anew_takes_the_groups_along_that_share_a_cell() -> None:
    """cnn stands in two groups; measured with the one alone, its times would be by turns with the other no more."""
    cells = [
        timed(cell([0.9], width=8, params=1000, macs=9000, acts=1, **budget(1000)), 1.0),
        timed(cell([0.9], "dwsep", width=20, params=1001, macs=8000, acts=2, **budget(1000)), 2.0),
        cell([0.9], "dwsep", width=24, params=1300, macs=9001, acts=3, **budget(9000, "macs")),
    ]
    found = verdict(*cells)
    answers_of = [{time.answer for time in group.times} for group in found.groups]
    assert answers_of == [{Answer.SLOWER}, {Answer.NOT_MEASURED}]
    assert found.to_measure == tuple(some[0]["run_id"] for some in cells)


def test_a_measured_epoch_is_its_steps_where_the_record_tells_how_many() -> None:
    """1,000 images in batches of 64 are 16 steps, the last of which is not full."""
    course = {"epochs": 3, "images_per_second": 300.0, "train_seconds": 10.0, "stop": {"by": "epochs", "target": 3}}
    before, after = (
        [one | course for one in timed(cell([0.9], model), ms)] for model, ms in (("cnn", 250.0), ("dwsep", 500.0))
    )
    found = {one.name: one for one in measured(before, after)}["epoch of such steps"]
    assert (found.reference, found.candidate, found.unit) == (pytest.approx(16 * 0.25), pytest.approx(8.0), "s")
    assert (found.answer, found.decides) == (Answer.SLOWER, False)
    cut = [[one | {"stop": {"by": "seconds", "target": 3}} for one in some] for some in (before, after)]
    assert "epoch of such steps" not in {one.name for one in measured(*cut)}


@pytest.mark.parametrize("times", [("2026-01-01", "2027-01-01"), ("2027-01-01", "2026-01-01")])
def test_of_two_places_that_both_have_the_last_measured_counts(times: tuple[str, str]) -> None:
    cells = [
        timed(cell([0.9, None], model), ms, time=times[0])
        + timed(cell([None, 0.9], model), 10 * ms, threads=2, time=times[1])
        for model, ms in PAIR
    ]
    step = measured(*cells)[0]
    expected = (10.0, 30.0) if times[1] > times[0] else (1.0, 3.0)
    assert (step.reference, step.candidate) == pytest.approx(expected)


def test_a_large_batch_is_any_that_both_were_measured_at() -> None:
    before, after = both(2.0)
    for one in (*before, *after):
        one["latency_ms"]["batch_32"] = one["latency_ms"].pop("batch_128")
    assert pair(before, after).answers["faster"] is Answer.SLOWER
    before[0]["latency_ms"]["batch_64"] = before[0]["latency_ms"].pop("batch_32")
    assert answers(measured(before, after))["latency at a large batch"] == "not measured"


def test_steps_of_other_batches_are_not_compared_and_latencies_are() -> None:
    before, after = both(3.0)
    after[0]["train_step_ms"]["batch_size"] = 128
    found = measured(before, after)
    assert found[0].reason == "steps of 64 and of 128 images"
    assert {str(one.answer) for one in found if one.name.startswith("latency")} == {"slower"}


def test_without_measurements_it_says_what_to_measure() -> None:
    before, after, other = timed(cell(SEEDS), 1.0), cell(SEEDS, "dwsep"), cell(SEEDS, data="cifar10")
    found = verdict(before, after, other)
    assert found.groups[0].comparisons[0].answers["faster"] is Answer.NOT_MEASURED
    assert found.to_measure == (before[0]["run_id"], after[0]["run_id"])
    assert verdict(before, timed(after, 2.0)).to_measure == ()
    short = verdict(timed(before, 1.0, n=2), timed(after, 2.0, n=2))
    assert (short.to_measure, short.unsettled) == ((), found.to_measure)
