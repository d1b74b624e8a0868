"""Whether all cells of a sweep can be ranked by what was measured of them, as a Pareto front does."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.numerals import listed
from dsbench.verdict.cells import DATA, Cell
from dsbench.verdict.times.comparison import DECIDING, apart
from dsbench.verdict.times.timings import Key, Records, timings
from dsbench.verdict.times.trained import refused

LATENCY: Key = ("latency_ms", "batch_1", DECIDING)


def unranked(cells: Sequence[Cell], records: Records) -> dict[str, str]:
    """Why cells cannot be ranked by accuracy, train_seconds or latency (of one image), for those by which they cannot.

    Seconds of training rank where nothing was trained beside anything else, which is more than pairs of them ask for.
    """
    done = [cell for cell in cells if cell.done]
    why = {"accuracy": _data(done), "train_seconds": refused(done) or _beside(done), "latency": _latency(done, records)}
    return {name: reason for name, reason in why.items() if reason}


def _data(cells: Sequence[Cell]) -> str:
    for name in DATA:
        values = dict.fromkeys(str(cell.recipe.get(name)) for cell in cells)
        if len(values) > 1:
            return f"accuracies of different {name}: {listed(list(values))}"
    return ""


def _beside(cells: Sequence[Cell]) -> str:
    """Whether runs stood beside others; that all had equally many is settled before."""
    at_once = max((run.n_jobs or 1 for cell in cells for run in cell.done), default=1)
    return f"trained {at_once} at a time, which slows them unequally" if at_once > 1 else ""


def _latency(cells: Sequence[Cell], records: Records) -> str:
    found = [one for cell in cells for one in timings(cell, records) if LATENCY in one.times]
    for one in found:
        if why := apart(found[0], one):
            return why
    return ""
