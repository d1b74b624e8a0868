"""Training a network and testing it once: Lightning's Trainer, set up for short steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.environments import LightningEnvironment

from dsbench.config.schema import Config, EarlyStoppingConfig
from dsbench.network.build import build, formatted
from dsbench.network.description import Network
from dsbench.training.checkpoint import Checkpoints
from dsbench.training.classifier import Classifier
from dsbench.training.datamodule import ImageData
from dsbench.training.device import LIGHTNING_PRECISION, Compute, set_up_process
from dsbench.training.history import Epoch, diverged, should_stop, status_and_remark
from dsbench.training.stop import End


@dataclass(frozen=True)
class Training:
    """All that training a network is given: which one, how, until when, on what device, and where checkpoints go.

    `test_weights` is best or last, the checkpoint that is tested; training goes on from `last` where there is one.
    """

    config: Config
    network: Network
    end: End
    compute: Compute
    test_weights: str
    last: Path
    best: Path


@dataclass(frozen=True)
class Fitted:
    """How training ended: `status` is done, diverged or collapsed; the test figures are None where there was no test.

    `confusion` counts test images, true classes in rows, predicted ones in columns; `correct` says of each test image,
    in the order of the set, whether it was predicted right. The `remark` is status_and_remark's.
    """

    status: str
    history: list[Epoch]
    test_acc: float | None = None
    test_loss: float | None = None
    confusion: list[list[int]] | None = None
    correct: list[bool] | None = None
    remark: str | None = None


def fit(training: Training, on_epoch: Callable[[list[Epoch]], None], callbacks: Sequence[Callback] = ()) -> Fitted:
    """Train to the end, from the last checkpoint where there is one, and test once.

    `on_epoch` is given the history after each epoch.
    """
    set_up_process()
    config, compute = training.config, training.compute
    channels_last = compute.memory_format == "channels_last"
    data = ImageData(config.data, config.train.batch_size, config.seed, compute.device, channels_last)
    data.setup()
    module = Classifier(formatted(build(training.network, config.seed), compute.memory_format), training)
    checkpoints = Checkpoints(training.last, training.best, config.train.checkpoint_minutes, on_epoch)
    trainer = _trainer(config, compute, [Stopping(training.end, config.train.early_stopping), checkpoints, *callbacks])
    resumed = training.last if training.last.exists() else None
    trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True)
    history = module.history
    if diverged(history):
        return Fitted("diverged", history)
    if training.test_weights == "best":
        module.load_state_dict(torch.load(training.best, map_location="cpu", weights_only=True)["state_dict"])
    trainer.test(module, datamodule=data, verbose=False)
    test = module.test_figures
    confusion = test.confusion.tolist()
    shares = data.train.majority_share, data.val.majority_share
    status, remark = status_and_remark(
        history, training.test_weights, config.train.batch_size, *shares, len(data.val.rows), confusion
    )
    return Fitted(status, history, test.accuracy, test.loss, confusion, module.test_correct, remark)


class Stopping(Callback):
    """Ends training where `end` says, and earlier when the early-stopping rule does or the loss is no longer a number.

    Between epochs it decides from the history alone, so that a resumed run decides as an uninterrupted one.
    """

    def __init__(self, end: End, rule: EarlyStoppingConfig) -> None:
        self.end, self.rule = end, rule

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run resumed after its last epoch ends at once."""
        self._decide(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End the last epoch at its last step; Lightning validates as at the end of any other."""
        assert isinstance(pl_module, Classifier)
        trainer.should_stop = self.end.reached(*pl_module.spent(batch_idx + 1))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the epochs so far."""
        self._decide(trainer, pl_module)

    def _decide(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        history = pl_module.history
        if history:
            ended = self.end.reached(*pl_module.spent())
            trainer.should_stop = ended or diverged(history) or should_stop(history, self.rule)


def _trainer(config: Config, compute: Compute, callbacks: list[Callback]) -> Trainer:
    """A Trainer without what costs time each step and is not used: loggers, sanity checks, summaries, bars."""
    return Trainer(
        accelerator="gpu" if compute.device.type == "cuda" else compute.device.type,
        devices=1,
        plugins=[LightningEnvironment()],  # one process, even where SLURM started several
        precision=LIGHTNING_PRECISION[compute.precision],  # type: ignore[arg-type]
        max_epochs=-1,  # Stopping ends it, within an epoch too
        gradient_clip_val=config.train.grad_clip_norm,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
