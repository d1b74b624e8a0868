"""The course of runs, an epoch a row, and what many runs of a cell come to at each epoch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from dsbench.run.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

QUARTILES_FROM = 4  # runs, from which a band is the middle half of them; below it reaches from least to greatest
SCALES = {"acc": 100, "loss": 1}  # from a measure to what its axis shows: accuracies in percent
MEASURES = ("train_loss", "train_acc", "val_loss", "val_acc")


def histories(runs: pd.DataFrame, outputs: Path) -> pd.DataFrame:
    """The rows of metrics.csv of all `runs` (see runs_table) that have one: run_id, cell_id, status, epoch, MEASURES.

    Accuracies are shares of 1. A number that a diverged run has not is missing. A file that is no such table, which no
    run leaves, counts as none.
    """
    import pandas as pd

    columns = ["epoch", *MEASURES]
    found = [
        pd.DataFrame({name: pd.Series(dtype="float64") for name in columns}).assign(run_id="", cell_id="", status="")
    ]
    for run_id, cell_id, status in zip(runs["run_id"], runs["cell_id"], runs["status"], strict=True):
        try:
            table = pd.read_csv(RunFolder(outputs / "runs" / run_id).metrics_file)[columns].astype("float64")
        except (FileNotFoundError, NotADirectoryError, KeyError, ValueError):
            continue
        found.append(table.assign(run_id=run_id, cell_id=cell_id, status=status))
    return pd.concat([one for one in found if len(one)] or found, ignore_index=True).replace(
        [math.inf, -math.inf], math.nan
    )


def course(histories: pd.DataFrame, measure: str, quartiles: bool) -> pd.DataFrame:
    """The runs of one cell at each epoch: `median`, `low` and `high` of the band, and how many `runs` reached it.

    The band is the middle half, or with `quartiles` false from the least to the greatest.
    """
    import pandas as pd

    at = histories.groupby("epoch")[measure]
    low, high = (at.quantile(0.25), at.quantile(0.75)) if quartiles else (at.min(), at.max())
    return pd.DataFrame({"median": at.median(), "low": low, "high": high, "runs": at.size()}).reset_index()
