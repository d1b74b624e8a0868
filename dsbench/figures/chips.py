"""Where does it win? A field a chip and comparison: what decides on the chip, as so many times the reference's."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsbench.figures.style import FULL, GREY, INK, canvas, legend, settle, style, styled
from dsbench.numerals import times
from dsbench.verdict.chips import Where, where, where_title, winner
from dsbench.verdict.lighter import MATCHED, Measure
from dsbench.verdict.sentences import described, ratio
from dsbench.verdict.verdict import Comparison

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.36  # inches of a row
LETTERS = 11  # of a line above a column, an inch
FOOT = 0.45  # inches of the legend
COLUMN, NAMES = 1.75, 2.9  # inches of a column, at the most, unless told; and of the names of the rows
LEAST, MOST = 0.18, 0.72  # how strong the colour of a field is: where both are nearly equal, and from FARTHEST on
FARTHEST = 4.0  # times the reference
MOST_COLUMNS = 7  # comparisons that there is room for
_CAPTION = (
    "A row a chip, a column a comparison: what the chip is judged by (time of one image, estimated cycles, arena), the "
    "candidate's as so many times the reference's. The colour is that of the family that is ahead, the stronger the "
    "further; without colour neither is, or one cannot tell; matched is what is held equal. Cycles are the compiler's "
    "estimate: no such processor ran."
)


@dataclass(frozen=True)
class Column:
    """A comparison: its `name`, what stands above it, and the families of the reference and the candidate."""

    name: str
    head: str
    families: tuple[str, str]


def draw(comparisons: Sequence[Comparison]) -> Figure | None:
    """The chips of the first of `comparisons`; the title says of how many. None where no chip was asked."""
    pairs = comparisons[:MOST_COLUMNS]
    found = where([(pair.measured, pair.chips) for pair in pairs])
    if found is None:
        return None
    columns = []
    for pair in pairs:
        reference, candidate = (str(cell.names["model"]) for cell in pair.cells)
        name = described(pair)
        columns.append(Column(name, name.replace(" at ", ", at ", 1), (reference, candidate)))
    return picture(found, columns, where_title(len(pairs), len(comparisons)), _CAPTION)


@styled
def picture(found: Where, columns: Sequence[Column], title: str, caption: str, inches: float = COLUMN) -> Figure:
    """What chips are judged by, in `columns` that are so many `inches` wide at the most."""
    down, across = len(found.rows), len(columns)
    width = min(FULL, NAMES + inches * across)
    letters = int(LETTERS * (width - NAMES) / across)
    heads = [
        "\n".join(textwrap.fill(line, letters, break_long_words=False) for line in column.head.splitlines())
        for column in columns
    ]
    lines = 1 + max(head.count("\n") for head in heads)
    measured = [*zip(*found.measures, strict=True)]
    chips = [chip for chip, _ in found.rows]
    seen = ". ".join(_seen(column, chips, of_column) for column, of_column in zip(columns, measured, strict=True))
    figure = canvas(width, ROW * down + 0.2 * lines + FOOT, title, caption, seen)
    panel = figure.subplots()
    for row, measures in enumerate(found.measures):
        for number, (column, measure) in enumerate(zip(columns, measures, strict=True)):
            _field(panel, row, number, column, measure)
    panel.set_xlim(-0.5, across - 0.5)
    panel.set_ylim(down - 0.5, -0.5)
    panel.set_yticks(range(down), [f"{chip}: {what}" for chip, what in found.rows])
    panel.set_xticks(range(across), heads)
    panel.xaxis.tick_top()
    panel.tick_params(length=0)
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    legend(figure, _ahead(columns, found.measures))
    settle(figure)
    return figure


def _ahead(columns: Sequence[Column], rows: Sequence[Sequence[Measure | None]]) -> dict[str, Artist]:
    """A field for each family that is ahead anywhere."""
    from matplotlib.patches import Patch

    ahead = {
        column.families[side > 0]
        for row in rows
        for column, measure in zip(columns, row, strict=True)
        if measure is not None and measure.ratio is not None and (side := winner(measure))
    }
    return {f"{family} is ahead": Patch(facecolor=style(family).color, alpha=MOST) for family in sorted(ahead)}


def _seen(column: Column, chips: Sequence[str], measures: Sequence[Measure | None]) -> str:
    known = [(chip, one) for chip, one in zip(chips, measures, strict=True) if one is not None]
    told = [f"{chip} {MATCHED if one.matched else ratio(one)}" for chip, one in known]
    return f"{column.name}: {', '.join(told)}"


def _field(panel: Axes, row: int, number: int, column: Column, measure: Measure | None) -> None:
    from matplotlib.patches import Rectangle

    if measure is None or measure.ratio is None:
        panel.text(number, row, "-", ha="center", va="center", color=GREY)
        return
    side = winner(measure)
    if side:
        look = style(column.families[side > 0])
        strength = LEAST + (MOST - LEAST) * min(1.0, abs(math.log(measure.ratio)) / math.log(FARTHEST))
        panel.add_patch(
            Rectangle((number - 0.48, row - 0.46), 0.96, 0.92, facecolor=look.color, alpha=strength, linewidth=0)
        )
    weight = "bold" if side else "normal"
    text = MATCHED if measure.matched else times(measure.ratio)
    panel.text(number, row, text, ha="center", va="center", color=INK if side else GREY, weight=weight)
