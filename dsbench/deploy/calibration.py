"""The images whose activations set the ranges of int8."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dsbench.data import split
from dsbench.training.batches import Batches

if TYPE_CHECKING:
    from dsbench.training.datamodule import ImageData

CALIBRATION_IMAGES = 512


def calibration_images(data: ImageData, count: int = CALIBRATION_IMAGES) -> Tensor:
    """`count` training images (count, C, H, W) as the network sees them, unaugmented; classes have their shares.

    Where there are no more, they are all. They depend on the data set and its split alone, not on a seed. Validation
    and test images are never among them.
    """
    train = data.train
    count = min(count, len(train.rows))
    labels = train.labels[train.rows].cpu().numpy()
    chosen = split.stratified(labels, count)[1] if count < len(labels) else np.arange(count)
    rows = train.rows[torch.from_numpy(chosen).to(train.rows.device)]
    ((images, _),) = Batches(train.images, train.labels, rows, count, train.scale, sharpened=train.sharpened)
    return images.cpu()
