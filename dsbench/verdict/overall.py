"""A group with the answers of its pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dsbench.statistics.power import seeds_to_settle, smallest_adjusted_p
from dsbench.verdict.answers import Answer, Measure, summed_up
from dsbench.verdict.better import Better, Factorial, Scores, Tested, tested_together, topology, with_failures
from dsbench.verdict.cells import Cell, seeds_in_common
from dsbench.verdict.groups import FAMILIES, Group


@dataclass(frozen=True)
class Pair:
    """Whether `candidate` is lighter, faster and better than `reference`, both labels of cells.

    `by_turns` are times measured by turns, which decide; `trained` are seconds of training, which are shown beside.
    """

    reference: str
    candidate: str
    lighter: tuple[Measure, ...]
    by_turns: tuple[Measure, ...]
    trained: tuple[Measure, ...]
    better: Better

    @property
    def answers(self) -> dict[str, Answer]:
        """One answer to each question."""
        return {
            "lighter": summed_up(self.lighter),
            "faster": summed_up(self.by_turns),
            "better": self.better.answer,
        }


@dataclass(frozen=True)
class Judged:
    """A group with the answers of its pairs, in their order."""

    name: str
    group: Group
    pairs: tuple[Pair, ...]
    factorial: Factorial | None

    @property
    def compared(self) -> list[tuple[Pair, tuple[Cell, Cell]]]:
        """Each pair with its cells, reference first."""
        return list(zip(self.pairs, self.group.pairs, strict=True))

    @property
    def seeds(self) -> int:
        """The number of seeds of the pair that has most."""
        return max(len(pair.better.tested.seeds) for pair in self.pairs)

    @property
    def smallest_adjusted_p(self) -> float:
        """What these seeds can reach at the least among so many pairs."""
        return smallest_adjusted_p(self.seeds, len(self.pairs))

    @property
    def seeds_to_settle(self) -> int | None:
        """How many seeds can reach less than .05 among so many pairs."""
        return seeds_to_settle(len(self.pairs))

    @property
    def times(self) -> set[Answer]:
        """What the times that decide came to in the pairs both of which have a finished run, which can be measured."""
        can = (pair for pair, cells in self.compared if all(one.done for one in cells))
        return {one.answer for pair in can for one in pair.by_turns if one.decides}


Compared = tuple[Pair, tuple[Cell, Cell]]


@dataclass(frozen=True)
class Trainings:
    """How many of `runs` that have ended did so without being done, by status."""

    lost: dict[str, int]
    runs: int

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> Trainings:
        """What became of the runs of these cells, each counted once."""
        known = {cell.cell_id: cell for cell in cells}.values()
        lost = Counter(run.status for cell in known for run in (*cell.fallen, *cell.broken))
        return cls(dict(lost), sum(cell.ended + len(cell.broken) for cell in known))


@dataclass(frozen=True)
class InGroup:
    """Two families in one group: `compared` are the pairs that tell of them (see across), all questions of the same.

    `tested` has the test accuracy of the candidates less that of the references, per seed in the mean over these pairs;
    `with_failures` the same with runs that collapsed or diverged counted in. p is adjusted over the groups.
    """

    group: Judged
    compared: tuple[Compared, ...]
    tested: Tested
    with_failures: Tested

    @property
    def pairs(self) -> list[Pair]:
        """The pairs without their cells."""
        return [pair for pair, _ in self.compared]

    @property
    def answers(self) -> dict[str, list[Answer]]:
        """Whether it is lighter and faster, pair by pair, and whether it is better over all of them together."""
        by_pair = {question: [pair.answers[question] for pair in self.pairs] for question in ("lighter", "faster")}
        return {**by_pair, "better": [self.tested.answer]}

    def side(self, side: int) -> list[Cell]:
        """The references, 0, or the candidates, 1, one for each pair."""
        return [cells[side] for _, cells in self.compared]

    @property
    def asked(self) -> int:
        """How many seeds there would be if all runs were done."""
        return len(seeds_in_common([*self.side(0), *self.side(1)]))


@dataclass(frozen=True)
class Overall:
    """Whether `candidate` is better than `reference`, family against family, in each group that has both.

    p is adjusted by Holm over these groups, so that the chance of one false claim or more in the sentence is below .05.
    Within its group the pair is one of several questions; over all pairs of all groups at once few seeds could answer
    none.
    """

    reference: str
    candidate: str
    groups: tuple[InGroup, ...]

    @property
    def seeds(self) -> int:
        """The number of seeds of the group that has most."""
        return max(len(of.tested.seeds) for of in self.groups)

    @property
    def smallest_adjusted_p(self) -> float:
        """The least that these seeds can reach over so many groups."""
        return smallest_adjusted_p(self.seeds, len(self.groups))

    @property
    def seeds_to_settle(self) -> int | None:
        """How many seeds can reach less than .05 over so many groups."""
        return seeds_to_settle(len(self.groups))


def overall(judged: Sequence[Judged]) -> Overall | None:
    """The answer for the conventional and the fully separable family; without these, for the first two in one group.

    One alone: several would each have a chance of a false claim of their own. None where no group has two families.
    """
    present = {_family(cell) for one in judged for cell in one.group.cells}
    families = [*(one for one in FAMILIES if one in present), *sorted(present - set(FAMILIES))]
    ends = (FAMILIES[0], FAMILIES[-1])
    for reference, candidate in sorted(combinations(families, 2), key=lambda two: two != ends):
        both = [(one, found) for one in judged if (found := across(one, reference, candidate))]
        if both:
            return _overall(reference, candidate, both)
    return None


def across(judged: Judged, reference: str, candidate: str) -> list[Compared]:
    """The pairs of a group that are of these families: where some share their topology, these alone.

    The others would tell of the topology as much as of the family.
    """
    both = [one for one in judged.compared if [_family(cell) for cell in one[1]] == [reference, candidate]]
    return [one for one in both if topology(one[1][0]) == topology(one[1][1])] or both


def _overall(reference: str, candidate: str, both: Sequence[tuple[Judged, list[Compared]]]) -> Overall:
    tests, counted = (
        tested_together([_means([cells for _, cells in compared], scores) for _, compared in both])
        for scores in (_done, with_failures)
    )
    found = (
        InGroup(judged, tuple(compared), test, all_)
        for (judged, compared), test, all_ in zip(both, tests, counted, strict=True)
    )
    return Overall(reference, candidate, tuple(found))


def _means(pairs: Iterable[tuple[Cell, Cell]], scores: Callable[[Cell], Scores]) -> tuple[Scores, Scores]:
    """Mean accuracy of the references and of the candidates, by seed."""
    before, after = (_mean(cells, scores) for cells in zip(*pairs, strict=True))
    return before, after


def _family(cell: Cell) -> str:
    return str(cell.names["model"])


def _done(cell: Cell) -> Scores:
    return cell.scores


def _mean(cells: Iterable[Cell], scores: Callable[[Cell], Scores]) -> Scores:
    """Mean accuracy of the cells, by the seeds that all of them have."""
    found = [scores(cell) for cell in cells]
    seeds = set.intersection(*(set(one) for one in found))
    return {seed: float(np.mean([one[seed] for one in found])) for seed in seeds}
