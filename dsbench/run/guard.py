"""What asks, while a run trains, whether it is to go on."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from dsbench.run.lease import Held
from dsbench.run.signals import asked, insist
from dsbench.training.checkpoint import Checkpoints


class Guard(Callback):
    """Ends training where another process has taken the run over, before a checkpoint of it is overwritten.

    Where the process was asked to stop, it ends at the end of a step, with a checkpoint.

    Lightning calls callbacks that write checkpoints last.
    """

    def __init__(self, held: Held) -> None:
        self.held = held

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One look at the clock, as a rule."""
        self.held.check()
        if asked() is not None:
            for callback in trainer.checkpoint_callbacks:
                assert isinstance(callback, Checkpoints)
                if callback.rank.ranks == 1:  # of several all would have to save at the same step
                    callback.save_within_epoch(trainer, pl_module)
            insist()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the checkpoints of the epoch."""
        self.held.confirm()
