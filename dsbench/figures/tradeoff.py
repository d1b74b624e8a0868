"""Test accuracy against what a network costs, with the Pareto front."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dsbench.figures.axes import (
    COST_AXES,
    Cell,
    available_costs,
    caption,
    draw_interval,
    families,
    interval,
    log_where_wide,
    percent_limits,
    rows,
)
from dsbench.figures.labels import Point, Spot, names, traced
from dsbench.figures.style import INK, SMALL, canvas, layout, legend, panels, settle, style, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = (7.0, 4.6)  # inches: a panel alone
SMALLER = (5.4, 4.2)  # one of several
ACROSS = 2
FRONT: dict[str, Any] = {"color": INK, "linewidth": 1.3, "linestyle": (0, (1, 1.2))}
REASON = 72  # letters of a line above a panel
MOST_NAMES = 24  # in a panel
SIZE = 7  # points: the diameter of a marker


@styled
def draw(
    cells: pd.DataFrame, costs: Sequence[str] | None = None, unranked: Mapping[str, str] | None = None
) -> Figure | None:
    """A panel for each of `costs` (keys of COST_AXES; None: all that are known), a point a cell that has finished runs.

    Where `unranked` says why cells cannot be ranked by a cost, or by accuracy at all, the panel says so and has no
    front. None where no cell has both an accuracy and one of these costs.
    """
    refused = unranked or {}
    all_rows = rows(cells)
    scored = [cell for cell in all_rows if cell.facts["test_acc_mean"] is not None]
    wanted = available_costs(scored) if costs is None else [name for name in costs if name in available_costs(scored)]
    if not wanted:
        return None
    down, across = layout(len(wanted), ACROSS)
    width, height = WIDE if across == 1 else SMALLER
    subject = COST_AXES[wanted[0]].title if len(wanted) == 1 else "what networks cost"
    ends = [end for cell in scored for end in interval(cell) or ()]
    limits = percent_limits([100 * cell.facts["test_acc_mean"] for cell in scored], ends)
    text = _caption(cells, all_rows, scored, any(not limits[0] <= end <= limits[1] for end in ends))
    figure = canvas(width * across, height * down + 0.4, f"Test accuracy against {subject}", text)
    grid = panels(figure, len(wanted), across, sharey=True)
    grid[0].set_ylim(*limits)
    reasons = [refused.get("accuracy") or refused.get(cost, "") for cost in wanted]
    drawn = [_panel(*row, scored) for row in zip(grid, wanted, reasons, strict=True)]
    for number, panel in enumerate(grid):
        if number % across == 0:
            panel.set_ylabel("test accuracy (%)")
    legend(figure, _entries(scored, fronts=not all(reasons)), across=5)
    settle(figure)
    for panel, points, reason in zip(grid, drawn, reasons, strict=True):
        _names(panel, points, fronts=not reason)
    return figure


def front(points: Sequence[Point]) -> list[int]:
    """The points (cost, accuracy) that no other betters, being no worse in both and better in one; by rising cost.

    Points that are equal in both are all among them.
    """
    order = sorted(range(len(points)), key=lambda number: (points[number][0], -points[number][1]))
    out: list[int] = []
    for number in order:
        if not out or points[number][1] > points[out[-1]][1] or points[number] == points[out[-1]]:
            out.append(number)
    return out


def _panel(panel: Axes, cost: str, why: str, scored: Sequence[Cell]) -> list[tuple[Cell, Point]]:
    """Draw the cells whose cost is known, with their front unless `why` says why there is none; cells and points."""
    column = COST_AXES[cost].cells_column
    placed = [
        (cell, (float(cell.facts[column]), 100 * cell.facts["test_acc_mean"]))
        for cell in scored
        if cell.facts.get(column) is not None
    ]
    points = [point for _, point in placed]
    panel.set_xlabel(COST_AXES[cost].axis)
    log_where_wide(panel, [x for x, _ in points])
    if why:
        panel.set_title(textwrap.fill(f"No Pareto front: {why}", REASON), fontsize=SMALL, loc="left")
    else:
        panel.plot(*_steps([points[number] for number in front(points)]), zorder=2, label="front", **FRONT)
    for cell, (x, y) in placed:
        look, ends = cell.style, interval(cell)
        if ends:
            draw_interval(panel, ends, x, look.color, upright=True)
        panel.plot(
            [x], [y], color=look.color, marker=look.marker, markersize=SIZE, markeredgecolor=INK, zorder=3, label="cell"
        )
    return placed


def _steps(best: Sequence[Point]) -> tuple[list[float], list[float]]:
    """The best accuracy that each cost affords, as the corners of a staircase."""
    corners: list[Point] = []
    for point in best:
        if corners:
            corners.append((point[0], corners[-1][1]))
        corners.append(point)
    return [x for x, _ in corners], [y for _, y in corners]


def _names(panel: Axes, placed: Sequence[tuple[Cell, Point]], fronts: bool) -> None:
    bars = ((x, interval(cell)) for cell, (x, _) in placed)
    taken = [box for x, ends in bars if ends for box in traced(panel, [(x, end) for end in ends])]
    points = [point for _, point in placed]
    if fronts:
        taken += traced(panel, list(zip(*_steps([points[number] for number in front(points)]), strict=True)))
    spots = []
    named = _named(points, fronts)
    for number in sorted(range(len(placed)), key=lambda number: -points[number][1]):  # from the top: lines cross less
        cell, (x, y) = placed[number]
        name = "\n".join(filter(None, (cell.name, f"({cell.excluded})" if cell.excluded else "")))
        spots.append(Spot(x, y, SIZE / 2 + 1, name if number in named else ""))
    panel.autoscale(False)
    names(panel, spots, taken)


def _named(points: Sequence[Point], fronts: bool) -> Collection[int]:
    """The points that are named: all, of many those of the front, where there is one, if these are few enough."""
    if len(points) <= MOST_NAMES:
        return range(len(points))
    best = front(points) if fronts else []
    return best if len(best) <= MOST_NAMES else ()


def _entries(scored: list[Cell], fronts: bool) -> dict[str, Any]:
    from matplotlib.lines import Line2D

    entries = {}
    for family in families(scored):
        look = style(family)
        entries[family or "unknown"] = Line2D([], [], color=look.color, marker=look.marker, markeredgecolor=INK)
    return entries | ({"Pareto front": Line2D([], [], **FRONT)} if fronts else {})


def _caption(cells: pd.DataFrame, all_rows: Sequence[Cell], scored: Sequence[Cell], cut: bool) -> str:
    counts = sorted({cell.facts["n_done"] for cell in scored})
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    without = len(all_rows) - len(scored)
    bar = ", bar: its 95 % interval (Student's t)" if counts[-1] > 1 else ""
    return caption(
        cells,
        f"Mean over the runs that are done (n = {n}){bar}",
        "An arrowhead: the interval goes on beyond the axis" if cut else "",
        "One run has no interval" if counts[0] == 1 else "",
        f"Of {len(scored)} cells those on a front are named" if len(scored) > MOST_NAMES else "",
        f"Not drawn: {without} of {len(all_rows)} cells, without a run that is done" if without else "",
    )
