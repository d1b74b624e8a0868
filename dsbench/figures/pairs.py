"""Pairs of cells that differ in their family alone, and the differences of their runs, seed by seed."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from dsbench.figures.forest import Difference
from dsbench.figures.rows import Cell, rows
from dsbench.sweep.cells import LEVEL
from dsbench.sweep.naming import naming

if TYPE_CHECKING:
    import pandas as pd

_OF_THE_FAMILY = ("model", "block", "study", "test_weights")  # columns of names that a family brings with it


def pairs(cells: pd.DataFrame) -> list[tuple[Cell, Cell]]:
    """The pairs of cells (see cells_table) of two families that have all else in common.

    Widths that a budget has solved are no difference, the budget is.
    """
    if cells.empty:
        return []
    budgeted = cells["requested_target"].notna().tolist()
    columns = {name: texts for name, texts in naming(cells).columns.items() if name not in _OF_THE_FAMILY}
    known = rows(cells)
    out = []
    for one, other in combinations(range(len(known)), 2):
        solved = budgeted[one] or budgeted[other]
        differing = [name for name, texts in columns.items() if texts[one] != texts[other]]
        # A match has no budget of its own: its target is what the other family costs at the width given.
        if known[one].model != known[other].model and set(differing) <= ({"width"} if solved else set()):
            out.append((known[one], known[other]))
    return out


def differences(runs: pd.DataFrame, pairs: list[tuple[Cell, Cell]]) -> list[Difference]:
    """The second cell's test accuracy less the first's, in percentage points, over the seeds that both have done.

    The interval is that of the mean by Student's t, of one pair alone; nothing is tested. Pairs without a common seed
    are left out.
    """
    from statistics import fmean, stdev

    from scipy.special import stdtrit

    done = runs[(runs["status"] == "done") & runs["test_acc"].notna() & runs["seed"].notna()]
    keys = done["cell_id"].fillna(done["run_id"])
    out = []
    for one, other in pairs:
        first, second = (
            dict(zip(own["seed"].tolist(), own["test_acc"].tolist(), strict=True))
            for own in (done[keys == one.cell_id], done[keys == other.cell_id])
        )
        points = tuple(100 * (second[seed] - first[seed]) for seed in sorted(first.keys() & second.keys()))
        if not points:
            continue
        mean, n = fmean(points), len(points)
        half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * stdev(points) / n**0.5 if n > 1 else None
        label = f"{other.called}\nminus {one.called}"
        low, high = (None, None) if half is None else (mean - half, mean + half)
        out.append(Difference(label, mean, low, high, points, None))
    return out
