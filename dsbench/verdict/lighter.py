"""Is it lighter? What two networks cost for one image, which is arithmetic; and the figures that answer a question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dsbench.quantities import LIGHTER, Quantity
from dsbench.statistics.means import Interval
from dsbench.verdict.cells import TOLERANCE, Cell
from dsbench.verdict.rule import Answer

MATCHED = "matched"  # a field of a table or picture, of what both are matched by


@dataclass(frozen=True)
class Measure:
    """One figure of both: `ratio` is candidate / reference, `interval` where it lies, `reason` why it is no answer.

    `n` is the number of repeats or seeds it rests on, `note` under what it holds. What does not decide is shown alone.
    What both are `matched` by is equal, whatever is left over.
    """

    name: str
    unit: str
    reference: float | None
    candidate: float | None
    answer: Answer
    interval: Interval | None = None
    n: int | None = None
    reason: str = ""
    note: str = ""
    decides: bool = True
    matched: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times the reference's figure the candidate's is."""
        return self.candidate / self.reference if self.reference and self.candidate is not None else None


def lighter(reference: Cell, candidate: Cell, matched: str | None) -> tuple[Measure, ...]:
    """Parameters, MACs, activations and bytes of one image; they are `matched` by one of them, or by none."""
    return tuple(
        counted_measure(cost, reference.costs[cost.name], candidate.costs[cost.name], cost.name == matched)
        for cost in LIGHTER
    )


def counted_measure(
    cost: Quantity, before: float | None, after: float | None, matched: bool = False, tolerance: float = TOLERANCE
) -> Measure:
    """What is counted of both: equal where one is at most that share above the other, or what they are `matched` by."""
    name, unit = cost.name, cost.wording
    if before is None or after is None:
        return Measure(name, unit, before, after, Answer.NOT_MEASURED, reason="not recorded")
    unequal = Answer.LIGHTER if after < before else Answer.HEAVIER
    within = max(before, after) <= (1 + tolerance) * min(before, after)
    answer = Answer.EQUAL if matched or within else unequal
    return Measure(name, unit, before, after, answer, matched=matched)


def summed_up(costs: Iterable[Measure]) -> Answer:
    """One answer of all costs: theirs where they agree, what is equal aside, else that they are mixed.

    What is not recorded leaves no answer.
    """
    answers = {cost.answer for cost in costs}
    if Answer.NOT_MEASURED in answers:
        return Answer.NOT_MEASURED
    unequal = answers - {Answer.EQUAL} or {Answer.EQUAL}
    return unequal.pop() if len(unequal) == 1 else Answer.MIXED


def agreed(times: Iterable[Measure]) -> Answer:
    """The answer of all times that decide where they agree, else that each has its own: mixed."""
    answers = {time.answer for time in times if time.decides} or {Answer.NOT_MEASURED}
    return answers.pop() if len(answers) == 1 else Answer.MIXED
