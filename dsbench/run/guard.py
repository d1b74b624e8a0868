"""What asks, while a run trains, whether it is to go on."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from dsbench.run.lease import Held
from dsbench.run.signals import insist


class Guard(Callback):
    """Ends training where another process has taken the run over, before a checkpoint of it is overwritten, and where a
    request to stop was lost.

    Lightning calls callbacks that write checkpoints last.
    """

    def __init__(self, held: Held) -> None:
        self.held = held

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One look at the clock, as a rule."""
        insist()
        self.held.check()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the checkpoints of the epoch."""
        self.held.confirm()
