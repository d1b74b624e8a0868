"""Sweeps on disk that were never trained: records, courses and the tables that they give."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_sweeps import Made, four_cells

from dsbench.sweep.collect import CODE, OUTCOMES
from dsbench.sweep.folder import SweepFolder

COLUMNS = ("epoch", "train_loss", "train_acc", "val_loss", "val_acc")


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Made]:
    """Writes records, a course of `epochs` rows each, and confusion matrices of two classes; reads the sweep."""

    def make(records: Sequence[dict[str, Any]], epochs: Callable[[dict[str, Any]], int] = lambda _: 3) -> Made:
        for number, one in enumerate(records):
            if one["status"] == "missing":
                continue
            folder = tmp_path / "runs" / one["run_id"]
            folder.mkdir(parents=True)
            known = one | ({"test_confusion": [[8, 2], [number, 5]]} if one["status"] == "done" else {})
            (folder / "result.json").write_text(json.dumps(known, indent=2))
            top = one.get("test_acc") or 0.1
            rows = [(epoch, 2 / epoch, top * (1 - 0.5**epoch), 3 / epoch, top) for epoch in range(1, epochs(one) + 1)]
            pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(folder / "metrics.csv", index=False)
        folder = SweepFolder(tmp_path / "sweeps" / "made")
        known = (*OUTCOMES, *CODE)
        folder.write_plan([{key: one[key] for key in one if key not in known} for one in records], ["made"])
        return Made(folder, *folder.read(), tmp_path)

    return make


@pytest.fixture
def four(made: Callable[..., Made]) -> Made:
    """Two families at two widths, three seeds each, all done."""
    return made(four_cells())
