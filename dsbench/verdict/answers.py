"""What a question can be answered with, and the rows of figures that answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """The answer to whether a candidate is lighter, faster or better than its reference."""

    YES = "yes"
    NO = "no"  # it is heavier, slower or worse
    CANNOT_TELL = "cannot tell"
    EQUAL = "equal"  # of costs alone, which are arithmetic
    IN_PART = "in part"  # yes by one measure, not by another
    REFUSED = "refused"  # measured, but not under conditions that compare
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Measure:
    """One figure of both: `ratio` is candidate / reference, `reason` why it is no answer, `note` under what it holds.

    `spread` is the interquartile range of a measured time, in its unit. `p` is adjusted, where the answer has one.
    What does not decide is shown alone.
    """

    name: str
    unit: str
    reference: float | None
    candidate: float | None
    answer: Answer
    reference_spread: float | None = None
    candidate_spread: float | None = None
    p: float | None = None
    n: int | None = None
    reason: str = ""
    note: str = ""
    decides: bool = True

    @property
    def ratio(self) -> float | None:
        """How many times the reference's figure the candidate's is."""
        return self.candidate / self.reference if self.reference and self.candidate is not None else None


def summed_up(measures: Sequence[Measure]) -> Answer:
    """One answer for the measures that decide: theirs where they agree, else in part.

    Those that are equal, refused or not measured say nothing where others do.
    """
    answers = [measure.answer for measure in measures if measure.decides]
    spoken = {one for one in answers if one in (Answer.YES, Answer.NO, Answer.CANNOT_TELL)}
    if len(spoken) > 1:
        return Answer.IN_PART
    silent = (Answer.EQUAL, Answer.REFUSED, Answer.NOT_MEASURED)
    return next(iter(spoken or [one for one in silent if one in answers]), Answer.NOT_MEASURED)
