"""How test accuracy is spread over seeds: every run a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsbench.figures.axes import Cell, caption, draw_interval, interval, percent_limits, rows, swarm, wrapped
from dsbench.figures.style import FAINT, INK, canvas, row_height, settle, styled
from dsbench.results.records import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, ROW = 8.6, 0.62  # inches
ASIDE = 0.3  # the width of the panel of runs in no mean, in widths of the other
SIZE = 5.5  # points: the diameter of a marker
NEAR = 0.013  # of the panel's width: runs nearer than that stand above one another
RUNS, MEAN = 0.12, -0.3  # of a row: where the runs stand, and above them their mean
# A mark for each status that is in no mean, and what it is called.
OTHERS = {"collapsed": "X", "diverged": "*", "failed": "P"}
UNFINISHED = "o"


@styled
def draw(runs: pd.DataFrame, cells: pd.DataFrame) -> Figure | None:
    """A row a cell: each run that is done, the mean and its interval; aside, each run that is in no mean.

    See runs_table and cells_table for the tables. None where there is no cell.
    """
    known = rows(cells)
    if not known:
        return None
    names = [f"{cell.name}\nn = {cell.facts['n_done']}" for cell in known]
    of_cells = _by_cell(runs)
    aside = any(cell.besides for cell in known)
    done = [100 * run["test_acc"] for cell in known for run in of_cells[cell.cell_id] if _scored(run)]
    ends = [end for cell in known for end in interval(cell) or ()]
    limits = percent_limits(done, ends) if done else (0.0, 100.0)
    said = _caption(cells, known, any(not limits[0] <= end <= limits[1] for end in ends))
    figure = canvas(WIDTH, 0.9 + row_height(ROW, names) * len(known), "Test accuracy of every run", said)
    grid = figure.subplots(1, 2 if aside else 1, sharey=True, squeeze=False, width_ratios=[1, ASIDE][: 1 + aside])[0]
    panel = grid[0]
    panel.set_xlim(*limits)
    for row, cell in enumerate(known):
        _row(panel, row, cell, [100 * run["test_acc"] for run in of_cells[cell.cell_id] if _scored(run)])
        if aside:
            _aside(grid[1], row, cell, [run for run in of_cells[cell.cell_id] if not _scored(run)])
    panel.set_ylim(len(known) - 0.5, -0.5)
    panel.set_yticks(range(len(known)), names)
    panel.set_xlabel("test accuracy (%)")
    for one in grid:
        for row in range(1, len(known)):
            one.axhline(row - 0.5, color=FAINT, linewidth=0.8, zorder=0)
        one.tick_params(axis="y", length=0)
        one.grid(visible=False, axis="y")
    if aside:
        grid[1].set_xticks([])
        grid[1].set_xlim(0, 1)
        grid[1].set_xlabel("runs in no mean")
    settle(figure)
    return figure


def _by_cell(runs: pd.DataFrame) -> dict[str, list[dict]]:
    out: dict[str, list[dict]] = {}
    for run in plain(runs):
        out.setdefault(run["cell_id"], []).append(run)
    return out


def _scored(run: dict) -> bool:
    return run["status"] == "done" and run["test_acc"] is not None


def _row(panel: Axes, row: int, cell: Cell, values: Sequence[float]) -> None:
    low, high = panel.get_xlim()
    heights = [row + RUNS + offset for offset in swarm(values, NEAR * (high - low))]
    look = cell.style
    panel.plot(
        values,
        heights,
        linestyle="",
        color=look.color,
        marker=look.marker,
        markersize=SIZE,
        markeredgecolor=INK,
        markeredgewidth=0.6,
        label="runs",
        zorder=3,
    )
    if not values:
        return
    ends = interval(cell)
    if ends:
        draw_interval(panel, ends, row + MEAN, INK, upright=False)
    mean = 100 * cell.facts["test_acc_mean"]
    panel.plot([mean], [row + MEAN], color=INK, marker="|", markersize=9, markeredgewidth=2, label="mean")


def _aside(panel: Axes, row: int, cell: Cell, runs: Sequence[dict]) -> None:
    """The marks of a cell's runs that are in no mean, side by side, and how many of each kind there are."""
    order = list(OTHERS)
    runs = sorted(runs, key=lambda run: order.index(run["status"]) if run["status"] in order else len(order))
    for number, run in enumerate(runs):
        x = 0.06 + 0.88 * (number + 0.5) / max(len(runs), 8)
        marker = OTHERS.get(run["status"], UNFINISHED)
        face = cell.style.color if run["status"] in OTHERS else "none"
        panel.plot(
            [x], [row + RUNS], linestyle="", marker=marker, markersize=7, color=face, markeredgecolor=INK, label="other"
        )
    panel.text(0.06, row - 0.12, wrapped(cell.besides, 25), ha="left", va="bottom", fontsize=8)


def _caption(cells: pd.DataFrame, known: Sequence[Cell], cut: bool) -> str:
    line = ", line: its 95 % interval (Student's t)" if any(map(interval, known)) else ""
    return caption(
        cells,
        "Each point is a run that is done; runs of about the same accuracy stand above one another",
        f"Bar: their mean{line}",
        "An arrowhead: the interval goes on beyond the axis" if cut else "",
    )
