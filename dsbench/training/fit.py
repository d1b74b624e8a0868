"""Training a network and testing it once: Lightning's Trainer, set up for short steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.environments import LightningEnvironment

from dsbench.config.schema import Config, EarlyStoppingConfig
from dsbench.network.build import build
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
    `permit` is called before a checkpoint is written, and raises where this process may not.
    """

    config: Config
    network: Network
    end: End
    compute: Compute
    test_weights: str
    last: Path
    best: Path
    permit: Callable[[], None] = lambda: None


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


def fit(
    trainings: Sequence[Training], on_epoch: Callable[[int, list[Epoch]], None], callbacks: Sequence[Callback] = ()
) -> list[Fitted | Exception]:
    """Train to the end, from the last checkpoints where there are any, and test once; what each came to, in order.

    Trainings differ in their seeds alone, and their last checkpoints stand at one step. `on_epoch` is given the number
    of a training, from 0, and its history after each epoch. An error of one, in its checkpoints or in `on_epoch`, is
    what it came to and disturbs no other.
    """
    outcomes: list[Fitted | Exception] = []
    for number, training in enumerate(trainings):
        try:
            outcomes.append(_fit(training, partial(on_epoch, number), callbacks))
        except Exception as error:
            outcomes.append(error)
    return outcomes


def _fit(training: Training, on_epoch: Callable[[list[Epoch]], None], callbacks: Sequence[Callback]) -> Fitted:
    set_up_process()
    config, compute = training.config, training.compute
    data = ImageData(config.data, config.train.batch_size, config.seed, compute.device)
    data.setup()
    module = Classifier(build(training.network, config.seed), training)
    minutes = config.train.checkpoint_minutes
    checkpoints = Checkpoints(training.last, training.best, minutes, on_epoch, training.permit)
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
