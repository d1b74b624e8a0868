"""One answer over all groups of a sweep, for the two families that it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, compress

import numpy as np

from dsbench.statistics.power import seeds_to_settle, smallest_adjusted_p
from dsbench.verdict.answers import Answer
from dsbench.verdict.better import Scores, Tested, tested_together, with_failures
from dsbench.verdict.cells import Cell
from dsbench.verdict.factorial import topology
from dsbench.verdict.groups import FAMILIES, Group


@dataclass(frozen=True)
class InGroup:
    """Two families in one group: per seed the mean accuracy of the one's cells less that of the other's.

    `tested` holds these differences, `with_failures` the same with runs that collapsed or diverged counted in; `asked`
    is how many seeds there would be if all runs were done. `lighter` and `faster` are the answers of the group's pairs
    of these families (see across). `by` and `measure` are those of the group.
    """

    group: str
    by: str
    measure: str | None
    lighter: tuple[Answer, ...]
    faster: tuple[Answer, ...]
    tested: Tested
    with_failures: Tested
    asked: int

    @property
    def answer(self) -> Answer:
        """Whether the candidate is better."""
        return self.tested.answer


@dataclass(frozen=True)
class Trainings:
    """How many of the `runs` of a family that have ended did so without being done, by status."""

    lost: dict[str, int]
    runs: int


@dataclass(frozen=True)
class Overall:
    """Whether `candidate` is better than `reference`, family against family, in each group that has both.

    p is adjusted by Holm over these groups, so that the chance of one false claim or more in the sentence is below .05.
    Within its group the pair is one of several questions; over all pairs of all groups at once few seeds could answer
    none. `smallest_adjusted_p` is the least that the group with the most seeds can reach.
    """

    reference: str
    candidate: str
    groups: tuple[InGroup, ...]
    trained_reference: Trainings
    trained_candidate: Trainings
    smallest_adjusted_p: float
    seeds_to_settle: int | None


@dataclass(frozen=True)
class Answered:
    """A group with its name and, for each of its pairs in order, whether it is lighter and faster."""

    name: str
    group: Group
    lighter: tuple[Answer, ...]
    faster: tuple[Answer, ...]


def overall(answered: Sequence[Answered]) -> Overall | None:
    """The answer for the conventional and the fully separable family; without these, for the first two in one group.

    One alone: several would each have a chance of a false claim of their own. None where no group has two families.
    """
    present = {_family(cell) for one in answered for cell in one.group.cells}
    families = [*(one for one in FAMILIES if one in present), *sorted(present - set(FAMILIES))]
    ends = (FAMILIES[0], FAMILIES[-1])
    for reference, candidate in sorted(combinations(families, 2), key=lambda two: two != ends):
        both = [one for one in answered if {reference, candidate} <= {_family(cell) for cell in one.group.cells}]
        if both:
            return _overall(reference, candidate, both)
    return None


def _overall(reference: str, candidate: str, answered: Sequence[Answered]) -> Overall:
    two = (reference, candidate)
    sides = [[[cell for cell in one.group.cells if _family(cell) == each] for each in two] for one in answered]
    tested = tested_together([(_mean(before, _done), _mean(after, _done)) for before, after in sides])
    counted = tested_together([(_mean(before, with_failures), _mean(after, with_failures)) for before, after in sides])
    found = tuple(
        InGroup(one.name, one.group.by, one.group.measure, *_of(one, reference, candidate), test, all_, _asked(both))
        for one, test, all_, both in zip(answered, tested, counted, sides, strict=True)
    )
    least = smallest_adjusted_p(max(len(test.seeds) for test in tested), len(answered))
    before, after = (_trained([cell for both in sides for cell in both[side]]) for side in (0, 1))
    return Overall(reference, candidate, found, before, after, least, seeds_to_settle(len(answered)))


def _trained(cells: Sequence[Cell]) -> Trainings:
    """What became of the runs of these cells, each counted once."""
    known = {cell.cell_id: cell for cell in cells}.values()
    lost = Counter(run.status for cell in known for run in (*cell.fallen, *cell.broken))
    return Trainings(dict(lost), sum(cell.ended + len(cell.broken) for cell in known))


def across(group: Group, reference: str, candidate: str) -> list[bool]:
    """Which pairs of a group are of these families: where some share their topology, these alone.

    The others would tell of the topology as much as of the family.
    """
    both = [[_family(cell) for cell in pair] == [reference, candidate] for pair in group.pairs]
    alike = [found and topology(one) == topology(other) for found, (one, other) in zip(both, group.pairs, strict=True)]
    return alike if any(alike) else both


def _of(one: Answered, reference: str, candidate: str) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
    """Whether the candidate is lighter and faster in the pairs of these families."""
    wanted = across(one.group, reference, candidate)
    lighter, faster = (tuple(compress(answers, wanted)) for answers in (one.lighter, one.faster))
    return lighter, faster


def _family(cell: Cell) -> str:
    return str(cell.names["model"])


def _done(cell: Cell) -> Scores:
    return cell.scores


def _mean(cells: Sequence[Cell], scores: Callable[[Cell], Scores]) -> Scores:
    """Mean accuracy of the cells, by the seeds that all of them have."""
    found = [scores(cell) for cell in cells]
    seeds = set.intersection(*(set(one) for one in found))
    return {seed: float(np.mean([one[seed] for one in found])) for seed in seeds}


def _asked(sides: Sequence[Sequence[Cell]]) -> int:
    return len({run.seed for cells in sides for cell in cells for run in cell.runs})
