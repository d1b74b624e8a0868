"""From the tables of a sweep to its verdict: each matched group with the answers of its comparisons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.errors import InputError
from dsbench.measure.timing import REPEATS
from dsbench.results.cells import cells_table
from dsbench.results.records import correct_images, misjudged, record, timings
from dsbench.run.folder import RunFolder
from dsbench.run.record import FINAL
from dsbench.statistics.means import ALPHA, Contrast
from dsbench.verdict.better import Better, Correct, Factorial, better, factorial, key, standing_of, topology
from dsbench.verdict.cells import Cell, cells
from dsbench.verdict.chips import ChipMeasure, on_chips
from dsbench.verdict.curves import Curves, curves
from dsbench.verdict.faster import measured_times, trained, unranked
from dsbench.verdict.groups import ASKED, FAMILIES, HYBRID, Group, Regimes, group_names, groups, named_pair, regimes
from dsbench.verdict.int8 import INT8, Int8, int8
from dsbench.verdict.lighter import Measure, agreed, lighter, summed_up
from dsbench.verdict.recipe import Recipe, recipes
from dsbench.verdict.reliable import Reliable, reliable
from dsbench.verdict.rule import DEFAULT, Answer, Family, Rule
from dsbench.verdict.timings import Records

if TYPE_CHECKING:
    import pandas as pd

QUESTIONS = ("lighter", "faster", "better", "reliable")


@dataclass(frozen=True)
class Comparison:
    """Whether `candidate` is lighter, faster, better and more reliable than `reference`, both labels of cells.

    `measured` are times measured apart, which decide; `trained` are seconds of training, which are shown beside.
    `chips` are the figures of chips, which decide with the others: counted ones whether it is lighter, timed ones
    whether it is faster. `int8` says whether int8 costs it more accuracy, by runtime, the first of which is the answer.
    `cells` are both, reference first.
    """

    group: str
    reference: str
    candidate: str
    lighter: tuple[Measure, ...]
    measured: tuple[Measure, ...]
    trained: tuple[Measure, ...]
    better: Better
    reliable: Reliable
    chips: tuple[ChipMeasure, ...]
    int8: tuple[Int8, ...]
    cells: tuple[Cell, Cell] = field(metadata={"plain": False})

    @property
    def times(self) -> list[Measure]:
        """The times here and on chips; those on chips alone where nothing else is measured."""
        on_chips = [one for one in self.chips if one.timed]
        here = [one for one in self.measured if not on_chips or one.answer is not Answer.NOT_MEASURED]
        return [*(self.measured if here else []), *on_chips]

    @property
    def answers(self) -> dict[str, Answer]:
        """One answer to each question."""
        counted = summed_up([*self.lighter, *(one for one in self.chips if not one.timed)])
        answers = counted, agreed(self.times), self.better.answer, self.reliable.answer
        of_int8 = {INT8: self.int8[0].answer} if self.int8 else {}
        return dict(zip(QUESTIONS, answers, strict=True)) | of_int8


@dataclass(frozen=True)
class Judged:
    """A group with its comparisons, a pair each, in order, and the effects of the factorial that it may be."""

    name: str
    group: Group
    comparisons: tuple[Comparison, ...]
    factorial: Factorial | None

    @property
    def times(self) -> list[Measure]:
        """The times that decide, of the pairs both of which have a finished run, which can be measured."""
        measurable = (pair for pair in self.comparisons if all(cell.done for cell in pair.cells))
        return [measure for pair in measurable for measure in pair.measured if measure.decides]


@dataclass(frozen=True)
class Verdict:
    """All that a sweep says; `statuses` counts its runs.

    `unmatched` are the labels of the cells that stand in no group. `to_measure` has a finished run of each cell in
    a group of which not all is timed together: of all its cells, and of those of the groups that share one of them.
    `unsettled` has those of groups that are timed in fewer than REPEATS repeats, which could not tell. `unranked` says
    by what its cells cannot be ranked (see dsbench.verdict.faster). `damaged` says of which runs the images that they
    got right cannot be read, and why; `misjudged` names those whose confusion matrix says otherwise than their status.
    `recipes` has what recipes account for, where a design has chosen each network's own; `curves` where one family
    overtakes another, of families that were trained in several sizes.
    """

    rule: Rule
    cells: tuple[Cell, ...]
    groups: tuple[Judged, ...]
    regimes: tuple[Regimes, ...]
    unmatched: tuple[str, ...]
    to_measure: tuple[str, ...]
    unsettled: tuple[str, ...]
    unranked: dict[str, str]
    statuses: dict[str, int]
    damaged: dict[str, str]
    misjudged: tuple[str, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    curves: tuple[Curves, ...] = ()

    @property
    def unfinished(self) -> int:
        """How many runs have no result yet."""
        return sum(number for status, number in self.statuses.items() if status not in FINAL)

    @property
    def comparisons(self) -> list[Comparison]:
        """Each pair once, those of the headline first."""
        by_pair: dict[str, Comparison] = {}
        for pair in (pair for judged in self.groups for pair in judged.comparisons):
            by_pair.setdefault(key(pair.cells), pair)
        return sorted(by_pair.values(), key=lambda pair: pair.better.family is not Family.HEADLINE)

    @property
    def questions(self) -> tuple[str, ...]:
        """Those that some comparison has an answer to."""
        return (*QUESTIONS, *([INT8] if any(pair.int8 for pair in self.comparisons) else []))

    @property
    def headline(self) -> list[Comparison]:
        """The pairs of the headline; where no group has two families, the first pair of all.

        A hybrid that was proposed against the plain network is a headline of its own.
        """
        pairs = self.comparisons
        return [pair for pair in pairs if pair.better.family is Family.HEADLINE] or pairs[:1]


def verdict(outputs: Path, runs: pd.DataFrame, compare: str | None = None, rule: Rule = DEFAULT) -> Verdict:
    """The verdict on `runs` (see runs_table), whose folders lie under `outputs`; see judge."""
    correct, damaged = correct_images(outputs, runs)
    judged = judge(runs, cells_table(runs), measured_records(outputs, runs), compare, rule, correct, damaged)

    def there(run_ids: Sequence[str]) -> tuple[str, ...]:
        """Those whose folders are kept, which can be measured."""
        return tuple(run_id for run_id in run_ids if (outputs / "runs" / run_id).is_dir())

    return replace(
        judged,
        to_measure=there(judged.to_measure),
        unsettled=there(judged.unsettled),
        misjudged=tuple(_misjudged(outputs, runs)),
    )


def _misjudged(outputs: Path, runs: pd.DataFrame) -> Iterator[str]:
    """A sentence on each run whose confusion matrix says otherwise than its status, of those that may be such."""
    low = runs["test_acc"] < 2 / runs["classes"]
    for run_id in runs.loc[
        (runs["status"] == "collapsed") | ((runs["status"] == "done") & low.fillna(False)), "run_id"
    ]:
        with suppress(InputError):  # a damaged matrix says nothing
            confusion = RunFolder(outputs / "runs" / run_id).confusion()
            if confusion and (sentence := misjudged(record(outputs, run_id), confusion)):
                yield sentence


def measured_records(outputs: Path, runs: pd.DataFrame) -> Records:
    """The records of the runs that times were measured of, by run_id: tables hold medians alone."""
    timed = runs[runs[timings(runs)].notna().any(axis=1)]
    return {run_id: record(outputs, run_id) for run_id in timed["run_id"]}


def judge(
    runs: pd.DataFrame,
    table: pd.DataFrame,
    records: Records,
    compare: str | None = None,
    rule: Rule = DEFAULT,
    correct: Correct | None = None,
    damaged: Mapping[str, str] | None = None,
) -> Verdict:
    """The verdict on the `runs` of a sweep and the `table` of its cells (see dsbench.results.folder.SweepFolder.read).

    `records` holds what was measured of runs by run_id, `correct` which test images they got right. `compare` names two
    cells, "A,B", to be compared whatever they have in common but their data; without it the groups are those of
    dsbench.verdict.groups. A pair that stands in one of those is judged as there, as one of its family. Raises
    InputError for names that are no cells'.
    """
    known = cells(runs, table)
    matched = groups(known)
    compared = matched if compare is None else [named_pair(known, compare)]
    places = _places(matched)
    images, other = _of_one_length(correct or {})
    judged = [
        _judged(name, group, places, records, rule, images)
        for name, group in zip(group_names(compared), compared, strict=True)
    ]
    grouped = {cell_id for group in compared for cell_id in group.ids}
    untimed = _connected(judged, lambda time: time.answer in (Answer.NOT_MEASURED, Answer.NOT_COMPARABLE))
    few = _connected(judged, lambda time: time.answer is Answer.CANNOT_TELL and (time.n or 0) < REPEATS)
    unsettled = few - untimed
    unmatched = [cell.label for cell in known if cell.cell_id not in grouped]
    return Verdict(
        rule=rule,
        cells=tuple(known),
        groups=tuple(judged),
        regimes=tuple(regimes(known)) if compare is None else (),
        unmatched=tuple(unmatched) if compare is None else (),
        to_measure=_finished(known, untimed),
        unsettled=_finished(known, unsettled),
        unranked=unranked(known, records),
        statuses=dict(Counter(run.status for cell in known for run in cell.runs)),
        damaged=dict(damaged or {}) | other,
        recipes=tuple(recipes(judged, rule, images)),
        curves=tuple(curves(known, records, rule, images, _by_ids(judged))) if compare is None else (),
    )


def _by_ids(judged: Sequence[Judged]) -> dict[tuple[str, str], Better]:
    """The difference in accuracy of each pair, by the ids of its cells."""
    pairs = (pair for group in judged for pair in group.comparisons)
    return {(pair.cells[0].cell_id, pair.cells[1].cell_id): pair.better for pair in pairs}


def _of_one_length(correct: Correct) -> tuple[Correct, dict[str, str]]:
    """Those of as many images as most have, and what is wrong with the others."""
    lengths = Counter(map(len, correct.values()))
    usual = max(lengths, key=lambda length: lengths[length], default=0)
    other = {run: f"it has {len(own):,} images, not {usual:,}" for run, own in correct.items() if len(own) != usual}
    return {run: own for run, own in correct.items() if run not in other}, other


@dataclass(frozen=True)
class _Place:
    """Where a pair stands: its family, how many comparisons share its level, and its group, which matches it."""

    family: Family = Family.HEADLINE
    comparisons: int = 1
    group: Group | None = None


def _places(groups: Sequence[Group]) -> dict[frozenset[str], _Place]:
    """The place of each pair of `groups` by the ids of its cells.

    A pair that stands in several groups belongs to the first, or to the headline where it is in that of any.
    """
    proposed = [pair for group in groups for pair in group.pairs if is_of_proposal(pair)]
    headline = set(map(_ids, proposed or [pair for group in groups for pair in headline_pairs(group)]))
    out: dict[frozenset[str], _Place] = {}
    for group in groups:
        others = {_ids(pair) for pair in group.pairs} - headline - out.keys()
        for pair in group.pairs:
            of_headline = _ids(pair) in headline
            family, size = (Family.HEADLINE, len(headline)) if of_headline else (Family.OTHER, len(others))
            out.setdefault(_ids(pair), _Place(family, size, group))
    return out


def _ids(pair: tuple[Cell, Cell]) -> frozenset[str]:
    return frozenset(cell.cell_id for cell in pair)


def is_of_proposal(pair: tuple[Cell, Cell]) -> bool:
    """Whether it is the network of plain slots and the hybrid that a design has proposed in its place."""
    reference, candidate = pair
    return HYBRID in candidate.roles and HYBRID not in reference.roles and _family(reference) == FAMILIES[0]


def headline_pairs(group: Group) -> list[tuple[Cell, Cell]]:
    """The pairs between the least and the most separable family of a group.

    Where some of them share their topology, these alone: the others would tell of the topology as much as of the
    family. Empty where there is one family.
    """
    present = {_family(cell) for cell in group.cells}
    families = [*(family for family in FAMILIES if family in present), *sorted(present - set(FAMILIES))]
    if group.by == ASKED or len(families) < 2:
        return []
    ends = families[0], families[-1]
    across = [pair for pair in group.pairs if (_family(pair[0]), _family(pair[1])) == ends]
    return [pair for pair in across if topology(pair[0]) == topology(pair[1])] or across


def _judged(
    name: str,
    group: Group,
    places: Mapping[frozenset[str], _Place],
    records: Records,
    rule: Rule,
    correct: Correct,
) -> Judged:
    of_pairs = [places.get(_ids(pair), _Place()) for pair in group.pairs]
    levels = [ALPHA / place.comparisons for place in of_pairs]
    times = measured_times(group.pairs, records, levels, rule.speed_margin), trained(group.pairs)
    comparisons = []
    for pair, place, level, measured, as_trained in zip(group.pairs, of_pairs, levels, *times, strict=True):
        reference, candidate = pair
        by = (place.group or group) if group.by == ASKED else group
        standing = standing_of(pair, rule)
        accuracy = better(pair, (-1.0, 1.0), place.family, place.comparisons, rule, standing, correct)
        comparisons.append(
            Comparison(
                group=name,
                reference=reference.label,
                candidate=candidate.label,
                lighter=lighter(reference, candidate, by.matched),
                measured=measured,
                trained=as_trained,
                better=accuracy,
                reliable=reliable(reference, candidate, accuracy.level),
                chips=on_chips(reference, candidate, records, level, rule.speed_margin, by.matched_on_chip),
                int8=int8(reference, candidate, accuracy.level, accuracy.margin, standing.looks_again),
                cells=pair,
            )
        )
    return Judged(name, group, tuple(comparisons), factorial(group.cells, rule, correct))


def _connected(judged: Sequence[Judged], wanted: Callable[[Measure], bool]) -> set[str]:
    """The cells of the groups with a time that is `wanted`, and of all groups that share a cell with these.

    What is measured of them anew stays together with whatever it is compared to.
    """
    reached: set[str] = set().union(*(group.group.ids for group in judged if any(map(wanted, group.times))))
    while (wider := reached.union(*(group.group.ids for group in judged if group.group.ids & reached))) > reached:
        reached = wider
    return reached


def _finished(cells: Sequence[Cell], ids: set[str]) -> tuple[str, ...]:
    """A finished run of each of the cells with these ids that has one."""
    return tuple(cell.done[0].run_id for cell in cells if cell.done and cell.cell_id in ids)


def _family(cell: Cell) -> str:
    return str(cell.names["model"])


_DERIVED: dict[type, tuple[str, ...]] = {  # what follows from the fields and is wanted all the same
    Measure: ("ratio",),
    ChipMeasure: ("ratio", "timed", "estimated"),
    Better: ("runs", "over_images"),
    Contrast: ("variance", "df", "images_alone"),
    Comparison: ("answers",),
    Recipe: ("pair", "accounted"),
    Curves: ("points", "crossings", "labels"),
    Verdict: ("unfinished",),
}


def as_data(value: Any) -> Any:
    """Dataclasses as mappings, tuples as lists, answers as text, numbers that JSON has not as None.

    Cells stand once, in the verdict's `cells`; others name them.
    """
    if is_dataclass(value) and not isinstance(value, type):
        shown = (field.name for field in fields(value) if field.metadata.get("plain", True))
        names = [*shown, *_DERIVED.get(type(value), ())]
        if isinstance(value, Group):
            return {name: as_data(getattr(value, name)) for name in names} | {
                "cells": [cell.label for cell in value.cells]
            }
        return {name: as_data(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): as_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, frozenset)):
        return [as_data(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
