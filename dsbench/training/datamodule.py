"""The images of a training, split, where the device that trains finds them."""

from __future__ import annotations

import logging

import torch

from dsbench.config.network import dataset_of
from dsbench.config.schema import DataConfig
from dsbench.data import prepared, split
from dsbench.training.batches import Batches, PixelScale, unsharp
from dsbench.training.memory import DEVICE_SHARE, evaluated_at_once

log = logging.getLogger("dsbench")


class ImageData:
    """One prepared set, split, on the device that trains.

    split=standard holds validation images out of train and leaves test for the end; split=study trains on all of
    train and validates on test, as the five studies did.
    """

    def __init__(
        self, config: DataConfig, batch_size: int, seed: int, device: torch.device, channels_last: bool = True
    ) -> None:
        self.channels_last = channels_last
        self.config, self.batch_size, self.seed, self.device = config, batch_size, seed, device

    def setup(self) -> None:
        """Map the arrays and cut them into splits."""
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
