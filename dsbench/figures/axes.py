"""What axes show, in words and units, and how far they reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsbench.figures.rows import Cell
from dsbench.numerals import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_FROM = 4  # times the least value that the greatest is, from which an axis is logarithmic


@dataclass(frozen=True)
class Cost:
    """A column of the table of cells, what it is called in a title, and what an axis says."""

    column: str
    title: str
    axis: str


COSTS = {
    "params": Cost("params", "parameters", "parameters"),
    "macs": Cost("macs", "multiply-accumulates", "multiply-accumulates for one image (MACs)"),
    "acts": Cost("acts", "activations", "activations for one image (elements that layers write)"),
    "train_seconds": Cost("train_seconds_mean", "training time", "training time (seconds of training steps)"),
    "latency": Cost("latency_ms/batch_1/torch", "latency", "latency of one image (milliseconds)"),
}
FLOPS = Cost("flops", "floating-point operations", "floating-point operations for one image (FLOPs, two a MAC)")


def known_costs(cells: Sequence[Cell]) -> list[str]:
    """Those of COSTS that at least one of the cells has."""
    return [name for name, cost in COSTS.items() if any(cell.facts.get(cost.column) is not None for cell in cells)]


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

    def swapped(one: Sequence[float], other: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
        return (other, one) if upright else (one, other)

    panel.plot(*swapped(shown, (at, at)), color=color, linewidth=1.8, zorder=2.8, solid_capstyle="butt")
    for end, limit, head in zip(ends, shown, heads, strict=True):
        if end != limit:
            panel.plot(*swapped([limit], [at]), color=color, marker=head, markersize=6, clip_on=False, label="cut")
