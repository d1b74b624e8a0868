"""One answer over all groups of a sweep, for each two families that it compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from dsbench.statistics.multiple import holm
from dsbench.statistics.paired import Paired, paired
from dsbench.statistics.power import seeds_to_settle, smallest_adjusted_p
from dsbench.verdict.answers import Answer
from dsbench.verdict.better import answer
from dsbench.verdict.cells import Cell
from dsbench.verdict.groups import FAMILIES, Group


@dataclass(frozen=True)
class InGroup:
    """Two families in one group: per seed the mean accuracy of the one's cells less that of the other's.

    `lighter` and `faster` are the answers of the group's pairs of these families.
    """

    group: str
    by: str
    lighter: tuple[Answer, ...]
    faster: tuple[Answer, ...]
    seeds: tuple[int, ...]
    paired: Paired | None
    adjusted_p: float | None
    answer: Answer


@dataclass(frozen=True)
class Trainings:
    """How many runs of a family collapsed or diverged, of all that ended with a result or so."""

    failed: int
    ended: int


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


def overall(answered: Sequence[Answered]) -> list[Overall]:
    """One for each two families that stand together in any of the groups."""
    present = {str(cell.names["model"]) for one in answered for cell in one.group.cells}
    families = [*(one for one in FAMILIES if one in present), *sorted(present - set(FAMILIES))]
    out = []
    for index, reference in enumerate(families):
        for candidate in families[index + 1 :]:
            both = [one for one in answered if {reference, candidate} <= _families(one.group.cells)]
            if both:
                out.append(_overall(reference, candidate, both))
    return out


def _overall(reference: str, candidate: str, answered: Sequence[Answered]) -> Overall:
    seeds, tests = [], []
    for one in answered:
        first, second = _scores(one.group.cells, reference), _scores(one.group.cells, candidate)
        both = tuple(sorted(first.keys() & second.keys()))
        seeds.append(both)
        tests.append(paired([second[seed] - first[seed] for seed in both]))
    adjusted = holm([test.p if test else None for test in tests])
    found = tuple(
        InGroup(one.name, one.group.by, *_of(one, reference, candidate), both, test, p, answer(_mean(test), p))
        for one, both, test, p in zip(answered, seeds, tests, adjusted, strict=True)
    )
    least = smallest_adjusted_p(max(map(len, seeds)), len(answered))
    before, after = (_trained([one.group for one in answered], family) for family in (reference, candidate))
    return Overall(reference, candidate, found, before, after, least, seeds_to_settle(len(answered)))


def _trained(groups: Sequence[Group], family: str) -> Trainings:
    """Of the family's cells in these groups, each counted once."""
    cells = {cell.cell_id: cell for group in groups for cell in group.cells if str(cell.names["model"]) == family}
    return Trainings(sum(len(cell.fallen) for cell in cells.values()), sum(cell.ended for cell in cells.values()))


def _of(one: Answered, reference: str, candidate: str) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
    """Whether the candidate is lighter and faster in the pairs of these families."""
    wanted = [[str(cell.names["model"]) for cell in pair] == [reference, candidate] for pair in one.group.pairs]
    lighter, faster = (tuple(compress(answers, wanted)) for answers in (one.lighter, one.faster))
    return lighter, faster


def _mean(test: Paired | None) -> float | None:
    return test.mean if test else None


def _families(cells: Sequence[Cell]) -> set[str]:
    return {str(cell.names["model"]) for cell in cells}


def _scores(cells: Sequence[Cell], family: str) -> Mapping[int, float]:
    """Mean accuracy of the family's cells, by the seeds in which all of them are done."""
    scores = [cell.scores for cell in cells if str(cell.names["model"]) == family]
    seeds = set.intersection(*(set(one) for one in scores))
    return {seed: float(np.mean([one[seed] for one in scores])) for seed in seeds}
