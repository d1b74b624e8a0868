"""The picture of slots: bars are what is saved, and intervals what is lost."""

from __future__ import annotations

from typing import Any

import pytest

from dsbench.figures import slots
from dsbench.figures.style import words
from dsbench.statistics.fractions import smallest_fraction
from dsbench.statistics.means import Interval
from dsbench.verdict.rule import Answer
from dsbench.verdict.slots import Change, Proposal, Sensitivity, SlotEffect


def made(**changed: Any) -> Sensitivity:
    """Two slots: the first loses 0.5 points and saves 300 parameters of 1,000, the second 3 and 400."""
    accuracies = [Change(-0.005, Interval(-0.008, -0.002)), Change(-0.03, Interval(-0.033, -0.027))]
    costs: list[dict[str, Change]] = [
        {"params": Change(-saved), "train_step_ms": Change(-0.2, Interval(-0.3, -0.1))} for saved in (300, 400)
    ]
    both = zip((1, 2), accuracies, (Answer.AS_GOOD, Answer.WORSE), costs, strict=True)
    facts: dict[str, Any] = {
        "design": smallest_fraction(2, 4),
        "total": 2,
        "slots": tuple(SlotEffect(*own, ((0, 4), (0, 4))) for own in both),
        "interactions": (),
        "proposal": Proposal((True, False), Change(-0.005, Interval(-0.008, -0.002)), {"params": 0.3}),
        "nearest": None,
        "margin": 0.01,
        "cost": "params",
        "budget": None,
        "trained": 8,
        "failed": 0,
        "left": 0,
        "seeds_to_decide": None,
        "predicted": {"params": 1000.0, "train_step_ms": 2.0},
    }
    return Sensitivity(**facts | changed)


def test_each_slot_has_what_it_loses_and_what_it_saves() -> None:
    figure = slots.draw(made())
    assert figure is not None
    lost, params, step = figure.axes
    means = [line.get_xdata()[0] for line in lost.lines if line.get_label() == "mean"]
    ends = [list(line.get_xdata()) for line in lost.lines if line.get_label() == "interval"]
    assert means == pytest.approx([0.5, 3.0])
    assert [end for own in ends for end in own] == pytest.approx([0.2, 0.8, 2.7, 3.3])
    assert [bar.get_width() for bar in params.patches] == [300, 400]
    assert [bar.get_width() for bar in step.patches] == [0.2, 0.2]
    assert [text.get_text() for text in params.texts] == ["30 %", "40 %"]
    assert [tick.get_text() for tick in lost.get_yticklabels()] == ["slot 1, separable", "slot 2, plain"]
    assert "slot 2 loses +3.0 points, worse" in words(figure).seen


def test_what_a_budget_makes_equal_has_no_panel_and_without_accuracies_there_is_no_picture() -> None:
    figure = slots.draw(made(budget="params"))
    assert figure is not None
    assert [panel.get_title() for panel in figure.axes] == ["accuracy lost on validation", "step time saved"]
    assert (
        slots.draw(made(slots=tuple(SlotEffect(1, None, Answer.TOO_FEW, {}, ((4, 4), (4, 4))) for _ in (1, 2)))) is None
    )


def test_where_no_hybrid_is_it_is_said_whether_it_is_not_chosen_yet_or_none_is_proposed() -> None:
    for cost, said, row in (
        ("latency_ms", "No hybrid is chosen yet: the latency at batch 1 is not measured.", "slot 1"),
        ("params", "No hybrid is proposed: all slots stay plain.", "slot 1, plain"),
    ):
        figure = slots.draw(made(proposal=None, cost=cost))
        assert figure is not None
        assert words(figure).caption.endswith(said)
        assert figure.axes[0].get_yticklabels()[0].get_text() == row
