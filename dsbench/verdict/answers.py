"""What a question can be answered with, the figures that answer it, and whether a network is lighter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dsbench.quantities import LIGHTER, Quantity
from dsbench.verdict.cells import TOLERANCE, Cell


class Answer(StrEnum):
    """The answer to whether a candidate is lighter, faster or better than its reference."""

    YES = "yes"
    NO = "no"  # it is heavier, slower or worse
    CANNOT_TELL = "cannot tell"
    EQUAL = "equal"  # of costs alone, which are arithmetic
    IN_PART = "in part"  # yes by some measures, while others do not say
    NOT_IN_PART = "no in part"  # no by some, while others do not say
    MIXED = "mixed"  # yes by some, no by others
    REFUSED = "refused"  # measured, but not under conditions that compare
    UNSETTLED = "not settled"  # measured, but not often enough to say
    NOT_MEASURED = "not measured"


TOLD = (Answer.YES, Answer.NO, Answer.CANNOT_TELL)  # answers of a measure whose figures compare


@dataclass(frozen=True)
class Measure:
    """One figure of both: `ratio` is candidate / reference, `reason` why it is no answer, `note` under what it holds.

    `spread` is the interquartile range of a measured time, in its unit, `ratio_interval` where the ratio of times
    measured by turns lies (95 %). `p` is adjusted, where the answer has one, over `n` seeds or rounds. What does not
    decide is shown alone.
    """

    name: str
    unit: str
    reference: float | None
    candidate: float | None
    answer: Answer
    reference_spread: float | None = None
    candidate_spread: float | None = None
    ratio_interval: tuple[float, float] | None = None
    p: float | None = None
    n: int | None = None
    reason: str = ""
    note: str = ""
    decides: bool = True

    @property
    def ratio(self) -> float | None:
        """How many times the reference's figure the candidate's is."""
        return self.candidate / self.reference if self.reference and self.candidate is not None else None

    @property
    def counts(self) -> bool:
        """Whether it decides and its figures compare."""
        return self.decides and self.answer in (*TOLD, Answer.EQUAL)


def summed_up(measures: Sequence[Measure]) -> Answer:
    """One answer for all measures that decide: theirs where they agree, those that are equal aside.

    Where some say yes and others no it is mixed; where some have no answer it is in part what the others say.
    """
    answers = {measure.answer for measure in measures if measure.decides}
    unequal = answers - {Answer.EQUAL} or answers or {Answer.NOT_MEASURED}
    if len(unequal) == 1:
        return unequal.pop()
    if {Answer.YES, Answer.NO} <= unequal:
        return Answer.MIXED
    if Answer.YES in unequal:
        return Answer.IN_PART
    return Answer.NOT_IN_PART if Answer.NO in unequal else Answer.CANNOT_TELL


def lighter(reference: Cell, candidate: Cell) -> tuple[Measure, ...]:
    """Parameters, MACs, activations and bytes of one image; equal where they are within the tolerance of a budget."""
    return tuple(_measure(cost, reference.costs[cost.name], candidate.costs[cost.name]) for cost in LIGHTER)


def _measure(cost: Quantity, before: int | None, after: int | None) -> Measure:
    name, unit = cost.name, cost.wording
    if before is None or after is None:
        return Measure(name, unit, before, after, Answer.NOT_MEASURED, reason="not recorded")
    unequal = Answer.YES if after < before else Answer.NO
    answer = Answer.EQUAL if abs(after - before) <= TOLERANCE * before else unequal
    return Measure(name, unit, before, after, answer)
