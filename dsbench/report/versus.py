"""The cells that two sweeps have in common, their differences in accuracy, and the page on both."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dsbench.figures.forest import difference_of, draw
from dsbench.figures.style import rendered, words
from dsbench.numerals import counted, listed, mean_percent, p_value, points, signed_points, times
from dsbench.quantities import QUANTITIES
from dsbench.report.content import Picture, how
from dsbench.report.page import write_all, write_pictures
from dsbench.results.folder import SweepFolder
from dsbench.results.records import correct_images
from dsbench.sweep.design import refuse_explored
from dsbench.tables import (
    Column,
    Entry,
    Kind,
    Said,
    Table,
    Tone,
    answers,
    figures,
    filled,
    names,
    numbers,
    texts,
    written,
)
from dsbench.verdict.better import Better, Correct, better
from dsbench.verdict.cells import Cell, cells
from dsbench.verdict.rule import DEFAULT, Answer, Family, Standing
from dsbench.verdict.words import within

if TYPE_CHECKING:
    import numpy as np

_IDENTICAL = Said("identical", Tone.GOOD)
_FREE = ("precision", "device", "threads")  # in which the same cell may differ between sweeps


@dataclass(frozen=True)
class Both:
    """A cell in both sweeps, and how the accuracy of the second compares to that of the first."""

    first: Cell
    second: Cell
    better: Better

    @property
    def equal(self) -> bool:
        """Whether every seed that is done in both has exactly the same accuracy."""
        seeds = self.first.scores.keys() & self.second.scores.keys()
        return bool(seeds) and all(self.first.scores[seed] == self.second.scores[seed] for seed in seeds)

    @property
    def train_seconds(self) -> tuple[float | None, float | None]:
        """The mean seconds of training in either."""
        return _mean_seconds(self.first), _mean_seconds(self.second)

    @property
    def answer(self) -> Answer | Said:
        """That of the comparison, or that they are identical."""
        return _IDENTICAL if self.equal else self.better.answer


def compared(pairs: Sequence[tuple[Cell, Cell]], correct: Correct) -> list[Both]:
    """Each cell in both, one of so many comparisons that share their level; `correct` is of the runs of both."""
    return [
        Both(*pair, better(pair, (-1.0, 1.0), Family.OTHER, len(pairs), DEFAULT, Standing(), correct)) for pair in pairs
    ]


def same(first: Sequence[Cell], second: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """The cells that are the same in both; of several that differ in _FREE alone, those that share it too."""
    groups: list[dict[str, list[Cell]]] = [{}, {}]
    for group, side in zip(groups, (first, second), strict=True):
        for cell in side:
            group.setdefault(_shape(cell), []).append(cell)
    out = []
    for shape, firsts in groups[0].items():
        seconds = groups[1].get(shape, [])
        if len(firsts) == len(seconds) == 1:
            out.append((firsts[0], seconds[0]))
        else:
            out += [(a, b) for a in firsts for b in seconds if a.recipe == b.recipe]
    return out


def _shape(cell: Cell) -> str:
    """The names and settings that the same cell has in every sweep."""
    names = {name: value for name, value in cell.names.items() if name != "study"}
    recipe = {name: value for name, value in cell.recipe.items() if name not in _FREE}
    return json.dumps([names, cell.network, recipe], sort_keys=True)


def _mean_seconds(cell: Cell) -> float | None:
    seconds = [run.train_seconds for run in cell.done if run.train_seconds is not None]
    return sum(seconds) / len(seconds) if seconds else None


_TIME = QUANTITIES["train_seconds"]
_NOT_COMPARED = ("to repeat it", "to make this page anew", "time")


@dataclass(frozen=True)
class Versus:
    """The content of a page about two sweeps; `picture` shows the differences, where there are some."""

    names: tuple[str, str]
    sentences: list[str]
    picture: Picture | None
    cells: Table
    differences: Table


def versus(first: SweepFolder, second: SweepFolder) -> Versus:
    """The cells that both sweeps have, the second against the first, and in what the sweeps differ.

    A cell is the same where network, data and recipe are; precision, device and threads may be others. Raises
    InputError where there is no such sweep, and for the first of two stages, which judges nothing.
    """
    for folder in (first, second):
        refuse_explored(folder)
    sides: list[list[Cell]] = []
    correct: dict[str, np.ndarray] = {}
    damaged: list[str] = []
    facts: list[dict[str, str]] = []
    for number, folder in enumerate((first, second), 1):
        runs, table = folder.read()
        facts.append(dict(how(folder.name, folder.metadata(), runs)))
        bits, reasons = correct_images(folder.outputs, runs)
        sides.append(cells(runs.assign(run_id=f"{number}/" + runs["run_id"]), table))  # both may have a run of one id
        correct |= {f"{number}/{run_id}": images for run_id, images in bits.items()}
        damaged += [f"Run {run_id} is judged without its images: {why}." for run_id, why in reasons.items()]
    both = compared(same(*sides), correct)
    sweeps = (first.name, second.name) if first.name != second.name else (str(first.path), str(second.path))
    paired_ids = ({cell.first.cell_id for cell in both}, {cell.second.cell_id for cell in both})
    only = [
        [cell.label for cell in side if cell.cell_id not in ids] for side, ids in zip(sides, paired_ids, strict=True)
    ]
    differences = _differences(*facts)
    without_result = [
        sentence
        for name, side in zip(sweeps, sides, strict=True)
        for sentence in (*_failed(name, side), *_unfinished(name, side))
    ]
    columns = zip(("", *sweeps), zip(*differences, strict=True), strict=True) if differences else ()
    return Versus(
        sweeps,
        _sentences(sweeps, both, only, differences) + without_result + damaged,
        _picture(sweeps, both),
        _table(both),
        Table("What is not the same", tuple(texts(heading, column) for heading, column in columns)),
    )


def write_versus(comparison: Versus, folder: Path) -> list[Path]:
    """Write the comparison as HTML, Markdown and JSON into `folder`; returns their paths. Raises OSError."""
    data = {
        "sweeps": comparison.names,
        "sentences": comparison.sentences,
        "cells": comparison.cells.plain(),
        "differences": comparison.differences.plain(),
    }
    write_pictures([comparison.picture] if comparison.picture else [], folder)
    return write_all("versus", f"versus-{Path(comparison.names[1]).name}", vars(comparison), data, folder)


def _picture(sweeps: tuple[str, str], both: Sequence[Both]) -> Picture | None:
    """The difference in accuracy of each cell, the second sweep's less the first's; None where none has both."""
    differences = [
        row for cell in both if (row := difference_of(cell.better, cell.first.label, str(cell.answer))) is not None
    ]
    if not differences:
        return None
    first, second = sweeps
    figure = draw(
        differences,
        "Differences in test accuracy",
        "difference in test accuracy (percentage points)",
        f"Diamond: mean of the runs of {second} less that of {first}, line: its interval, band: the margin.",
        (f"{first} is better", f"{second} is better"),
    )
    return Picture(f"versus-{Path(second).name}", rendered(figure, "svg"), words(figure))


def _table(both: Sequence[Both]) -> Table:
    rows = [cell.better for cell in both]
    sides = [("first", [cell.first for cell in both]), ("second", [cell.second for cell in both])]
    columns = [
        *names({"cell": [cell.first.label for cell in both]}),
        *(Column(f"accuracy, {side}", tuple(map(_accuracy, cells)), Kind.NUMBER) for side, cells in sides),
        numbers("points", [row.mean for row in rows], signed_points),
        written("interval", [within(row.interval) if row.interval else "" for row in rows]),
        numbers("p", [row.p for row in rows], p_value),
        answers("second is", [cell.answer for cell in both]),
        *(texts(f"failed to train, {side}", [_failures(cell) for cell in cells]) for side, cells in sides),
        *(
            figures(_TIME, [cell.train_seconds[number] for cell in both], f"train time, {side}")
            for number, (side, _) in enumerate(sides)
        ),
        Column("time ratio", tuple(map(_ratio, both)), Kind.NUMBER),
    ]
    return Table("Cells in both", tuple(filled(columns)), _note(both) if both else "")


def _note(both: Sequence[Both]) -> str:
    """How to read the table of cells."""
    with_images = [cell.better.over_images for cell in both if cell.better.interval]
    of = ["new seeds and new images"] * any(with_images)
    of += ["new seeds alone where it is not known which images each run got right"] * (not all(with_images))
    margins = {str(cell.first.names["data"]): cell.better.margin for cell in both}
    as_good = listed([f"{points(margin)} points on {data}" for data, margin in margins.items()])
    return (
        "Test accuracy: mean of the runs that are done, ± half of its 95 % interval; the difference of the means with "
        "the interval at the level that 5 %, shared by all cells, leaves to each"
        f"{f', of {listed(of)}' if of else ''}; p is of one cell alone. Accuracies are as good where they differ by "
        f"less than {as_good}, the default, whatever the sweeps were run with. Runs that collapsed or diverged failed "
        "to train and are in no mean. Train times are those of runs beside others; their ratio is in brackets where "
        "these were not equally many in both, or runs were trained in groups, or some alone as CUDA graphs."
    )


def _accuracy(cell: Cell) -> Entry:
    score = cell.accuracy
    return Entry("" if score.mean is None else mean_percent(score.mean, score.high, score.n), score.mean)


def _failures(cell: Cell) -> str:
    return f"{len(cell.untrained)} of {cell.ended}" if cell.untrained else ""


def _ratio(both: Both) -> Entry:
    before, after = both.train_seconds
    if not before or not after:
        return Entry("")
    at_once = {run.n_jobs for cell in (both.first, both.second) for run in cell.done}
    alone = both.first.fused | both.second.fused == {1}
    one_way = len({run.graph for cell in (both.first, both.second) for run in cell.done}) == 1
    text = f"x {times(after / before)}"
    alike = alone and one_way and len(at_once) == 1 and None not in at_once
    return Entry(text if alike else f"({text})", after / before)


def _differences(first: Mapping[str, str], second: Mapping[str, str]) -> list[tuple[str, str, str]]:
    headings = [heading for heading in dict.fromkeys([*first, *second]) if heading not in _NOT_COMPARED]
    rows = [(heading, first.get(heading, ""), second.get(heading, "")) for heading in headings]
    return [row for row in rows if row[1] != row[2]]


def _sentences(
    names: tuple[str, str],
    both: list[Both],
    only: list[list[str]],
    differences: list[tuple[str, str, str]],
) -> list[str]:
    out = [_better(names, both) if both else f"{names[0]} and {names[1]} have no cell in common."]
    headings = [heading for heading, _, _ in differences]
    out.append(f"They differ in {listed(headings)}." if headings else "They differ in nothing else that is recorded.")
    out += [f"Only in {name}: {listed(labels)}." for name, labels in zip(names, only, strict=True) if labels]
    return out


def _better(names: tuple[str, str], both: Sequence[Both]) -> str:
    answers = Counter(cell.answer for cell in both)
    parts = [f"{word}{' in every seed' * (word is _IDENTICAL)} in {number}" for word, number in answers.most_common()]
    question = f"Is the test accuracy of {names[1]} better than that of {names[0]}?"
    return f"{question} Of {counted(len(both), 'cell')} in both: {listed(parts)}."


def _failed(name: str, cells: Sequence[Cell]) -> list[str]:
    """A sentence on the runs of a sweep that collapsed or diverged, if there are any."""
    failures = Counter(run.status for cell in cells for run in cell.untrained)
    ended = counted(sum(cell.ended for cell in cells), "run")
    kinds = listed([f"{number} {status}" for status, number in failures.items()]) if failures else ""
    return [f"{failures.total()} of {ended} of {name} failed to train ({kinds})."] if failures else []


def _unfinished(name: str, cells: Sequence[Cell]) -> list[str]:
    """A sentence on the runs of a sweep that have no result, if there are any."""
    total, ended = sum(len(cell.runs) for cell in cells), sum(cell.ended for cell in cells)
    has = "has" if total - ended == 1 else "have"
    return [f"{total - ended} of {counted(total, 'run')} of {name} {has} no result."] if ended < total else []
