"""The answer of a difference: each at its boundaries, from an interval whose ends are known."""

from __future__ import annotations

import pytest
import scipy.stats

from dsbench.statistics.means import Contrast, Interval
from dsbench.verdict.better import decide
from dsbench.verdict.rule import Answer

HALF = 2.0  # of the interval
LEVEL = 0.05


def difference(d: float, half: float = HALF, runs: tuple[int, int] = (4, 4)) -> Contrast:
    """One with an interval of d - half to d + half, where both sides spread alike."""
    variance = (half / scipy.stats.t.ppf(1 - LEVEL / 2, sum(runs) - 2)) ** 2
    return Contrast(d, runs, (variance / 2, variance / 2))


@pytest.mark.parametrize(
    ("d", "margin", "answer", "beyond"),
    [
        (5.1, 3.0, Answer.BETTER, True),
        (4.9, 3.0, Answer.BETTER, False),  # from 2.9 to 6.9
        (2.1, 5.0, Answer.BETTER, False),  # within the margin, but clear of 0
        (-5.1, 3.0, Answer.WORSE, True),
        (-4.9, 3.0, Answer.WORSE, False),
        (-2.1, 5.0, Answer.WORSE, False),
        (0.9, 3.0, Answer.AS_GOOD, False),
        (-0.9, 3.0, Answer.AS_GOOD, False),
        (1.1, 3.0, Answer.NO_WORSE, False),  # up to 3.1
        (1.9, 1.0, Answer.NO_WORSE, False),  # from -.1
        (-1.1, 3.0, Answer.CANNOT_TELL, False),  # from -3.1
        (0.0, 1.0, Answer.CANNOT_TELL, False),
        (1.9, 0.0, Answer.CANNOT_TELL, False),
        (2.1, 0.0, Answer.BETTER, True),
        (-2.1, 0.0, Answer.WORSE, True),
    ],
)
def test_the_first_answer_that_holds_is_given(d: float, margin: float, answer: Answer, beyond: bool) -> None:
    found = decide(difference(d), LEVEL, margin)
    assert (found.answer, found.beyond) == (answer, beyond)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((d - HALF, d + HALF))


@pytest.mark.parametrize(
    ("d", "margin", "answer"),
    [
        (0.0, 0.0, Answer.CANNOT_TELL),
        (0.0, 0.25, Answer.AS_GOOD),
        (0.25, 0.25, Answer.BETTER),
        (-0.25, 0.25, Answer.WORSE),
    ],
)
def test_an_interval_of_no_width_answers_by_its_only_value(d: float, margin: float, answer: Answer) -> None:
    found = decide(Contrast(d, (3, 3), (0.0, 0.0)), LEVEL, margin)
    assert (found.answer, found.beyond) == (answer, False)


def test_an_end_at_0_or_at_the_margin_is_neither_clear_nor_within() -> None:
    """The ends are exact here: halves and wholes."""

    class Known(Contrast):
        def interval(self, level: float = LEVEL) -> Interval:
            return Interval(self.difference - 1.0, self.difference + 1.0)

    answers = {
        (1.0, 0.0): Answer.CANNOT_TELL,  # 0 to 2
        (-1.0, 0.0): Answer.CANNOT_TELL,
        (0.0, 1.0): Answer.CANNOT_TELL,  # -1 to 1 of a margin of 1
        (0.5, 1.5): Answer.NO_WORSE,  # -.5 to 1.5
        (-0.5, 1.5): Answer.CANNOT_TELL,  # -1.5 to .5
        (0.5, 0.5): Answer.CANNOT_TELL,  # -.5 to 1.5
    }
    for (d, margin), answer in answers.items():
        assert decide(Known(d, (3, 3), (1.0, 1.0)), LEVEL, margin).answer is answer
    assert not decide(Known(1.5, (3, 3), (1.0, 1.0)), LEVEL, 0.5).beyond  # .5 to 2.5


@pytest.mark.parametrize("runs", [(2, 9), (1, 3), (1, 1)])
def test_fewer_than_three_runs_a_side_decide_nothing(runs: tuple[int, int]) -> None:
    found = decide(Contrast(9.0, runs, (1e-9, 1e-9)), LEVEL, 1.0)
    assert found.answer is Answer.TOO_FEW
    assert (found.interval is None) is (min(runs) < 2)


def test_a_stricter_level_takes_an_answer_back() -> None:
    assert decide(difference(2.1), LEVEL, 0.0).answer is Answer.BETTER
    assert decide(difference(2.1), LEVEL / 3, 0.0).answer is Answer.CANNOT_TELL
