"""Two sweeps of the same cells: two machines, two precisions, two versions of the code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsbench.report.how import how
from dsbench.report.page import write_all
from dsbench.report.table import Entry, Table
from dsbench.statistics.multiple import holm
from dsbench.statistics.paired import Paired, paired
from dsbench.sweep.figures import seconds
from dsbench.sweep.folder import SweepFolder
from dsbench.verdict.better import answer
from dsbench.verdict.cells import Cell, cells
from dsbench.verdict.figures import counted, interval, listed, p_value, percent, signed, times

_FREE = ("precision", "device", "threads")  # what the same cell may have another of in another sweep
_OWN = ("to repeat it", "to make this page anew", "time")  # of each sweep alone
_HEADINGS = ("cell", "n", "accuracy, first", "accuracy, second", "difference", "95 % interval", "adjusted p")
_TIMES = ("second is better", "train time, first", "train time, second", "time ratio")


@dataclass(frozen=True)
class Both:
    """One cell in both sweeps; `seeds` are those that are done in both, `test` is of the second less the first."""

    first: Cell
    second: Cell
    seeds: tuple[int, ...]
    test: Paired | None
    train_seconds: tuple[float | None, float | None]

    @property
    def equal(self) -> bool:
        """Whether every seed has exactly the same accuracy."""
        return bool(self.seeds) and all(self.first.scores[seed] == self.second.scores[seed] for seed in self.seeds)


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
    found = [_by_shape(folder) for folder in (first, second)]
    both = [_both(found[0][shape], found[1][shape]) for shape in found[0] if shape in found[1]]
    adjusted = holm([one.test.p if one.test else None for one in both])
    names = (first.name, second.name) if first.name != second.name else (str(first.path), str(second.path))
    only = [[cell.label for shape, cell in one.items() if shape not in other] for one, other in (found, found[::-1])]
    differences = _differences(first, second)
    rows = tuple(_row(one, p) for one, p in zip(both, adjusted, strict=True))
    return Versus(
        names,
        _said(names, both, adjusted, only, differences),
        Table("Cells in both", (*_HEADINGS, *_TIMES), rows, _NOTE),
        Table("What is not the same", ("", *names), tuple(tuple(map(Entry, row)) for row in differences)),
    )


def write_versus(found: Versus, folder: Path) -> list[Path]:
    """Write the comparison as HTML, Markdown and JSON into `folder`; returns their paths. Raises OSError."""
    data = {
        "sweeps": found.names,
        "said": found.said,
        "cells": _plain(found.cells),
        "differences": _plain(found.differences),
    }
    return write_all("versus", f"versus-{Path(found.names[1]).name}", vars(found), data, folder)


_NOTE = (
    "Test accuracy: mean of the runs that are done, ± half of its 95 % interval; the difference is paired by seed, p "
    "that of the sign-flip test, adjusted by Holm over the cells. Train times are those of runs beside others."
)


def _by_shape(folder: SweepFolder) -> dict[str, Cell]:
    """The cells of a sweep by what makes them the same cell in another."""
    out: dict[str, Cell] = {}
    for cell in cells(*folder.read()):
        names = {name: value for name, value in cell.names.items() if name != "study"}
        recipe = {name: value for name, value in cell.recipe.items() if name not in _FREE}
        out.setdefault(json.dumps([names, cell.network, recipe], sort_keys=True), cell)
    return out


def _both(first: Cell, second: Cell) -> Both:
    seeds = tuple(sorted(first.scores.keys() & second.scores.keys()))
    test = paired([second.scores[seed] - first.scores[seed] for seed in seeds])
    return Both(first, second, seeds, test, (_mean_seconds(first), _mean_seconds(second)))


def _mean_seconds(cell: Cell) -> float | None:
    known = [run.train_seconds for run in cell.done if run.train_seconds is not None]
    return sum(known) / len(known) if known else None


def _row(one: Both, p: float | None) -> tuple[Entry, ...]:
    accuracies = [cell.accuracy for cell in (one.first, one.second)]
    shown = [Entry("" if a.mean is None else percent(a.mean, a.high, a.n), a.mean, "number") for a in accuracies]
    before, after = one.train_seconds
    ratio = after / before if before and after else None
    said = answer(one.test.mean if one.test else None, p)
    return (
        Entry(one.first.label),
        Entry(str(len(one.seeds)), len(one.seeds), "number"),
        *shown,
        Entry(f"{signed(one.test.mean)} pp" if one.test else "", one.test.mean if one.test else None, "number"),
        Entry(interval(one.test.t) if one.test and one.test.t else ""),
        Entry("" if p is None else p_value(p), p, "number"),
        Entry("identical", "equal", "answer") if one.equal else Entry(str(said), str(said), "answer"),
        Entry(seconds(before), before, "number"),
        Entry(seconds(after), after, "number"),
        Entry("" if ratio is None else f"x {times(ratio)}", ratio, "number"),
    )


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
    if not both:
        return [f"{names[0]} and {names[1]} have no cell in common."]
    answers = Counter(
        "identical in every seed" if one.equal else f"{answer(one.test.mean if one.test else None, p)}"
        for one, p in zip(both, adjusted, strict=True)
    )
    parts = [f"{word} in {number}" for word, number in answers.most_common()]
    out = [f"Is the test accuracy of {names[1]} better? Of {counted(len(both), 'cell')} in both: {listed(parts)}."]
    if differences:
        out.append(f"They differ in {listed([heading for heading, _, _ in differences])}.")
    out += [f"Only in {name}: {listed(labels)}." for name, labels in zip(names, only, strict=True) if labels]
    return out


def _plain(table: Table) -> list[dict[str, Any]]:
    return [{heading: entry.text for heading, entry in zip(table.headings, row, strict=True)} for row in table.rows]
