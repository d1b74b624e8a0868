"""What pictures of cells share: rows of the table with their names and captions, axes, intervals, swarms of points."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.figures.style import Style, style
from dsbench.numerals import short
from dsbench.quantities import PICTURED
from dsbench.results.cells import not_in_means
from dsbench.results.naming import naming, short_names
from dsbench.results.records import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LETTERS = 26  # of a line of a name


@dataclass(frozen=True)
class Cell:
    """A row of a table of cells: what it is called, in one line, and all of the row as plain data."""

    called: str
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """What it is called, in lines of LETTERS."""
        return wrapped(self.called)

    @property
    def cell_id(self) -> str:
        """The cell's id."""
        return str(self.facts["cell_id"])

    @property
    def model(self) -> str | None:
        """The family."""
        return self.facts["model"]

    @property
    def style(self) -> Style:
        """The family's style."""
        return style(self.model)

    @property
    def excluded(self) -> str:
        """The runs that are in no mean, such as `1 collapsed, 2 unfinished`, or an empty text."""
        return not_in_means(self.facts)


def rows(cells: pd.DataFrame) -> list[Cell]:
    """The cells of a table (see cells_table), in order."""
    return [Cell(*row) for row in zip(short_names(cells), plain(cells), strict=True)] if len(cells) else []


def wrapped(name: str, letters: int = LETTERS) -> str:
    """A name in lines of about that many letters, broken after its parts, and long parts within, after `_` and such."""
    parts = [part for part in re.split(r"(?<=, )", name) if part]
    pieces = [piece for part in parts for piece in (re.split(r"(?<=[ _/.-])", part) if len(part) > letters else [part])]
    lines = [""]
    for piece in pieces:
        if lines[-1] and len((lines[-1] + piece).rstrip()) > letters:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def caption(cells: pd.DataFrame, *sentences: str) -> str:
    """What all cells have in common, in a line of its own, then the sentences that are not empty."""
    context, rest = shared(cells), " ".join(f"{sentence}." for sentence in sentences if sentence)
    return "\n".join(filter(None, (context, rest)))


def shared(cells: pd.DataFrame) -> str:
    """What all cells have in common, in a line."""
    return naming(cells).shared if len(cells) else ""


def families(cells: list[Cell]) -> list[str | None]:
    """The families of the cells, each once, in order."""
    return list(dict.fromkeys(cell.model for cell in cells))


LOG_FROM = 4  # times the least value that the greatest is, from which an axis is logarithmic


# What accuracy is drawn against, by the names of pictures (tradeoff_latency) and of what does not compare.
COST_AXES = {cost.name.removesuffix("_ms"): cost for cost in PICTURED}


def available_costs(cells: Sequence[Cell]) -> list[str]:
    """Those of COST_AXES that at least one of the cells has."""
    return [
        name for name, cost in COST_AXES.items() if any(cell.facts.get(cost.cells_column) is not None for cell in cells)
    ]


def log_where_wide(panel: Axes, values: Sequence[float]) -> None:
    """A logarithmic horizontal axis where positive `values` span a factor of more than LOG_FROM; numbers as people
    write them, and room for names at both ends."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    low, high = min(values), max(values)
    if 0 < LOG_FROM * low < high:
        panel.set_xscale("log")
        decades, few = high / low > 100, high / low < 12
        subs = (1,) if decades else (1, 1.5, 2, 3, 5, 7) if few else (1, 2, 5)
        panel.xaxis.set_major_locator(LogLocator(subs=subs))
        panel.xaxis.set_minor_locator(LogLocator(subs=(2, 5)) if decades else NullLocator())
        panel.xaxis.set_minor_formatter(NullFormatter())
        reach = (high / low) ** 0.12
        panel.set_xlim(low / reach, high * reach)
    else:
        panel.xaxis.set_major_locator(MaxNLocator(6))
        reach = 0.15 * (high - low) or 0.1 * abs(high) or 1.0
        panel.set_xlim(low - reach, high + reach)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def percent_limits(values: Sequence[float], intervals: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis in percent that shows all `values`, and `intervals` (their ends) as far as these leave room.

    Two runs can have an interval of a hundred points, beside which nothing else would be seen: the axis reaches beyond
    the values by no more than their own range, and by no less than a point.
    """
    low, high = min(values), max(values)
    room = max(high - low, 1.0)
    low, high = max(low - room, min(low, *intervals, low)), min(high + room, max(high, *intervals, high))
    spare = max(0.08 * (high - low), 0.2)
    return low - spare, high + spare


def interval(cell: Cell) -> tuple[float, float] | None:
    """The interval of a cell's test accuracy in percent, within 0 and 100; None where it has none."""
    low, high = cell.facts["test_acc_low"], cell.facts["test_acc_high"]
    return None if low is None or high is None else (max(0.0, 100 * low), min(100.0, 100 * high))


def draw_interval(panel: Axes, ends: tuple[float, float], at: float, color: str, upright: bool) -> None:
    """The line of an interval at height (upright: at breadth) `at`, with an arrowhead where it leaves the panel.

    The panel's limits are settled before.
    """
    limits = panel.get_ylim() if upright else panel.get_xlim()
    shown = (max(ends[0], limits[0]), min(ends[1], limits[1]))
    heads = ("v", "^") if upright else ("<", ">")

    def swapped(along: Sequence[float], across: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
        return (across, along) if upright else (along, across)

    panel.plot(*swapped(shown, (at, at)), color=color, linewidth=1.8, zorder=2.8, solid_capstyle="butt")
    for end, limit, head in zip(ends, shown, heads, strict=True):
        if end != limit:
            panel.plot(*swapped([limit], [at]), color=color, marker=head, markersize=6, clip_on=False, label="cut")


STEP, MOST = 0.1, 0.34  # of a row: between points beside each other, and how far they reach


def swarm(values: Sequence[float], near: float) -> list[float]:
    """How far each point stands from the middle of its row, in rows, so that those closer than `near` are apart.

    0, then by turns to one side and the other; always the same for the same values.
    """
    levels: dict[int, int] = {}
    for number in sorted(range(len(values)), key=lambda number: values[number]):
        taken = {level for other, level in levels.items() if abs(values[other] - values[number]) < near}
        levels[number] = next(level for level in range(len(values)) if level not in taken)
    furthest = (max(levels.values(), default=0) + 1) // 2
    step = min(STEP, MOST / furthest) if furthest else 0.0
    return [step * ((level + 1) // 2) * (1 if level % 2 else -1) for _, level in sorted(levels.items())]
