"""Lightning's Trainer, set up for short steps, around one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.environments import LightningEnvironment

from dsbench.config.schema import Config, EarlyStoppingConfig
from dsbench.network.build import build
from dsbench.network.description import Network
from dsbench.training.checkpoint import Checkpoints
from dsbench.training.classifier import Classifier, Recipe
from dsbench.training.datamodule import ImageData
from dsbench.training.device import LIGHTNING_PRECISION, Compute, set_up_process
from dsbench.training.history import Epoch, collapsed, diverged, should_stop
from dsbench.training.recipe import can_be_fused
from dsbench.training.stop import Stop


@dataclass(frozen=True)
class Outcome:
    """How training ended: `status` is done, diverged or collapsed; the test figures are None where there was no test.

    `confusion` counts test images, true classes in rows, predicted ones in columns.
    """

    status: str
    history: list[Epoch]
    test_acc: float | None = None
    test_loss: float | None = None
    confusion: list[list[int]] | None = None


class Stopping(Callback):
    """Ends training where `stop` says, and earlier when the early-stopping rule does or the loss is no longer a number.

    Between epochs it decides from the history alone, so that a resumed run decides as an uninterrupted one.
    """

    def __init__(self, stop: Stop, rule: EarlyStoppingConfig) -> None:
        self.stop, self.rule = stop, rule

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run resumed after its last epoch ends at once."""
        self._decide(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End the last epoch at its last step; Lightning validates as at the end of any other."""
        assert isinstance(pl_module, Classifier)
        trainer.should_stop = self.stop.reached(*pl_module.spent(batch_idx + 1))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the epochs so far."""
        self._decide(trainer, pl_module)

    def _decide(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        history = pl_module.history
        if history:
            ended = self.stop.reached(*pl_module.spent())
            trainer.should_stop = ended or diverged(history) or should_stop(history, self.rule)


def fit(
    config: Config,
    network: Network,
    stop: Stop,
    compute: Compute,
    test_weights: str,
    last: Path,
    best: Path,
    on_epoch: Callable[[list[Epoch]], None],
    callbacks: list[Callback],
) -> Outcome:
    """Train `network` as `config` says until `stop`, from the checkpoint `last` where there is one, and test it once.

    `on_epoch` is given the history after each epoch. `last` and `best` are where checkpoints are kept.
    """
    set_up_process()
    data = ImageData(config.data, config.train.batch_size, config.seed, compute.device)
    data.setup()
    train = config.train
    fused = can_be_fused(train.grad_clip_norm, compute.precision)
    recipe = Recipe(config.optimizer, config.schedule, stop, train.label_smoothing, fused)
    module = Classifier(build(network, config.seed), network.classes, recipe, config.seed)
    checkpoints = Checkpoints(last, best, config.train.checkpoint_minutes, on_epoch)
    trainer = _trainer(config, compute, [Stopping(stop, config.train.early_stopping), checkpoints, *callbacks])
    trainer.fit(module, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    history = module.history
    if diverged(history):
        return Outcome("diverged", history)
    if test_weights == "best":
        module.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
    trainer.test(module, datamodule=data, verbose=False)
    tally = module.test_tally
    status = "collapsed" if collapsed(history, data.majority_share) else "done"
    return Outcome(status, history, tally.accuracy(), tally.loss(), tally.confusion().tolist())


def _trainer(config: Config, compute: Compute, callbacks: list[Callback]) -> Trainer:
    """A Trainer without what costs time each step and is not used: loggers, sanity checks, summaries, bars."""
    return Trainer(
        accelerator="gpu" if compute.device.type == "cuda" else compute.device.type,
        devices=1 if compute.device.index is None else [compute.device.index],
        plugins=[LightningEnvironment()],  # a run of its own to Lightning, also one that SLURM started
        precision=LIGHTNING_PRECISION[compute.precision],  # type: ignore[arg-type]
        max_epochs=-1,  # Stopping ends it, within an epoch too
        gradient_clip_val=config.train.grad_clip_norm,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
