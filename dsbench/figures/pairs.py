"""The pairs of a verdict as pictures show them: cells of two families, and their differences seed by seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dsbench.figures.forest import Difference
from dsbench.figures.rows import Cell, rows
from dsbench.verdict import cells
from dsbench.verdict.judge import Verdict
from dsbench.verdict.judged import Judged, Pair

if TYPE_CHECKING:
    import pandas as pd


def pairs(verdict: Verdict, table: pd.DataFrame) -> list[tuple[Cell, Cell]]:
    """The pairs of a verdict that are of two families, reference first, each once, as rows of the `table` of cells."""
    known = {cell.cell_id: cell for cell in rows(table)}
    found = {(one.cell_id, other.cell_id) for _, _, (one, other) in _across(verdict)}
    ordered = [(one, other) for one in known for other in known if (one, other) in found]
    return [(known[one], known[other]) for one, other in ordered]


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
