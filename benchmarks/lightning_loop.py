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
from pathlib import Path

import numpy as np
import torch

from dsbench import torchvision_ops

torchvision_ops.ensure()  # torchvision's wheel does not import beside a CPU-only torch

import pytorch_lightning as pl  # noqa: E402
from PIL import Image  # noqa: E402
from recipes import RECIPES, Recipe  # noqa: E402
from torch import Tensor, nn, optim  # noqa: E402
from torch.utils.data import DataLoader, Dataset, Subset  # noqa: E402
from torchmetrics import MeanMetric  # noqa: E402
from torchmetrics.classification import MulticlassAccuracy  # noqa: E402
from torchvision import transforms  # noqa: E402


class Images(Dataset):
    """Images in memory, given out one at a time as PIL would have them."""

    def __init__(self, folder: Path) -> None:
        self.data = torch.from_numpy(np.load(folder / "x_train.npy")).squeeze(-1)
        self.targets = torch.from_numpy(np.load(folder / "y_train.npy")).long()
        channels = self.data[0].numel() // (self.data.shape[1] * self.data.shape[2])
        normalize = transforms.Normalize((0.5,) * channels, (0.5,) * channels)
        self.transform = transforms.Compose([transforms.ToTensor(), normalize])

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, target = self.data[index], int(self.targets[index])
        return self.transform(Image.fromarray(image.numpy())), target


class Classifier(pl.LightningModule):
    """A network, its loss and its accuracy, updated and logged at each step."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe, self.network = recipe, recipe.network()
        self.criterion = nn.CrossEntropyLoss()
        self.train_loss, self.train_acc = MeanMetric(), MulticlassAccuracy(10, average="micro")
        self.seconds: list[float] = []

    def configure_optimizers(self) -> optim.Optimizer:
        """The study's."""
        return self.recipe.optimizer(self.network)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """One batch."""
        images, labels = batch
        logits = self.network(images)
        loss = self.criterion(logits, labels)
        self.train_loss(loss)
        self.train_acc(logits.argmax(1), labels)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/acc", self.train_acc, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def on_train_epoch_start(self) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self.started)


case, folder, chosen, epochs, threads, out, workers = sys.argv[1:]
torch.set_num_threads(int(threads))
pl.seed_everything(0)
recipe, count = RECIPES[case], int(workers)
images = Subset(Images(Path(folder)), np.load(chosen).tolist())
loader = DataLoader(images, recipe.batch_size, shuffle=True, num_workers=count, persistent_workers=count > 0)
classifier = Classifier(recipe)
with tempfile.TemporaryDirectory() as logs:
    pl.Trainer(accelerator="cpu", max_epochs=int(epochs), default_root_dir=logs).fit(classifier, loader)

params = sum(p.numel() for p in classifier.network.parameters())
Path(out).write_text(json.dumps({"params": params, "epoch_seconds": classifier.seconds}))
