"""The progress bar of an epoch, moved by Lightning."""

from __future__ import annotations

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.progress import Progress

from dsbench.training.classifier import Classifier
from dsbench.training.stop import Stop

_REFRESH_SECONDS = 0.2


class Bar(Callback):
    """Moves the bar a few times a second; a step in between costs one look at the clock."""

    def __init__(self, progress: Progress, stop: Stop) -> None:
        self.progress, self.stop = progress, stop
        self.task = progress.add_task("starting", total=None)
        self._shown = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin an epoch at its first step."""
        self._show(pl_module, 0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show how far the epoch is."""
        if time.monotonic() - self._shown > _REFRESH_SECONDS:
            self._shown = time.monotonic()
            self._show(pl_module, batch_idx + 1)

    def _show(self, pl_module: LightningModule, steps: int) -> None:
        assert isinstance(pl_module, Classifier)
        _, seconds = pl_module.spent()
        name, done, total = self.stop.bar(pl_module.current_epoch, steps, seconds)
        self.progress.update(self.task, description=name, completed=done, total=total)
