"""The progress bar of an epoch, moved by Lightning."""

from __future__ import annotations

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.progress import Progress

_REFRESH_SECONDS = 0.2


class Bar(Callback):
    """Moves the bar a few times a second; a step in between costs one look at the clock."""

    def __init__(self, progress: Progress, max_epochs: int) -> None:
        self.progress, self.max_epochs = progress, max_epochs
        self.task = progress.add_task("starting", total=None)
        self._shown = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin an epoch at its first step."""
        name = f"epoch {trainer.current_epoch + 1}/{self.max_epochs}"
        self.progress.update(self.task, description=name, total=trainer.num_training_batches, completed=0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show how far the epoch is."""
        if time.monotonic() - self._shown > _REFRESH_SECONDS:
            self._shown = time.monotonic()
            self.progress.update(self.task, completed=batch_idx + 1)
