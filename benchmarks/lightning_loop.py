"""The usual Lightning way: a torchvision-style Dataset, transforms of one image at a time, a DataLoader, all defaults.

python lightning_loop.py CASE FOLDER EPOCHS THREADS OUT WORKERS writes to OUT the parameters and the seconds of each
epoch as JSON. The memory format is the default one, as nobody sets it in this style of program.
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
from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torchmetrics.classification import MulticlassAccuracy  # noqa: E402
from torchvision import transforms  # noqa: E402


class Images(Dataset):
    """Arrays read as torchvision's own datasets read theirs: one PIL image at a time."""

    def __init__(self, folder: Path) -> None:
        self.data, self.targets = np.load(folder / "x_train.npy"), np.load(folder / "y_train.npy")
        channels = self.data.shape[-1]
        normalize = transforms.Normalize((0.5,) * channels, (0.5,) * channels)
        self.transform = transforms.Compose([transforms.ToTensor(), normalize])

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.data[index].squeeze())
        return self.transform(image), int(self.targets[index])


class Classifier(pl.LightningModule):
    """A network, its loss and its accuracy, logged at each step."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe, self.network = recipe, recipe.network()
        self.loss, self.train_acc = nn.CrossEntropyLoss(), MulticlassAccuracy(10, average="micro")
        self.seconds: list[float] = []

    def configure_optimizers(self) -> optim.Optimizer:
        """The study's."""
        return self.recipe.optimizer(self.network)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """One batch."""
        images, labels = batch
        logits = self.network(images)
        loss = self.loss(logits, labels)
        self.train_acc(logits, labels)
        self.log("train_loss", loss, prog_bar=True)
        self.log("train_acc", self.train_acc, prog_bar=True)
        return loss

    def on_train_epoch_start(self) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self.started)


case, folder, epochs, threads, out, workers = sys.argv[1:]
torch.set_num_threads(int(threads))
pl.seed_everything(0)
recipe, count = RECIPES[case], int(workers)
loader = DataLoader(
    Images(Path(folder)), recipe.batch_size, shuffle=True, num_workers=count, persistent_workers=count > 0
)
classifier = Classifier(recipe)
with tempfile.TemporaryDirectory() as logs:
    pl.Trainer(accelerator="cpu", max_epochs=int(epochs), default_root_dir=logs).fit(classifier, loader)

params = sum(p.numel() for p in classifier.network.parameters())
Path(out).write_text(json.dumps({"params": params, "epoch_seconds": classifier.seconds}))
