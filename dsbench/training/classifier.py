"""The Lightning module: the step of training, what is counted of a pass over a split, and the clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_confusion_matrix

from dsbench.seeds import derived
from dsbench.training.batches import Batches
from dsbench.training.history import Epoch
from dsbench.training.recipe import can_be_fused, factor, optimizer

if TYPE_CHECKING:
    from dsbench.training.datamodule import ImageData
    from dsbench.training.fit import Training


class Classifier(LightningModule):
    """Trains `network` on images (B, C, H, W) as `training` says; `history` grows by one row an epoch.

    The seed and the epoch decide dropout.
    """

    def __init__(self, network: nn.Module, training: Training) -> None:
        super().__init__()
        self.network, self.config, self.end = network, training.config, training.end
        self.classes, self.precision = training.network.classes, training.compute.precision
        self.history: list[Epoch] = []
        self._resumed: dict[str, Any] | None = None
        self._watch, self._earlier_seconds = Stopwatch(), 0.0  # of this epoch, of those before it

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimizer; its learning rate is set at each step from progress (see training_step)."""
        fused = can_be_fused(self.config.train.grad_clip_norm, self.precision)
        return optimizer(self.network, self.config.optimizer, fused)

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
        torch.manual_seed(derived(self.config.seed, "dropout", self.current_epoch))
        self._train, self._watch = Tally(self.classes, self._batches), Stopwatch()
        self._watch.start()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of one batch; sets this step's learning rate first."""
        images, labels = batch
        progress = self.end.progress(*self.spent(batch_idx))
        self._lr = self.config.optimizer.lr * factor(self.config.schedule, progress, self.current_epoch)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self._lr
        logits = self.network(images).float()
        loss = cross_entropy(logits, labels, label_smoothing=self.config.train.label_smoothing)
        self._train.add(loss, logits, labels)
        return loss

    def on_validation_start(self) -> None:
        """Stop the clock of the epoch's training, once the device has done it all."""
        self._val = Tally(self.classes, self._data.val)
        self._train.wait()
        self._watch.stop()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count one validation batch."""
        self._count(self._val, batch)

    def on_validation_end(self) -> None:
        """Add the epoch to the history, before the callbacks that decide by it see the epoch end."""
        train, val, seconds = self._train.figures(), self._val.figures(), self._watch.seconds()
        row = Epoch(
            epoch=self.current_epoch + 1,
            train_loss=train.loss,
            train_acc=train.accuracy,
            val_loss=val.loss,
            val_acc=val.accuracy,
            val_top_share=val.top_share,
            lr=self._lr,
            images_per_second=train.images / seconds,
            epoch_seconds=seconds,
        )
        self._set_history([*self.history, row])

    def on_test_start(self) -> None:
        """Begin the test's count."""
        self._test = Tally(self.classes, self._data.test)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count one test batch."""
        self._count(self._test, batch)

    @property
    def test_figures(self) -> Figures:
        """What the test came to."""
        return self._test.figures()

    @property
    def test_correct(self) -> list[bool]:
        """Whether each test image was predicted right, in the order of the test set."""
        return self._test.correct()

    def spent(self, batches: int = 0) -> tuple[int, float]:
        """Optimizer steps and seconds of training so far, `batches` steps of them in an epoch that has not ended.

        Within an epoch nothing waits for a device that computes asynchronously: it may be some steps behind.
        """
        return len(self.history) * len(self._batches) + batches, self._earlier_seconds + self._watch.seconds()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, time is not counted as training."""
        self._train.wait()
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
            "rng": [torch.get_rng_state()],  # lists, as in checkpoints of when several processes could train together
            "cuda_rng": [torch.cuda.get_rng_state() if self.device.type == "cuda" else None],
            "seconds": self._watch.seconds(),
            "train": self._train.state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the history, and keep the state within an epoch for its start."""
        self._set_history(checkpoint["history"])
        self._resumed = checkpoint.get("within_epoch")

    @property
    def _batches(self) -> Batches:
        return self._data.train

    @property
    def _data(self) -> ImageData:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def _continue(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["rng"][0])
        if (cuda_rng := state["cuda_rng"][0]) is not None:
            torch.cuda.set_rng_state(cuda_rng)
        self._watch = Stopwatch(state["seconds"])
        self._watch.start()
        self._train = Tally.of(self.classes, state["train"], self._batches)

    def _set_history(self, history: list[Epoch]) -> None:
        self.history, self._watch = history, Stopwatch()
        self._earlier_seconds = sum(row["epoch_seconds"] for row in history)

    def _count(self, tally: Tally, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        logits = self.network(images).float()
        tally.add(cross_entropy(logits, labels), logits, labels)


@dataclass(frozen=True)
class Figures:
    """What a pass over a split came to: how many `images`, their mean `loss`, and the counts of their predictions.

    `confusion` (classes, classes) has true classes in rows, predicted ones in columns.
    """

    images: int
    loss: float
    confusion: Tensor

    @property
    def accuracy(self) -> float:
        """The share of images predicted right."""
        return self.confusion.trace().item() / self.images

    @property
    def top_share(self) -> float:
        """The share of images that get the class predicted most often."""
        return self.confusion.sum(0).max().item() / self.images


class Tally:
    """Losses and predictions of one pass over a split, on the device until the end of the pass.

    A torchmetrics metric updated at each step would cost the smallest networks a hundredth or more of their step and
    make every step wait for a GPU; its function is called once a pass instead. All is written into memory taken before
    the pass: tensors kept from each step would lie between the activations of the next, which then find no place where
    those of the last one were, and a run would take half as much memory again.
    """

    def __init__(self, classes: int, batches: Batches) -> None:
        """For a pass over `batches`."""
        device, images = batches.device, len(batches.rows)
        self.classes = classes
        self._losses = torch.zeros(len(batches), device=device)
        self._predictions = torch.zeros(images, dtype=torch.int64, device=device)
        self._labels = torch.zeros(images, dtype=torch.int64, device=device)
        self._ends: list[int] = []  # of each batch, in images

    @classmethod
    def of(cls, classes: int, state: dict[str, Tensor], batches: Batches) -> Tally:
        """The tally whose `state` this is, to go on with."""
        tally = cls(classes, batches)
        tally._ends = state["sizes"].cumsum(0).tolist()
        for mine, theirs in zip(
            tally._counted(), (state["losses"], state["predictions"], state["labels"]), strict=True
        ):
            mine.copy_(theirs)
        return tally

    def state(self) -> dict[str, Tensor]:
        """Plain tensors for a checkpoint within an epoch."""
        losses, predictions, labels = (counted.cpu().clone() for counted in self._counted())
        return {"sizes": self._sizes(), "losses": losses, "predictions": predictions, "labels": labels}

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one batch: its mean loss, its logits (B, classes), its labels (B,)."""
        start = self._images
        end = start + len(labels)
        self._losses[len(self._ends)] = loss.detach()
        torch.argmax(logits.detach(), 1, out=self._predictions[start:end])
        self._labels[start:end] = labels
        self._ends.append(end)

    def wait(self) -> None:
        """Return once the device has computed all that was counted."""
        self._losses[len(self._ends) - 1].item()

    def figures(self) -> Figures:
        """What the batches counted come to."""
        sizes = self._sizes()
        losses, predictions, labels = self._counted()
        loss = (losses.cpu().double() * sizes).sum() / sizes.sum()
        confusion = multiclass_confusion_matrix(predictions, labels, self.classes, validate_args=False).cpu()
        return Figures(len(labels), float(loss), confusion)

    def correct(self) -> list[bool]:
        """Whether each image counted was predicted right, in their order."""
        _, predictions, labels = self._counted()
        return (predictions == labels).tolist()

    @property
    def _images(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _counted(self) -> tuple[Tensor, Tensor, Tensor]:
        """The losses, predictions and labels so far."""
        return self._losses[: len(self._ends)], self._predictions[: self._images], self._labels[: self._images]

    def _sizes(self) -> Tensor:
        return torch.tensor(self._ends).diff(prepend=torch.tensor([0]))


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
