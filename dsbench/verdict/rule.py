"""What a verdict goes by: the answers it may give, the margins, the families of comparisons and their levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from dsbench.statistics.looks import nominal_levels
from dsbench.statistics.means import ALPHA, Interval
from dsbench.tables import Tone


class Answer(StrEnum):
    """What a question can be answered with; the same words everywhere."""

    BETTER = "better"
    WORSE = "worse"
    AS_GOOD = "as good"  # within the margin
    NO_WORSE = "no worse"  # not below the margin
    TOO_FEW = "too few runs"
    CANNOT_TELL = "cannot tell"  # of accuracies and of times
    LIGHTER = "lighter"
    HEAVIER = "heavier"
    EQUAL = "equal"
    MIXED = "mixed"  # lighter, or faster, by some measures and not by others
    FASTER = "faster"
    SLOWER = "slower"
    AS_FAST = "as fast"  # within the speed margin
    NOT_MEASURED = "not measured"
    NOT_COMPARABLE = "not comparable"  # measured, but not under the same conditions
    MORE_RELIABLE = "more reliable"
    LESS_RELIABLE = "less reliable"
    NO_DIFFERENCE = "no difference seen"
    LOSES_LESS = "loses less"  # by int8
    LOSES_MORE = "loses more"
    LOSES_AS_MUCH = "loses as much"
    LOSES_NO_MORE = "loses no more"

    @property
    def tone(self) -> Tone:
        """How it sounds."""
        return _TONES[self]


_TONES = {
    answer: tone
    for tone, answers in {
        Tone.GOOD: (
            Answer.BETTER,
            Answer.AS_GOOD,
            Answer.NO_WORSE,
            Answer.LIGHTER,
            Answer.FASTER,
            Answer.MORE_RELIABLE,
            Answer.LOSES_LESS,
            Answer.LOSES_AS_MUCH,
            Answer.LOSES_NO_MORE,
        ),
        Tone.BAD: (Answer.WORSE, Answer.HEAVIER, Answer.SLOWER, Answer.LESS_RELIABLE, Answer.LOSES_MORE),
        Tone.OPEN: (Answer.CANNOT_TELL, Answer.TOO_FEW, Answer.MIXED),
        Tone.NONE: (Answer.EQUAL, Answer.AS_FAST, Answer.NO_DIFFERENCE, Answer.NOT_MEASURED, Answer.NOT_COMPARABLE),
    }.items()
    for answer in answers
}

DECIDED = (Answer.BETTER, Answer.WORSE, Answer.AS_GOOD)  # answers for which no more seeds are trained


class Family(StrEnum):
    """The family that a comparison belongs to; each family has a level of its own, shared by its comparisons."""

    HEADLINE = "headline pairs"  # of all groups: between its least and its most separable family
    OTHER = "other pairs"  # of one group
    EFFECT = "effects"  # of one factorial


MARGINS = {"mnist": 0.2}  # percentage points, by data set
MARGIN = 1.0  # of every other
SPEED_MARGIN = 10.0  # percent, where a sweep does not say


@dataclass(frozen=True)
class Kept:
    """A difference as it was decided at a look: its mean and interval, of one of so many comparisons, at `level`."""

    mean: float
    interval: Interval
    level: float
    comparisons: int


@dataclass(frozen=True)
class Standing:
    """How a comparison stands in a sweep that looks again: `fractions` of all its seeds at its looks so far.

    Where that was planned, `look` is its number, from 1, and `seeds` has those of each cell that were judged at it;
    what was trained later changes nothing until the next, and nothing at all once the comparison is decided: `kept` is
    what decided it.
    """

    fractions: tuple[float, ...] = (1.0,)
    look: int | None = None
    seeds: tuple[frozenset[int], ...] | None = None
    kept: Kept | None = None

    @property
    def reversed(self) -> Standing:
        """That of the same pair the other way round."""
        kept = self.kept
        if kept is not None:
            kept = replace(kept, mean=-kept.mean, interval=Interval(-kept.interval.high, -kept.interval.low))
        return replace(self, seeds=self.seeds and self.seeds[::-1], kept=kept)

    def level(self, comparisons: int) -> float:
        """The level of its latest look, of one of so many `comparisons` that share ALPHA."""
        share = ALPHA / comparisons
        return nominal_levels(self.fractions, share)[-1] if self.looks_again else share

    @property
    def looks_again(self) -> bool:
        """Whether there is more than one look."""
        return self.fractions != (1.0,)


@dataclass(frozen=True)
class Rule:
    """The margins, and how the comparisons stand by their keys.

    `margin`, in percentage points, is what two accuracies may differ by and be as good; None is that of the data set.
    Where one was `given` to the command, `sweeps_margin` is what the sweep was run with. `speed_margin` is in percent.
    `looks` is how often the sweep was looked at without having planned it.
    """

    margin: float | None = None
    speed_margin: float = SPEED_MARGIN
    standings: Mapping[str, Standing] | None = None
    looks: int = 1
    given: bool = False
    sweeps_margin: float | None = None

    @property
    def of_sweep(self) -> Rule:
        """The same with the margin that the sweep was run with."""
        return replace(self, margin=self.sweeps_margin, given=False) if self.given else self

    def margin_of(self, data: str) -> float:
        """The margin for a data set, a share of 1."""
        return (MARGINS.get(data, MARGIN) if self.margin is None else self.margin) / 100

    @property
    def unplanned(self) -> Standing:
        """How a difference stands that is no planned comparison: of all runs, at the looks that others have had."""
        fractions = (standing.fractions for standing in (self.standings or {}).values())
        return Standing(max(fractions, key=len, default=Standing().fractions))

    def standing(self, key: str) -> Standing:
        """How the comparison of this key stands: at the full level where nothing else was planned."""
        return (self.standings or {}).get(key, Standing())


DEFAULT = Rule()
