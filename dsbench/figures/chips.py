"""Where does it win? A field a chip and comparison: what decides on the chip, as so many times the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsbench.figures.ahead import COLUMN, Field, draw_fields, far
from dsbench.numerals import times
from dsbench.verdict.chips import MOST_COMPARED, Where, where, where_title, winner
from dsbench.verdict.lighter import MATCHED, Measure
from dsbench.verdict.verdict import Comparison
from dsbench.verdict.words import described, ratio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    """The chips of the first of `comparisons`; the title says of how many. None where they have nothing to tell."""
    pairs = comparisons[:MOST_COMPARED]
    found = where([(pair.measured, pair.chips) for pair in pairs])
    if found is None:
        return None
    columns = []
    for pair in pairs:
        reference, candidate = (str(cell.names["model"]) for cell in pair.cells)
        name = described(pair)
        columns.append(Column(name, name.replace(" at ", ", at ", 1), (reference, candidate)))
    return picture(found, columns, where_title(len(pairs), len(comparisons)), _CAPTION)


def picture(found: Where, columns: Sequence[Column], title: str, caption: str, inches: float = COLUMN) -> Figure:
    """What chips are judged by, in `columns` that are so many `inches` wide at the most."""
    chips = [chip for chip, _ in found.rows]
    by_column = zip(columns, zip(*found.measures, strict=True), strict=True)
    seen = ". ".join(_seen(column, chips, measures) for column, measures in by_column)
    rows = [
        (f"{chip}: {what}", [field(one, column.families) for one, column in zip(measures, columns, strict=True)])
        for (chip, what), measures in zip(found.rows, found.measures, strict=True)
    ]
    return draw_fields([column.head for column in columns], rows, title, caption, seen, inches)


def field(measure: Measure | None, families: tuple[str, str]) -> Field | None:
    """What is known of a cost of two networks of these `families`, the reference's first."""
    if measure is None or measure.ratio is None:
        return None
    side = winner(measure)
    text = MATCHED if measure.matched else times(measure.ratio)
    return Field(text, families[side > 0], far(measure.ratio)) if side else Field(text)


def _seen(column: Column, chips: Sequence[str], measures: Sequence[Measure | None]) -> str:
    known = [(chip, one) for chip, one in zip(chips, measures, strict=True) if one is not None]
    told = [f"{chip} {MATCHED if one.matched else ratio(one)}" for chip, one in known]
    return f"{column.name}: {', '.join(told)}"
