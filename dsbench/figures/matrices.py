"""Confusion matrices of cells, summed over the runs that are done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dsbench.run.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd


def confusions(runs: pd.DataFrame, outputs: Path) -> dict[str, np.ndarray]:
    """Test images by true (rows) and predicted class (columns), int64, by cell_id.

    Each is the sum over the cell's runs (see runs_table) that are done. A cell without such a run has none.
    """
    out: dict[str, np.ndarray] = {}
    done = runs[runs["status"] == "done"]
    for run_id, cell_id in zip(done["run_id"], done["cell_id"], strict=True):
        try:
            found = RunFolder(outputs / "runs" / run_id).result() or {}
        except json.JSONDecodeError:  # trained anew and damaged since the table was read
            continue
        if found.get("test_confusion"):
            counts = np.array(found["test_confusion"], dtype=np.int64)
            out[cell_id] = out[cell_id] + counts if cell_id in out else counts
    return out


def shares(counts: np.ndarray) -> np.ndarray:
    """Counts as shares of their row, which is a true class; zeros where a class has no image."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
