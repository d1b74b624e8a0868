"""Test accuracy against what a network costs: families as curves where they have several sizes, else the front."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dsbench.figures.axes import (
    COST_AXES,
    Cell,
    available_costs,
    caption,
    draw_interval,
    equal_costs,
    families,
    interval,
    log_where_wide,
    percent_limits,
    rows,
)
from dsbench.figures.labels import Point, Spot, names, traced
from dsbench.figures.style import FULL, INK, SMALL, canvas, layout, legend, panels, settle, style, styled
from dsbench.quantities import Group
from dsbench.verdict.curves import Curves

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = (FULL, 4.6)  # inches: a panel alone
SMALLER = (FULL / 2, 4.2)  # one of several
ACROSS = 2
FRONT: dict[str, Any] = {"color": INK, "linewidth": 1.3, "linestyle": (0, (1, 1.2))}
OVERTAKES: dict[str, Any] = {"color": INK, "marker": "x", "markersize": 8, "markeredgewidth": 2, "linewidth": 1}
REASON = 72  # letters of a line above a panel
MOST_NAMES = 24  # in a panel
SIZE = 7  # points: the diameter of a marker


@styled
def draw(
    cells: pd.DataFrame,
    costs: Sequence[str] | None = None,
    unranked: Mapping[str, str] | None = None,
    curves: Sequence[Curves] = (),
) -> Figure | None:
    """A panel for each of `costs` (keys of COST_AXES; None: all that are known), a point a cell that has finished runs.

    With `curves` the networks of a family are joined, and a cross says where one family overtakes another; without them
    there is the Pareto front. Where `unranked` says why cells cannot be ranked by a cost, or by accuracy at all, the
    panel says so and has neither. A cost of which all cells have as much has no panel, and None is returned where no
    panel is left.
    """
    refused = unranked or {}
    all_rows = rows(cells)
    scored = [cell for cell in all_rows if cell.facts["test_acc_mean"] is not None]
    known = {name: _values(name, scored) for name in available_costs(scored) if costs is None or name in costs}
    wanted = [name for name, values in known.items() if len({x for x in values if x is not None}) > 1]
    if not wanted:
        return None
    down, across = layout(len(wanted), ACROSS)
    width, height = WIDE if across == 1 else SMALLER
    subject = COST_AXES[wanted[0]].title if len(wanted) == 1 else "what networks cost"
    ends = [end for cell in scored for end in interval(cell) or ()]
    limits = percent_limits([100 * cell.facts["test_acc_mean"] for cell in scored], ends)
    text = _caption(cells, all_rows, scored, any(not limits[0] <= end <= limits[1] for end in ends))
    figure = canvas(width * across, height * down + 0.4, f"Test accuracy against {subject}", text, _seen(scored))
    grid = panels(figure, len(wanted), across, sharey=True)
    grid[0].set_ylim(*limits)
    reasons = [refused.get("accuracy") or refused.get(cost, "") for cost in wanted]
    drawn = [_panel(*row, scored, curves) for row in zip(grid, wanted, reasons, strict=True)]
    for number, panel in enumerate(grid):
        if number % across == 0:
            panel.set_ylabel("test accuracy (%)")
    legend(figure, _entries(scored, set().union(*map(_marks, grid))), across=5)
    settle(figure)
    for panel, points in zip(grid, drawn, strict=True):
        _names(panel, points, fronts="front" in _marks(panel))
    return figure


def _marks(panel: Axes) -> set[str]:
    """What is drawn in a panel: cells, and front, family or overtakes."""
    return {str(line.get_label()) for line in panel.get_lines()}


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


def _panel(
    panel: Axes, cost: str, why: str, scored: Sequence[Cell], curves: Sequence[Curves]
) -> list[tuple[Cell, Point]]:
    """Draw the cells whose cost is known, joined unless `why` says why they are not; cells and points."""
    placed = [
        (cell, (x, 100 * cell.facts["test_acc_mean"]))
        for cell, x in zip(scored, _values(cost, scored), strict=True)
        if x is not None
    ]
    points = [point for _, point in placed]
    panel.set_xlabel(COST_AXES[cost].axis)
    log_where_wide(panel, [x for x, _ in points])
    if why:
        panel.set_title(
            textwrap.fill(f"{'Not joined' if curves else 'No Pareto front'}: {why}", REASON), fontsize=SMALL, loc="left"
        )
    elif not _joined(panel, cost, placed, curves):
        panel.plot(*_steps([points[number] for number in front(points)]), zorder=2, label="front", **FRONT)
    for cell, (x, y) in placed:
        look, ends = cell.style, interval(cell)
        if ends:
            draw_interval(panel, ends, x, look.color, upright=True)
        panel.plot(
            [x], [y], color=look.color, marker=look.marker, markersize=SIZE, markeredgecolor=INK, zorder=3, label="cell"
        )
    return placed


def _joined(panel: Axes, cost: str, placed: Sequence[tuple[Cell, Point]], curves: Sequence[Curves]) -> bool:
    """Join the networks of each family, and mark where one overtakes another; whether there are two to be joined."""
    at = {cell.cell_id: point for cell, point in placed}
    looks = {cell.cell_id: cell.style for cell, _ in placed}
    families = [family for family in _families(curves) if len(_line(family, at)) > 1]
    if len(families) < 2:
        return False
    for family in families:
        line, look = _line(family, at), next(looks[cell_id] for cell_id in family if cell_id in looks)
        panel.plot(*zip(*line, strict=True), color=look.color, linestyle=look.line, linewidth=1.3, label="family")
    for one in curves:
        if one.cost == COST_AXES[cost].name:
            costs, accuracies = zip(*_line([cell.cell_id for cell in one.networks[0]], at), strict=True)
            for crossing in one.crossings:
                height = float(np.interp(np.log(crossing.at), np.log(costs), accuracies))
                span = [crossing.low, crossing.at, crossing.high]
                panel.plot(span, [height] * 3, zorder=2.5, markevery=[1], label="overtakes", **OVERTAKES)
    return True


def _line(family: Collection[str], at: Mapping[str, Point]) -> list[Point]:
    """The points of the networks of a family, by id, whose cost is known, by rising cost."""
    return sorted(at[cell_id] for cell_id in family if cell_id in at)


def _families(curves: Sequence[Curves]) -> list[tuple[str, ...]]:
    """The networks of each family that stands in `curves`, by id."""
    return list(dict.fromkeys(tuple(cell.cell_id for cell in own) for one in curves for own in one.networks))


def _values(cost: str, cells: Sequence[Cell]) -> list[float | None]:
    """What each cell costs, None where that is unknown; counts that a budget would take for equal are equal."""
    values = [cell.facts.get(COST_AXES[cost].cells_column) for cell in cells]
    numbers = [float(value) for value in values if value is not None]
    known = iter(equal_costs(numbers) if COST_AXES[cost].group is Group.COUNTED else numbers)
    return [None if value is None else next(known) for value in values]


def _seen(scored: Sequence[Cell]) -> str:
    texts = []
    for cell in scored:
        values = [(cost, cell.facts.get(cost.cells_column)) for cost in COST_AXES.values()]
        costs = [f"{cost.write(value)} {cost.title}" for cost, value in values if value is not None]
        texts.append(f"{cell.called}: {100 * cell.facts['test_acc_mean']:.2f} % at {', '.join(costs)}")
    return ". ".join(texts)


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


def _entries(scored: list[Cell], marks: Collection[str]) -> dict[str, Any]:
    """What colours say, and of lines those that are drawn."""
    from matplotlib.lines import Line2D

    entries = {}
    for family in families(scored):
        look = style(family)
        line: Any = look.line if "family" in marks else "-"
        entries[family or "unknown"] = Line2D(
            [], [], color=look.color, marker=look.marker, markeredgecolor=INK, linestyle=line
        )
    entries |= {"Pareto front": Line2D([], [], **FRONT)} if "front" in marks else {}
    return entries | ({"one overtakes another": Line2D([], [], **OVERTAKES)} if "overtakes" in marks else {})


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
        f"Of {len(scored)} cells those on a front alone are named" if len(scored) > MOST_NAMES else "",
        f"Not drawn: {without} of {len(all_rows)} cells, without a run that is done" if without else "",
    )
