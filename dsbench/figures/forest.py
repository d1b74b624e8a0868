"""Paired differences in test accuracy as a forest plot, and the pairs of two families that a verdict has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsbench.figures.axes import Cell, rows, wrapped
from dsbench.figures.style import FAINT, INK, canvas, row_height, settle, styled
from dsbench.numerals import p_equals
from dsbench.verdict import cells
from dsbench.verdict.verdict import Judged, Pair, Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, ROW = 8.6, 0.52  # inches
SPREAD = 0.22  # of a row: how far down the points of seeds reach
LETTERS = 34  # of a line of a label


@dataclass(frozen=True)
class Difference:
    """One pair: the mean of its paired differences, the interval, the difference of each seed, all in one unit.

    `low` and `high` are None where there is no interval, `p_adjusted` where nothing was tested.
    """

    label: str
    mean: float
    low: float | None
    high: float | None
    points: tuple[float, ...]
    p_adjusted: float | None

    @property
    def n(self) -> int:
        """The number of pairs."""
        return len(self.points)


@styled
def draw(
    differences: Sequence[Difference],
    title: str,
    axis: str,
    caption: str = "",
    sides: tuple[str, str] | None = None,
) -> Figure:
    """A row a pair, in order: a point a seed, the mean and its interval, and all of them in words at the right.

    `axis` says what is shown, with its unit; `sides` what a difference below and above 0 means.
    """
    labels = ["\n".join(wrapped(line, LETTERS) for line in difference.label.splitlines()) for difference in differences]
    figure = canvas(WIDTH, 1.0 + row_height(ROW, labels) * len(differences) + 0.2 * (sides is not None), title, caption)
    panel = figure.subplots()
    panel.axvline(0, color=INK, linewidth=1.0, zorder=1)
    for row, difference in enumerate(differences):
        _row(panel, row, difference)
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
            panel.text(place, 1.01, text, transform=panel.transAxes, ha=side, va="bottom", fontsize=8)
        panel.set_xlim(min(low, -0.1 * high), max(high, -0.1 * low))
    settle(figure)
    return figure


def in_words(difference: Difference) -> str:
    """A difference in words: its mean, interval, adjusted p, and number of pairs."""
    interval = (
        "" if difference.low is None or difference.high is None else f" [{difference.low:+.2f}, {difference.high:+.2f}]"
    )
    tested = "" if difference.p_adjusted is None else f"{p_equals(difference.p_adjusted)}, "
    return f"{difference.mean:+.2f}{interval}".replace("-", "\N{MINUS SIGN}") + f"\n{tested}n = {difference.n}"


def _row(panel: Axes, row: int, difference: Difference) -> None:
    if difference.low is not None and difference.high is not None:
        panel.plot(
            [difference.low, difference.high], [row, row], color=INK, linewidth=2.0, zorder=2, solid_capstyle="butt"
        )
    panel.plot([difference.mean], [row], color=INK, marker="D", markersize=6.5, zorder=3, label="mean")
    heights = [row + SPREAD] * difference.n
    panel.scatter(
        difference.points, heights, s=20, facecolors="none", edgecolors=INK, linewidths=0.8, zorder=2.5, label="seeds"
    )


def pairs(verdict: Verdict, table: pd.DataFrame) -> list[tuple[Cell, Cell]]:
    """The pairs of a verdict that are of two families, reference first, each once, as rows of the `table` of cells."""
    by_id = {cell.cell_id: cell for cell in rows(table)}
    matched = {(reference.cell_id, candidate.cell_id) for _, _, (reference, candidate) in _across(verdict)}
    return [(by_id[first], by_id[second]) for first in by_id for second in by_id if (first, second) in matched]


def differences(verdict: Verdict) -> list[Difference]:
    """Candidate less reference in test accuracy, in percentage points, of the pairs of two families in each group.

    Interval and p are the verdict's: Student's t, and the sign-flip test adjusted over the pairs of the group. Pairs
    without a common seed are left out.
    """
    several = len({judged.name for judged, *_ in _across(verdict)}) > 1
    out = []
    for judged, pair, _ in _across(verdict):
        tested = pair.better.tested
        if tested.paired is None:
            continue
        points = tuple(100 * difference for difference in tested.differences)
        spread = tested.paired.t
        low, high = (100 * spread.low, 100 * spread.high) if spread else (None, None)
        label = f"{pair.candidate}\nminus {pair.reference}" + (f"\nat {judged.name}" if several else "")
        out.append(Difference(label, 100 * tested.paired.mean, low, high, points, tested.adjusted_p))
    return out


def _across(verdict: Verdict) -> Iterator[tuple[Judged, Pair, tuple[cells.Cell, cells.Cell]]]:
    for judged in verdict.groups:
        for pair, (reference, candidate) in judged.compared:
            if reference.names["model"] != candidate.names["model"]:
                yield judged, pair, (reference, candidate)
