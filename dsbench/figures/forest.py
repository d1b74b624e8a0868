"""Differences in test accuracy as a forest plot, and the pairs of two families that a verdict has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsbench.figures.axes import Cell, rows, wrapped
from dsbench.figures.style import FAINT, FULL, INK, SMALL, canvas, row_height, settle, styled
from dsbench.verdict.better import Better
from dsbench.verdict.verdict import Comparison, Verdict
from dsbench.verdict.words import brief_labels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.56  # inches
LETTERS = 34  # of a line of a label


@dataclass(frozen=True)
class Difference:
    """One comparison: the difference of two means, its interval and margin in one unit, the answer and runs a side.

    `low` and `high` are None where there is no interval.
    """

    label: str
    mean: float
    low: float | None
    high: float | None
    margin: float
    answer: str
    runs: tuple[int, ...]


@styled
def draw(
    differences: Sequence[Difference],
    title: str,
    axis: str,
    caption: str = "",
    sides: tuple[str, str] | None = None,
) -> Figure:
    """A row a comparison, in order: the difference and its interval over the band of its margin, in words at the right.

    `axis` says what is shown, with its unit; `sides` what a difference below and above 0 means.
    """
    labels = ["\n".join(wrapped(line, LETTERS) for line in difference.label.splitlines()) for difference in differences]
    height = 1.0 + row_height(ROW, labels) * len(differences) + 0.2 * (sides is not None)
    seen = ". ".join(f"{one.label}: {in_words(one)}".replace("\n", " ") for one in differences)
    figure = canvas(FULL, height, title, caption, seen)
    panel = figure.subplots()
    panel.axvline(0, color=INK, linewidth=1.0, zorder=1)
    for row, difference in enumerate(differences):
        draw_margin_and_interval(panel, row, difference)
    panel.set_ylim(len(differences) - 0.4, -0.6)
    panel.set_yticks(range(len(differences)), labels)
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=False, axis="y")
    for row in range(1, len(differences)):
        panel.axhline(row - 0.5, color=FAINT, linewidth=0.8, zorder=0)
    panel.set_xlabel(axis)
    panel.margins(x=0.08)
    right = panel.secondary_yaxis("right")
    right.set_yticks(range(len(differences)), list(map(in_words, differences)))
    right.tick_params(length=0)
    if sides is not None:
        low, high = panel.get_xlim()
        for text, place, side in ((f"← {sides[0]}", 0.0, "left"), (f"{sides[1]} →", 1.0, "right")):
            panel.text(place, 1.01, text, transform=panel.transAxes, ha=side, va="bottom", fontsize=SMALL)
        panel.set_xlim(min(low, -0.1 * high), max(high, -0.1 * low))
    settle(figure)
    return figure


def in_words(difference: Difference) -> str:
    """A difference in words: it and its interval, the answer, and the number of runs."""
    interval = (
        "" if difference.low is None or difference.high is None else f" [{difference.low:+.2f}, {difference.high:+.2f}]"
    )
    figures = f"{difference.mean:+.2f}{interval}".replace("-", "\N{MINUS SIGN}")
    return f"{figures}\n{difference.answer}, n = {' and '.join(map(str, difference.runs[::-1]))}"


def draw_margin_and_interval(
    panel: Axes, row: float, difference: Difference, band: tuple[float, float] | None = None
) -> None:
    """A difference at height `row`: a diamond on the line of its interval, over the band of its margin.

    The band fills the row, or reaches over the heights of `band`.
    """
    if difference.margin:
        heights, margin = list(band or (row - 0.5, row + 0.5)), difference.margin
        panel.fill_betweenx(heights, -margin, margin, color=FAINT, linewidth=0, zorder=0, label="margin")
    if difference.low is not None and difference.high is not None:
        ends = [difference.low, difference.high]
        panel.plot(ends, [row, row], color=INK, linewidth=2.4, zorder=2, solid_capstyle="butt", label="interval")
    panel.plot([difference.mean], [row], color=INK, marker="D", markersize=7, zorder=3, label="mean")


def pairs(verdict: Verdict, table: pd.DataFrame) -> list[tuple[Cell, Cell]]:
    """The pairs of a verdict that are of two families, reference first, each once, as rows of the `table` of cells."""
    by_id = {cell.cell_id: cell for cell in rows(table)}
    matched = {tuple(cell.cell_id for cell in pair.cells) for pair in _across(verdict)}
    return [(by_id[first], by_id[second]) for first in by_id for second in by_id if (first, second) in matched]


def differences(verdict: Verdict) -> list[Difference]:
    """Candidate less reference in mean test accuracy, in percentage points, of the pairs of two families.

    Pairs of which one has no run that is done are left out.
    """
    groups = {pair.group for pair in _across(verdict) if pair.better.mean is not None}
    return [one for pair in _across(verdict) if (one := difference(pair, named=len(groups) > 1)) is not None]


def difference(pair: Comparison, named: bool = False) -> Difference | None:
    """The difference of a comparison with the verdict's own interval, `named` with its group; None without one."""
    candidate, reference = brief_labels(pair) if named else (pair.candidate, pair.reference)
    label = f"{candidate}\nminus {reference}" + f"\nat {pair.group}" * named
    return difference_of(pair.better, label, str(pair.better.answer))


def difference_of(better: Better, label: str, answer: str) -> Difference | None:
    """What was judged in percentage points, with that label and answer; None without a difference."""
    if better.mean is None:
        return None
    low, high = (100 * better.interval.low, 100 * better.interval.high) if better.interval else (None, None)
    return Difference(label, 100 * better.mean, low, high, 100 * better.margin, answer, better.runs)


def _across(verdict: Verdict) -> Iterator[Comparison]:
    for pair in verdict.comparisons:
        if pair.cells[0].names["model"] != pair.cells[1].names["model"]:
            yield pair
