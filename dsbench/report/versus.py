"""The cells that two sweeps have in common, and how they differ in accuracy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dsbench.numerals import counted, listed, mean_percent, p_value, signed_points, times
from dsbench.quantities import QUANTITIES
from dsbench.report.answers import intervals
from dsbench.report.content import how
from dsbench.report.page import write_all
from dsbench.results.folder import SweepFolder
from dsbench.statistics.paired import Paired, paired
from dsbench.statistics.power import holm
from dsbench.tables import Column, Entry, Kind, Table, answers, figures, filled, names, numbers, texts
from dsbench.verdict.better import answer
from dsbench.verdict.cells import Cell, cells
from dsbench.verdict.pair_sentences import too_few_seeds

_FREE = ("precision", "device", "threads")  # what the same cell may have another of in another sweep


@dataclass(frozen=True)
class Both:
    """One cell in both sweeps; `seeds` are those that are done in both, `test` is of the second less the first."""

    first: Cell
    second: Cell
    seeds: tuple[int, ...]
    test: Paired | None
    train_seconds: tuple[float | None, float | None]

    @classmethod
    def of(cls, first: Cell, second: Cell) -> Both:
        """What two cells that are the same come to."""
        seeds = tuple(sorted(first.scores.keys() & second.scores.keys()))
        test = paired([second.scores[seed] - first.scores[seed] for seed in seeds])
        return cls(first, second, seeds, test, (_mean_seconds(first), _mean_seconds(second)))

    @property
    def equal(self) -> bool:
        """Whether every seed has exactly the same accuracy."""
        return bool(self.seeds) and all(self.first.scores[seed] == self.second.scores[seed] for seed in self.seeds)


def same(first: Sequence[Cell], second: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """The cells that are the same in both; of several that differ in _FREE alone, those that share it too."""
    groups: list[dict[str, list[Cell]]] = [{}, {}]
    for found, some in zip(groups, (first, second), strict=True):
        for cell in some:
            found.setdefault(_shape(cell), []).append(cell)
    out = []
    for shape, ones in groups[0].items():
        others = groups[1].get(shape, [])
        if len(ones) == len(others) == 1:
            out.append((ones[0], others[0]))
        else:
            out += [(one, other) for one in ones for other in others if one.recipe == other.recipe]
    return out


def _shape(cell: Cell) -> str:
    """What makes a cell the same in another sweep."""
    names = {name: value for name, value in cell.names.items() if name != "study"}
    recipe = {name: value for name, value in cell.recipe.items() if name not in _FREE}
    return json.dumps([names, cell.network, recipe], sort_keys=True)


def _mean_seconds(cell: Cell) -> float | None:
    known = [run.train_seconds for run in cell.done if run.train_seconds is not None]
    return sum(known) / len(known) if known else None


_TIME = QUANTITIES["train_seconds"]
_OWN = ("to repeat it", "to make this page anew", "time")  # of each sweep alone


@dataclass(frozen=True)
class Versus:
    """What a page about two sweeps says."""

    names: tuple[str, str]
    said: list[str]
    cells: Table
    differences: Table


def versus(first: SweepFolder, second: SweepFolder) -> Versus:
    """The cells that both sweeps have, the second against the first, and in what the sweeps differ.

    A cell is the same where network, data and recipe are; precision, device and threads may be others. Raises
    InputError where there is no such sweep.
    """
    known = [cells(*folder.read()) for folder in (first, second)]
    pairs = same(*known)
    both = [Both.of(one, other) for one, other in pairs]
    adjusted = holm([one.test.p if one.test else None for one in both])
    called = (first.name, second.name) if first.name != second.name else (str(first.path), str(second.path))
    paired_ids = [{pair[side].cell_id for pair in pairs} for side in (0, 1)]
    only = [
        [cell.label for cell in some if cell.cell_id not in ids] for some, ids in zip(known, paired_ids, strict=True)
    ]
    differences = _differences(first, second)
    lost = [
        text
        for name, some in zip(called, known, strict=True)
        for text in (*_failed(name, some), *_unfinished(name, some))
    ]
    columns = zip(("", *called), zip(*differences, strict=True), strict=True) if differences else ()
    return Versus(
        called,
        _said(called, both, adjusted, only, differences) + lost,
        _table(both, adjusted),
        Table("What is not the same", tuple(texts(heading, column) for heading, column in columns)),
    )


def write_versus(found: Versus, folder: Path) -> list[Path]:
    """Write the comparison as HTML, Markdown and JSON into `folder`; returns their paths. Raises OSError."""
    data = {
        "sweeps": found.names,
        "said": found.said,
        "cells": found.cells.plain(),
        "differences": found.differences.plain(),
    }
    return write_all("versus", f"versus-{Path(found.names[1]).name}", vars(found), data, folder)


def _table(both: Sequence[Both], adjusted: Sequence[float | None]) -> Table:
    tests = [one.test for one in both]
    sides = [("first", [one.first for one in both]), ("second", [one.second for one in both])]
    columns = [
        *names({"cell": [one.first.label for one in both]}),
        numbers("n", [len(one.seeds) for one in both], str),
        *(Column(f"accuracy, {side}", tuple(map(_accuracy, some)), Kind.NUMBER) for side, some in sides),
        numbers("pp", [test.mean if test else None for test in tests], signed_points),
        intervals("95 % (t)", [test.t if test else None for test in tests]),
        numbers("adjusted p", adjusted, p_value),
        answers("second is better", [_answer(one, p) for one, p in zip(both, adjusted, strict=True)]),
        *(texts(f"failed to train, {side}", list(map(_untrained, some))) for side, some in sides),
        *(
            figures(_TIME, [one.train_seconds[number] for one in both], f"train time, {side}")
            for number, (side, _) in enumerate(sides)
        ),
        Column("time ratio", tuple(map(_ratio, both)), Kind.NUMBER),
    ]
    note = (
        "Test accuracy: mean of the runs that are done, ± half of its 95 % interval; the difference is paired by seed, "
        "p that of the sign-flip test, adjusted by Holm over the cells. Runs that collapsed or diverged failed to "
        "train and are in no mean. Train times are those of runs beside others; their ratio is in brackets where these "
        "were not equally many in both."
    )
    return Table("Cells in both", tuple(filled(columns)), note)


def _accuracy(cell: Cell) -> Entry:
    found = cell.accuracy
    return Entry("" if found.mean is None else mean_percent(found.mean, found.high, found.n), found.mean)


def _untrained(cell: Cell) -> str:
    return f"{len(cell.untrained)} of {cell.ended}" if cell.untrained else ""


def _answer(one: Both, p: float | None) -> str:
    return "identical" if one.equal else str(answer(one.test.mean if one.test else None, p))


def _ratio(one: Both) -> Entry:
    before, after = one.train_seconds
    if not before or not after:
        return Entry("")
    at_once = {run.n_jobs for cell in (one.first, one.second) for run in cell.done}
    text = f"x {times(after / before)}"
    return Entry(text if len(at_once) == 1 and None not in at_once else f"({text})", after / before)


def _differences(first: SweepFolder, second: SweepFolder) -> list[tuple[str, str, str]]:
    said: list[Mapping[str, str]] = [dict(how(one.name, one.asked(), one.read()[0])) for one in (first, second)]
    headings = [heading for heading in dict.fromkeys([*said[0], *said[1]]) if heading not in _OWN]
    rows = [(heading, said[0].get(heading, ""), said[1].get(heading, "")) for heading in headings]
    return [row for row in rows if row[1] != row[2]]


def _said(
    names: tuple[str, str],
    both: list[Both],
    adjusted: list[float | None],
    only: list[list[str]],
    differences: list[tuple[str, str, str]],
) -> list[str]:
    out = [_better(names, both, adjusted) if both else f"{names[0]} and {names[1]} have no cell in common."]
    headings = [heading for heading, _, _ in differences]
    out.append(f"They differ in {listed(headings)}." if headings else "They differ in nothing else that is recorded.")
    out += _too_few(both) if both else []
    out += [f"Only in {name}: {listed(labels)}." for name, labels in zip(names, only, strict=True) if labels]
    return out


def _better(names: tuple[str, str], both: Sequence[Both], adjusted: Sequence[float | None]) -> str:
    answers = Counter(_answer(one, p) for one, p in zip(both, adjusted, strict=True))
    parts = [f"{word}{' in every seed' * (word == 'identical')} in {many}" for word, many in answers.most_common()]
    question = f"Is the test accuracy of {names[1]} better than that of {names[0]}?"
    return f"{question} Of {counted(len(both), 'cell')} in both: {listed(parts)}."


def _too_few(both: Sequence[Both]) -> list[str]:
    """A sentence where so many seeds cannot settle any of the cells that are not identical."""
    said = too_few_seeds(max(len(one.seeds) for one in both), len(both))
    return [said] if said and not all(one.equal for one in both) else []


def _failed(name: str, found: Sequence[Cell]) -> list[str]:
    """A sentence on the runs of a sweep that collapsed or diverged, if there are any."""
    fallen = Counter(run.status for cell in found for run in cell.untrained)
    ended = counted(sum(cell.ended for cell in found), "run")
    kinds = listed([f"{number} {status}" for status, number in fallen.items()]) if fallen else ""
    return [f"{fallen.total()} of {ended} of {name} failed to train ({kinds})."] if fallen else []


def _unfinished(name: str, found: Sequence[Cell]) -> list[str]:
    """A sentence on the runs of a sweep that have no result, if there are any."""
    total, ended = sum(len(cell.runs) for cell in found), sum(cell.ended for cell in found)
    has = "has" if total - ended == 1 else "have"
    return [f"{total - ended} of {counted(total, 'run')} of {name} {has} no result."] if ended < total else []
