"""From the tables of a sweep to its verdict: each group with the answers of its pairs, and family against family."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsbench.results.cells import cells_table
from dsbench.results.records import record, timings
from dsbench.run.record import FINAL
from dsbench.statistics.power import seeds_to_settle, smallest_adjusted_p
from dsbench.verdict.answers import Answer, Measure, lighter, summed_up
from dsbench.verdict.better import (
    Better,
    Factorial,
    Scores,
    Tested,
    better,
    factorial,
    tested_together,
    topology,
    with_failures,
)
from dsbench.verdict.cells import Cell, cells, seeds_in_common
from dsbench.verdict.faster import measured_times, trained, unranked
from dsbench.verdict.groups import FAMILIES, Group, Regimes, group_names, groups, named_pair, regimes
from dsbench.verdict.timings import Records

if TYPE_CHECKING:
    import pandas as pd


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


Compared = tuple[Pair, tuple[Cell, Cell]]  # a pair with its cells, reference first


@dataclass(frozen=True)
class Judged:
    """A group with the answers of its pairs, in their order."""

    name: str
    group: Group
    pairs: tuple[Pair, ...]
    factorial: Factorial | None

    @property
    def compared(self) -> list[Compared]:
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
        measurable = (pair for pair, cells in self.compared if all(cell.done for cell in cells))
        return {measure.answer for pair in measurable for measure in pair.by_turns if measure.decides}


@dataclass(frozen=True)
class InGroup:
    """Two families in one group; `compared` are the pairs between them (see across), which every answer here is about.

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
        """The references, 0, or the candidates, 1, a cell for each pair."""
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
        return max(len(part.tested.seeds) for part in self.groups)

    @property
    def smallest_adjusted_p(self) -> float:
        """The least that these seeds can reach over so many groups."""
        return smallest_adjusted_p(self.seeds, len(self.groups))

    @property
    def seeds_to_settle(self) -> int | None:
        """How many seeds can reach less than .05 over so many groups."""
        return seeds_to_settle(len(self.groups))


@dataclass(frozen=True)
class Verdict:
    """All that a sweep says; `statuses` counts its runs.

    `unmatched` are the labels of the cells that stand in no group. `to_measure` has a finished run of each cell in
    a group of which not all is timed by turns: of all its cells, and of those of the groups that share one of them.
    `unsettled` has those of groups that are timed, but not all of them often enough. `unranked` says by what its
    cells cannot be ranked (see dsbench.verdict.faster).
    """

    cells: tuple[Cell, ...]
    groups: tuple[Judged, ...]
    overall: Overall | None
    regimes: tuple[Regimes, ...]
    unmatched: tuple[str, ...]
    to_measure: tuple[str, ...]
    unsettled: tuple[str, ...]
    unranked: dict[str, str]
    statuses: dict[str, int]

    @property
    def unfinished(self) -> int:
        """How many runs have no result yet."""
        return sum(number for status, number in self.statuses.items() if status not in FINAL)


def verdict(outputs: Path, runs: pd.DataFrame, compare: str | None = None) -> Verdict:
    """The verdict on `runs` (see runs_table), whose folders lie under `outputs`; see judge."""
    return judge(runs, cells_table(runs), measured_records(outputs, runs), compare)


def measured_records(outputs: Path, runs: pd.DataFrame) -> Records:
    """The records of the runs that times were measured of, by run_id: tables hold medians alone."""
    timed = runs[runs[timings(runs)].notna().any(axis=1)]
    return {run_id: record(outputs, run_id) for run_id in timed["run_id"]}


def judge(runs: pd.DataFrame, table: pd.DataFrame, records: Records, compare: str | None = None) -> Verdict:
    """The verdict on the `runs` of a sweep and the `table` of its cells (see dsbench.results.folder.SweepFolder.read).

    `records` holds what was measured of runs by run_id. `compare` names two cells, "A,B", to be compared whatever they
    have in common but their data; without it the groups are those of dsbench.verdict.groups. Raises
    InputError for names that are no cells'.
    """
    known = cells(runs, table)
    compared = groups(known) if compare is None else [named_pair(known, compare)]
    times = iter(measured_times([pair for group in compared for pair in group.pairs], records))
    judged = [
        _judged(name, group, [next(times) for _ in group.pairs])
        for name, group in zip(group_names(compared), compared, strict=True)
    ]
    grouped = {cell_id for group in compared for cell_id in group.ids}
    untimed = _connected(judged, {Answer.NOT_MEASURED, Answer.REFUSED})
    unsettled = _connected(judged, {Answer.UNSETTLED}) - untimed
    unmatched = [cell.label for cell in known if cell.cell_id not in grouped]
    return Verdict(
        cells=tuple(known),
        groups=tuple(judged),
        overall=overall(judged) if compare is None else None,
        regimes=tuple(regimes(known)) if compare is None else (),
        unmatched=tuple(unmatched) if compare is None else (),
        to_measure=_finished(known, untimed),
        unsettled=_finished(known, unsettled),
        unranked=unranked(known, records),
        statuses=dict(Counter(run.status for cell in known for run in cell.runs)),
    )


def _judged(name: str, group: Group, times: Sequence[tuple[Measure, ...]]) -> Judged:
    pairs = group.pairs
    rows = zip(pairs, times, trained(pairs), better(pairs), strict=True)
    answered = tuple(
        Pair(reference.label, candidate.label, lighter(reference, candidate), by_turns, seconds, accuracy)
        for (reference, candidate), by_turns, seconds, accuracy in rows
    )
    return Judged(name, group, answered, factorial(group.cells))


def _connected(judged: Sequence[Judged], answers: set[Answer]) -> set[str]:
    """The cells of the groups whose times came to any of `answers`, and of all groups that share a cell with these.

    What is measured of them anew stays by turns with whatever it is compared to.
    """
    reached: set[str] = set().union(*(group.group.ids for group in judged if group.times & answers))
    while (wider := reached.union(*(group.group.ids for group in judged if group.group.ids & reached))) > reached:
        reached = wider
    return reached


def _finished(cells: Sequence[Cell], ids: set[str]) -> tuple[str, ...]:
    """A finished run of each of the cells with these ids that has one."""
    return tuple(cell.done[0].run_id for cell in cells if cell.done and cell.cell_id in ids)


def overall(judged: Sequence[Judged]) -> Overall | None:
    """The answer for the conventional and the fully separable family; without these, for the first two in one group.

    One answer alone: several would each have a chance of a false claim of their own. None where no group has two
    families.
    """
    present = {_family(cell) for group in judged for cell in group.group.cells}
    families = [*(family for family in FAMILIES if family in present), *sorted(present - set(FAMILIES))]
    ends = (FAMILIES[0], FAMILIES[-1])
    for reference, candidate in sorted(combinations(families, 2), key=lambda two: two != ends):
        both = [(group, compared) for group in judged if (compared := across(group, reference, candidate))]
        if both:
            done, counted = (
                tested_together([_means([cells for _, cells in compared], scores) for _, compared in both])
                for scores in (lambda cell: cell.scores, with_failures)
            )
            parts = [
                InGroup(group, tuple(compared), tested, with_failed)
                for (group, compared), tested, with_failed in zip(both, done, counted, strict=True)
            ]
            return Overall(reference, candidate, tuple(parts))
    return None


def across(judged: Judged, reference: str, candidate: str) -> list[Compared]:
    """The pairs of a group that are of these families: where some share their topology, these alone.

    The others would tell of the topology as much as of the family.
    """
    of_both = [
        (pair, (before, after))
        for pair, (before, after) in judged.compared
        if (_family(before), _family(after)) == (reference, candidate)
    ]
    alike = [(pair, (before, after)) for pair, (before, after) in of_both if topology(before) == topology(after)]
    return alike or of_both


def _family(cell: Cell) -> str:
    return str(cell.names["model"])


def _means(pairs: Sequence[tuple[Cell, Cell]], scores: Callable[[Cell], Scores]) -> tuple[Scores, Scores]:
    """Mean accuracy of the references and of the candidates, by seed, over the seeds that all of a side have."""

    def mean(cells: Iterable[Cell]) -> Scores:
        by_cell = [scores(cell) for cell in cells]
        seeds = set.intersection(*(set(accuracies) for accuracies in by_cell))
        return {seed: float(np.mean([accuracies[seed] for accuracies in by_cell])) for seed in seeds}

    return mean(reference for reference, _ in pairs), mean(candidate for _, candidate in pairs)


_DERIVED: dict[type, tuple[str, ...]] = {  # what follows from the fields and is wanted all the same
    Measure: ("ratio",),
    Better: ("answer", "seeds_to_settle"),
    Pair: ("answers",),
    Judged: ("seeds", "smallest_adjusted_p", "seeds_to_settle"),
    InGroup: ("asked", "answers"),
    Overall: ("seeds", "smallest_adjusted_p", "seeds_to_settle"),
    Verdict: ("unfinished",),
}


def as_data(value: Any) -> Any:
    """Dataclasses as mappings, tuples as lists, answers as text, numbers that JSON has not as None.

    Cells stand once, in the verdict's `cells`, and groups once, in its `groups`; others name them.
    """
    if is_dataclass(value) and not isinstance(value, type):
        shown = (field.name for field in fields(value) if field.metadata.get("plain", True))
        names = [*shown, *_DERIVED.get(type(value), ())]
        references = _references(value)
        return {name: as_data(references[name] if name in references else getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): as_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_data(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _references(value: Any) -> dict[str, Any]:
    """The fields that name what stands elsewhere."""
    if isinstance(value, Group):
        return {"cells": [cell.label for cell in value.cells]}
    if isinstance(value, InGroup):
        return {"group": value.group.name, "compared": [(pair.reference, pair.candidate) for pair in value.pairs]}
    return {}
