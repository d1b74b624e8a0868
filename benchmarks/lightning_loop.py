"""The usual Lightning way: a torchvision-style Dataset, transforms of one image at a time, a DataLoader, all defaults.

python lightning_loop.py CASE FOLDER ROWS EPOCHS THREADS OUT WORKERS trains on the images in FOLDER whose numbers are
in ROWS, and writes to OUT the parameters and the seconds of each epoch as JSON. Reading follows torchvision's MNIST,
the step lightning-hydra-template's; the memory format is the default one, as hardly a program in this style sets it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dsbench import torchvision_ops

torchvision_ops.ensure()  # torchvision's wheel does not import beside a CPU-only torch

import pytorch_lightning as pl  # noqa: E402
from PIL import Image  # noqa: E402
from recipes import RECIPES, Recipe  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.data import DataLoader, Dataset, Subset  # noqa: E402
from torchmetrics import MeanMetric  # noqa: E402
from torchmetrics.classification import MulticlassAccuracy  # noqa: E402
from torchvision import transforms  # noqa: E402


class Images(Dataset):
    """Images in memory, given out one at a time as PIL would have them."""

    def __init__(self, folder: Path, part: str = "train", recipe: Recipe | None = None) -> None:
        self.data = torch.from_numpy(np.load(folder / f"x_{part}.npy")).squeeze(-1)
        self.targets = torch.from_numpy(np.load(folder / f"y_{part}.npy")).long()
        channels = self.data[0].numel() // (self.data.shape[1] * self.data.shape[2])
        normalize = transforms.Normalize((0.5,) * channels, (0.5,) * channels)
        augment: list[Callable] = []
        if recipe and recipe.crop_padding:
            augment.append(transforms.RandomCrop(self.data.shape[1], padding=recipe.crop_padding))
        if recipe and recipe.flip:
            augment.append(transforms.RandomHorizontalFlip())
        self.transform = transforms.Compose([*augment, transforms.ToTensor(), normalize])

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, target = self.data[index], int(self.targets[index])
        return self.transform(Image.fromarray(image.numpy())), target


class Classifier(pl.LightningModule):
    """A network, its loss and its accuracy, updated and logged at each step of training, validation and test."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe, self.network = recipe, recipe.network()
        self.criterion = nn.CrossEntropyLoss()
        self.metrics = nn.ModuleDict(
            {
                stage: nn.ModuleDict({"loss": MeanMetric(), "acc": MulticlassAccuracy(10, average="micro")})
                for stage in ("in_train", "in_val", "in_test")  # ModuleDict has a method `train`
            }
        )
        self.seconds: list[float] = []

    def configure_optimizers(self) -> Any:
        """The recipe's."""
        optimizer = self.recipe.optimizer(self.network)
        if self.recipe.schedule is None:
            return optimizer
        schedule = self.recipe.schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """One batch of training."""
        return self._step(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """One batch of validation."""
        self._step(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """One batch of test."""
        self._step(batch, "test")

    def _step(self, batch: tuple[Tensor, Tensor], stage: str) -> Tensor:
        images, labels = batch
        logits = self.network(images)
        loss = self.criterion(logits, labels)
        metrics = self.metrics[f"in_{stage}"]
        metrics["loss"](loss)
        metrics["acc"](logits.argmax(1), labels)
        for name, metric in metrics.items():
            self.log(f"{stage}/{name}", metric, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def on_train_epoch_start(self) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Stop the clock, once a GPU has computed all."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self.started)


def loader(images: Dataset, recipe: Recipe, workers: int, shuffle: bool = False) -> DataLoader:
    """Batches of the recipe's size; workers live on from epoch to epoch."""
    return DataLoader(images, recipe.batch_size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)


def train(
    recipe: Recipe,
    folder: Path,
    chosen: Path,
    epochs: int,
    workers: int,
    accelerator: str = "cpu",
    precision: str = "32-true",
) -> Classifier:
    """Train on the images of `chosen`; `accelerator` (cpu, gpu) and `precision` are Lightning's. Returns the module."""
    pl.seed_everything(0)
    images = Subset(Images(folder, recipe=recipe), np.load(chosen).tolist())
    classifier = Classifier(recipe)
    with tempfile.TemporaryDirectory() as logs:
        trainer = pl.Trainer(
            accelerator=accelerator, devices=1, precision=precision, max_epochs=epochs, default_root_dir=logs
        )
        trainer.fit(classifier, loader(images, recipe, workers, shuffle=True))
    return classifier


def main() -> None:
    """Train as the command line says."""
    case, folder, chosen, epochs, threads, out, workers = sys.argv[1:]
    torch.set_num_threads(int(threads))
    classifier = train(RECIPES[case], Path(folder), Path(chosen), int(epochs), int(workers))
    params = sum(p.numel() for p in classifier.network.parameters())
    Path(out).write_text(json.dumps({"params": params, "epoch_seconds": classifier.seconds}))


if __name__ == "__main__":
    main()
