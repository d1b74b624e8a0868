"""Does int8 cost one family more? Each trained network against itself, then families over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats
from made import cell, pair, verdict

from dsbench.report.answers import answer_table, verdict_tables
from dsbench.verdict.int8 import Int8
from dsbench.verdict.rule import Answer, Rule
from dsbench.verdict.words import summary

FP32 = [0.90, 0.94, 0.91, 0.96, 0.92, 0.95, 0.93, 0.97]  # sd 2.4 points
DROPS = [0.004, 0.005, 0.006, 0.0045, 0.0055, 0.0052, 0.0048, 0.005]  # sd 0.06 points


def with_int8(records: list[dict[str, Any]], changes: Sequence[float | None], place: str = "litert/int8") -> Any:
    """The same, each with the accuracy in int8 that `changes` makes of its own."""
    chip, precision = place.split("/")
    out = []
    for record, change in zip(records, changes, strict=True):
        chips = {name: dict(section) for name, section in record.get("chips", {}).items()}
        if change is not None:
            chips.setdefault(chip, {})[precision] = {"test_acc": record["test_acc"] + change}
        out.append(record | {"chips": chips})
    return out


def both(before: Sequence[float | None], after: Sequence[float | None], place: str = "litert/int8") -> list[Any]:
    return [
        with_int8(cell(FP32[: len(before)]), before, place),
        with_int8(cell(FP32[: len(after)][::-1], "dwsep"), after, place),
    ]


def test_int8_is_compared_by_welchs_test_of_each_networks_change_from_its_own_accuracy() -> None:
    before, after = [-drop for drop in DROPS], [-3 * drop for drop in DROPS]
    (found,) = pair(*both(before, after)).int8
    expected = scipy.stats.ttest_ind(after, before, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx(np.mean(after) - np.mean(before))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.answer, found.beyond) == (Answer.LOSES_MORE, True)
    own = scipy.stats.ttest_1samp(after, 0).confidence_interval(0.95)
    assert found.candidate.interval is not None
    assert (found.candidate.interval.low, found.candidate.interval.high) == pytest.approx((own.low, own.high))
    # Unpaired, accuracies that spread by 2.4 points would hide the point that int8 costs more.
    in_int8 = [np.array(FP32) + before, np.array(FP32[::-1]) + after]
    assert scipy.stats.ttest_ind(*in_int8, equal_var=False).pvalue > 0.3


@pytest.mark.parametrize(
    ("times", "margin", "answer"),
    [
        (0.2, 0.2, Answer.LOSES_LESS),
        (1.0, 0.2, Answer.LOSES_AS_MUCH),
        (1.0, 0.0, Answer.CANNOT_TELL),
        (3.0, 5.0, Answer.LOSES_MORE),  # clear of 0, within the margin
    ],
)
def test_the_answer_follows_the_rule_of_accuracies(times: float, margin: float, answer: Answer) -> None:
    cells = both([-drop for drop in DROPS], [-times * drop for drop in DROPS[::-1]])
    assert pair(*cells, rule=Rule(margin=margin)).answers["int8"] is answer


def test_two_runs_a_side_decide_nothing_and_runs_without_int8_are_left_out() -> None:
    assert pair(*both([-0.01, -0.02], [-0.03, -0.05])).answers["int8"] is Answer.TOO_FEW
    (found,) = pair(*both([-0.01, -0.02, None, -0.03], [-0.01, None, -0.02, -0.03])).int8
    assert (found.reference.n, found.candidate.n) == (3, 3)
    assert found.reference.mean == pytest.approx(-0.02)


def test_a_scale_a_layer_is_compared_with_a_scale_a_channel_of_the_same_network() -> None:
    cells = both(DROPS, DROPS, "onnxruntime/int8")
    cells = [
        with_int8(records, [times * drop for drop in DROPS], "onnxruntime/int8_per_tensor")
        for records, times in zip(cells, (2, 4), strict=True)
    ]
    found: dict[str, Int8] = {answer.what: answer for answer in pair(*cells).int8}
    assert list(found) == [
        "onnxruntime, a scale a channel",
        "onnxruntime, a scale a layer",
        "onnxruntime, a scale a layer, less a scale a channel",
    ]
    beyond = found["onnxruntime, a scale a layer, less a scale a channel"]
    expected = scipy.stats.ttest_ind(3 * np.array(DROPS), DROPS, equal_var=False)
    assert beyond.p == pytest.approx(expected.pvalue)
    assert beyond.candidate.mean == pytest.approx(3 * np.mean(DROPS))


def test_a_runtime_that_knows_one_seed_a_cell_is_no_answer_beside_one_that_knows_all() -> None:
    cells = both([-drop for drop in DROPS], [-drop for drop in DROPS])
    cells = [with_int8(records, [0.01, *[None] * 7], "openvino/int8") for records in cells]
    assert [answer.what for answer in pair(*cells).int8] == ["litert, a scale a channel"]


def test_int8_is_a_question_where_there_are_figures_and_none_where_there_are_not() -> None:
    judged = verdict(*both([-drop for drop in DROPS], [-2 * drop for drop in DROPS]))
    (comparison,) = judged.comparisons
    assert [str(line) for line in summary(comparison, "int8")] == [
        "loses more",
        "-0.50 points",
        "(-0.61 to -0.39)",
        "-1.00 and -0.50",
    ]
    assert "int8" in answer_table(judged).texts
    (table,) = (table for table in verdict_tables(judged) if table.title.endswith(": int8"))
    assert table.texts["this changes by"] == ["-1.00 (-1.10 to -0.90)"]
    without = verdict(cell(FP32), cell(FP32, "dwsep"))
    assert "int8" not in without.comparisons[0].answers
    assert "int8" not in answer_table(without).texts
    assert not [table for table in verdict_tables(without) if "int8" in table.title]
