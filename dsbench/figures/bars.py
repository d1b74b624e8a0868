"""One figure of each cell as a bar: parameters, training time, floating-point operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsbench.figures.axes import caption, rows, swarm
from dsbench.figures.style import INK, canvas, row_height, settle, styled
from dsbench.numerals import seconds, short
from dsbench.quantities import QUANTITIES
from dsbench.results.records import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BARS = {"parameters": QUANTITIES["params"], "train_time": QUANTITIES["train_seconds"], "flops": QUANTITIES["flops"]}
WIDTH, ROW = 7.6, 0.5  # inches
NEAR = 0.015  # of a bar: runs nearer than that stand above one another


@styled
def draw(runs: pd.DataFrame, cells: pd.DataFrame, what: str) -> Figure | None:
    """A bar a cell of `what`, a key of BARS, from 0, with its number; see runs_table and cells_table for the tables.

    Training time is the mean over the runs that are done, with a point a run. None where no cell has that figure.
    """
    cost = BARS[what]
    drawn = [cell for cell in rows(cells) if cell.facts[cost.cells_column] is not None]
    if not drawn:
        return None
    timed = what == "train_time"
    alone = bool(runs.loc[runs["status"] == "done", "n_jobs"].fillna(0).eq(1).all())
    sentences = (
        "Bar: mean over the runs that are done (n), point: each of them" if timed else "",
        "Runs trained side by side slow each other" if timed and not alone else "",
    )
    names = [f"{cell.name}\nn = {cell.facts['n_done']}" if timed else cell.name for cell in drawn]
    title = f"{cost.title.capitalize()} of each cell"
    figure = canvas(WIDTH, 0.9 + row_height(ROW, names) * len(drawn), title, caption(cells, *sentences))
    panel = figure.subplots()
    values = [float(cell.facts[cost.cells_column]) for cell in drawn]
    timed_runs = [run for run in plain(runs) if run["status"] == "done" and run["train_seconds"] is not None]
    most = max(values)
    for row, (cell, value) in enumerate(zip(drawn, values, strict=True)):
        look = cell.style
        panel.barh(row, value, height=0.66, color=look.color, hatch=look.hatch, edgecolor=INK, linewidth=0.8)
        reach = value
        if timed:
            each = [run["train_seconds"] for run in timed_runs if run["cell_id"] == cell.cell_id]
            heights = [row + offset for offset in swarm(each, NEAR * max(each, default=0))]
            panel.plot(each, heights, "o", color="#ffffff", markeredgecolor=INK, markersize=4, label="runs")
            reach = max([value, *each])
            most = max(most, reach)
        panel.annotate(
            f"mean {seconds(value)}" if timed else f"{value:,.0f}",
            (reach, row),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    panel.set_xlim(0, 1.25 * most or 1)
    panel.set_ylim(len(drawn) - 0.5, -0.5)
    panel.set_yticks(range(len(drawn)), names)
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=False, axis="y")
    panel.set_xlabel(cost.axis)
    panel.xaxis.set_major_formatter(lambda value, _: short(value))
    settle(figure)
    return figure
