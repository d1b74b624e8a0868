"""The test images and classes on which the two networks of a headline pair differ most."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dsbench.figures.confusion import NAMELESS, called, shares
from dsbench.figures.style import FULL, INK, canvas, layout, panels, settle, style, styled
from dsbench.tables import Table, names, numbers, written
from dsbench.verdict.better import Correct
from dsbench.verdict.cells import Cell
from dsbench.verdict.verdict import Comparison, Verdict
from dsbench.verdict.words import described

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS, LETTERS = 2, 52  # panels in a row, letters of a line of their titles
ROW = 0.26  # inches of a class
MOST_CLASSES, MOST_IMAGES = 20, 12  # of a pair, those that differ most


@styled
def draw(
    verdict: Verdict,
    matrices: Mapping[str, np.ndarray],
    most: int,
    names: Mapping[str, Sequence[str]] = NAMELESS,
) -> Figure | None:
    """For each headline pair, at most `most`, a bar a class: candidate less reference in the share that is right.

    `matrices` and `names` are those of dsbench.figures.confusion; a class without test images has no bar.
    None where no pair has two of as many classes.
    """
    known = [
        (pair, matrices[first.cell_id], matrices[second.cell_id])
        for pair in verdict.headline[:most]
        for first, second in [pair.cells]
        if {first.cell_id, second.cell_id} <= matrices.keys()
        and matrices[first.cell_id].shape == matrices[second.cell_id].shape
    ]
    if not known:
        return None
    rights = [
        np.where(before.sum(axis=1) > 0, 100 * (np.diag(shares(after)) - np.diag(shares(before))), np.nan)
        for _, before, after in known
    ]
    classes = [called(names.get(pair.cells[0].cell_id), len(before)) for pair, before, _ in known]
    down, across = layout(len(known), ACROSS)
    height = 1.0 + ROW * min(MOST_CLASSES, max(map(len, rights)))
    seen = ". ".join(
        _seen(pair, points, names_of) for (pair, *_), points, names_of in zip(known, rights, classes, strict=True)
    )
    text = "Bar: images of a true class that the candidate gets right less those that the reference does, over all runs"
    text += f" that are done, in its colour where it is ahead; of many classes the {MOST_CLASSES} that differ most."
    figure = canvas(FULL, height * down, "Where the networks differ, class by class", text, seen)
    grid = panels(figure, len(known), across, sharex=True)
    for panel, (pair, *_), points, names_of in zip(grid, known, rights, classes, strict=True):
        _panel(panel, pair, points, names_of)
    settle(figure)
    return figure


def _panel(panel: Axes, pair: Comparison, points: np.ndarray, classes: Sequence[str]) -> None:
    differ = np.argsort(-np.abs(points), kind="stable")[: min(MOST_CLASSES, np.isfinite(points).sum())]  # nan is last
    shown = sorted(differ.tolist(), key=lambda number: -points[number])
    reference, candidate = (
        {"color": look.color, "hatch": look.hatch} for look in (style(cell.names["model"]) for cell in pair.cells)
    )
    for row, number in enumerate(shown):
        look: dict[str, Any] = candidate if points[number] > 0 else reference
        panel.barh(row, points[number], height=0.66, edgecolor=INK, linewidth=0.6, label="class", **look)
    panel.axvline(0, color=INK, linewidth=1.0)
    panel.set_ylim(len(shown) - 0.4, -0.6)
    panel.set_yticks(range(len(shown)), [classes[number] for number in shown])
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=False, axis="y")
    panel.set_ylabel("true class")
    panel.set_xlabel("difference in images that are right (points)")
    panel.set_title(textwrap.fill(described(pair), LETTERS), loc="left")


def _seen(pair: Comparison, points: np.ndarray, classes: Sequence[str]) -> str:
    most = int(np.nanargmax(np.abs(points)))
    return f"{described(pair)}: the largest difference is {points[most]:+.1f} points, in class {classes[most]}"


def most_different(verdict: Verdict, correct: Correct) -> Table:
    """The test images on which the networks of each headline pair differ most, by their number in the test set.

    Without rows where no pair has runs on both sides that kept which images they got right.
    """
    rows = [(pair, *image) for pair in verdict.headline for image in _images(pair, correct)]
    columns = (
        *names({"this": [pair.candidate for pair, *_ in rows], "against": [pair.reference for pair, *_ in rows]}),
        *names({"at": [pair.group for pair, *_ in rows]}),
        numbers("test image", [number for _, number, _, _ in rows], str),
        written("this is right in", [after for _, _, after, _ in rows]),
        written("the other in", [before for *_, before in rows]),
    )
    note = (
        f"Test images by their number, from 0, in the test set as dsbench orders it: of each pair the {MOST_IMAGES} "
        "in which the shares of runs that get them right differ most."
    )
    return Table("Images on which they differ most", columns, note)


def _images(pair: Comparison, correct: Correct) -> Iterator[tuple[int, str, str]]:
    """The number of an image, in how many runs the candidate gets it right, and in how many the reference does."""
    before, after = (_right(cell, correct) for cell in pair.cells)
    if not len(before) or not len(after) or before.shape[1] != after.shape[1]:
        return
    difference = np.abs(after.mean(axis=0) - before.mean(axis=0))
    for number in np.argsort(-difference, kind="stable")[:MOST_IMAGES].tolist():
        if difference[number]:
            of_candidate, of_reference = (f"{own[:, number].sum()} of {len(own)}" for own in (after, before))
            yield number, of_candidate, of_reference


def _right(cell: Cell, correct: Correct) -> np.ndarray:
    """The runs of a cell that are done and known (runs, images), 1 where an image is right; those of other lengths
    than the first are left out."""
    known = [correct[run.run_id] for run in cell.done if run.run_id in correct]
    return np.array([own for own in known if len(own) == len(known[0])], dtype=np.int64)
