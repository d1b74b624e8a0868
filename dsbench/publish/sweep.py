"""A sweep in W&B: one run of the job type sweep in the group of its runs, which holds the table of cells."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.config.schema import WandbConfig
from dsbench.publish.offline import summary_id
from dsbench.tables import Table
from dsbench.tracking.server import mode
from dsbench.tracking.tracker import Card

if TYPE_CHECKING:
    import pandas as pd

    from dsbench.config.schema import Config, LoggerConfig

log = logging.getLogger("dsbench")
Pictured = tuple[Table, Callable[[], bytes]]  # a table, and what draws it as PNG


def mirror_sweep(
    config: Config,
    outputs: Path,
    name: str,
    summary: Mapping[str, Any],
    cells: pd.DataFrame,
    files: Sequence[Path] = (),
    further: Sequence[Pictured] = (),
) -> None:
    """Show the sweep `name` in W&B where that is the logger: `cells` as a Table, and `further` tables with pictures.

    `files`, such as report.html and sweep.yaml, are in one artifact. The mirror of an earlier call for the same sweep
    is replaced. A failure is logged and stops nothing.
    """
    logger = config.logger
    if not isinstance(logger, WandbConfig) or mode(logger.mode) == "disabled":
        return
    card = Card(summary_id(name), f"{name}: cells", name, ("sweep", name), {"sweep": name})
    try:
        _mirror(logger, outputs, card, summary, cells, files, further)
    except Exception as error:  # of a tracker; the sweep's tables are on disk
        log.warning("the tracker shows nothing of the sweep: %s", error)


def shown_offline(logger: LoggerConfig, outputs: Path, name: str) -> bool:
    """Whether an offline run of W&B shows the sweep `name` already, or W&B is not its logger."""
    if not isinstance(logger, WandbConfig) or mode(logger.mode) == "disabled":
        return True
    from dsbench.tracking.wandb import offline_folders

    return mode(logger.mode) == "offline" and bool(offline_folders(outputs, summary_id(name)))


def _mirror(
    logger: WandbConfig,
    outputs: Path,
    card: Card,
    summary: Mapping[str, Any],
    cells: pd.DataFrame,
    files: Sequence[Path],
    further: Sequence[Pictured],
) -> None:
    import wandb
    from PIL import Image

    from dsbench.tracking.wandb import begin

    run = begin(logger, outputs, card, "sweep")
    try:
        run.log({"cells": wandb.Table(dataframe=cells.astype(object).where(cells.notna(), None))})
        for table, picture in further:
            rows = [[entry.text for entry in row] for row in table.rows]
            run.log({table.title: wandb.Table(columns=list(table.texts), data=rows)})
            run.log({f"{table.title}, drawn": wandb.Image(Image.open(io.BytesIO(picture())))})
        run.summary.update(dict(summary))
        if files:
            artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", f"report-{card.group}", flags=re.ASCII), type="report")
            for file in files:
                artifact.add_file(str(file))
            run.log_artifact(artifact)
    finally:
        run.finish()
