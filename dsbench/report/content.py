"""All that a page about a sweep says, from the records of its runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.claims.decide import decide
from dsbench.claims.published import published, studies
from dsbench.claims.runs import changed, study_runs
from dsbench.figures.style import rendered
from dsbench.report import tables
from dsbench.report.album import MOST_ROWS, album, crowded
from dsbench.report.answers import verdict_tables
from dsbench.report.headline import headline
from dsbench.report.how import how
from dsbench.report.rooflines import reasons, rooflines
from dsbench.report.table import Table
from dsbench.sweep.collect import plain
from dsbench.sweep.folder import SweepFolder
from dsbench.verdict.plain import plain as plain_verdict
from dsbench.verdict.read import measured, verdict
from dsbench.verdict.words.paragraphs import group_paragraphs, missing

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.claims.decide import Outcome


@dataclass(frozen=True)
class Picture:
    """A picture as SVG, by its name; the title stands above it."""

    name: str
    title: str
    svg: bytes


@dataclass(frozen=True)
class Report:
    """What a page holds; `data` is all of it as plain data but for the pictures.

    `headline` answers in three sentences over all groups, `said` pair by pair, with what is missing; `why` has a
    paragraph a pair on where the time of a training step goes.
    """

    name: str
    headline: list[str]
    said: list[str]
    cells: Table
    answers: list[Table]
    claims: Table | None
    pictures: list[Picture]
    why: list[str]
    how: list[tuple[str, str]]
    runs: Table
    data: dict[str, Any]


def report(folder: SweepFolder) -> Report:
    """The content of the page of a sweep, whatever of it has ended. Raises InputError where there is no sweep."""
    asked, (runs, cells) = folder.asked(), folder.read()
    found = verdict(folder.outputs, runs)
    said, three = [*group_paragraphs(found, MOST_ROWS), *missing(found, folder.outputs)], headline(found)
    measured_how = how(folder.name, asked, runs)
    outcomes = _claims(runs, folder.outputs)
    lines = rooflines(found.cells, measured(folder.outputs, runs))
    drawn = album(runs, cells, found, lines.values(), folder.outputs, whole=False)
    said += [
        f"Pictures that show each of the {many} apart are drawn by: dsbench figures {folder.name}"
        for many in crowded(cells, found)
    ]
    pictures = [Picture(name, str(figure.get_label()), rendered(figure, "svg")) for name, figure in drawn]
    why = reasons(found, lines)
    labels = {cell.cell_id: cell.label for cell in found.cells}
    return Report(
        name=folder.name,
        headline=three,
        said=said,
        cells=tables.cells(found.cells, plain(cells), found.unranked),
        answers=verdict_tables(found),
        claims=tables.claims(outcomes, changed(runs["study"])) if outcomes else None,
        pictures=pictures,
        why=why,
        how=measured_how,
        runs=tables.runs(plain(runs), labels),
        data={
            "sweep": folder.name,
            "headline": three,
            "said": said,
            "verdict": plain_verdict(found),
            "claims": [one.plain() for one in outcomes],
            "why": why,
            "how": dict(measured_how),
            "asked": asked,
            "cells": plain(cells),
            "runs": plain(runs),
            "pictures": [picture.name for picture in pictures],
        },
    )


def _claims(runs: pd.DataFrame, outputs: Path) -> list[Outcome]:
    """The claims of the study that all runs are of, where they are of one."""
    heads = {str(study).partition("/")[0] for study in runs["study"]}
    if len(heads) != 1 or not heads <= set(studies()):
        return []
    (study,) = heads
    return decide(published(study), study_runs(study, plain(runs), outputs))
