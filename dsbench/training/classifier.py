"""Counting losses and predictions over a pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_confusion_matrix

from dsbench.config.schema import OptimizerConfig, ScheduleConfig
from dsbench.seeds import derived
from dsbench.training.batches import Batches
from dsbench.training.history import Epoch
from dsbench.training.recipe import factor, optimizer
from dsbench.training.stop import Stop


class Tally:
    """Losses and predictions of one pass over a split, kept on the device until the end of the pass."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.losses: list[Tensor] = []
        self.predictions: list[Tensor] = []
        self.labels: list[Tensor] = []

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one batch: its mean loss, its logits (B, classes), its labels (B,)."""
        self.losses.append(loss.detach())
        self.predictions.append(logits.detach().argmax(1))
        self.labels.append(labels)

    def images(self) -> int:
        """The number of images counted."""
        return sum(len(labels) for labels in self.labels)

    def loss(self) -> float:
        """The mean loss over images."""
        sizes = torch.tensor([len(labels) for labels in self.labels])
        return float((torch.stack(self.losses).cpu().double() * sizes).sum() / sizes.sum())

    def accuracy(self) -> float:
        """The share of images predicted right."""
        counts = self.confusion()
        return counts.trace().item() / counts.sum().item()

    def top_share(self) -> float:
        """The share of images that get the class predicted most often."""
        predictions = torch.cat(self.predictions)
        return predictions.bincount().max().item() / len(predictions)

    def confusion(self) -> Tensor:
        """Counts (classes, classes): rows are true classes, columns predicted ones."""
        predictions, labels = torch.cat(self.predictions), torch.cat(self.labels)
        return multiclass_confusion_matrix(predictions, labels, self.classes, validate_args=False).cpu()

    def state(self) -> dict[str, Tensor]:
        """Plain tensors for a checkpoint within an epoch."""
        return {
            "sizes": torch.tensor([len(labels) for labels in self.labels]),
            "losses": torch.stack(self.losses).cpu(),
            "predictions": torch.cat(self.predictions).cpu(),
            "labels": torch.cat(self.labels).cpu(),
        }

    def load(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Go on from where `state` was taken."""
        sizes = state["sizes"].tolist()
        self.losses = list(state["losses"].to(device))
        self.predictions = list(state["predictions"].to(device).split(sizes))
        self.labels = list(state["labels"].to(device).split(sizes))


class Stopwatch:
    """Adds up the seconds during which it runs, to those it is given; it stands until it is started."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._counted = seconds
        self._since: float | None = None

    def start(self) -> None:
        """Run from now on."""
        self._since = perf_counter()

    def stop(self) -> None:
        """Stand from now on."""
        self._counted, self._since = self.seconds(), None

    def seconds(self) -> float:
        """The seconds so far."""
        return self._counted if self._since is None else self._counted + perf_counter() - self._since


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: everything but the network, the data and the seed."""

    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    stop: Stop
    label_smoothing: float
    fused: bool = True


class Classifier(LightningModule):
    """Trains `network` on images (B, C, H, W) with `recipe`; `history` grows by one row an epoch.

    `seed` and the epoch decide dropout.
    """

    def __init__(self, network: nn.Module, classes: int, recipe: Recipe, seed: int) -> None:
        super().__init__()
        self.network, self.classes, self.recipe, self.seed = network, classes, recipe, seed
        self.history: list[Epoch] = []
        self._resumed: dict[str, Any] | None = None
        self._watch, self._earlier_seconds = Stopwatch(), 0.0  # of this epoch, of those before it

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimizer; its learning rate is set at each step from progress (see training_step)."""
        return optimizer(self.network, self.recipe.optimizer, self.recipe.fused)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, classes)."""
        return self.network(images)

    def on_train_start(self) -> None:
        """Go on within an epoch that was interrupted; Lightning does not call on_train_epoch_start for it."""
        if self._resumed is not None:
            self.on_train_epoch_start()
            self._continue(self._resumed)
            self._resumed = None

    def on_train_epoch_start(self) -> None:
        """Make dropout, and the order of images, functions of seed and epoch, so that a resumed epoch repeats them."""
        self._batches.epoch = self.current_epoch
        torch.manual_seed(derived(self.seed, "dropout", self.current_epoch))
        self._train, self._watch = Tally(self.classes), Stopwatch()
        self._watch.start()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of one batch; sets this step's learning rate first."""
        images, labels = batch
        progress = self.recipe.stop.progress(*self.spent(batch_idx))
        self._lr = self.recipe.optimizer.lr * factor(self.recipe.schedule, progress, self.current_epoch)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self._lr
        logits = self.network(images).float()
        loss = cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        self._train.add(loss, logits, labels)
        return loss

    def on_validation_start(self) -> None:
        """Stop the clock of the epoch's training, once the device has done it all."""
        self._val = Tally(self.classes)
        self._train.loss()  # waits for the device
        self._watch.stop()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count one validation batch."""
        self._count(self._val, batch)

    def on_validation_end(self) -> None:
        """Add the epoch to the history, before the callbacks that decide by it see the epoch end."""
        seconds = self._watch.seconds()
        train, val = self._train, self._val
        row = Epoch(
            epoch=self.current_epoch + 1,
            train_loss=train.loss(),
            train_acc=train.accuracy(),
            val_loss=val.loss(),
            val_acc=val.accuracy(),
            val_top_share=val.top_share(),
            lr=self._lr,
            images_per_second=train.images() / seconds,
            epoch_seconds=seconds,
        )
        self._record([*self.history, row])

    def on_test_start(self) -> None:
        """Begin the test's count."""
        self.test_tally = Tally(self.classes)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count one test batch."""
        self._count(self.test_tally, batch)

    def spent(self, batches: int = 0) -> tuple[int, float]:
        """Optimizer steps and seconds of training so far, `batches` steps of them in an epoch that has not ended.

        Within an epoch nothing waits for a device that computes asynchronously: it may be some steps behind.
        """
        return len(self.history) * len(self._batches) + batches, self._earlier_seconds + self._watch.seconds()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, time is not counted as training."""
        self._train.loss()  # waits for the device
        self._watch.stop()
        try:
            yield
        finally:
            self._watch.start()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the history and, within an epoch, all that the rest of it depends on. Tensors and plain values only."""
        checkpoint["history"] = [dict(row) for row in self.history]
        if self.history and self.history[-1]["epoch"] == self.current_epoch + 1:
            return
        checkpoint["within_epoch"] = {
            "rng": [torch.get_rng_state()],
            "cuda_rng": [torch.cuda.get_rng_state() if self.device.type == "cuda" else None],
            "seconds": self._watch.seconds(),
            "train": self._train.state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the history, and keep the state within an epoch for its start."""
        self._record(checkpoint["history"])
        self._resumed = checkpoint.get("within_epoch")

    @property
    def _batches(self) -> Batches:
        return self.trainer.datamodule.train  # type: ignore[attr-defined]

    def _continue(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["rng"][0])
        if (cuda_rng := state["cuda_rng"][0]) is not None:
            torch.cuda.set_rng_state(cuda_rng)
        self._watch = Stopwatch(state["seconds"])
        self._watch.start()
        self._train.load(state["train"], self.device)

    def _record(self, history: list[Epoch]) -> None:
        self.history, self._watch = history, Stopwatch()
        self._earlier_seconds = sum(row["epoch_seconds"] for row in history)

    def _count(self, tally: Tally, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        logits = self.network(images).float()
        tally.add(cross_entropy(logits, labels), logits, labels)
