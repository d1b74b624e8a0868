"""Lighter is arithmetic."""

from __future__ import annotations

from typing import Any

import pytest
from made import answers, cell, pair

from dsbench.verdict.answers import Answer
from dsbench.verdict.verdict import Pair

SEEDS = [0.9, 0.91, 0.92]


def two(before: dict[str, Any], after: dict[str, Any]) -> Pair:
    return pair(cell([0.9], width=8, **before), cell([0.9], "dwsep", width=8, **after))


def test_lighter_is_answered_measure_by_measure() -> None:
    found = two(
        {"params": 7800, "macs": 680_932, "acts": 10_000, "bytes": 90_000},
        {"params": 7841, "macs": 2_097_704, "acts": 9_000, "bytes": 90_901},
    )
    assert answers(found.lighter) == {"params": "equal", "macs": "no", "acts": "yes", "bytes": "no"}
    assert found.answers["lighter"] is Answer.MIXED
    ratios = {one.name: one.ratio for one in found.lighter}
    assert ratios["macs"] == pytest.approx(3.0806, abs=1e-4)


@pytest.mark.parametrize(
    ("after", "answer"),
    [
        ((1000, 500, 500), "yes"),
        ((1000, 1010, 2000), "no"),
        ((1005, 995, 1010), "equal"),
        ((1000, 500, 2000), "mixed"),
        ((1000, None, 500), "in part"),
        ((1000, None, 2000), "no in part"),
    ],
)
def test_one_word_for_all_costs(after: tuple[int | None, ...], answer: str) -> None:
    costs = dict(zip(("params", "macs", "acts"), after, strict=True))
    assert two({}, costs).answers["lighter"] == answer
