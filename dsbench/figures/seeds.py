"""How test accuracy is spread over seeds: every run a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.figures.axes import Cell, caption, draw_interval, interval, percent_limits, rows, swarm, wrapped
from dsbench.figures.style import FAINT, INK, canvas, legend, row_height, settle, styled
from dsbench.results.records import plain
from dsbench.run.record import BROKEN

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, ROW = 8.6, 0.62  # inches
EXCLUDED_WIDTH = 0.3  # of the panel of runs in no mean, in widths of the other
LETTERS, COUNT_LINE = 25, 0.35  # of a line of what is counted there, and inches of a row that such a line asks for
SIZE = 5.5  # points: the diameter of a marker
NEAR = 0.013  # of the panel's width: runs nearer than that stand above one another
RUNS, MEAN = 0.12, -0.3  # of a row: where the runs stand, and above them their mean


@dataclass(frozen=True)
class Mark:
    """How runs that came to something else than a result in the mean are marked, and what the legend calls them."""

    name: str
    marker: str
    filled: bool = True


COLLAPSED, DIVERGED = Mark("collapsed", "X"), Mark("diverged", "*")
BROKEN_OFF = Mark("ended without a result", "P")
UNFINISHED = Mark("unfinished", "o", filled=False)
MARKS = (COLLAPSED, DIVERGED, BROKEN_OFF, UNFINISHED)  # in the order in which they stand


def mark(status: str) -> Mark:
    """The mark of a run of that status, which is not done."""
    if status in BROKEN:
        return BROKEN_OFF
    return {"collapsed": COLLAPSED, "diverged": DIVERGED}.get(status, UNFINISHED)


@styled
def draw(runs: pd.DataFrame, cells: pd.DataFrame) -> Figure | None:
    """A row a cell: each run that is done, the mean and its interval; in a second panel each run that is in no mean.

    See runs_table and cells_table for the tables. None where there is no cell.
    """
    drawn = rows(cells)
    if not drawn:
        return None
    done: dict[str, list[float]] = {cell.cell_id: [] for cell in drawn}  # accuracies in percent
    others: dict[str, list[Mark]] = {cell.cell_id: [] for cell in drawn}
    for run in plain(runs):
        if run["status"] != "done":
            others[run["cell_id"]].append(mark(run["status"]))
        elif run["test_acc"] is not None:
            done[run["cell_id"]].append(100 * run["test_acc"])
    shown = [shape for shape in MARKS if any(shape in shapes for shapes in others.values())]
    values = [value for accuracies in done.values() for value in accuracies]
    ends = [end for cell in drawn for end in interval(cell) or ()]
    limits = percent_limits(values, ends) if values else (0.0, 100.0)
    cut = any(not limits[0] <= end <= limits[1] for end in ends)
    names = [f"{cell.name}\nn = {cell.facts['n_done']}" for cell in drawn]
    lines = max(1 + wrapped(cell.excluded, LETTERS).count("\n") for cell in drawn)
    height = max(row_height(ROW, names), COUNT_LINE * lines)
    figure = canvas(
        WIDTH, 0.9 + height * len(drawn) + 0.3 * bool(shown), "Test accuracy of every run", _caption(cells, drawn, cut)
    )
    panel, *excluded = _panels(figure, names, bool(shown))
    panel.set_xlim(*limits)
    for row, cell in enumerate(drawn):
        _row(panel, row, cell, done[cell.cell_id])
        for second in excluded:
            _excluded(second, row, cell, others[cell.cell_id])
    legend(figure, {shape.name: _entry(shape) for shape in shown})
    settle(figure)
    return figure


def _panels(figure: Figure, names: Sequence[str], two: bool) -> list[Axes]:
    """The panel of the runs that are done, with a row for each of `names`, and of `two` that of the others."""
    widths = [1, EXCLUDED_WIDTH] if two else [1]
    grid = list(figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0])
    grid[0].set_ylim(len(names) - 0.5, -0.5)
    grid[0].set_yticks(range(len(names)), names)
    grid[0].set_xlabel("test accuracy (%)")
    for panel in grid:
        for row in range(1, len(names)):
            panel.axhline(row - 0.5, color=FAINT, linewidth=0.8, zorder=0)
        panel.tick_params(axis="y", length=0)
        panel.grid(visible=False, axis="y")
    for panel in grid[1:]:
        panel.set_xticks([])
        panel.set_xlim(0, 1)
        panel.set_xlabel("runs in no mean")
    return grid


def _row(panel: Axes, row: int, cell: Cell, values: Sequence[float]) -> None:
    low, high = panel.get_xlim()
    heights = [row + RUNS + offset for offset in swarm(values, NEAR * (high - low))]
    look: dict[str, Any] = {"color": cell.style.color, "marker": cell.style.marker, "markeredgecolor": INK}
    panel.plot(values, heights, linestyle="", markersize=SIZE, markeredgewidth=0.6, label="runs", zorder=3, **look)
    if not values:
        return
    ends = interval(cell)
    if ends:
        draw_interval(panel, ends, row + MEAN, INK, upright=False)
    mean = 100 * cell.facts["test_acc_mean"]
    panel.plot([mean], [row + MEAN], color=INK, marker="|", markersize=9, markeredgewidth=2, label="mean")


def _excluded(panel: Axes, row: int, cell: Cell, marks: Sequence[Mark]) -> None:
    """The marks of a cell's runs that are in no mean, side by side, and how many of each status there are."""
    for number, shape in enumerate(sorted(marks, key=MARKS.index)):
        x = 0.06 + 0.88 * (number + 0.5) / max(len(marks), 8)
        face = cell.style.color if shape.filled else "none"
        look: dict[str, Any] = {"marker": shape.marker, "markersize": 7, "color": face, "markeredgecolor": INK}
        panel.plot([x], [row + RUNS], linestyle="", label=shape.name, **look)
    panel.text(0.06, row - 0.12, wrapped(cell.excluded, LETTERS), ha="left", va="bottom", fontsize=8)


def _entry(shape: Mark) -> Any:
    from matplotlib.lines import Line2D

    face = FAINT if shape.filled else "none"
    return Line2D([], [], linestyle="", marker=shape.marker, markersize=7, color=face, markeredgecolor=INK)


def _caption(cells: pd.DataFrame, drawn: Sequence[Cell], cut: bool) -> str:
    line = ", line: its 95 % interval (Student's t)" if any(map(interval, drawn)) else ""
    return caption(
        cells,
        "Each point is a run that is done; runs of about the same accuracy stand above one another",
        f"Bar: their mean{line}",
        "An arrowhead: the interval goes on beyond the axis" if cut else "",
    )
