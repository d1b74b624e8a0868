"""Lighter is arithmetic."""

from __future__ import annotations

from typing import Any

import pytest
from made import answers, budget, cell, pair

from dsbench.verdict.rule import Answer
from dsbench.verdict.verdict import Comparison

SEEDS = [0.9, 0.91, 0.92]


def two(before: dict[str, Any], after: dict[str, Any]) -> Comparison:
    return pair(cell([0.9], width=8, **before), cell([0.9], "dwsep", width=8, **after))


def test_lighter_is_answered_measure_by_measure() -> None:
    comparison = two(
        {"params": 7800, "macs": 680_932, "acts": 10_000, "bytes": 90_000},
        {"params": 7841, "macs": 2_097_704, "acts": 9_000, "bytes": 90_900},
    )
    assert answers(comparison.lighter) == {"params": "equal", "macs": "heavier", "acts": "lighter", "bytes": "equal"}
    assert comparison.answers["lighter"] is Answer.MIXED
    ratios = {measure.name: measure.ratio for measure in comparison.lighter}
    assert ratios["macs"] == pytest.approx(3.0806, abs=1e-4)


@pytest.mark.parametrize(
    ("after", "answer"),
    [
        ((1000, 500, 500), "lighter"),
        ((1000, 1010, 2000), "heavier"),
        ((1005, 995, 1010), "equal"),
        ((1000, 500, 2000), "mixed"),
        ((1000, None, 500), "not measured"),
    ],
)
def test_one_word_for_all_costs(after: tuple[int | None, ...], answer: str) -> None:
    costs = dict(zip(("params", "macs", "acts"), after, strict=True))
    assert two({}, costs).answers["lighter"] == answer


def test_what_a_group_is_matched_by_is_equal_whatever_is_left_over() -> None:
    """6 % off is not lighter; of equal widths it would be."""
    comparison = pair(
        cell([0.9], width=8, params=1000, **budget(1000)), cell([0.9], "dwsep", width=9, params=940, **budget(1000))
    )
    assert answers(comparison.lighter)["params"] == "equal"
    assert two({"params": 1000}, {"params": 940}).lighter[0].answer is Answer.LIGHTER
