"""Runs that are not done, in learning curves: thin lines with a cross, and an arrowhead where they end off the axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dsbench.figures.curve_looks import ARROW, THIN, line
from dsbench.figures.histories import SCALES
from dsbench.figures.rows import Cell
from dsbench.figures.style import SMALL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Limits = tuple[float, float]  # of the vertical axis
Edges = dict[tuple[str, float, bool], Counter[str]]  # what ends off the axis: cell_id, epoch and whether above


def edges(histories: pd.DataFrame, measure: str, parts: Sequence[str], limits: Limits) -> Edges:
    """How many runs that are not done end off the axis and what they came to, by cell, last epoch and edge.

    See histories for the table; a run whose parts end at one edge is there once.
    """
    out: Edges = {}
    for _, run in histories[histories["status"] != "done"].groupby("run_id"):
        found = set()
        for part in parts:
            known = run.dropna(subset=[f"{part}_{measure}"])
            if len(known):
                last = known.iloc[-1]
                value = SCALES[measure] * last[f"{part}_{measure}"]
                if not limits[0] <= value <= limits[1]:
                    found.add((last["cell_id"], float(last["epoch"]), bool(value > limits[1])))
        for key in found:
            out.setdefault(key, Counter())[run["status"].iloc[0]] += 1
    return out


def within(histories: pd.DataFrame, measure: str, parts: Sequence[str], limits: Limits) -> bool:
    """Whether anything of a run that is not done is on the axis."""
    lost = histories.loc[histories["status"] != "done", [f"{part}_{measure}" for part in parts]]
    return bool((SCALES[measure] * lost).stack().between(*limits).any())


def draw_lines(panel: Axes, cell: Cell, lost: pd.DataFrame, measure: str, parts: Sequence[str]) -> None:
    """A thin line a part of each run of `lost`, which are a cell's."""
    for _, run in lost.groupby("run_id"):
        for part in parts:
            known = run[["epoch", f"{part}_{measure}"]].dropna()
            look = line(part) | {"color": cell.style.color, "markevery": [len(known) - 1]} | THIN
            panel.plot(known["epoch"], SCALES[measure] * known[f"{part}_{measure}"], label="not done", **look)


def draw_edges(panel: Axes, cells: Sequence[Cell], found: Edges, limits: Limits) -> None:
    """An arrowhead at each edge at which runs of these cells end, with what they came to; within settled limits.

    Those of several cells at one place stand above one another.
    """
    from matplotlib.transforms import ScaledTranslation

    middle = sum(panel.get_xlim()) / 2
    looks = {cell.cell_id: cell.style for cell in cells}
    heaps: Counter[tuple[float, bool]] = Counter()
    for (cell_id, epoch, above), statuses in found.items():
        if cell_id not in looks:
            continue
        into = (-1 if above else 1) * (5 + 12 * heaps[epoch, above])  # points, from the edge
        heaps[epoch, above] += 1
        look = ARROW | {"color": looks[cell_id].color, "marker": "^" if above else "v"}
        moved = panel.transData + ScaledTranslation(0, into / 72, panel.figure.dpi_scale_trans)
        panel.plot([epoch], [limits[above]], transform=moved, label="cut", **look)
        said = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
        side: dict[str, Any] = {"ha": "left"} if epoch < middle else {"ha": "right"}
        beside = (8 if epoch < middle else -8, into)
        panel.annotate(
            said, (epoch, limits[above]), beside, textcoords="offset points", va="center", fontsize=SMALL, **side
        )
