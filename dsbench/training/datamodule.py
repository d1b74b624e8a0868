"""The data sets as a LightningDataModule: split, where the device that trains finds them, in chunks of steps."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from pytorch_lightning import LightningDataModule

from dsbench.config.network import dataset_of
from dsbench.config.schema import DataConfig
from dsbench.data import prepared, split
from dsbench.training.batches import Batches, PixelScale, unsharp
from dsbench.training.memory import DEVICE_SHARE, evaluated_at_once
from dsbench.training.passes import Chunks, Pass

log = logging.getLogger("dsbench")


class ImageData(LightningDataModule):
    """One prepared set, split, on the device that trains.

    split=standard holds validation images out of train and leaves test for the end; split=study trains on all of
    train and validates on test, as the five studies did. Its loaders give Lightning chunks of the steps of `passes`,
    in which the program of a training finds its images itself (see dsbench.training.program).
    """

    def __init__(
        self, config: DataConfig, batch_size: int, seed: int, device: torch.device, channels_last: bool = True
    ) -> None:
        super().__init__()
        self.channels_last = channels_last
        self.config, self.batch_size, self.seed, self.device = config, batch_size, seed, device

    def prepare_data(self) -> None:
        """Fetch and check the set where it is not there yet."""
        prepared.prepare(dataset_of(self.config), self.config.root, self.config.verify)

    def setup(self, stage: str | None = None) -> None:
        """Map the arrays and cut them into splits; Lightning calls it before fit and before test."""
        if hasattr(self, "train"):
            return
        config, dataset = self.config, dataset_of(self.config)
        arrays = prepared.load(dataset, config.root, config.verify)
        mean, std = arrays.mean[config.split], arrays.std[config.split]
        scale = PixelScale.of(config.scale, mean, std)
        constant = [channel for channel, deviation in enumerate(std) if not deviation]
        if constant and config.scale == "standardize":
            log.info("%s: channel %s is constant, and divided by 1", dataset.name, ", ".join(map(str, constant)))
        on_device = self._has_room(arrays.x_train.nbytes + arrays.x_test.nbytes)
        x_train, x_test = (self._images(torch.from_numpy(x), on_device) for x in (arrays.x_train, arrays.x_test))
        sharpened = config.filter == "unsharp" and not on_device  # else it is done once, here
        y_train, y_test = (torch.from_numpy(y.astype("int64")).to(self.device) for y in (arrays.y_train, arrays.y_test))
        at_once = evaluated_at_once(dataset.image_shape)
        all_test = torch.arange(len(y_test), device=self.device)
        form = sharpened, self.channels_last
        self.test = Batches(x_test, y_test, all_test, at_once, scale, None, None, *form)
        if config.split == "study":
            train_rows, self.val = torch.arange(len(y_train), device=self.device), self.test
        else:
            train, val = split.stratified(arrays.y_train, dataset.validation_size)
            train_rows, val_rows = (torch.from_numpy(rows).to(self.device) for rows in (train, val))
            self.val = Batches(x_train, y_train, val_rows, at_once, scale, None, None, *form)
        augment = config.augment if any(vars(config.augment).values()) else None
        self.train = Batches(x_train, y_train, train_rows, self.batch_size, scale, self.seed, augment, *form)

    def serve(
        self, classes: int, members: int | None = None, most: int = 1, left: Callable[[], int] | None = None
    ) -> tuple[Pass, Pass, Pass]:
        """The passes over train, validation and test that the loaders go through from now on.

        For so many `members` of a fused network, None for a network alone; up to `most` steps of training and of
        validation are a chunk, `left` says how many steps of training there are at most until its end.
        """
        train, val, test = (Pass(part, classes, members) for part in (self.train, self.val, self.test))
        self.passes = train, val, test
        self._most, self._left = most, left
        return self.passes

    def train_dataloader(self) -> Chunks:
        """Steps of an epoch, in the order of seed and epoch."""
        return Chunks(self.passes[0], self._most, self._left)

    def val_dataloader(self) -> Chunks:
        """Steps of a pass over the validation images, in order."""
        return Chunks(self.passes[1], self._most)

    def test_dataloader(self) -> Chunks:
        """Steps of the pass over the test images, in order."""
        return Chunks(self.passes[2])

    def transfer_batch_to_device(self, batch: range, device: torch.device, dataloader_idx: int) -> range:
        """There is nothing to be moved: images are where the device finds them."""
        return batch

    def _has_room(self, size: int) -> bool:
        """Whether `size` bytes of images are kept on the device; a CPU reads them from the mapped file."""
        if self.device.type == "cuda":
            return size < DEVICE_SHARE * torch.cuda.mem_get_info(self.device)[0]
        return self.device.type != "cpu"

    def _images(self, images: torch.Tensor, on_device: bool) -> torch.Tensor:
        """What the images of a part are read from: the mapped file or, filtered where that is asked, the device."""
        if not on_device:
            return images
        pieces = images.split(5000)
        if self.config.filter == "unsharp":
            return torch.cat([unsharp(piece).to(self.device) for piece in pieces])
        return torch.cat([piece.to(self.device) for piece in pieces])
