"""The picture that says it all: what each comparison costs, as so many times the reference, beside its accuracy."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsbench.figures.axes import rows
from dsbench.figures.forest import Difference, difference, draw_margin_and_interval
from dsbench.figures.style import FULL, GREY, INK, SMALL, canvas, settle, style, styled
from dsbench.numerals import times
from dsbench.quantities import LIGHTER, QUANTITIES
from dsbench.verdict.faster import short
from dsbench.verdict.lighter import Measure
from dsbench.verdict.rule import Answer
from dsbench.verdict.verdict import Comparison
from dsbench.verdict.words import described, signed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NARROW, LETTERS = 3.8, 28  # inches: a phone, and letters of a line on it that begins where the panel does
BAR, HEAD, FOOT = 0.27, 0.4, 0.62  # inches: of a bar, of a comparison's name, of the axes below
ACCURACY = 0.95  # inches of the accuracy of a comparison where it stands below its costs
LEAST = 1.5  # times the reference that the axis of costs reaches at the least, both ways
MOST_TICKS = 7
SIDES = (
    "← less\N{NO-BREAK SPACE} · \N{NO-BREAK SPACE}times the reference's\N{NO-BREAK SPACE} · \N{NO-BREAK SPACE}more →"
)
_MEMORY = QUANTITIES["peak_memory_bytes"]


@dataclass(frozen=True)
class Bar:
    """A cost of the candidate as so many times the reference's; `low` and `high` are its interval's ends, if any.

    One that is not `clear` may be as much on both sides.
    """

    name: str
    ratio: float
    low: float | None
    high: float | None
    equal: bool = False
    clear: bool = True

    @property
    def text(self) -> str:
        """Equal, or the ratio with its interval."""
        if self.equal:
            return str(Answer.EQUAL)
        ends = "" if self.low is None or self.high is None else f" ({times(self.low)} to {times(self.high)})"
        return f"x {times(self.ratio)}{ends}"


def bars(pair: Comparison, memory: dict[str, float]) -> list[Bar]:
    """The costs of a comparison: counted, timed and, of those cells by id that have it, the peak of memory."""
    timed = [measure for measure in pair.measured if measure.decides]
    shown = [measure for measure in (*pair.lighter, *timed) if measure.answer is not Answer.NOT_COMPARABLE]
    out = [bar for measure in shown if (bar := _bar(measure))]
    before, after = (memory.get(cell.cell_id) for cell in pair.cells)
    if before and after:
        out.append(Bar(_MEMORY.wording, after / before, None, None))
    return out


def _bar(measure: Measure) -> Bar | None:
    if not measure.ratio:
        return None
    name = QUANTITIES[measure.name].wording if measure.name in QUANTITIES else measure.name
    ends = measure.interval
    low, high = (ends.low, ends.high) if ends else (None, None)
    clear = measure.answer not in (Answer.CANNOT_TELL, Answer.AS_FAST)
    return Bar(name, measure.ratio, low, high, measure.answer is Answer.EQUAL, clear)


@styled
def draw(pairs: Sequence[Comparison], cells: pd.DataFrame, narrow: bool = False) -> Figure | None:
    """A row for each of `pairs`: bars of cost ratios, beside them the difference in accuracy.

    See cells_table for the table. `narrow` has the accuracy below the costs, for a phone. None where nothing is
    compared.
    """
    memory = {
        cell.cell_id: cell.facts[_MEMORY.cells_column] for cell in rows(cells) if cell.facts.get(_MEMORY.cells_column)
    }
    drawn = [(pair, bars(pair, memory), difference(pair)) for pair in pairs]
    if not drawn:
        return None
    tall = [HEAD * (1 + narrow) + BAR * max(len(of), 2) for _, of, _ in drawn]
    heights = [inches for own in tall for inches in (own, ACCURACY)] if narrow else tall
    seen = ". ".join(_seen(pair, of) for pair, of, _ in drawn)
    title = "What it costs, and how accurate it is"
    width = NARROW if narrow else FULL
    figure = canvas(width, sum(heights) + FOOT * (1 + narrow), title, _CAPTION, seen)
    ratios = None if narrow else [1.75, 1]
    grid = figure.subplots(len(heights), 1 if narrow else 2, squeeze=False, height_ratios=heights, width_ratios=ratios)
    panels = list(grid.flat)
    costs, accuracies = panels[::2], panels[1::2]
    _share(costs)
    _share(accuracies)
    _reach([bar for _, of, _ in drawn for bar in of], costs)
    for panel, accuracy, (pair, of, of_accuracy) in zip(costs, accuracies, drawn, strict=True):
        _costs(panel, pair, of, narrow)
        _accuracy(accuracy, pair, of_accuracy, narrow)
    _spread(accuracies, [of_accuracy for _, _, of_accuracy in drawn if of_accuracy])
    costs[-1].set_xlabel("times the reference's" if narrow else SIDES)
    accuracies[-1].set_xlabel("difference in test accuracy (points)")
    settle(figure)
    return figure


_CAPTION = (
    "Costs: the candidate's as so many times the reference's, with the interval of what is timed; hollow where they "
    "may be equal. Accuracy: mean of the candidate's runs less the reference's (diamond), its interval at the level of "
    "its family (line), and the margin within which both are as good (band). An interval may go on beyond the axis."
)


def _share(panels: Sequence[Axes]) -> None:
    """One horizontal axis for all, with its numbers below the last."""
    for panel in panels[1:]:
        panel.sharex(panels[0])
    for panel in panels[:-1]:
        panel.tick_params(labelbottom=False)


def _reach(bars: Sequence[Bar], panels: Sequence[Axes]) -> None:
    """A logarithmic axis about 1 for all bars, its numbers powers of two."""
    from matplotlib.ticker import FixedLocator, NullLocator

    values = [value for bar in bars for value in (bar.ratio, bar.low, bar.high) if value]
    low, high = min([1 / LEAST, *values]) / 1.08, max([LEAST, *values]) * 1.08
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    step = -(-(last - first + 1) // MOST_TICKS)
    ticks = [2.0**power for power in range(first, last + 1) if power % step == 0]
    for panel in panels:
        panel.set_xscale("log")
        panel.set_xlim(low, high)
        panel.xaxis.set_major_locator(FixedLocator(ticks))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")


def _costs(panel: Axes, pair: Comparison, bars: Sequence[Bar], narrow: bool) -> None:
    look = style(pair.cells[1].names["model"])
    for row, bar in enumerate(bars):
        if bar.equal:
            panel.plot([1], [row], marker="o", color=GREY, markersize=5, label="equal")
            continue
        fill: dict[str, Any] = {"facecolor": look.color if bar.clear else "none", "edgecolor": INK, "linewidth": 0.8}
        panel.barh(row, bar.ratio - 1, left=1, height=0.62, label=bar.name, **fill)
        if bar.low is not None and bar.high is not None:
            panel.plot([bar.low, bar.high], [row, row], color=INK, linewidth=1.6, label="interval")
    panel.axvline(1, color=INK, linewidth=1.0, zorder=1)
    panel.set_ylim(max(len(bars), 2) - 0.4, -0.6)
    panel.set_yticks(range(len(bars)), [_brief(bar.name) if narrow else bar.name for bar in bars])
    right = panel.secondary_yaxis("right")
    right.set_yticks(range(len(bars)), [bar.text.partition(" (")[0] if narrow else bar.text for bar in bars])
    for axis in (panel, right):
        axis.tick_params(axis="y", length=0)
    for label, bar in zip(right.get_yticklabels(), bars, strict=True):
        label.set_color(GREY if bar.equal else INK)
    panel.grid(visible=False, axis="y")
    name = textwrap.fill(described(pair), LETTERS) if narrow else described(pair)
    panel.set_title(name, loc="left", weight="bold")


def _brief(name: str) -> str:
    """The name of a cost where there is little room."""
    briefs = {cost.wording: cost.brief for cost in LIGHTER} | {_MEMORY.wording: "memory"}
    return briefs.get(name) or short(name)


def _accuracy(panel: Axes, pair: Comparison, difference: Difference | None, narrow: bool) -> None:
    panel.set_yticks([])
    panel.set_ylim(1, -1)
    panel.grid(visible=False, axis="y")
    panel.axvline(0, color=INK, linewidth=1.0, zorder=1)
    better = pair.better
    if difference is None or better.mean is None:
        panel.text(0.5, 0.7, "no run is done on a side", transform=panel.transAxes, ha="center", fontsize=SMALL)
        return
    draw_margin_and_interval(panel, 0, difference, band=(-1, 1))
    text = f"{better.answer}: {signed(better)}"
    panel.set_title(textwrap.fill(text, LETTERS + 6) if narrow else text, loc="right", weight="bold")


def _spread(panels: Sequence[Axes], differences: Sequence[Difference]) -> None:
    """One axis for all: it holds 0, the margins and the differences, and intervals up to three times as far."""
    held = [value for row in differences for value in (row.mean, row.margin, -row.margin)] or [1.0]
    reach = 3 * max(map(abs, held)) or 1.0
    ends = [max(-reach, min(end, reach)) for row in differences for end in (row.low, row.high) if end is not None]
    low, high = min([0.0, *held, *ends]), max([0.0, *held, *ends])
    spare = 0.06 * (high - low) or 1.0
    for panel in panels:
        panel.set_xlim(low - spare, high + spare)


def _seen(pair: Comparison, bars: Sequence[Bar]) -> str:
    costs = ", ".join(f"{bar.name} {bar.text}" for bar in bars)
    better = pair.better
    accuracy = "" if better.mean is None else f"; test accuracy {better.answer}, {signed(better)}"
    return f"{described(pair)}: {costs}{accuracy}"
