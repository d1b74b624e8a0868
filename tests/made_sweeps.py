"""Sweeps that were never trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from synthetic import read, run

from dsbench.results.folder import SweepFolder
from dsbench.run.folder import RunFolder
from dsbench.run.record import Record

COLUMNS = ("epoch", "train_loss", "train_acc", "val_loss", "val_acc")
CELLS = (
    {"model": "cnn", "width": 4, "params": 4_000, "macs": 900, "acts": 10, "flops": 1_800},
    {"model": "cnn", "width": 8, "params": 16_000, "macs": 3_600, "acts": 20, "flops": 7_200},
    {"model": "dwsep", "block": "keras", "width": 4, "params": 500, "macs": 100, "acts": 44, "flops": 200},
    {"model": "dwsep", "block": "keras", "width": 8, "params": 2_000, "macs": 400, "acts": 88, "flops": 800},
)


@dataclass(frozen=True)
class Made:
    """A sweep: its folder, its tables, the folder of results."""

    folder: SweepFolder
    runs: pd.DataFrame
    cells: pd.DataFrame
    outputs: Path


def four_cells(seeds: int = 3) -> list[dict[str, Any]]:
    """Two families at two widths; accuracy .8 + width / 100 + seed / 1000, dwsep's .02 lower."""
    return [
        run(
            seed=seed,
            test_acc=0.8 + cell["width"] / 100 + seed / 1000 - 0.02 * (cell["model"] == "dwsep"),
            train_seconds=cell["width"] + seed / 10,
            latency_ms={"batch_1": {"torch": {"median": cell["width"] / 10, "iqr": 0.01, "settled": True}}},
            **cell,
        )
        for cell in CELLS
        for seed in range(seeds)
    ]


def make(
    outputs: Path, records: Sequence[dict[str, Any]], epochs: Callable[[dict[str, Any]], int] = lambda _: 3
) -> Made:
    """Write records, a course of `epochs` rows each, and confusion matrices of two classes; read the sweep."""
    for number, record in enumerate(records):
        if record["status"] == "missing":
            continue
        folder = outputs / "runs" / record["run_id"]
        folder.mkdir(parents=True)
        confusion = [[8, 2], [number, 5]] if record["status"] == "done" else None
        RunFolder(folder).write_result(Record.of(record), confusion)
        top = record.get("test_acc") or 0.1
        rows = [(epoch, 2 / epoch, top * (1 - 0.5**epoch), 3 / epoch, top) for epoch in range(1, epochs(record) + 1)]
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(folder / "metrics.csv", index=False)
    folder = SweepFolder(outputs / "sweeps" / "made")
    folder.write_plan(read(records), ["made"])
    return Made(folder, *folder.read(), outputs)
