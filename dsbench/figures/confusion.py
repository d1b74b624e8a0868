"""Confusion matrices of cells, summed over the runs that are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from dsbench.data.sets import SETS
from dsbench.errors import InputError
from dsbench.figures.axes import Cell, caption, rows, wrapped
from dsbench.figures.style import BLUE, FULL, INK, ORANGE, PAPER, canvas, layout, panels, settle, styled
from dsbench.run.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def confusions(runs: pd.DataFrame, outputs: Path) -> dict[str, np.ndarray]:
    """Test images by true (rows) and predicted class (columns), int64, by cell_id.

    Each is the sum over the cell's runs (see runs_table) that are done. A cell without such a run has none.
    """
    out: dict[str, np.ndarray] = {}
    done = runs[runs["status"] == "done"]
    for run_id, cell_id in zip(done["run_id"], done["cell_id"], strict=True):
        matrix = None
        with suppress(InputError):  # damaged
            matrix = RunFolder(outputs / "runs" / run_id).confusion()
        if matrix:
            counts = np.array(matrix, dtype=np.int64)
            out[cell_id] = out[cell_id] + counts if cell_id in out else counts
    return out


def class_names(runs: pd.DataFrame, outputs: Path) -> dict[str, list[str]]:
    """What the classes are called, in the order of their labels, by cell_id; a cell whose set has no names has none."""
    out: dict[str, list[str]] = {}
    done = runs[runs["status"] == "done"].drop_duplicates("cell_id")
    for run_id, cell_id, data in zip(done["run_id"], done["cell_id"], done["data"], strict=True):
        record = None
        with suppress(InputError):  # damaged
            record = RunFolder(outputs / "runs" / run_id).result()
        known = SETS[data].class_names if data in SETS else None  # of older records
        names = record.class_names if record is not None and record.class_names else known
        if names:
            out[cell_id] = list(names)
    return out


def called(names: Sequence[str] | None, classes: int) -> list[str]:
    """A short text a class: its name or, where it has none, its number."""
    if names is None or len(names) != classes:
        return [str(number) for number in range(classes)]
    return [name if len(name) <= SHORT else f"{name[: SHORT - 1]}\N{HORIZONTAL ELLIPSIS}" for name in names]


def shares(counts: np.ndarray) -> np.ndarray:
    """Counts as shares of their row, which is a true class; zeros where a class has no image."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)


SHORT = 14  # letters of the name of a class
WRITTEN = 10  # classes up to which each field has its number
# Shades from less to more: from white both ways where numbers have signs, and else from dark to light, for grey prints.
SIGNED, UNSIGNED = ("#00436b", BLUE, "#ffffff", ORANGE, "#7a4a00"), ("#00243a", BLUE, "#9a9a9a", ORANGE, "#fff3cf")
ACROSS = 3
NAMELESS: Mapping[str, Sequence[str]] = MappingProxyType({})
LETTERS = 30  # of a line of a name
PANEL = (FULL / 3, 3.6)  # inches
LINE = 0.25  # inches of each further line of a title
GAMMA = 0.5  # shares are shown by their square root, so that rare errors are seen beside the diagonal


@styled
def draw(
    matrices: Mapping[str, np.ndarray], cells: pd.DataFrame, names: Mapping[str, Sequence[str]] = NAMELESS
) -> Figure | None:
    """A matrix a cell: shares of each true class as lightness, counts as numbers; see confusions and cells_table.

    `names` are those of class_names.

    None where no cell has a matrix.
    """
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    drawn = [cell for cell in rows(cells) if cell.cell_id in matrices]
    if not drawn:
        return None
    text = caption(
        cells,
        "Test images by true and predicted class, summed over the n runs that are done",
        "Shade: share of the true class, growing as its square root",
        "Numbers: images" if any(len(matrices[cell.cell_id]) <= WRITTEN for cell in drawn) else "",
    )
    titles = [f"{cell.name}, n = {cell.facts['n_done']}" for cell in drawn]
    classes = {cell.cell_id: called(names.get(cell.cell_id), len(matrices[cell.cell_id])) for cell in drawn}
    seen = ". ".join(_seen(cell.called, matrices[cell.cell_id], classes[cell.cell_id]) for cell in drawn)
    figure, grid = _grid("Confusion on the test images", text, titles, seen)
    for panel, cell, title in zip(grid, drawn, titles, strict=True):
        counts = matrices[cell.cell_id]
        colours = LinearSegmentedColormap.from_list("family", ["#ffffff", cell.style.color, "#000000"])
        image = panel.imshow(100 * shares(counts), cmap=colours, norm=PowerNorm(GAMMA, 0, 100))
        _finish(figure, panel, image, title, "share of the true class (%)", classes[cell.cell_id])
        _numbers(panel, image, [[f"{value}" if value else "" for value in row] for row in counts.tolist()])
    settle(figure)
    return figure


@styled
def draw_differences(
    matrices: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[Cell, Cell]],
    cells: pd.DataFrame,
    names: Mapping[str, Sequence[str]] = NAMELESS,
) -> Figure | None:
    """For each pair of cells with as many classes, the second's shares minus the first's, in percentage points.

    None where there is no such pair.
    """
    from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm

    shown = [
        (first, second)
        for first, second in pairs
        if {first.cell_id, second.cell_id} <= set(matrices)
        and matrices[first.cell_id].shape == matrices[second.cell_id].shape
    ]
    if not shown:
        return None
    text = caption(
        cells,
        "Share of each true class in the first cell minus that in the second, in percentage points",
        "On the diagonal more is better, off it less",
    )
    of_pairs = [called(names.get(first.cell_id), len(matrices[first.cell_id])) for first, _ in shown]
    titles = [f"{wrapped(second.called, LETTERS)}\nminus {wrapped(first.called, LETTERS)}" for first, second in shown]
    seen = ". ".join(
        f"{second.called} minus {first.called}: {_most(matrices[first.cell_id], matrices[second.cell_id], classes)}"
        for (first, second), classes in zip(shown, of_pairs, strict=True)
    )
    figure, grid = _grid("Where the confusion of two cells differs", text, titles, seen)
    colours = {
        written: LinearSegmentedColormap.from_list("difference", shades)
        for written, shades in ((True, SIGNED), (False, UNSIGNED))
    }
    differences = [
        100 * (shares(matrices[second.cell_id]) - shares(matrices[first.cell_id])) for first, second in shown
    ]
    most = max(float(np.abs(points).max()) for points in differences) or 1.0  # of all panels, so that they compare
    for panel, title, points, classes in zip(grid, titles, differences, of_pairs, strict=True):
        image = panel.imshow(points, cmap=colours[len(points) <= WRITTEN], norm=TwoSlopeNorm(0, -most, most))
        _finish(figure, panel, image, title, "difference (percentage points)", classes)
        _numbers(panel, image, [[_signed(value) for value in row] for row in points.tolist()])
        if len(points) <= WRITTEN:
            for k in range(len(points)):
                panel.add_patch(_frame(k))
    settle(figure)
    return figure


def _seen(name: str, counts: np.ndarray, classes: Sequence[str]) -> str:
    """The confusion that is most frequent."""
    errors = counts - np.diag(np.diag(counts))
    if not errors.any():
        return f"{name}: no image is confused"
    true, predicted = np.unravel_index(errors.argmax(), errors.shape)
    return f"{name}: most often {classes[true]} is taken for {classes[predicted]}, {errors.max()} images"


def _most(first: np.ndarray, second: np.ndarray, classes: Sequence[str]) -> str:
    """The class whose share of right images differs most."""
    right = 100 * (np.diag(shares(second)) - np.diag(shares(first)))
    most = int(np.abs(right).argmax())
    return f"class {classes[most]} is right {right[most]:+.1f} points more often, the largest difference of a class"


def _grid(title: str, text: str, titles: Sequence[str], seen: str) -> tuple[Figure, list[Axes]]:
    """An empty panel for each of `titles`, with room for their lines: a square panel does not give way to them."""
    down, across = layout(len(titles), ACROSS)
    more = LINE * max(heading.count("\n") for heading in titles)
    figure = canvas(max(FULL / 2, PANEL[0] * across), (PANEL[1] + more) * down, title, text, seen)
    return figure, panels(figure, len(titles), across)


def _finish(figure: Figure, panel: Axes, image: Any, title: str, scale: str, called: Sequence[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.set_title(title)
    panel.set_xlabel("predicted class")
    panel.set_ylabel("true class")
    panel.grid(visible=False)
    for axis in (panel.xaxis, panel.yaxis):
        if len(called) <= WRITTEN:
            axis.set_ticks(range(len(called)), labels=called)
        else:
            axis.set_major_locator(MaxNLocator(10, integer=True))
    if len(called) <= WRITTEN and max(map(len, called)) > 2:
        panel.tick_params(axis="x", rotation=90)
    figure.colorbar(image, ax=panel, label=scale, shrink=0.85)


def _numbers(panel: Axes, image: Any, texts: list[list[str]]) -> None:
    """A text in each field, in black or white as its shade asks, where there are few."""
    if len(texts) > WRITTEN:
        return
    values = np.asarray(image.get_array())
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            red, green, blue, _ = image.cmap(image.norm(values[row, column]))
            light = 0.299 * red + 0.587 * green + 0.114 * blue
            colour = INK if light > 0.5 else PAPER
            written = panel.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
            written.set_in_layout(False)  # within the panel anyway, and slow to lay out


def _frame(k: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((k - 0.5, k - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=0.8)


def _signed(points: float) -> str:
    return "" if abs(points) < 0.05 else f"{points:+.1f}".replace("-", "\N{MINUS SIGN}")
