"""A run in TensorBoard's event files."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dsbench.errors import InputError
from dsbench.tracking.tracker import Card
from dsbench.training.history import Epoch


def check_installed() -> None:
    """Raise InputError where the tensorboard package is not installed."""
    if find_spec("tensorboard") is None:
        raise InputError("logger=tensorboard needs the package: pip install 'dsbench[tensorboard]'")


class TensorboardTracker:
    """One event file under `outputs/tensorboard/<run_id>`."""

    def __init__(self, outputs: Path, card: Card) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = outputs / "tensorboard" / card.run_id
        shutil.rmtree(folder, ignore_errors=True)
        self.card = card
        self.writer = SummaryWriter(str(folder), flush_secs=5)
        self.writer.add_text("run", card.name)

    def epoch(self, row: Epoch) -> None:
        """Write one epoch's metrics, the epoch as the step."""
        for key, value in row.items():
            if key != "epoch":
                self.writer.add_scalar(key, value, row["epoch"])

    def finish(self, summary: dict[str, Any], confusion: list[list[int]] | None, failed: bool) -> None:
        """Write the result beside the hyper-parameters, and close."""
        numbers = {f"result/{k}": v for k, v in summary.items() if isinstance(v, (int, float))}
        self.writer.add_hparams(self.card.hparams, numbers, run_name=".")
        self.writer.close()
