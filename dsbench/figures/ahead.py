"""Who is ahead: a grid of fields, each in the colour of the family that is ahead in it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsbench.figures.style import FULL, GREY, INK, canvas, legend, settle, style, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW, LINE = 0.36, 0.12  # inches of a row, and of each line more of its name
LETTERS = 11  # of a line above a column, an inch
FOOT = 0.45  # inches of the legend
COLUMN, NAMES = 1.75, 2.9  # inches of a column, at the most, unless told; and of the names of the rows
LEAST, MOST = 0.18, 0.72  # how strong the colour of a field is: where both are nearly equal, and from FARTHEST on
FARTHEST = 4.0  # times the reference


@dataclass(frozen=True)
class Field:
    """What stands in a field, the family that is ahead there, if one is, and how far, from 0 to 1."""

    text: str
    family: str | None = None
    far: float = 0.0


def far(ratio: float) -> float:
    """How far ahead the cheaper of two is, of which one costs `ratio` times the other: 1 from FARTHEST times on."""
    return min(1.0, abs(math.log(ratio)) / math.log(FARTHEST))


@styled
def draw_fields(
    heads: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Field | None]]],
    title: str,
    caption: str,
    seen: str,
    inches: float = COLUMN,
    names: float = NAMES,
) -> Figure:
    """The `rows`, each with its name and a field a column, below the `heads` of the columns.

    A field that is None is not known. A column is `inches` wide at the most, the names of the rows are `names`.
    """
    down, across = len(rows), len(heads)
    width = min(FULL, names + inches * across)
    letters = int(LETTERS * (width - names) / across)
    above = [
        "\n".join(textwrap.fill(line, letters, break_long_words=False) for line in head.splitlines()) for head in heads
    ]
    lines = 1 + max(head.count("\n") for head in above)
    tall = ROW + LINE * max(name.count("\n") for name, _ in rows)
    figure = canvas(width, tall * down + 0.2 * lines + FOOT, title, caption, seen)
    panel = figure.subplots()
    for row, (_, fields) in enumerate(rows):
        for column, field in enumerate(fields):
            _draw_field(panel, row, column, field)
    panel.set_xlim(-0.5, across - 0.5)
    panel.set_ylim(down - 0.5, -0.5)
    panel.set_yticks(range(down), [name for name, _ in rows])
    panel.set_xticks(range(across), above)
    panel.xaxis.tick_top()
    panel.tick_params(length=0)
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    _legend(figure, {field.family for _, fields in rows for field in fields if field and field.family})
    settle(figure)
    return figure


def _draw_field(panel: Axes, row: int, column: int, field: Field | None) -> None:
    from matplotlib.patches import Rectangle

    if field is None:
        panel.text(column, row, "-", ha="center", va="center", color=GREY)
        return
    if field.family:
        strength = LEAST + (MOST - LEAST) * field.far
        color = style(field.family).color
        panel.add_patch(
            Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=color, alpha=strength, linewidth=0)
        )
    color, weight = (INK, "bold") if field.family else (GREY, "normal")
    panel.text(column, row, field.text, ha="center", va="center", color=color, weight=weight)


def _legend(figure: Figure, families: set[str]) -> None:
    from matplotlib.patches import Patch

    legend(
        figure,
        {f"{family} is ahead": Patch(facecolor=style(family).color, alpha=MOST) for family in sorted(families)},
    )
